/** Tree ensembles as nodes of a graph, made by chance or by hand. */
import type { NodeSpec } from '../run/onnx.js';

/** A tree: a leaf with its weight, or a question with what follows. */
export type Tree =
  | { readonly weight: number }
  | {
      readonly feature: number;
      readonly threshold: number;
      /** `BRANCH_LEQ` when absent. */
      readonly mode?: string;
      readonly missingTrue?: boolean;
      readonly yes: Tree;
      readonly no: Tree;
    };

/** Attributes of the nodes and weights of trees; `prefix` is that of the weights: `target` or `class`. */
function attributesOf(
  trees: readonly Tree[],
  prefix: 'target' | 'class',
  targetOf: (tree: number) => number,
): NodeAttributes {
  const ints: Record<string, number[]> = {};
  const floats: Record<string, number[]> = {};
  const modes: string[] = [];
  const push = (lists: Record<string, number[]>, name: string, value: number): void => {
    (lists[name] ??= []).push(value);
  };
  trees.forEach((root, tree) => {
    let ids = 0;
    const add = (node: Tree): number => {
      const id = ids;
      ids += 1;
      const at = modes.push('LEAF') - 1;
      push(ints, 'nodes_treeids', tree);
      push(ints, 'nodes_nodeids', id);
      for (const name of ['featureids', 'truenodeids', 'falsenodeids', 'missing_value_tracks_true'])
        push(ints, `nodes_${name}`, 0);
      push(floats, 'nodes_values', 0);
      if ('weight' in node) {
        push(ints, `${prefix}_treeids`, tree);
        push(ints, `${prefix}_nodeids`, id);
        push(ints, `${prefix}_ids`, targetOf(tree));
        push(floats, `${prefix}_weights`, node.weight);
        return id;
      }
      modes[at] = node.mode ?? 'BRANCH_LEQ';
      ints['nodes_featureids']![at] = node.feature;
      floats['nodes_values']![at] = node.threshold;
      ints['nodes_missing_value_tracks_true']![at] = node.missingTrue === true ? 1 : 0;
      ints['nodes_truenodeids']![at] = add(node.yes);
      ints['nodes_falsenodeids']![at] = add(node.no);
      return id;
    };
    add(root);
  });
  return { ints, floats, modes };
}

interface NodeAttributes {
  readonly ints: Record<string, number[]>;
  readonly floats: Record<string, number[]>;
  readonly modes: readonly string[];
}

/** A `TreeEnsembleRegressor` with one target. */
export function treeRegressor(trees: readonly Tree[], input: string, output: string): NodeSpec {
  const { ints, floats, modes } = attributesOf(trees, 'target', () => 0);
  return {
    op: 'TreeEnsembleRegressor',
    domain: 'ai.onnx.ml',
    inputs: [input],
    outputs: [output],
    attributes: { ...ints, n_targets: 1 },
    floats,
    texts: { nodes_modes: modes, post_transform: 'NONE' },
  };
}

/** A `TreeEnsembleClassifier` whose trees give weights to the classes in turn. */
export function treeClassifier(
  trees: readonly Tree[],
  input: string,
  outputs: readonly [label: string, scores: string],
  classes: readonly string[],
): NodeSpec {
  const { ints, floats, modes } = attributesOf(trees, 'class', (tree) => tree % classes.length);
  return {
    op: 'TreeEnsembleClassifier',
    domain: 'ai.onnx.ml',
    inputs: [input],
    outputs,
    attributes: ints,
    floats,
    texts: { nodes_modes: modes, post_transform: 'SOFTMAX', classlabels_strings: classes },
  };
}

/**
 * Trees of the given depth over some features, their thresholds and weights by chance; the same for the same seed.
 *
 * @param thresholdOf a threshold for a feature, of a number in [0, 1)
 */
export function someTrees(
  count: number,
  depth: number,
  features: number,
  thresholdOf: (feature: number, chance: number) => number,
  seed = 1,
): Tree[] {
  let state = seed;
  const chance = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const grow = (level: number): Tree => {
    if (level === 0) return { weight: Math.fround(chance() - 0.5) };
    const feature = Math.floor(chance() * features);
    return {
      feature,
      threshold: Math.fround(thresholdOf(feature, chance())),
      missingTrue: chance() < 0.5,
      yes: grow(level - 1),
      no: grow(level - 1),
    };
  };
  return Array.from({ length: count }, () => grow(depth));
}
