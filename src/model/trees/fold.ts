/**
 * Folds what a graph does to the columns of X into the thresholds of an ensemble, so that it can be asked about the columns
 * as they come. Exact: each row takes the same way through every tree.
 */
import { applySteps, whereHolds, type Step, type TracedColumn } from './column-function.js';
import { MODE, type Ensemble, type Mode } from './ensemble.js';
import { floatBelow, type Precision } from './floats.js';

/** A column that a folded ensemble reads. */
export interface RawColumn {
  readonly input: string;
  readonly column: number;
}

/** An ensemble over columns of the graph's inputs. */
export interface FoldedEnsemble {
  /** Its features are positions in `columns`. */
  readonly ensemble: Ensemble;
  readonly columns: readonly RawColumn[];
}

/** Why a column cannot be folded; the message goes on from "X cannot be folded into the trees: …". */
export class NotFoldable extends Error {
  override readonly name = 'NotFoldable';
}

/**
 * The ensemble over the columns that its features come from.
 *
 * @param columnOf where feature `j` of the ensemble comes from: steps from a float of the ensemble's precision to the float
 *   that is compared, all of which are monotone and none of which gives NaN for a number
 * @throws NotFoldable where a question about equality would become one about a range
 */
export function foldEnsemble(ensemble: Ensemble, columnOf: (feature: number) => TracedColumn): FoldedEnsemble {
  const { nodes, precision } = ensemble;
  const count = nodes.mode.length;
  const columns: RawColumn[] = [];
  const places = new Map<string, number>();
  const placeOf = ({ input, column }: RawColumn): number => {
    const key = `${column} ${input}`;
    let place = places.get(key);
    if (place === undefined) {
      place = columns.push({ input, column }) - 1;
      places.set(key, place);
    }
    return place;
  };
  const features = new Map<number, { readonly steps: readonly Step[]; readonly place: number }>();
  const featureAt = (feature: number): { readonly steps: readonly Step[]; readonly place: number } => {
    let known = features.get(feature);
    if (known === undefined) {
      const traced = columnOf(feature);
      known = { steps: traced.steps, place: placeOf(traced) };
      features.set(feature, known);
    }
    return known;
  };
  // Features in their order, so that the columns are as well.
  const read = new Set<number>();
  for (let node = 0; node < count; node += 1) if (nodes.mode[node] !== MODE.leaf) read.add(nodes.feature[node]!);
  for (const feature of [...read].sort((a, b) => a - b)) featureAt(feature);

  const mode = nodes.mode.slice();
  const feature = nodes.feature.slice();
  const threshold = nodes.threshold.slice();
  const missingTrue = nodes.missingTrue.slice();
  const trueChild = nodes.trueChild.slice();
  const falseChild = nodes.falseChild.slice();
  // Exporters repeat thresholds: boosting splits a column at the same few places.
  const known = new Map<string, FoldedQuestion>();
  for (let node = 0; node < count; node += 1) {
    if (nodes.mode[node] === MODE.leaf) continue;
    const { steps, place } = featureAt(nodes.feature[node]!);
    feature[node] = place;
    if (steps.length === 0) continue;
    const asked = { mode: nodes.mode[node] as Mode, threshold: nodes.threshold[node]! };
    const key = `${nodes.feature[node]} ${asked.mode} ${asked.threshold}`;
    let folded = known.get(key);
    if (folded === undefined) {
      folded = foldQuestion(asked, steps, precision);
      known.set(key, folded);
    }
    const missing = missingAnswer(asked, nodes.missingTrue[node] === 1, steps);
    mode[node] = folded.mode;
    threshold[node] = folded.threshold;
    missingTrue[node] = missing === folded.swaps ? 0 : 1;
    if (folded.swaps) {
      trueChild[node] = nodes.falseChild[node]!;
      falseChild[node] = nodes.trueChild[node]!;
    }
  }
  return {
    ensemble: {
      ...ensemble,
      width: Math.max(1, columns.length),
      nodes: { ...nodes, mode, feature, threshold, missingTrue, trueChild, falseChild },
    },
    columns,
  };
}

/** What a node asks. */
interface Question {
  readonly mode: Mode;
  readonly threshold: number;
}

/** A question about the column itself; where it `swaps`, rows that fulfil it go where the others went. */
interface FoldedQuestion extends Question {
  readonly swaps: boolean;
}

function foldQuestion(asked: Question, steps: readonly Step[], precision: Precision): FoldedQuestion {
  if (asked.mode === MODE.eq || asked.mode === MODE.neq) return foldEquality(asked, steps, precision);
  const holds = whereHolds((x) => answer(asked, applySteps(steps, x)), precision);
  switch (holds.kind) {
    case 'always':
      return { mode: MODE.leq, threshold: Infinity, swaps: false };
    case 'never':
      return { mode: MODE.leq, threshold: Infinity, swaps: true };
    case 'upTo':
      return { mode: MODE.leq, threshold: holds.last, swaps: false };
    case 'from':
      // Where x is not below the first number for which it holds.
      return { mode: MODE.leq, threshold: floatBelow(holds.first, precision), swaps: true };
  }
}

/** `f(x) = t` asks for one number, for none, or for a range, which one question cannot ask for. */
function foldEquality({ mode, threshold }: Question, steps: readonly Step[], precision: Precision): FoldedQuestion {
  let [first, last] = [-Infinity, Infinity];
  for (const condition of [
    (x: number): boolean => applySteps(steps, x) <= threshold,
    (x: number): boolean => applySteps(steps, x) >= threshold,
  ]) {
    const holds = whereHolds(condition, precision);
    if (holds.kind === 'upTo') last = Math.min(last, holds.last);
    else if (holds.kind === 'from') first = Math.max(first, holds.first);
    else if (holds.kind === 'never') return { mode: MODE.leq, threshold: Infinity, swaps: mode === MODE.eq };
  }
  if (first > last) return { mode: MODE.leq, threshold: Infinity, swaps: mode === MODE.eq };
  if (first === last) return { mode, threshold: first, swaps: false };
  throw new NotFoldable('a category is compared after it was computed with, and several values become it');
}

/** What a node answers for a number. */
export function answer({ mode, threshold }: Question, x: number): boolean {
  switch (mode) {
    case MODE.leq:
      return x <= threshold;
    case MODE.lt:
      return x < threshold;
    case MODE.gte:
      return x >= threshold;
    case MODE.gt:
      return x > threshold;
    case MODE.eq:
      return x === threshold;
    case MODE.neq:
      return x !== threshold;
    case MODE.leaf:
      return false;
  }
}

/** What a node answers where the column is NaN, which an Imputer may have made a number of. */
function missingAnswer(asked: Question, missingTrue: boolean, steps: readonly Step[]): boolean {
  const value = applySteps(steps, NaN);
  return Number.isNaN(value) ? missingTrue || asked.mode === MODE.neq : answer(asked, value);
}
