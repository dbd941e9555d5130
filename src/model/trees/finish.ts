/**
 * From the sums of the trees to what an operator gives: base values, post transforms, and the label of a classifier. The
 * specification leaves much of it open, above all for two classes; this is how ONNX Runtime does it, in float32 where it does.
 */
import { MODE, UnsupportedEnsemble, type Ensemble, type PostTransform } from './ensemble.js';
import { BLOCK } from './layout.js';

/**
 * Scores of the rows of a batch before and after: `sums` by target, `scores` row-major. A sum that no tree has added to is
 * -0, a least or greatest weight that none has given is NaN.
 */
export interface Finisher {
  /** Columns of the scores. */
  readonly width: number;
  /**
   * Finishes rows.
   *
   * @param sums of a block: {@link BLOCK} for each target
   * @param scores where they go, `width` for each row, the first row at `at`
   * @param winners by row: position of the label; only classifiers write it
   */
  finish(sums: Float32Array | Float64Array, rows: number, scores: Float32Array, winners: Int32Array, at: number): void;
}

/** How the scores of an ensemble are finished; {@link checkFinish} has passed it. */
export function finisherOf(ensemble: Ensemble, blockLogistic: BlockLogistic): Finisher {
  if (ensemble.labels === undefined) return new Regression(ensemble);
  return hasOneScore(ensemble) ? new OneScore(ensemble, blockLogistic) : new ManyClasses(ensemble);
}

/** The kernel's way to {@link logistic}: `[1 - p, p]` for each of a block's sums, in memory that is used again. */
export type BlockLogistic = (sums: Float32Array, base: number) => Float32Array;

const hasOneScore = ({ targets, weightTarget }: Ensemble): boolean => targets === 2 && new Set(weightTarget).size === 1;

/**
 * Refuses what ONNX Runtime finishes in a way that no exporter counts on, or leaves partly unwritten.
 * @throws UnsupportedEnsemble
 */
export function checkFinish(ensemble: Ensemble): void {
  const { targets, base, labels, postTransform, weightTarget } = ensemble;
  const bases = `has ${base.length} base values for ${targets} ${labels === undefined ? 'targets' : 'classes'}`;
  if (labels === undefined) {
    if (base.length > 0 && base.length !== targets) throw new UnsupportedEnsemble(bases);
    // With one target, ONNX Runtime leaves all others out.
    if (targets === 1 && postTransform !== 'NONE' && postTransform !== 'PROBIT')
      throw new UnsupportedEnsemble(`has the post transform ${postTransform} for one target`);
    return;
  }
  if (targets < 2) throw new UnsupportedEnsemble('has fewer than two classes');
  if (targets > 2) {
    if (base.length > 0 && base.length !== targets) throw new UnsupportedEnsemble(bases);
    return;
  }
  if (hasOneScore(ensemble)) {
    if (base.length > 1) throw new UnsupportedEnsemble(bases);
    if (weightTarget[0] !== 0) throw new UnsupportedEnsemble('gives weights to the second of two classes only');
    if (postTransform === 'PROBIT') throw new UnsupportedEnsemble('has the post transform PROBIT for one score');
    return;
  }
  if (base.length > 0) throw new UnsupportedEnsemble(bases);
  // Its labels are 1 and 0 then, whatever they should be.
  if (labels.type === 'int64' && (labels.values[0] !== 0n || labels.values[1] !== 1n))
    throw new UnsupportedEnsemble('has two scores for two classes that are not 0 and 1');
  if (!alwaysScores(ensemble, 1)) throw new UnsupportedEnsemble('gives no weight to the second class for some rows');
}

/** Whether a target is given a weight for every row: by all leaves of a tree. */
function alwaysScores({ nodes, roots, weightTarget }: Ensemble, target: number): boolean {
  return roots.some((root) => {
    const open = [root];
    const seen = new Set<number>();
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      if (nodes.mode[node] !== MODE.leaf) open.push(nodes.trueChild[node]!, nodes.falseChild[node]!);
      else if (!weightTarget.subarray(nodes.firstWeight[node], nodes.firstWeight[node + 1]).includes(target))
        return false;
    }
    return true;
  });
}

const { fround, exp, abs, log, sqrt, PI } = Math;

/** 1 / (1 + e^-x) as ONNX Runtime has it: exact where the result is near 0. */
function logistic(x: number): number {
  const v = fround(1 / fround(1 + fround(exp(-abs(x)))));
  return x < 0 ? fround(1 - v) : v;
}

/** The inverse of the normal distribution's function, in ONNX Runtime's approximation. */
function probit(p: number): number {
  const x = fround(fround(2 * fround(p)) - 1);
  const l = fround(log(fround(fround(1 - x) * fround(1 + x))));
  const v = fround(fround(2 / fround(fround(PI) * fround(0.147))) + fround(0.5 * l));
  const v2 = fround(fround(1 / fround(0.147)) * l);
  const v3 = fround(-v + fround(sqrt(fround(fround(v * v) - v2))));
  const root = fround(sqrt(v3));
  return fround(fround(Math.SQRT2) * (x < 0 ? -root : root));
}

/** Applies a post transform to a row of two scores or more, in place. */
function transform(how: PostTransform, row: Float32Array | Float64Array, count: number): void {
  switch (how) {
    case 'NONE':
      return;
    case 'LOGISTIC':
      for (let k = 0; k < count; k += 1) row[k] = logistic(fround(row[k]!));
      return;
    case 'PROBIT':
      for (let k = 0; k < count; k += 1) row[k] = probit(row[k]!);
      return;
    case 'SOFTMAX':
    case 'SOFTMAX_ZERO': {
      let most = -3.402_823_466_385_288_6e38;
      for (let k = 0; k < count; k += 1) most = Math.max(most, fround(row[k]!));
      let sum = 0;
      const shrink = fround(exp(-most));
      for (let k = 0; k < count; k += 1) {
        const x = fround(row[k]!);
        if (how === 'SOFTMAX' || x > fround(1e-7) || x < fround(-1e-7)) {
          row[k] = fround(exp(fround(x - most)));
          sum = fround(sum + row[k]!);
        } else {
          row[k] = fround(row[k]! * shrink);
        }
      }
      for (let k = 0; k < count; k += 1) row[k] = fround(row[k]! / sum);
    }
  }
}

/** `TreeEnsembleRegressor` and `TreeEnsemble`. */
class Regression implements Finisher {
  readonly width: number;
  readonly #ensemble: Ensemble;
  readonly #row: Float32Array | Float64Array;

  constructor(ensemble: Ensemble) {
    this.width = ensemble.targets;
    this.#ensemble = ensemble;
    this.#row = ensemble.precision === 'float32' ? new Float32Array(this.width) : new Float64Array(this.width);
  }

  finish(
    sums: Float32Array | Float64Array,
    rows: number,
    scores: Float32Array,
    _winners: Int32Array,
    at: number,
  ): void {
    const { targets, base, aggregate, postTransform, roots, precision } = this.#ensemble;
    const round = precision === 'float32' ? fround : (x: number): number => x;
    const divisor = aggregate === 'AVERAGE' ? roots.length : 1;
    const row = this.#row;
    for (let i = 0; i < rows; i += 1) {
      for (let t = 0; t < targets; t += 1) {
        const sum = sums[t * BLOCK + i]!;
        // Where there is no least or greatest weight, nothing is added to the base value; -0 is a sum of nothing.
        row[t] = round((Number.isNaN(sum) ? 0 : round(sum / divisor)) + (base[t] ?? 0));
      }
      // With one target, ONNX Runtime knows this one only; the others are refused when the ensemble is read.
      if (targets > 1 || postTransform === 'PROBIT') transform(postTransform, row, targets);
      for (let t = 0; t < targets; t += 1) scores[(at + i) * targets + t] = row[t]!;
    }
  }
}

/** Two classes of which the trees score one: the other has what is left. */
class OneScore implements Finisher {
  readonly width = 2;
  readonly #base: number;
  readonly #isProbability: boolean;
  readonly #ensemble: Ensemble;
  readonly #logistic: BlockLogistic;

  constructor(ensemble: Ensemble, blockLogistic: BlockLogistic) {
    const { base, weight } = ensemble;
    this.#ensemble = ensemble;
    this.#base = base[0] ?? 0;
    this.#isProbability = weight.every((each) => !(each < 0));
    this.#logistic = blockLogistic;
  }

  finish(sums: Float32Array | Float64Array, rows: number, scores: Float32Array, winners: Int32Array, at: number): void {
    const { precision, postTransform } = this.#ensemble;
    const base = this.#base;
    const isProbability = this.#isProbability;
    const round = precision === 'float32' ? fround : (x: number): number => x;
    // Weights that are all positive make a probability, and the label comes from it even where it goes on to be transformed.
    const threshold = isProbability ? 0.5 : 0;
    for (let i = 0; i < rows; i += 1) winners[at + i] = round(sums[i]! + base) > threshold ? 1 : 0;
    if (postTransform !== 'LOGISTIC') {
      for (let i = 0; i < rows; i += 1) {
        const score = round(sums[i]! + base);
        scores[(at + i) * 2] = isProbability ? round(1 - score) : -score;
        scores[(at + i) * 2 + 1] = score;
      }
    } else if (sums instanceof Float32Array) {
      scores.set(this.#logistic(sums, base).subarray(0, rows * 2), at * 2);
    } else {
      for (let i = 0; i < rows; i += 1) {
        const score = sums[i]! + base;
        scores[(at + i) * 2] = logistic(fround(-score));
        scores[(at + i) * 2 + 1] = logistic(fround(score));
      }
    }
  }
}

/** As many scores as classes: the greatest wins. */
class ManyClasses implements Finisher {
  readonly width: number;
  readonly #ensemble: Ensemble;
  readonly #row: Float32Array | Float64Array;

  constructor(ensemble: Ensemble) {
    this.width = ensemble.targets;
    this.#ensemble = ensemble;
    this.#row = ensemble.precision === 'float32' ? new Float32Array(this.width) : new Float64Array(this.width);
  }

  finish(sums: Float32Array | Float64Array, rows: number, scores: Float32Array, winners: Int32Array, at: number): void {
    const { targets, base, postTransform } = this.#ensemble;
    const row = this.#row;
    const hasBase = base.length > 0;
    for (let i = 0; i < rows; i += 1) {
      let winner = -1;
      let most = 0;
      for (let t = 0; t < targets; t += 1) {
        const sum = sums[t * BLOCK + i]!;
        row[t] = hasBase ? sum + base[t]! : sum;
        // A class that no tree has given a weight to cannot win.
        if ((hasBase || !Object.is(sum, -0)) && (winner === -1 || row[t]! > most)) {
          winner = t;
          most = row[t]!;
        }
      }
      if (targets === 2) winner = row[1]! > 0 ? 1 : 0;
      winners[at + i] = winner === -1 ? 0 : winner;
      transform(postTransform, row, targets);
      for (let t = 0; t < targets; t += 1) scores[(at + i) * targets + t] = row[t]!;
    }
  }
}
