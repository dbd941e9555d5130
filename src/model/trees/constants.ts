/** Reads the constants of a graph: initializers, and what `Constant` nodes hold. */
import {
  TensorProto_DataLocation,
  TensorProto_DataType as OnnxType,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from '../onnx_pb.js';

/** A constant tensor of numbers. */
export interface Constant {
  readonly dims: readonly number[];
  /** Row-major; 64-bit integers are the numbers nearest to them. */
  readonly values: readonly number[];
}

/** The constants of a graph by name, as far as they are numbers that lie in the file itself. */
export class Constants {
  readonly #tensors = new Map<string, TensorProto>();

  constructor(graph: GraphProto) {
    for (const node of graph.node) {
      const value = isOnnx(node, 'Constant') ? attributeOf(node, 'value')?.t : undefined;
      if (value !== undefined) this.#tensors.set(node.output[0] ?? '', value);
    }
    for (const tensor of graph.initializer) this.#tensors.set(tensor.name, tensor);
  }

  /** The constant of that name; undefined where the value is none, or none that can be read. */
  get(name: string): Constant | undefined {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined || tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) return undefined;
    const values = valuesOf(tensor);
    const dims = tensor.dims.map(Number);
    return values?.length === dims.reduce((product, extent) => product * extent, 1) ? { dims, values } : undefined;
  }
}

/** Whether a node is an operator of ONNX's own domain. */
export function isOnnx(node: NodeProto, opType: string): boolean {
  return node.opType === opType && (node.domain === '' || node.domain === 'ai.onnx');
}

/** Whether a node is an operator of `ai.onnx.ml`. */
export function isOnnxMl(node: NodeProto, opType: string): boolean {
  return node.opType === opType && node.domain === 'ai.onnx.ml';
}

/** The attribute of that name, if the node has it. */
export function attributeOf({ attribute }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((each) => each.name === name);
}

function valuesOf(tensor: TensorProto): readonly number[] | undefined {
  const { rawData: raw, dataType } = tensor;
  // ONNX stores raw values little-endian whatever the machine: a DataView says so.
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const read = (bytes: number, at: (offset: number) => number): number[] =>
    Array.from({ length: Math.floor(raw.byteLength / bytes) }, (_, i) => at(i * bytes));
  const isRaw = raw.byteLength > 0;
  switch (dataType) {
    case OnnxType.FLOAT:
      return isRaw ? read(4, (at) => view.getFloat32(at, true)) : tensor.floatData.map(Math.fround);
    case OnnxType.DOUBLE:
      return isRaw ? read(8, (at) => view.getFloat64(at, true)) : tensor.doubleData;
    case OnnxType.INT32:
      return isRaw ? read(4, (at) => view.getInt32(at, true)) : tensor.int32Data;
    case OnnxType.INT64:
      return isRaw ? read(8, (at) => Number(view.getBigInt64(at, true))) : tensor.int64Data.map(Number);
    default:
      return undefined;
  }
}
