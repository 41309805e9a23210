// Server-sent events, parsed by hand because EventSource cannot send an Authorization header.
//
//   id: 17\n                 → lastId (kept for Last-Event-ID; an id with a NUL is ignored)
//   event: robot\n           → type, "message" when absent
//   data: {"id":17}\n        → data, several lines joined with \n
//   : tick\n                 → comment, ignored
//   retry: 3000\n            → retryMs
//   \n                       → dispatch
//
// Lines end in LF, CR or CRLF, and chunks may be cut anywhere, even between CR and LF.

export interface SseMessage {
  id: string;
  type: string;
  data: string;
}

/** More than this without an end of the event is not an event stream. */
const MAX_PENDING_CHARS = 1 << 20;

export class SseParser {
  lastId = '';
  retryMs: number | null = null;
  #pending = '';
  #afterCr = false;
  #first = true;
  #data: string[] = [];
  #dataChars = 0;
  #type = '';

  push(chunk: string): SseMessage[] {
    const out: SseMessage[] = [];
    for (const line of this.#lines(chunk)) {
      const message = this.#line(line);
      if (message) out.push(message);
    }
    return out;
  }

  #lines(chunk: string): string[] {
    if (chunk === '') return [];
    if (this.#first && chunk.startsWith('\ufeff')) chunk = chunk.slice(1);
    this.#first = false;
    if (this.#afterCr && chunk.startsWith('\n')) chunk = chunk.slice(1);
    this.#afterCr = chunk.endsWith('\r');
    const parts = (this.#pending + chunk).split(/\r\n|\n|\r/);
    this.#pending = parts.pop() ?? '';
    if (this.#pending.length > MAX_PENDING_CHARS) throw new Error('the event stream sent an endless line');
    return parts;
  }

  #line(line: string): SseMessage | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    this.#field(field, value);
    return null;
  }

  #field(field: string, value: string): void {
    if (field === 'data') {
      this.#dataChars += value.length + 1;
      if (this.#dataChars > MAX_PENDING_CHARS) throw new Error('the event stream sent an endless event');
      this.#data.push(value);
    } else if (field === 'event') this.#type = value;
    else if (field === 'id' && !value.includes('\0')) this.lastId = value;
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(): SseMessage | null {
    const message = { id: this.lastId, type: this.#type || 'message', data: this.#data.join('\n') };
    const empty = this.#data.length === 0;
    this.#data = [];
    this.#dataChars = 0;
    this.#type = '';
    return empty ? null : message;
  }
}
