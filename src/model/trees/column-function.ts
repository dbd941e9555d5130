/**
 * What a graph does to a column before trees compare it, as a function of one number: `StandardScaler` is
 * `x → (x - mean) * scale`, each step rounded as the graph's type rounds it.
 *
 * Trees ask `f(x) ≤ t`. Rounded arithmetic is monotone where exact arithmetic is (IEEE 754 rounds monotonically), so that
 * the numbers for which this holds are all up to one, or all from one on: the question can be put to `x` itself.
 */

import { float32At, float64At, rank32, rank64, type Precision } from './floats.js';

/**
 * A step: a function that never falls where its argument rises, or never rises, NaN aside. Its value is rounded to the type
 * that the graph computes it in.
 */
export type Step = (x: number) => number;

/** A column of a graph's input, and the steps from there to what trees compare. */
export interface TracedColumn {
  /** Name of the input. */
  readonly input: string;
  /** Position in a row of it. */
  readonly column: number;
  readonly steps: readonly Step[];
}

/** The value after all steps. */
export function applySteps(steps: readonly Step[], x: number): number {
  return steps.reduce((value, step) => step(value), x);
}

/**
 * Whether the steps give a number for every number: `(x - a) * 0` does not for an infinity, and a function that is NaN
 * somewhere is monotone nowhere.
 */
export function isTotal(steps: readonly Step[]): boolean {
  return !Number.isNaN(applySteps(steps, Infinity)) && !Number.isNaN(applySteps(steps, -Infinity));
}

/**
 * For which numbers a condition holds that changes at most once from -∞ to ∞: `upTo` a number and for all below, or `from`
 * a number on; `always`, or `never`.
 */
export type Holds =
  | { readonly kind: 'always' }
  | { readonly kind: 'never' }
  | { readonly kind: 'upTo'; readonly last: number }
  | { readonly kind: 'from'; readonly first: number };

/** Finds out for which floats of a precision a condition that changes at most once holds, exactly. */
export function whereHolds(condition: (x: number) => boolean, precision: Precision): Holds {
  const atLeast = condition(-Infinity);
  if (condition(Infinity) === atLeast) return { kind: atLeast ? 'always' : 'never' };
  const [low, high] = precision === 'float32' ? change32(condition, atLeast) : change64(condition, atLeast);
  return atLeast ? { kind: 'upTo', last: low } : { kind: 'from', first: high };
}

/** The last float at which a condition is what it is at -∞, and the one above it. */
function change32(condition: (x: number) => boolean, atLeast: boolean): [low: number, high: number] {
  let low = rank32(-Infinity);
  let high = rank32(Infinity);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (condition(float32At(middle)) === atLeast) low = middle;
    else high = middle;
  }
  return [float32At(low), float32At(high)];
}

/** As {@link change32}. */
function change64(condition: (x: number) => boolean, atLeast: boolean): [low: number, high: number] {
  let low = rank64(-Infinity);
  let high = rank64(Infinity);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (condition(float64At(middle)) === atLeast) low = middle;
    else high = middle;
  }
  return [float64At(low), float64At(high)];
}
