/** One number out of the scores of a row. */
import type { Reduction } from '../pipeline/pipeline.js';
import type { NumericData } from '../plan/elements.js';

/** The `width` values of a row start at `start`. */
type Reducer = (values: NumericData, start: number, width: number) => number | bigint;

/**
 * - `max`: the greatest value.
 * - `argmax`: position of the greatest value, the first of several.
 * - `margin`: the greatest value less the second greatest; 0 for two equal ones. A single value has no rival and is its
 *   own margin.
 * - `entropy`: −Σ p·ln p in nats, for values that are probabilities; 0·ln 0 is 0, a negative value gives NaN.
 *
 * NaN anywhere in the row gives NaN, and is where `argmax` points to (as numpy has it).
 */
export const REDUCERS: Readonly<Record<Reduction, Reducer>> = {
  max: (values, start, width) => values[start + positionOfMax(values, start, width)] as number | bigint,
  argmax: (values, start, width) => BigInt(positionOfMax(values, start, width)),
  margin,
  entropy,
};

function positionOfMax(values: NumericData, start: number, width: number): number {
  let best = 0;
  let greatest = values[start] as number | bigint;
  for (let k = 1; k < width; k++) {
    const value = values[start + k] as number | bigint;
    // Not `value > greatest` alone: nothing is greater than NaN, but NaN must win over what came before it.
    if (value > greatest || (Number.isNaN(value) && !Number.isNaN(greatest))) {
      best = k;
      greatest = value;
    }
  }
  return best;
}

function margin(values: NumericData, start: number, width: number): number | bigint {
  const best = positionOfMax(values, start, width);
  const first = values[start + best] as number | bigint;
  let second: number | bigint | undefined;
  for (let k = 0; k < width; k++) {
    const value = values[start + k] as number | bigint;
    if (k !== best && (second === undefined || value > second)) second = value;
  }
  if (second === undefined) return first;
  return Number(first) - Number(second);
}

function entropy(values: NumericData, start: number, width: number): number {
  let sum = 0;
  for (let k = 0; k < width; k++) {
    const p = Number(values[start + k]);
    if (p !== 0) sum += p * Math.log(p);
  }
  // Zero, not its negative, for a certain class.
  return sum === 0 ? 0 : -sum;
}
