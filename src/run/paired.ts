/**
 * Compares two ways to do the same work by times that were taken in turn, so that a slow spell of the machine meets both.
 * Nothing here measures: it tells what measured times say, and how far they can be trusted.
 */

/** How much faster something is than what it is compared with. */
export interface Comparison {
  /** Speed as a share of the other's: 1.2 is a fifth more. The median of the pairs. */
  readonly speedup: number;
  /** Two standard errors of {@link speedup}, as a share of it: what chance alone may make of no difference. */
  readonly noise: number;
}

/** Less than this is never claimed to be told apart, however alike a few pairs are. */
const LEAST_NOISE = 0.005;
/** Standard error of a median, in those of a mean, where errors are normal. */
const MEDIAN_FACTOR = Math.sqrt(Math.PI / 2);
/** Standard deviation of normal errors, in their mean absolute deviation. */
const DEVIATION_FACTOR = Math.sqrt(Math.PI / 2);

/**
 * Compares by pairs of times of the same work, in seconds: of what is compared with, then of what is compared. One pair
 * tells nothing of the noise, which is then infinite.
 */
export function compare(pairs: readonly (readonly [reference: number, candidate: number])[]): Comparison {
  const logs = pairs.map(([reference, candidate]) => Math.log(reference / candidate));
  const middle = median(logs);
  const spread = logs.reduce((sum, log) => sum + Math.abs(log - middle), 0) / (logs.length - 1);
  const error = (MEDIAN_FACTOR * DEVIATION_FACTOR * spread) / Math.sqrt(logs.length);
  return {
    speedup: Math.exp(middle),
    noise: logs.length < 2 ? Infinity : Math.max(LEAST_NOISE, 2 * error),
  };
}

/** The middle of some numbers; of an even number of them the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Whether something is faster by more than the noise, and by so much that it is worth a line in a pipeline file. */
export function isBetter({ speedup, noise }: Comparison, worth: number): boolean {
  return speedup >= 1 + worth && speedup * (1 - noise) > 1;
}
