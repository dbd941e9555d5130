/**
 * Finds the rows of a batch that a model fails on, by bisection: what fails as a whole is halved until single rows are left.
 * It is bounded: a model that fails on everything, or on so much that it would come to scoring row by row, is told as one
 * that fails, and no table is taken apart for it.
 *
 * All of it depends on the batch alone, so that it comes to the same for any number of workers and after any restart.
 */
import type { ColonnadeError } from '../errors.js';
import { counted, formatCount } from '../plan/quantities.js';

/** Rows that are tried alone at first, spread over the batch: where each of them fails, so does everything. */
const PROBES = 8;
/** Calls for any batch, however small. */
const LEAST_CALLS = 256;
/** Calls for all batches of a shard. */
const MOST_CALLS_A_SHARD = 131_072;

/** Why a search was given up, in words that go on from what failed. */
export class TooManyRejected extends Error {}

/** Counts the calls that the searches of a shard have made. */
export class SearchBudget {
  #left = MOST_CALLS_A_SHARD;

  /** Calls that a batch may take at most. @throws TooManyRejected where the shard has none left. */
  take(calls: number): void {
    this.#left -= calls;
    if (this.#left < 0)
      throw new TooManyRejected(
        `the rows that it fails on were looked for with ${formatCount(MOST_CALLS_A_SHARD)} calls in this part of the data, and there are more`,
      );
  }
}

/**
 * The rows that fail, with the error of each, by position in the batch, ascending. None where each passes alone: then it is
 * no row that is to blame.
 *
 * @param rows of a batch that failed as a whole
 * @param error what it failed with
 * @param attempt gives rows to the model; what it fails with, undefined where it does not
 * @throws TooManyRejected where all rows seem to fail, or too many; and what `attempt` throws
 */
export function findRejected(
  rows: number,
  error: ColonnadeError,
  attempt: (positions: readonly number[]) => ColonnadeError | undefined,
  budget: SearchBudget,
): Map<number, ColonnadeError> {
  const most = Math.max(LEAST_CALLS, rows >> 1);
  let calls = 0;
  const call = (from: number, to: number): ColonnadeError | undefined => {
    budget.take(1);
    calls += 1;
    if (calls > most)
      throw new TooManyRejected(
        `it fails on ${formatCount(rejected.size)} of its rows or more: ${formatCount(most)} calls did not suffice to find them`,
      );
    return attempt(Array.from({ length: to - from }, (_, i) => from + i));
  };
  const rejected = new Map<number, ColonnadeError>();
  if (rows === 1) {
    // One batch after the other may be of one row.
    budget.take(1);
    return rejected.set(0, error);
  }
  if (rows > PROBES) {
    const probed = Array.from({ length: PROBES }, (_, i) => Math.floor((i * (rows - 1)) / (PROBES - 1)));
    if (probed.every((row) => call(row, row + 1) !== undefined))
      throw new TooManyRejected(`${counted(PROBES, 'row')} of it, tried one by one, fail as well`);
  }
  /** @param isCertain whether the rows are known to fail together */
  const search = (from: number, to: number, isCertain: boolean): void => {
    if (to - from === 1) {
      const found = call(from, to);
      if (found !== undefined) rejected.set(from, found);
      return;
    }
    if (!isCertain && call(from, to) === undefined) return;
    const middle = (from + to) >> 1;
    const before = rejected.size;
    search(from, middle, false);
    // Where nothing fails before it, it is what is behind it.
    search(middle, to, rejected.size === before);
  };
  search(0, rows, true);
  return rejected;
}
