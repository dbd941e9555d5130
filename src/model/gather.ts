/**
 * Copies values of Arrow columns to where a tensor wants them. The target may be strided: one column of a row-major
 * matrix is every `width`-th value.
 *
 * Arrow's JavaScript `Data` slices fixed-width values and offsets when it is sliced, but not validity bitmaps: those are
 * read from `offset` on.
 */
import { DataType, type Data } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import { ARRAYS, type NumericData } from '../plan/elements.js';
import type { ElementType } from '../plan/facts.js';
import { isValid } from '../plan/validity.js';
import type { TensorData } from './engine.js';

/** Where values go: `data[start + i * stride]` for the i-th row. */
export interface Target {
  readonly data: TensorData;
  readonly start: number;
  readonly stride: number;
}

/** What stands in for a missing value; undefined where a missing value must not reach the model. */
export type Replacement = number | string | undefined;

/** Bytes of the target that one block of rows covers: it stays in the cache while the columns go by. */
const BLOCK_BYTES = 32 * 1024;

/** Rows of a block in a matrix of the given width. */
export function blockRows(width: number, bytesPerElement: number): number {
  return Math.max(8, Math.floor(BLOCK_BYTES / (width * bytesPerElement)));
}

/** Copies `values[from..to)` (or, with `keep`, `values[keep[from..to)]`) to the places of rows `from..to` of the target. */
export function gatherNumbers(
  target: Target,
  values: NumericData,
  keep: Uint32Array | undefined,
  from: number,
  to: number,
): void {
  const { data, start, stride } = target;
  const first = start + from * stride;
  if (data instanceof Float32Array && values instanceof Float32Array) {
    gatherFloats(data, first, stride, values, keep, from, to);
  } else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const source = values as BigInt64Array;
    if (keep === undefined) for (let i = from, at = first; i < to; i++, at += stride) data[at] = source[i] as bigint;
    else for (let i = from, at = first; i < to; i++, at += stride) data[at] = source[keep[i] as number] as bigint;
  } else {
    const numbers = data as Float64Array;
    const source = values as Float64Array;
    if (keep === undefined) for (let i = from, at = first; i < to; i++, at += stride) numbers[at] = source[i] as number;
    else for (let i = from, at = first; i < to; i++, at += stride) numbers[at] = source[keep[i] as number] as number;
  }
}

/** The float32 case by itself: a loop that only ever sees one kind of array stays several times faster. */
function gatherFloats(
  data: Float32Array,
  first: number,
  stride: number,
  values: Float32Array,
  keep: Uint32Array | undefined,
  from: number,
  to: number,
): void {
  if (keep === undefined) for (let i = from, at = first; i < to; i++, at += stride) data[at] = values[i] as number;
  else for (let i = from, at = first; i < to; i++, at += stride) data[at] = values[keep[i] as number] as number;
}

/**
 * Puts the replacement where rows `0..count` of the target stand for a NULL, or for a NaN of a float column.
 *
 * @throws ColonnadeError `INTERNAL` when a row with NULL is to be scored and nothing replaces it
 */
export function replaceMissing(
  target: Target,
  column: Data,
  keep: Uint32Array | undefined,
  count: number,
  replacement: Replacement,
  name: string,
): void {
  const { data, start, stride } = target;
  const isFloat = data instanceof Float32Array || data instanceof Float64Array;
  const replacesNaN = isFloat && typeof replacement === 'number' && !Number.isNaN(replacement);
  if (column.nullCount === 0 && !replacesNaN) return;
  const value = column.nullCount === 0 ? replacement : replacementFor(data, replacement);
  for (let i = 0; i < count; i++) {
    const at = start + i * stride;
    const missing =
      !isValid(column, keep === undefined ? i : (keep[i] as number)) || (replacesNaN && Number.isNaN(data[at]));
    if (!missing) continue;
    if (value === undefined) throw missingValue(name);
    (data as unknown[])[at] = value;
  }
}

/** A replacement in the type that the target's array holds. */
function replacementFor(data: TensorData, replacement: Replacement): number | string | bigint | undefined {
  const wantsBigInt = data instanceof BigInt64Array || data instanceof BigUint64Array;
  return wantsBigInt && typeof replacement === 'number' ? BigInt(replacement) : replacement;
}

/** The error for a NULL that nothing replaces: validation should have set its row apart. */
export function missingValue(name: string): ColonnadeError {
  return new ColonnadeError('INTERNAL', `a row with NULL in ${name} was given to the model`, { phase: 'model' });
}

/** The error for a column that is not of the planned type. */
export function wrongType(column: Data, planned: string, name: string): ColonnadeError {
  const found = (column.type as { toString(): string }).toString();
  return new ColonnadeError('INTERNAL', `the column ${name} arrived as ${found}, not as ${planned}`, {
    phase: 'model',
  });
}

/**
 * The values of a column as the array of an element type: its own memory, bools as bytes.
 *
 * @throws ColonnadeError `INTERNAL` when the column has another type than was planned
 */
export function numbersOf(column: Data, type: Exclude<ElementType, 'string'>, name: string): NumericData {
  const values: unknown = column.values;
  // Arrow packs its own bools into bits, in bytes as well.
  if (!(values instanceof ARRAYS[type]) || DataType.isBool(column.type)) throw wrongType(column, type, name);
  return values;
}

/**
 * Copies texts; NULL becomes the empty text, for {@link replaceMissing} to see to.
 *
 * @throws ColonnadeError `INTERNAL` when the column does not hold texts
 */
export function gatherStrings(
  target: Target,
  column: Data,
  keep: Uint32Array | undefined,
  count: number,
  name: string,
): void {
  if (!DataType.isUtf8(column.type)) throw wrongType(column, 'string', name);
  const { data, start, stride } = target;
  const texts = data as string[];
  const bytes = column.values as Uint8Array;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets = column.valueOffsets as Int32Array;
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const row = keep === undefined ? i : (keep[i] as number);
    texts[at] = isValid(column, row) ? buffer.toString('utf8', offsets[row], offsets[row + 1]) : '';
  }
}
