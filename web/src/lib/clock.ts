// The server's clock as seen from here. Ages are server times compared with the server's now; a browser whose clock is wrong
// must not turn a live robot into an old one. The Date header has whole seconds, so small differences mean nothing.

const NOISE_MS = 2_000;

export class ServerClock {
  #offsetMs = 0;

  observe(serverMs: number | null, localMs: number): void {
    if (serverMs === null) return;
    const offsetMs = serverMs + 500 - localMs;
    this.#offsetMs = Math.abs(offsetMs) < NOISE_MS ? 0 : offsetMs;
  }

  now(localMs: number): number {
    return localMs + this.#offsetMs;
  }
}
