// Follows an event stream for ever: opens it, hands on each message, comes back after an end with a jittered back-off and
// says from where it wants to go on. Time and chance come in through `Effects`, so that tests need neither.

import { SseParser, type SseMessage } from './sse.ts';

export type LinkState = 'connecting' | 'open' | 'waiting' | 'denied' | 'closed';

export interface Effects {
  open(lastId: string, signal: AbortSignal): Promise<Response>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  random(): number;
  now(): number;
}

export interface StreamHandlers {
  onMessage(message: SseMessage): void;
  onState(state: LinkState, waitMs: number): void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The server sends at least a comment every 25 s; a stream silent for longer than this is dead. */
const SILENCE_MS = 65_000;
/** A stream that lived this long was a good one: the next failure starts again with a short wait. */
const PROVEN_MS = 10_000;

/** Wait before try number `attempt` (0 is the first after a failure): half fixed, half chance, doubling to a ceiling. */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}

async function readWithLimit<T>(read: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the event stream went silent')), ms);
  });
  try {
    return await Promise.race([read, silence]);
  } finally {
    clearTimeout(timer);
  }
}

async function pump(body: ReadableStream<Uint8Array>, parser: SseParser, onMessage: StreamHandlers['onMessage']) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await readWithLimit(reader.read(), SILENCE_MS);
      if (done) return;
      parser.push(decoder.decode(value, { stream: true })).forEach(onMessage);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

type Ending = 'denied' | 'ended';

async function session(lastId: string, fx: Effects, on: StreamHandlers, signal: AbortSignal): Promise<[Ending, string]> {
  const parser = new SseParser();
  parser.lastId = lastId;
  try {
    const response = await fx.open(lastId, signal);
    if (response.status === 401 || response.status === 403) return ['denied', lastId];
    if (!response.ok || !response.body) return ['ended', lastId];
    on.onState('open', 0);
    await pump(response.body, parser, on.onMessage);
  } catch {
    // Unreachable, cut, silent or endless: each ends in the same way, by coming back later.
  }
  return ['ended', parser.lastId];
}

/** Runs until `signal` is aborted or the server refuses the token. Never throws. */
export async function followEvents(fx: Effects, on: StreamHandlers, signal: AbortSignal): Promise<void> {
  let lastId = '';
  let attempt = 0;
  while (!signal.aborted) {
    on.onState('connecting', 0);
    const startedMs = fx.now();
    const [ending, reached] = await session(lastId, fx, on, signal);
    lastId = reached;
    if (signal.aborted) break;
    if (ending === 'denied') return on.onState('denied', 0);
    if (fx.now() - startedMs >= PROVEN_MS) attempt = 0;
    const waitMs = backoffMs(attempt++, fx.random());
    on.onState('waiting', waitMs);
    await fx.sleep(waitMs, signal);
  }
  on.onState('closed', 0);
}
