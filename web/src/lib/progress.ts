// Does a counter still move? A robot whose agent answers while its frame counter stands still is the dangerous kind of
// quiet: it looks alive.

export class Progress {
  #seen = new Map<string, { value: number; sinceMs: number }>();

  /** Takes the newest value and says for how long it has stood still, in ms (0: it just moved or is new). */
  observe(key: string, value: number | null, nowMs: number): number {
    if (value === null) {
      this.#seen.delete(key);
      return 0;
    }
    const before = this.#seen.get(key);
    if (before && before.value === value) return nowMs - before.sinceMs;
    this.#seen.set(key, { value, sinceMs: nowMs });
    return 0;
  }

  /** After a time without looking nothing is known about what happened meanwhile. */
  forget(): void {
    this.#seen.clear();
  }
}
