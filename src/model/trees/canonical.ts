/**
 * Ensembles as the kernel takes them: every inner node asks `x <= threshold`, with a way for NaN of its own. The other
 * comparisons are the same question with another threshold (that next to it) or with the children changed over; two of
 * these questions make one for equality.
 */
import { MODE, UnsupportedEnsemble, type Ensemble } from './ensemble.js';
import { floatBelow, type Precision } from './floats.js';

/** A node of a tree; a leaf where `left` is absent. Nodes may be shared: what is below them is alike. */
export interface CanonicalNode {
  /** Leaves: number in the tree, which tells its weights; -1 for inner nodes. */
  readonly leaf: number;
  readonly feature: number;
  readonly threshold: number;
  /** Where NaN goes. */
  readonly nanLeft: boolean;
  /** Where rows go with `x <= threshold`. */
  left?: CanonicalNode;
  right?: CanonicalNode;
}

/** A tree with the weights of its leaves. */
export interface CanonicalTree {
  readonly root: CanonicalNode;
  /** By leaf number: its node in the ensemble. */
  readonly leaves: readonly number[];
}

/** The greatest number that compares as less: -0 does not less than 0. `value` is not minus infinity. */
function lessThan(value: number, precision: Precision): number {
  return floatBelow(value === 0 ? -0 : value, precision);
}

/**
 * A tree of an ensemble, in its canonical form.
 * @param index position in {@link Ensemble.roots}
 * @throws UnsupportedEnsemble for questions that only infinities answer differently
 */
export function canonicalTree({ nodes, roots, precision }: Ensemble, index: number): CanonicalTree {
  const made = new Map<number, CanonicalNode>();
  const leaves: number[] = [];
  /** What is made of a node, its children being made already. */
  const make = (node: number): CanonicalNode => {
    const mode = nodes.mode[node];
    if (mode === MODE.leaf) {
      leaves.push(node);
      return { leaf: leaves.length - 1, feature: 0, threshold: 0, nanLeft: true };
    }
    const feature = nodes.feature[node]!;
    const value = nodes.threshold[node]!;
    const missingTrue = nodes.missingTrue[node] === 1;
    const yes = made.get(nodes.trueChild[node]!)!;
    const no = made.get(nodes.falseChild[node]!)!;
    const ask = (threshold: number, nanLeft: boolean, left: CanonicalNode, right: CanonicalNode): CanonicalNode => ({
      leaf: -1,
      feature,
      threshold,
      nanLeft,
      left,
      right,
    });
    const below = (): number => {
      if (value === -Infinity) throw new UnsupportedEnsemble('asks what is less than minus infinity');
      return lessThan(value, precision);
    };
    switch (mode) {
      case MODE.leq:
        return ask(value, missingTrue, yes, no);
      case MODE.lt:
        return ask(below(), missingTrue, yes, no);
      case MODE.gt:
        return ask(value, !missingTrue, no, yes);
      case MODE.gte:
        return ask(below(), !missingTrue, no, yes);
      case MODE.eq:
      case MODE.neq: {
        const [same, other] = mode === MODE.eq ? [yes, no] : [no, yes];
        // NaN is unequal to everything; and where it is tracked it goes to the true child.
        const nanToSame = mode === MODE.eq && missingTrue;
        if (value === -Infinity) return ask(value, nanToSame, same, other);
        return ask(value, nanToSame, ask(below(), false, other, same), other);
      }
      default:
        throw new UnsupportedEnsemble(`has nodes of mode ${String(mode)}`);
    }
  };
  // Children before their parents; trees may be deeper than the stack.
  const path = [roots[index]!];
  while (path.length > 0) {
    const node = path.at(-1)!;
    const children = nodes.mode[node] === MODE.leaf ? [] : [nodes.trueChild[node]!, nodes.falseChild[node]!];
    const missing = children.filter((child) => !made.has(child));
    if (missing.length > 0) {
      path.push(...missing);
      continue;
    }
    path.pop();
    if (!made.has(node)) made.set(node, make(node));
  }
  return { root: made.get(roots[index]!)!, leaves };
}
