// GET /api/v1/… with the operator's token, and what a person says: of a frame, and that drift is known.

import { strings } from './strings.ts';

export class ApiError extends Error {
  readonly status: number; // 0: no answer at all
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Answer {
  body: unknown;
  /** The server's clock when it answered, from the Date header (whole seconds); null if it sent none. */
  serverMs: number | null;
}

const TIMEOUT_MS = 8_000;

export function apiUrl(path: string): string {
  return new URL(`api/v1/${path}`, document.baseURI).href;
}

async function errorOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  return new ApiError(response.status, strings.error.http(response.status, typeof message === 'string' ? message : ''));
}

async function request(path: string, token: string, signal: AbortSignal, said?: object): Promise<Response> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(apiUrl(path), {
      ...(said && { method: 'POST', body: JSON.stringify(said) }),
      headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' },
      signal: AbortSignal.any([signal, limit]),
      cache: 'no-store',
      redirect: 'error',
    });
  } catch {
    throw new ApiError(0, limit.aborted ? strings.error.timeout : strings.error.unreachable);
  }
}

export async function apiGet(path: string, token: string, signal: AbortSignal): Promise<Answer> {
  const response = await request(path, token, signal);
  if (!response.ok) throw await errorOf(response);
  const date = Date.parse(response.headers.get('Date') ?? '');
  try {
    return { body: await response.json(), serverMs: Number.isNaN(date) ? null : date };
  } catch {
    throw new ApiError(response.status, strings.error.notJson);
  }
}

export async function apiSay(path: string, said: object, token: string, signal: AbortSignal): Promise<unknown> {
  const response = await request(path, token, signal, said);
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

/** The bytes of an incident's recording. Only the time to the first byte is limited: files take as long as they take. */
export async function readFile(path: string, token: string, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(apiUrl(path), {
    headers: { Authorization: `Bearer ${token}` },
    signal,
    cache: 'no-store',
    redirect: 'error',
  }).catch(() => {
    throw new ApiError(0, strings.error.unreachable);
  });
  if (!response.ok) throw await errorOf(response);
  return response.blob();
}

export function openEvents(token: string, lastId: string, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' };
  if (lastId) headers['Last-Event-ID'] = lastId;
  return fetch(apiUrl('events'), { headers, signal, cache: 'no-store', redirect: 'error' });
}
