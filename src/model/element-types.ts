/** Element types of ONNX beside those of the program, and the arrays that hold them. */
import { ARRAYS, type NumericData } from '../plan/elements.js';
import type { ElementType } from '../plan/facts.js';
import type { TensorData } from './engine.js';
import { TensorProto_DataType as OnnxType } from './onnx_pb.js';

const FROM_ONNX: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [OnnxType.FLOAT, 'float32'],
  [OnnxType.DOUBLE, 'float64'],
  [OnnxType.INT8, 'int8'],
  [OnnxType.UINT8, 'uint8'],
  [OnnxType.INT16, 'int16'],
  [OnnxType.UINT16, 'uint16'],
  [OnnxType.INT32, 'int32'],
  [OnnxType.UINT32, 'uint32'],
  [OnnxType.INT64, 'int64'],
  [OnnxType.UINT64, 'uint64'],
  [OnnxType.BOOL, 'bool'],
  [OnnxType.STRING, 'string'],
]);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OnnxType).map(([name, code]) => [code, name.toLowerCase()]),
);

/** The element type of an ONNX type code, or undefined for one that no column can hold (float16, complex64, …). */
export function elementTypeOf(onnxType: number): ElementType | undefined {
  return FROM_ONNX.get(onnxType);
}

/** ONNX's name of a type code, as in `float16`. */
export function onnxTypeName(onnxType: number): string {
  return NAMES.get(onnxType) ?? `type ${onnxType}`;
}

/** A zeroed array for `length` values; strings start out empty. */
export function allocate(type: 'string', length: number): string[];
export function allocate(type: Exclude<ElementType, 'string'>, length: number): NumericData;
export function allocate(type: ElementType, length: number): TensorData;
export function allocate(type: ElementType, length: number): TensorData {
  return type === 'string' ? new Array<string>(length).fill('') : new ARRAYS[type](length);
}

/** As {@link allocate}, in the memory of an array of that type where it is large enough. */
export function reallocate(type: 'uint8', length: number, used: Uint8Array): Uint8Array;
export function reallocate(type: ElementType, length: number, used: TensorData): TensorData;
export function reallocate(type: ElementType, length: number, used: TensorData): TensorData {
  if (type === 'string' || Array.isArray(used)) return allocate(type, length);
  const { buffer, BYTES_PER_ELEMENT } = used;
  if (buffer.byteLength < length * BYTES_PER_ELEMENT) return allocate(type, length);
  const zeroed = new ARRAYS[type](buffer as ArrayBuffer, 0, length);
  new Uint8Array(buffer, 0, zeroed.byteLength).fill(0);
  return zeroed;
}

/** The first `length` values, without a copy where the array allows it. */
export function firstValues(data: TensorData, length: number): TensorData {
  if (data.length === length) return data;
  return Array.isArray(data) ? data.slice(0, length) : data.subarray(0, length);
}
