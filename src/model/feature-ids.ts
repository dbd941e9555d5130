/**
 * What tells how large the trees of a graph are. ONNX Runtime looks trees' features up without comparing them with the width
 * of its input: a row that is too short would be scored with whatever stands behind it in memory.
 */
import type { GraphProto, NodeProto } from './onnx_pb.js';

/** Operators of `ai.onnx.ml` that are tree ensembles; all have the features of their nodes in `nodes_featureids`. */
export const TREE_OPERATORS: ReadonlySet<string> = new Set([
  'TreeEnsembleClassifier',
  'TreeEnsembleRegressor',
  'TreeEnsemble',
]);

/** Least widths by the names of graph inputs, of those that trees read as they are. */
export function leastWidths(graph: GraphProto): ReadonlyMap<string, number> {
  const sources = new Map(graph.input.map(({ name }) => [name, name]));
  const widths = new Map<string, number>();
  // Nodes come after those that they read from (ONNX IR: "topologically sorted").
  for (const node of graph.node) {
    const { opType, input, output } = node;
    const source = sources.get(input[0] ?? '');
    if (source === undefined) continue;
    if (opType === 'Identity' || opType === 'Cast') sources.set(output[0] ?? '', source);
    if (!isTrees(node)) continue;
    const most = integers(node, 'nodes_featureids').reduce((greatest, id) => (id > greatest ? id : greatest), -1n);
    widths.set(source, Math.max(widths.get(source) ?? 0, Number(most) + 1));
  }
  return widths;
}

/** Trees of all ensembles of a graph, those in branches and bodies aside. */
export function countTrees(graph: GraphProto): number {
  let count = 0;
  for (const node of graph.node) {
    if (!isTrees(node)) continue;
    count +=
      node.opType === 'TreeEnsemble'
        ? integers(node, 'tree_roots').length
        : new Set(integers(node, 'nodes_treeids')).size;
  }
  return count;
}

function isTrees({ domain, opType }: NodeProto): boolean {
  return domain === 'ai.onnx.ml' && TREE_OPERATORS.has(opType);
}

function integers({ attribute }: NodeProto, name: string): readonly bigint[] {
  return attribute.find((each) => each.name === name)?.ints ?? [];
}
