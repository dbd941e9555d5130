/** Numbers as Parquet stores them: little-endian, narrow integers widened to 32 bits. */
import { DataType, Precision, type Data } from 'apache-arrow';
import type { NumericData } from '../plan/elements.js';
import type { PhysicalType } from './format.js';
import { countPresent, type Bounds, type StoredValues } from './stored-values.js';

/** What a number type is stored as; undefined for other types. */
export function numberStorage(
  type: DataType,
): { physical: PhysicalType; Values: new (length: number) => NumericData; unsigned: boolean } | undefined {
  if (DataType.isFloat(type)) {
    if (type.precision === Precision.SINGLE) return { physical: 'FLOAT', Values: Float32Array, unsigned: false };
    return type.precision === Precision.DOUBLE
      ? { physical: 'DOUBLE', Values: Float64Array, unsigned: false }
      : undefined;
  }
  if (!DataType.isInt(type)) return undefined;
  const unsigned = !type.isSigned;
  return (type.bitWidth as number) === 64
    ? { physical: 'INT64', Values: unsigned ? BigUint64Array : BigInt64Array, unsigned }
    : { physical: 'INT32', Values: unsigned ? Uint32Array : Int32Array, unsigned };
}

/** The values of a column of numbers; undefined for other types. @param present as in `StoredColumn`. */
export function numberValues(
  type: DataType,
  parts: readonly Data[],
  present: Uint8Array | undefined,
): StoredValues | undefined {
  const stored = numberStorage(type);
  if (stored === undefined) return undefined;
  const { physical, Values, unsigned } = stored;
  const [only, another] = parts;
  const own = (only?.values as NumericData | undefined)?.subarray(0, only?.length);
  // As they are, where nothing has to be left out, widened or put together.
  if (present === undefined && another === undefined && own instanceof Values)
    return new NumberValues(physical, own, unsigned);
  const count =
    present === undefined
      ? parts.reduce((sum, { length }) => sum + length, 0)
      : countPresent(present, 0, present.length);
  const values = new Values(count);
  let row = 0;
  let at = 0;
  for (const data of parts) {
    const source = data.values as Float64Array;
    for (let i = 0; i < data.length; i += 1, row += 1)
      if (present === undefined || present[row] === 1) (values as Float64Array)[at++] = source[i]!;
  }
  return new NumberValues(physical, values, unsigned);
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

class NumberValues implements StoredValues {
  readonly physical: PhysicalType;
  readonly length: number;
  readonly #values: NumericData;
  readonly #unsigned: boolean;

  constructor(physical: PhysicalType, values: NumericData, unsigned: boolean) {
    this.physical = physical;
    this.length = values.length;
    this.#values = values;
    this.#unsigned = unsigned;
  }

  plain(from: number, to: number): Uint8Array {
    return bytesOf(this.#values.subarray(from, to));
  }

  bounds(from: number, to: number): Bounds | undefined {
    const values = this.#values;
    const { min, max } =
      values instanceof Float32Array || values instanceof Float64Array
        ? floatBounds(values, from, to)
        : values instanceof BigInt64Array || values instanceof BigUint64Array
          ? wideBounds(values, from, to, this.#unsigned)
          : narrowBounds(values, from, to);
    if (min === undefined || max === undefined) return undefined;
    const bytes = (value: number | bigint): Uint8Array => {
      const one = new (values.constructor as new (length: number) => NumericData)(1);
      one[0] = value;
      return bytesOf(one);
    };
    return { min: bytes(min), max: bytes(max), minExact: true, maxExact: true };
  }

  indices(limit: number): { indices: Uint16Array; firsts: number[] } | undefined {
    // Values are told apart by their bits: the two zeros, and one NaN from another, stay what they are.
    const words = new Uint32Array(this.#values.buffer, this.#values.byteOffset, this.#values.byteLength / 4);
    return wordIndices(words, this.#values.BYTES_PER_ELEMENT / 4, this.length, limit);
  }

  pick(positions: readonly number[]): Uint8Array {
    const values = new (this.#values.constructor as new (length: number) => NumericData)(positions.length);
    positions.forEach((position, i) => {
      values[i] = this.#values[position]!;
    });
    return bytesOf(values);
  }
}

interface NumberBounds {
  readonly min?: number | bigint;
  readonly max?: number | bigint;
}

/** NaN is left out. As readers compare zeros by sign, a least zero is written as −0 and a greatest as +0 (parquet.thrift). */
function floatBounds(values: Float32Array | Float64Array, from: number, to: number): NumberBounds {
  let min = Infinity;
  let max = -Infinity;
  for (let i = from; i < to; i += 1) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (min > max) return {};
  return { min: min === 0 ? -0 : min, max: max === 0 ? 0 : max };
}

function narrowBounds(
  values: Exclude<NumericData, BigInt64Array | BigUint64Array>,
  from: number,
  to: number,
): NumberBounds {
  if (from === to) return {};
  let min = values[from]!;
  let max = min;
  for (let i = from + 1; i < to; i += 1) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** 64-bit integers by their halves: a bigint for each would cost more than all the rest. */
function wideBounds(values: BigInt64Array | BigUint64Array, from: number, to: number, unsigned: boolean): NumberBounds {
  if (from === to) return {};
  const low = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const high = unsigned ? low : new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  let min = from;
  let max = from;
  for (let i = from + 1; i < to; i += 1) {
    const h = high[2 * i + 1]!;
    const l = low[2 * i]!;
    const minHigh = high[2 * min + 1]!;
    const maxHigh = high[2 * max + 1]!;
    if (h < minHigh || (h === minHigh && l < low[2 * min]!)) min = i;
    if (h > maxHigh || (h === maxHigh && l > low[2 * max]!)) max = i;
  }
  return { min: values[min]!, max: values[max]! };
}

/** Slots of the table of distinct values, four times as many as there may be. */
const SLOTS = 1 << 14;
export const MOST_DISTINCT = SLOTS / 4;

function wordIndices(
  words: Uint32Array,
  width: number,
  count: number,
  limit: number,
): { indices: Uint16Array; firsts: number[] } | undefined {
  const indices = new Uint16Array(count);
  const slots = new Uint16Array(SLOTS);
  const firsts: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const low = words[i * width]!;
    const high = width === 2 ? words[i * 2 + 1]! : 0;
    let slot = (Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> 18) & (SLOTS - 1);
    for (;;) {
      const known = slots[slot]!;
      if (known === 0) {
        if (firsts.length === limit) return undefined;
        firsts.push(i);
        slots[slot] = firsts.length;
        indices[i] = firsts.length - 1;
        break;
      }
      const first = firsts[known - 1]!;
      if (words[first * width] === low && (width === 1 || words[first * 2 + 1] === high)) {
        indices[i] = known - 1;
        break;
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
  }
  return { indices, firsts };
}
