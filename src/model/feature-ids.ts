/**
 * How many values of a row a graph reads at least. ONNX Runtime looks trees' features up without comparing them with the
 * width of its input: a row that is too short would be scored with whatever stands behind it in memory.
 */
import type { GraphProto } from './onnx_pb.js';

/** Operators of `ai.onnx.ml` that have the features of their nodes in `nodes_featureids`. */
const TREES: ReadonlySet<string> = new Set(['TreeEnsembleClassifier', 'TreeEnsembleRegressor', 'TreeEnsemble']);

/** Least widths by the names of graph inputs, of those that trees read as they are. */
export function leastWidths(graph: GraphProto): ReadonlyMap<string, number> {
  const sources = new Map(graph.input.map(({ name }) => [name, name]));
  const widths = new Map<string, number>();
  // Nodes come after those that they read from (ONNX IR: "topologically sorted").
  for (const { opType, domain, input, output, attribute } of graph.node) {
    const source = sources.get(input[0] ?? '');
    if (source === undefined) continue;
    if (opType === 'Identity' || opType === 'Cast') sources.set(output[0] ?? '', source);
    if (domain !== 'ai.onnx.ml' || !TREES.has(opType)) continue;
    const ids = attribute.find(({ name }) => name === 'nodes_featureids')?.ints ?? [];
    const most = ids.reduce((greatest, id) => (id > greatest ? id : greatest), -1n);
    widths.set(source, Math.max(widths.get(source) ?? 0, Number(most) + 1));
  }
  return widths;
}
