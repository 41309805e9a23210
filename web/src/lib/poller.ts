// Asks again and again, never twice at once, and not at all while nobody looks (hidden tab). `nudge` asks for a fresh answer
// soon: many nudges together cost one request.

const SOON_MS = 250;

export class Poller {
  readonly #task: () => Promise<void>;
  readonly #periodMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Infinity;
  #busy = false;
  #stopped = false;

  constructor(task: () => Promise<void>, periodMs: number) {
    this.#task = task;
    this.#periodMs = periodMs;
  }

  start(): void {
    document.addEventListener('visibilitychange', this.#look);
    this.#at(0);
  }

  stop(): void {
    this.#stopped = true;
    document.removeEventListener('visibilitychange', this.#look);
    clearTimeout(this.#timer);
  }

  nudge(): void {
    if (!document.hidden) this.#at(SOON_MS);
  }

  #look = (): void => {
    if (document.hidden) {
      clearTimeout(this.#timer);
      this.#dueMs = Infinity;
    } else this.#at(0);
  };

  #at(delayMs: number): void {
    const dueMs = Date.now() + delayMs;
    if (this.#stopped || this.#busy || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#run(), delayMs);
  }

  async #run(): Promise<void> {
    this.#busy = true;
    this.#dueMs = Infinity;
    try {
      await this.#task();
    } finally {
      this.#busy = false;
      if (!document.hidden) this.#at(this.#periodMs);
    }
  }
}
