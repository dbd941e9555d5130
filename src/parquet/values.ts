/**
 * The values of an output column as Parquet stores them: without NULLs, in the physical type.
 *
 *     physicalType(type), storedColumn(vector)               undefined for types that are not stored by this program itself
 *     values.plain(from, to), values.bounds(from, to)        PLAIN bytes, and least and greatest value
 *     values.indices(limit), values.pick(positions)          what a dictionary is made of
 */
import { DataType, Precision, type Data, type Vector } from 'apache-arrow';
import { isSet, isValid } from '../plan/validity.js';
import type { PhysicalType } from './format.js';

/** Least and greatest of some values, as PLAIN bytes. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
  /** False where they were shortened: then they are still not above, and not below, any value. */
  readonly minExact: boolean;
  readonly maxExact: boolean;
}

/** Values that are there, one after the other. Positions count those alone. */
export interface StoredValues {
  readonly physical: PhysicalType;
  readonly length: number;
  /** PLAIN encoding of `[from, to)`; a view where it can be. */
  plain(from: number, to: number): Uint8Array;
  /** Undefined where none of the values is one that can be compared: NaN is not. */
  bounds(from: number, to: number): Bounds | undefined;
  /** For each value the index of its kind, and where each kind stands first. Undefined for more than `limit` kinds. */
  indices(limit: number): { readonly indices: Uint16Array; readonly firsts: readonly number[] } | undefined;
  /** PLAIN encoding of the values at these positions. */
  pick(positions: readonly number[]): Uint8Array;
}

/** A column: its rows, which of them are there, and their values. */
export interface StoredColumn {
  readonly rows: number;
  /** 1 for rows that hold a value, by row; undefined where all do. */
  readonly present: Uint8Array | undefined;
  readonly values: StoredValues;
}

/** The column of a vector; undefined for lists and other types that no scalar output has. */
export function storedColumn(vector: Vector): StoredColumn | undefined {
  const type = vector.type as DataType;
  const parts = vector.data.filter((data) => data.length > 0);
  const present = vector.nullCount === 0 ? undefined : presence(parts, vector);
  const values = DataType.isUtf8(type)
    ? textValues(parts, present)
    : DataType.isBool(type)
      ? boolValues(parts, present)
      : numberValues(type, parts, present);
  return values === undefined ? undefined : { rows: vector.length, present, values };
}

function presence(parts: readonly Data[], { length, nullCount }: Vector): Uint8Array {
  const present = new Uint8Array(length);
  if (nullCount === length) return present;
  let at = 0;
  for (const data of parts) {
    for (let row = 0; row < data.length; row += 1) present[at + row] = isValid(data, row) ? 1 : 0;
    at += data.length;
  }
  return present;
}

type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** What a scalar of an Arrow type is stored as; undefined for types that are not stored here. */
export function physicalType(type: DataType): PhysicalType | undefined {
  if (DataType.isUtf8(type)) return 'BYTE_ARRAY';
  return DataType.isBool(type) ? 'BOOLEAN' : storage(type)?.physical;
}

/** What a number type is stored as. Narrow integers are widened to 32 bits. */
function storage(
  type: DataType,
): { physical: PhysicalType; Values: new (length: number) => NumberArray; unsigned: boolean } | undefined {
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

function numberValues(
  type: DataType,
  parts: readonly Data[],
  present: Uint8Array | undefined,
): StoredValues | undefined {
  const stored = storage(type);
  if (stored === undefined) return undefined;
  const { physical, Values, unsigned } = stored;
  const [only, another] = parts;
  const own = (only?.values as NumberArray | undefined)?.subarray(0, only?.length);
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

/** Values among the rows `[from, to)` of {@link StoredColumn.present}. */
export function countPresent(present: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let row = from; row < to; row += 1) count += present[row]!;
  return count;
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

class NumberValues implements StoredValues {
  readonly physical: PhysicalType;
  readonly length: number;
  readonly #values: NumberArray;
  readonly #unsigned: boolean;

  constructor(physical: PhysicalType, values: NumberArray, unsigned: boolean) {
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
      const one = new (values.constructor as new (length: number) => NumberArray)(1);
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
    const values = new (this.#values.constructor as new (length: number) => NumberArray)(positions.length);
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
  values: Exclude<NumberArray, BigInt64Array | BigUint64Array>,
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

function boolValues(parts: readonly Data[], present: Uint8Array | undefined): StoredValues {
  const flags: number[] = [];
  let row = 0;
  for (const { values, offset, length } of parts) {
    for (let i = 0; i < length; i += 1, row += 1) {
      if (present !== undefined && present[row] === 0) continue;
      flags.push(isSet(values as Uint8Array, offset + i) ? 1 : 0);
    }
  }
  return new BoolValues(Uint8Array.from(flags));
}

/** A bit each, least significant first. */
class BoolValues implements StoredValues {
  readonly physical = 'BOOLEAN';
  readonly length: number;
  readonly #flags: Uint8Array;

  constructor(flags: Uint8Array) {
    this.#flags = flags;
    this.length = flags.length;
  }

  plain(from: number, to: number): Uint8Array {
    const bits = new Uint8Array(Math.ceil((to - from) / 8));
    for (let i = from; i < to; i += 1) bits[(i - from) >> 3]! |= this.#flags[i]! << ((i - from) & 7);
    return bits;
  }

  bounds(from: number, to: number): Bounds | undefined {
    if (from === to) return undefined;
    const some = this.#flags.subarray(from, to);
    return {
      min: Uint8Array.of(some.includes(0) ? 0 : 1),
      max: Uint8Array.of(some.includes(1) ? 1 : 0),
      minExact: true,
      maxExact: true,
    };
  }

  /** A dictionary of two bits would only add to them. */
  indices(): undefined {
    return undefined;
  }

  pick(positions: readonly number[]): Uint8Array {
    return new BoolValues(Uint8Array.from(positions, (position) => this.#flags[position]!)).plain(0, positions.length);
  }
}

function textValues(parts: readonly Data[], present: Uint8Array | undefined): StoredValues {
  const texts: Buffer[] = [];
  if (present !== undefined && !present.includes(1)) return new TextValues(texts);
  let row = 0;
  for (const { values, valueOffsets, length } of parts) {
    const { buffer, byteOffset, byteLength } = values as Uint8Array;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    const offsets = valueOffsets as Int32Array;
    for (let i = 0; i < length; i += 1, row += 1)
      if (present === undefined || present[row] === 1) texts.push(bytes.subarray(offsets[i], offsets[i + 1]));
  }
  return new TextValues(texts);
}

/** Bounds of text are cut to at most this many bytes; a raised character may take one more. */
const LONGEST_BOUND = 64;

/** UTF-8, each with its length before it. */
class TextValues implements StoredValues {
  readonly physical = 'BYTE_ARRAY';
  readonly length: number;
  readonly #texts: readonly Buffer[];

  constructor(texts: readonly Buffer[]) {
    this.#texts = texts;
    this.length = texts.length;
  }

  plain(from: number, to: number): Uint8Array {
    return plainTexts(this.#texts.slice(from, to));
  }

  bounds(from: number, to: number): Bounds | undefined {
    const [first, ...others] = this.#texts.slice(from, to);
    if (first === undefined) return undefined;
    let least = first;
    let greatest = first;
    for (const text of others) {
      if (Buffer.compare(text, least) < 0) least = text;
      if (Buffer.compare(text, greatest) > 0) greatest = text;
    }
    const max = cutAbove(greatest);
    if (max === undefined) return undefined;
    const min = least.subarray(0, wholeCharacters(least));
    return { min, max, minExact: min.length === least.length, maxExact: max === greatest };
  }

  indices(limit: number): { indices: Uint16Array; firsts: number[] } | undefined {
    const indices = new Uint16Array(this.length);
    const known = new Map<string, number>();
    const firsts: number[] = [];
    for (const [i, text] of this.#texts.entries()) {
      // Latin-1 gives each byte a character of its own.
      const key = text.toString('latin1');
      let index = known.get(key);
      if (index === undefined) {
        if (firsts.length === limit) return undefined;
        index = firsts.push(i) - 1;
        known.set(key, index);
      }
      indices[i] = index;
    }
    return { indices, firsts };
  }

  pick(positions: readonly number[]): Uint8Array {
    return plainTexts(positions.map((position) => this.#texts[position]!));
  }
}

function plainTexts(texts: readonly Buffer[]): Uint8Array {
  const output = Buffer.allocUnsafe(texts.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const text of texts) {
    at = output.writeUInt32LE(text.length, at);
    at += text.copy(output, at);
  }
  return output;
}

/** Bytes of the whole characters among the first {@link LONGEST_BOUND} bytes. */
function wholeCharacters(text: Buffer): number {
  if (text.length <= LONGEST_BOUND) return text.length;
  let end = LONGEST_BOUND;
  // A byte of the form 10xxxxxx goes on with the character before it.
  while (end > 0 && (text[end]! & 0xc0) === 0x80) end -= 1;
  return end;
}

/** `text` itself where it is short, else a short one above it: its start with the last character raised, if there is one. */
function cutAbove(text: Buffer): Buffer | undefined {
  const end = wholeCharacters(text);
  if (end === text.length) return text;
  const characters = Array.from(text.subarray(0, end).toString('utf8'));
  for (let last = characters.length - 1; last >= 0; last -= 1) {
    const code = characters[last]!.codePointAt(0)!;
    // Surrogates are no characters; UTF-8 sorts by code point.
    const next = code + 1 === 0xd800 ? 0xe000 : code + 1;
    if (next <= 0x10ffff) return Buffer.from(characters.slice(0, last).join('') + String.fromCodePoint(next));
  }
  return undefined;
}
