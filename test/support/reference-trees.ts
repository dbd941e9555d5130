/**
 * Tree ensembles scored as slowly and plainly as the ONNX specification has them: what the kernel is held against. Follows
 * ONNX Runtime where the specification leaves something open (which label two classes with one score get).
 */
import { MODE, type Ensemble, type Mode } from '../../src/model/trees/ensemble.js';

export interface ReferenceScores {
  /** Row-major, `[rows, targets]`. */
  readonly scores: Float32Array;
  readonly labels?: BigInt64Array | string[];
}

/** @param valueAt the value of a feature in a row */
export function referenceScores(
  ensemble: Ensemble,
  rows: number,
  valueAt: (row: number, feature: number) => number,
): ReferenceScores {
  const width = ensemble.targets;
  const scores = new Float32Array(rows * width);
  const { labels } = ensemble;
  const chosen: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    const sums = targetsOf(ensemble, (feature) => valueAt(row, feature));
    const { values, label } =
      labels === undefined ? { values: transformed(ensemble, sums), label: 0 } : classified(ensemble, sums);
    scores.set(values, row * width);
    chosen.push(label);
  }
  if (labels === undefined) return { scores };
  return {
    scores,
    labels:
      labels.type === 'string'
        ? chosen.map((at) => labels.values[at]!)
        : BigInt64Array.from(chosen.map((at) => labels.values[at]!)),
  };
}

/** The leaf that a row reaches. */
export function leafOf({ nodes }: Ensemble, root: number, valueOf: (feature: number) => number): number {
  let node = root;
  while (nodes.mode[node] !== MODE.leaf) {
    const value = valueOf(nodes.feature[node]!);
    const mode = nodes.mode[node] as Mode;
    const goesTrue = Number.isNaN(value)
      ? nodes.missingTrue[node] === 1 || mode === MODE.neq
      : holds(mode, value, nodes.threshold[node]!);
    node = goesTrue ? nodes.trueChild[node]! : nodes.falseChild[node]!;
  }
  return node;
}

function holds(mode: Mode, x: number, threshold: number): boolean {
  const answers: Record<Mode, boolean> = {
    [MODE.leaf]: false,
    [MODE.leq]: x <= threshold,
    [MODE.lt]: x < threshold,
    [MODE.gte]: x >= threshold,
    [MODE.gt]: x > threshold,
    [MODE.eq]: x === threshold,
    [MODE.neq]: x !== threshold,
  };
  return answers[mode];
}

function targetsOf(ensemble: Ensemble, valueOf: (feature: number) => number): number[] {
  const { nodes, roots, weightTarget, weight, targets, base, aggregate, precision } = ensemble;
  const round = precision === 'float32' ? Math.fround : (x: number): number => x;
  const sums = new Array<number | undefined>(targets).fill(undefined);
  for (const root of roots) {
    const leaf = leafOf(ensemble, root, valueOf);
    for (let at = nodes.firstWeight[leaf]!; at < nodes.firstWeight[leaf + 1]!; at += 1) {
      const target = weightTarget[at]!;
      const [known, added] = [sums[target], round(weight[at]!)];
      if (known === undefined) sums[target] = added;
      else if (aggregate === 'MIN') sums[target] = Math.min(known, added);
      else if (aggregate === 'MAX') sums[target] = Math.max(known, added);
      else sums[target] = round(known + added);
    }
  }
  return sums.map((sum = 0, target) => {
    const mean = aggregate === 'AVERAGE' ? round(sum / roots.length) : sum;
    return round(mean + round(base[target] ?? 0));
  });
}

/** Scores and the position of the label. */
function classified(ensemble: Ensemble, sums: readonly number[]): { values: number[]; label: number } {
  const { labels, weight, weightTarget, postTransform } = ensemble;
  // Two classes of which the trees give one a score.
  if (labels!.values.length === 2 && weightTarget.every((target) => target === 0)) {
    const [sum] = sums as [number, number];
    const isPositive = weight.every((each) => each >= 0);
    const label = sum > (isPositive ? 0.5 : 0) ? 1 : 0;
    if (isPositive) return { values: transformed(ensemble, [1 - sum, sum]), label };
    if (postTransform === 'LOGISTIC') return { values: [logistic(-sum), logistic(sum)], label };
    return { values: transformed(ensemble, [-sum, sum]), label };
  }
  const label = sums.reduce((best, score, at) => (score > sums[best]! ? at : best), 0);
  return { values: transformed(ensemble, sums), label };
}

function transformed({ postTransform }: Ensemble, sums: readonly number[]): number[] {
  switch (postTransform) {
    case 'NONE':
      return [...sums];
    case 'LOGISTIC':
      return sums.map(logistic);
    case 'SOFTMAX':
      return softmax(sums);
    case 'SOFTMAX_ZERO': {
      const others = softmax(sums.filter((sum) => sum !== 0));
      return sums.map((sum) => (sum === 0 ? 0 : others.shift()!));
    }
    case 'PROBIT':
      throw new Error('no test has an ensemble with PROBIT');
  }
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function softmax(sums: readonly number[]): number[] {
  const most = Math.max(...sums);
  const powers = sums.map((sum) => Math.exp(sum - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}
