// The latest polled values of many lines over one time axis, in memory only: what a chart draws.
//
//   times    t0   t1   t2   …            seconds, ascending
//   "2.0.0"  4.1  4.2  null …            null: unknown then; a hole longer than `gapS` gets a null of its own,
//                                        so that a chart shows the hole instead of a line across it

export class History {
  times: number[] = [];
  columns = new Map<string, (number | null)[]>();
  readonly #capacity: number;
  readonly #gapS: number;

  constructor(capacity: number, gapS: number) {
    this.#capacity = capacity;
    this.#gapS = gapS;
  }

  push(timeS: number, values: Record<string, number | null>): void {
    const last = this.times.at(-1);
    if (last !== undefined && timeS <= last) return;
    if (last !== undefined && timeS - last > this.#gapS) this.#row(last + this.#gapS / 2, {});
    this.#row(timeS, values);
    while (this.times.length > this.#capacity) this.#dropOldest();
  }

  column(key: string): (number | null)[] {
    return this.columns.get(key) ?? this.times.map(() => null);
  }

  #row(timeS: number, values: Record<string, number | null>): void {
    for (const key of Object.keys(values)) {
      if (!this.columns.has(key)) this.columns.set(key, this.times.map(() => null));
    }
    this.times.push(timeS);
    for (const [key, column] of this.columns) column.push(values[key] ?? null);
  }

  #dropOldest(): void {
    this.times.shift();
    for (const [key, column] of this.columns) {
      column.shift();
      if (column.every((value) => value === null)) this.columns.delete(key);
    }
  }
}
