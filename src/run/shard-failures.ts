/** The shards of a run that failed for good: when they are too many to go on, and how they are told at the end. */
import { ColonnadeError, type Problem } from '../errors.js';
import { counted, formatCount } from '../plan/quantities.js';

/** Where so many fail alike and none is done, the others would fail as well: nothing is gained by trying all of them. */
const MOST_ALIKE = 3;
/** Shards that are named in the end. */
const MOST_NAMED = 50;

/** Where a shard lies, in words. */
export interface ShardPlace {
  readonly file: string;
  /** As in `rows 0 to 99`. */
  readonly rows: string;
}

interface ShardFailure {
  readonly shard: number;
  readonly attempts: number;
  readonly error: ColonnadeError;
}

export class ShardFailures {
  readonly #failures: ShardFailure[] = [];
  #done: number;
  readonly #placeOf: (shard: number) => ShardPlace;
  readonly #total: number;

  /**
   * @param total shards of the run
   * @param done shards that an earlier run has left
   */
  constructor(placeOf: (shard: number) => ShardPlace, total: number, done: number) {
    this.#placeOf = placeOf;
    this.#total = total;
    this.#done = done;
  }

  countDone(): void {
    this.#done += 1;
  }

  /** Takes a failure. @returns whether the others need not be tried. */
  add(shard: number, attempts: number, error: ColonnadeError): boolean {
    this.#failures.push({ shard, attempts, error });
    const alike = this.#failures.filter((each) => each.error.code === error.code);
    return this.#done === 0 && alike.length >= MOST_ALIKE;
  }

  /** @throws ColonnadeError that names all of them, with the code of the first of the plan. */
  throwIfAny(): void {
    const failures = this.#failures.toSorted((a, b) => a.shard - b.shard);
    const [first, ...others] = failures;
    if (first === undefined) return;
    const { code, phase, hint } = first.error;
    const untried = this.#total - this.#done - failures.length;
    const rest =
      this.#done + failures.length === this.#total
        ? `the ${this.#done === 1 ? 'other is' : `others are`} done`
        : `${formatCount(this.#done)} are done, ${formatCount(untried)} ${untried === 1 ? 'was' : 'were'} not tried as all failed`;
    const of = `of ${counted(this.#total, 'shard')} failed`;
    if (others.length === 0) {
      const what = this.#inWords(first);
      throw new ColonnadeError(code, this.#total === 1 ? what : `1 ${of}, ${rest}: ${what}`, {
        phase,
        cause: first.error,
        ...(hint === undefined ? {} : { hint }),
      });
    }
    const named = failures.slice(0, MOST_NAMED).map((failure): Problem => ({ message: this.#inWords(failure) }));
    const unnamed = failures.length - named.length;
    throw new ColonnadeError(
      code,
      `${formatCount(failures.length)} ${of}${this.#done + untried === 0 ? '' : `, ${rest}`}`,
      {
        phase,
        cause: first.error,
        problems: unnamed === 0 ? named : [...named, { message: `and ${formatCount(unnamed)} more` }],
        hint: hint ?? 'run it again: only what is not done is tried',
      },
    );
  }

  #inWords({ shard, attempts, error }: ShardFailure): string {
    const { file, rows } = this.#placeOf(shard);
    // Most errors tell the file, and which of the rows it was, themselves.
    return `${error.message.includes(file) ? '' : `${file}, ${rows}: `}${error.message}${attempts === 1 ? '' : ` (${attempts} attempts)`}`;
  }
}
