/** Small ONNX models whose answers are known without a model: made here, node by node. */
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  TensorProto_DataType,
} from '../../src/model/onnx_pb.js';

export type TensorType = 'float16' | 'float32' | 'float64' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool' | 'string';

const TYPES: Readonly<Record<TensorType, TensorProto_DataType>> = {
  float16: TensorProto_DataType.FLOAT16,
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  int64: TensorProto_DataType.INT64,
  int32: TensorProto_DataType.INT32,
  int8: TensorProto_DataType.INT8,
  uint8: TensorProto_DataType.UINT8,
  bool: TensorProto_DataType.BOOL,
  string: TensorProto_DataType.STRING,
};

export interface ValueSpec {
  readonly name: string;
  readonly type: TensorType;
  /** A text leaves the extent open. */
  readonly shape: readonly (number | string)[];
}

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** `ai.onnx.ml`, for one. */
  readonly domain?: string;
  /** Whole numbers. */
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  readonly floats?: Readonly<Record<string, number | readonly number[]>>;
  readonly texts?: Readonly<Record<string, string | readonly string[]>>;
}

export interface ConstantSpec {
  readonly name: string;
  readonly type: 'float32' | 'float64' | 'int64' | 'string';
  readonly dims: readonly number[];
  readonly values: readonly (number | string)[];
}

export interface GraphSpec {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly nodes: readonly NodeSpec[];
  readonly constants?: readonly ConstantSpec[];
}

function attributesOf({
  attributes = {},
  floats = {},
  texts = {},
}: Pick<NodeSpec, 'attributes' | 'floats' | 'texts'>): AttributeProto[] {
  const { INT, INTS, FLOAT, FLOATS, STRING, STRINGS } = AttributeProto_AttributeType;
  const made: MessageInitShape<typeof AttributeProtoSchema>[] = [];
  for (const [name, i] of Object.entries(attributes))
    made.push(typeof i === 'number' ? { name, type: INT, i: BigInt(i) } : { name, type: INTS, ints: i.map(BigInt) });
  for (const [name, f] of Object.entries(floats))
    made.push(typeof f === 'number' ? { name, type: FLOAT, f } : { name, type: FLOATS, floats: [...f] });
  for (const [name, s] of Object.entries(texts))
    made.push(
      typeof s === 'string'
        ? { name, type: STRING, s: Buffer.from(s) }
        : { name, type: STRINGS, strings: s.map((each) => Buffer.from(each)) },
    );
  return made.map((each) => create(AttributeProtoSchema, each));
}

/** The bytes of a model file. */
export function onnx({ inputs, outputs, nodes, constants = [] }: GraphSpec): Uint8Array {
  const valueInfo = ({ name, type, shape }: ValueSpec) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: TYPES[type],
          shape: {
            dim: shape.map((extent) => ({
              value:
                typeof extent === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(extent) }
                  : { case: 'dimParam' as const, value: extent },
            })),
          },
        },
      },
    },
  });
  const model = create(ModelProtoSchema, {
    irVersion: 9n,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: 17n },
      { domain: 'ai.onnx.ml', version: 3n },
    ],
    graph: {
      name: 'test',
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
      node: nodes.map(({ op, inputs: input, outputs: output, domain = '', ...given }) => ({
        opType: op,
        domain,
        input: [...input],
        output: [...output],
        attribute: attributesOf(given),
      })),
      initializer: constants.map(({ name, type, dims, values }) => ({
        name,
        dataType: TYPES[type],
        dims: dims.map(BigInt),
        ...(type === 'float32'
          ? { floatData: values.map(Number) }
          : type === 'float64'
            ? { doubleData: values.map(Number) }
            : type === 'string'
              ? { stringData: values.map((value) => Buffer.from(String(value))) }
              : { int64Data: values.map(BigInt) }),
      })),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/**
 * `score = x · weights + bias`, input `X` `[N, weights]`, output `score` `[N, 1]`. With weights and values that are small
 * multiples of a power of two every partial sum is exact, so that the order of adding does not matter.
 */
export function linearModel(
  weights: readonly number[],
  bias = 0,
  { type = 'float32', batch = 'N' }: { readonly type?: 'float32' | 'float64'; readonly batch?: number | string } = {},
): Uint8Array {
  return onnx({
    inputs: [{ name: 'X', type, shape: [batch, weights.length] }],
    outputs: [{ name: 'score', type, shape: [batch, 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['X', 'W'], outputs: ['product'] },
      { op: 'Add', inputs: ['product', 'B'], outputs: ['score'] },
    ],
    constants: [
      { name: 'W', type, dims: [weights.length, 1], values: weights },
      { name: 'B', type, dims: [1], values: [bias] },
    ],
  });
}

/** Gives back what it gets: input `X`, output `Y`, both `[N, width]`. */
export function identityModel(type: TensorType, width = 1): Uint8Array {
  return onnx({
    inputs: [{ name: 'X', type, shape: ['N', width] }],
    outputs: [{ name: 'Y', type, shape: ['N', width] }],
    nodes: [{ op: 'Identity', inputs: ['X'], outputs: ['Y'] }],
  });
}

/** The square root, which is NaN below 0: input `X`, output `Y`, both float32 `[N, 1]`. */
export function rootModel(): Uint8Array {
  return onnx({
    inputs: [{ name: 'X', type: 'float32', shape: ['N', 1] }],
    outputs: [{ name: 'Y', type: 'float32', shape: ['N', 1] }],
    nodes: [{ op: 'Sqrt', inputs: ['X'], outputs: ['Y'] }],
  });
}

/**
 * Adds to each row the sum of all rows of its batch, so that scores tell which rows the model was given together: input
 * `X`, output `Y`, both float32 `[N, 1]`. Whole numbers whose sums stay below 2^24 are summed exactly, in whatever order.
 */
export function batchSumModel(): Uint8Array {
  return onnx({
    inputs: [{ name: 'X', type: 'float32', shape: ['N', 1] }],
    outputs: [{ name: 'Y', type: 'float32', shape: ['N', 1] }],
    nodes: [
      { op: 'ReduceSum', inputs: ['X'], outputs: ['sum'], attributes: { keepdims: 1 } },
      { op: 'Add', inputs: ['X', 'sum'], outputs: ['Y'] },
    ],
  });
}

/**
 * A network that takes its time: input `X` `[N, features]`, one hidden layer of `width` units after another, output `score`
 * `[N, 1]`, the sum of what the last one gives. Its scores are whole numbers for whole numbers up to 2^24 / width.
 */
export function slowModel(
  width: number,
  {
    layers = 2,
    features = 1,
    batch = 'N',
  }: { readonly layers?: number; readonly features?: number; readonly batch?: number | string } = {},
): Uint8Array {
  const identity = Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
  const hidden = Array.from({ length: layers }, (_, i) => i);
  return onnx({
    inputs: [{ name: 'X', type: 'float32', shape: [batch, features] }],
    outputs: [{ name: 'score', type: 'float32', shape: [batch, 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['X', 'first'], outputs: ['h0'] },
      ...hidden.flatMap((i) => [
        { op: 'MatMul', inputs: [`h${i}`, 'W'], outputs: [`m${i}`] },
        { op: 'Relu', inputs: [`m${i}`], outputs: [`h${i + 1}`] },
      ]),
      { op: 'MatMul', inputs: [`h${layers}`, 'last'], outputs: ['score'] },
    ],
    constants: [
      { name: 'first', type: 'float32', dims: [features, width], values: new Array<number>(features * width).fill(1) },
      { name: 'W', type: 'float32', dims: [width, width], values: identity },
      { name: 'last', type: 'float32', dims: [width, 1], values: new Array<number>(width).fill(1) },
    ],
  });
}
