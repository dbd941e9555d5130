/**
 * How wide a row becomes on its way through a graph. Between two layers of a network every row of a batch is there with all
 * of its values: where they are more than the processor's cache holds, a larger batch is slower.
 */
import type { GraphProto, NodeProto, TensorProto } from './onnx_pb.js';

/** Operators that multiply rows with a matrix, and which of their inputs the matrix is. */
const MATRIX_INPUT: ReadonlyMap<string, number> = new Map([
  ['MatMul', 1],
  ['Gemm', 1],
  ['FusedMatMul', 1],
  ['FusedGemm', 1],
  ['MatMulInteger', 1],
  ['DynamicQuantizeMatMul', 1],
  ['QLinearMatMul', 3],
  ['QGemm', 3],
]);
/** Operators that give a constant of the same shape. */
const SAME_SHAPE: ReadonlySet<string> = new Set(['Identity', 'Cast', 'DequantizeLinear', 'QuantizeLinear']);

type Dims = readonly number[];

/** Values that a row has after the widest of the graph's layers, as far as their matrices are constants; 0 where none is. */
export function widestLayer(graph: GraphProto): number {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, dimsOf(tensor)]));
  let widest = 0;
  // Nodes come after those that they read from (ONNX IR: "topologically sorted").
  for (const node of graph.node) {
    const made = constantShape(node, constants);
    if (made !== undefined) constants.set(node.output[0] ?? '', made);
    widest = Math.max(widest, layerWidth(node, constants));
  }
  return widest;
}

/** The shape of the constant that a node is, or makes of another one. */
function constantShape(
  { opType, input, attribute }: NodeProto,
  constants: ReadonlyMap<string, Dims>,
): Dims | undefined {
  if (opType === 'Constant') {
    const tensor = attribute.find(({ name }) => name === 'value')?.t;
    return tensor === undefined ? undefined : dimsOf(tensor);
  }
  const dims = constants.get(input[0] ?? '');
  if (dims === undefined) return undefined;
  if (SAME_SHAPE.has(opType)) return dims;
  return opType === 'Transpose' && dims.length === 2 ? dims.toReversed() : undefined;
}

function layerWidth({ opType, input, attribute }: NodeProto, constants: ReadonlyMap<string, Dims>): number {
  const matrix = (at: number): Dims | undefined => {
    const dims = constants.get(input[at] ?? '');
    return dims?.length === 2 ? dims : undefined;
  };
  const at = MATRIX_INPUT.get(opType);
  if (at !== undefined) {
    const transposed = attribute.some(({ name, i }) => name === 'transB' && i !== 0n);
    return matrix(at)?.[transposed ? 0 : 1] ?? 0;
  }
  // Distances of a row to each row of a matrix: nearest neighbours and kernels, as scikit-learn's exporter writes them.
  if (opType === 'CDist') return matrix(1)?.[0] ?? 0;
  return opType === 'Scan' ? Math.max(0, ...input.map((_, i) => matrix(i)?.[0] ?? 0)) : 0;
}

function dimsOf({ dims }: TensorProto): Dims {
  return dims.map(Number);
}
