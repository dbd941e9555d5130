/** Rows done, rows per second and time left, from what each shard reports. */

/** A clock in milliseconds; `performance.now` unless a test says otherwise. */
export type Clock = () => number;

/** Speed is taken over this many milliseconds, so that it follows the run. */
const WINDOW_MS = 5_000;
/** Events closer together than this tell nothing new. */
const REPORT_EVERY_MS = 100;

export interface Reading {
  readonly rowsDone: number;
  readonly rowsTotal: number;
  readonly rowsPerSecond: number;
  /** Null until a speed is known. */
  readonly secondsLeft: number | null;
}

export class Meter {
  readonly #byShard = new Map<number, number>();
  readonly #samples: { readonly at: number; readonly rows: number }[] = [];
  #done: number;
  #reportedAt = -Infinity;

  readonly #rowsTotal: number;
  readonly #clock: Clock;

  /** @param resumed rows that an earlier run had scored: done, but no measure of speed. */
  constructor(rowsTotal: number, resumed = 0, clock: Clock = () => performance.now()) {
    this.#rowsTotal = rowsTotal;
    this.#clock = clock;
    this.#done = resumed;
    this.#samples.push({ at: clock(), rows: resumed });
  }

  /**
   * Takes the rows that a shard has behind it; 0 when it begins again.
   * @returns a reading, when one is due.
   */
  update(shard: number, rows: number): Reading | undefined {
    this.#done += rows - (this.#byShard.get(shard) ?? 0);
    this.#byShard.set(shard, rows);
    const now = this.#clock();
    if (now - this.#reportedAt < REPORT_EVERY_MS && this.#done < this.#rowsTotal) return undefined;
    this.#reportedAt = now;
    this.#samples.push({ at: now, rows: this.#done });
    while (this.#samples.length > 2 && now - this.#samples[1]!.at > WINDOW_MS) this.#samples.shift();
    return this.read();
  }

  read(): Reading {
    const first = this.#samples[0]!;
    const last = this.#samples.at(-1)!;
    const seconds = (last.at - first.at) / 1000;
    const rowsPerSecond = seconds > 0 ? Math.max(0, (last.rows - first.rows) / seconds) : 0;
    return {
      rowsDone: this.#done,
      rowsTotal: this.#rowsTotal,
      rowsPerSecond,
      secondsLeft: rowsPerSecond > 0 ? (this.#rowsTotal - this.#done) / rowsPerSecond : null,
    };
  }
}
