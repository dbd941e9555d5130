/** Trees walked as plainly as the ONNX specification has them. */
import { MODE, type Ensemble, type Mode } from '../../src/model/trees/ensemble.js';

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
