/** Model values as Arrow types and data. */
import { Data, type DataType } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import { arrowElement } from '../plan/arrow-types.js';
import type { ElementType } from '../plan/facts.js';
import type { TensorData } from './engine.js';

/** Which values are there. */
export interface Validity {
  readonly nullCount: number;
  /** One bit a value, least significant first; empty where nothing is NULL. */
  readonly nullBitmap: Uint8Array;
}

/** Nothing is NULL. */
export const ALL_VALID: Validity = { nullCount: 0, nullBitmap: new Uint8Array(0) };

/** Arrow data of `length` values, without a copy where Arrow stores them as they are. */
export function elementData(type: ElementType, values: TensorData, length: number, validity: Validity): Data {
  const arrowType = arrowElement(type);
  if (Array.isArray(values)) {
    const { offsets, bytes } = encodeTexts(values);
    return new Data(arrowType, 0, length, validity.nullCount, [offsets, bytes, validity.nullBitmap]);
  }
  const data = type === 'bool' ? packBits(values as Uint8Array) : values;
  return new Data(arrowType, 0, length, validity.nullCount, [undefined, data, validity.nullBitmap]);
}

/** Arrow data of `length` lists; the i-th has the values from `offsets[i]` to `offsets[i + 1]`. */
export function listData(type: DataType, values: Data, offsets: Int32Array, length: number, validity: Validity): Data {
  return new Data(type, 0, length, validity.nullCount, [offsets, undefined, validity.nullBitmap], [values]);
}

function encodeTexts(texts: readonly string[]): { offsets: Int32Array; bytes: Uint8Array } {
  const offsets = new Int32Array(texts.length + 1);
  let length = 0;
  for (const [i, text] of texts.entries()) {
    length += Buffer.byteLength(text);
    offsets[i + 1] = length;
  }
  if (length > MAX_TEXT_BYTES) {
    throw new ColonnadeError('MODEL_FAILED', `the texts that the model gave for one row group take ${length} bytes`, {
      phase: 'model',
      hint: 'columns of text end at 2 GB a row group: write the source with smaller row groups',
    });
  }
  const bytes = Buffer.alloc(length);
  for (const [i, text] of texts.entries()) bytes.write(text, offsets[i] as number);
  return { offsets, bytes };
}

/** Offsets of Arrow's Utf8 are 32-bit. */
const MAX_TEXT_BYTES = 2 ** 31 - 1;

function packBits(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(bytes.length / 8));
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  }
  return bits;
}

/** How many bits are set. */
export function countBits(bits: Uint8Array): number {
  let count = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
