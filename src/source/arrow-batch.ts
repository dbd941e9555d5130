/**
 * DuckDB's chunks of rows as Arrow record batches. Numbers and the numbers in lists stay where they are, in DuckDB's
 * memory; offsets of lists and texts are built anew, as Arrow lays them out in another way.
 */
import type { DuckDBDataChunk, DuckDBVector } from '@duckdb/node-api';
import {
  Data,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  List,
  RecordBatch,
  Schema,
  Struct,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  type DataType,
} from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { ElementType } from '../plan/facts.js';
import type { ProjectedColumn } from '../plan/plan.js';
import { utf8Values } from './text.js';

type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Arrow's type and the array that DuckDB's vector has for it. Bools are read as bytes. */
const NUMBERS = {
  float32: [new Float32(), Float32Array],
  float64: [new Float64(), Float64Array],
  int8: [new Int8(), Int8Array],
  uint8: [new Uint8(), Uint8Array],
  int16: [new Int16(), Int16Array],
  uint16: [new Uint16(), Uint16Array],
  int32: [new Int32(), Int32Array],
  uint32: [new Uint32(), Uint32Array],
  int64: [new Int64(), BigInt64Array],
  uint64: [new Uint64(), BigUint64Array],
  bool: [new Uint8(), Uint8Array],
} as const satisfies Record<Exclude<ElementType, 'string'>, readonly [DataType, unknown]>;

/** What a vector of DuckDB is made of, as far as it is used here. */
interface RawVector {
  readonly validity: { readonly data: BigUint64Array | null };
  /** Numbers. */
  readonly items?: Numbers;
  /** Strings. */
  readonly dataView?: DataView;
  /** Lists: offset and length of each as 64-bit integers, and the vector of their values. */
  readonly entryData?: BigUint64Array;
  readonly childData?: RawVector;
}

/** Holds a chunk as long as an array on its memory can be reached. */
const CHUNK = Symbol('chunk of DuckDB');

/** Turns chunks of one projection into record batches. */
export class BatchReader {
  readonly schema: Schema;
  readonly #rowType: Struct;
  readonly #columns: readonly ProjectedColumn[];

  constructor(columns: readonly ProjectedColumn[]) {
    this.#columns = columns;
    // Names need not be distinct, a feature and its check share one: consumers go by position.
    const fields = columns.map((column) => new Field(column.name, arrowType(column), true));
    this.schema = new Schema(fields);
    this.#rowType = new Struct(fields);
  }

  /**
   * The chunk's first columns as a record batch. Its memory is DuckDB's, which frees it with the chunk and knows nothing
   * of views on it: therefore every array buffer holds the chunk. However a consumer keeps a column, or a part of one,
   * the memory is there.
   */
  read(chunk: DuckDBDataChunk): RecordBatch {
    const rows = chunk.rowCount;
    const children = this.#columns.map((column, i) => this.#column(column, chunk.getColumnVector(i), rows, chunk));
    return new RecordBatch(this.schema, new Data(this.#rowType, 0, rows, 0, undefined, children));
  }

  #column(column: ProjectedColumn, vector: DuckDBVector, rows: number, chunk: DuckDBDataChunk): Data {
    const raw = vector as unknown as RawVector;
    if (column.listLength !== undefined) return listData(column, raw, rows, chunk);
    return column.element === 'string' ? textData(column, raw, rows, chunk) : numberData(column, raw, rows, chunk);
  }
}

function arrowType({ element, listLength }: ProjectedColumn): DataType {
  const value = element === 'string' ? new Utf8() : NUMBERS[element][0];
  return listLength === undefined ? value : new List(new Field('item', value, true));
}

function numberData(column: ProjectedColumn, vector: RawVector, rows: number, chunk: DuckDBDataChunk): Data {
  const [type, Values] = NUMBERS[column.element as keyof typeof NUMBERS];
  const { items } = vector;
  if (!(items instanceof Values)) throw otherType(column, vector);
  const validity = validityOf(vector, rows, chunk);
  return new Data(type, 0, rows, validity.nullCount, [
    undefined,
    held(items, chunk),
    validity.bitmap ?? NO_BITMAP,
  ] as never);
}

function textData(column: ProjectedColumn, vector: RawVector, rows: number, chunk: DuckDBDataChunk): Data {
  if (vector.dataView === undefined) throw otherType(column, vector);
  const validity = validityOf(vector, rows, chunk);
  const { offsets, bytes } = utf8Values(vector.dataView, rows, validity.bitmap);
  return new Data(new Utf8(), 0, rows, validity.nullCount, [offsets, bytes, validity.bitmap ?? NO_BITMAP] as never);
}

function listData(column: ProjectedColumn, vector: RawVector, rows: number, chunk: DuckDBDataChunk): Data {
  const { entryData, childData } = vector;
  if (entryData === undefined || childData === undefined || column.element === 'string')
    throw otherType(column, vector);
  const [childType, Values] = NUMBERS[column.element];
  if (!(childData.items instanceof Values)) throw otherType(column, vector);
  const validity = validityOf(vector, rows, chunk);
  // Low words alone: a chunk holds fewer than 2^32 values.
  const entries = new Uint32Array(entryData.buffer, entryData.byteOffset, rows * 4);
  const offsets = listOffsets(entries, rows, validity.bitmap);
  const count = childData.items.length;
  let child: Data;
  if (offsets !== undefined) {
    const childValidity = validityOf(childData, count, chunk);
    child = new Data(childType, 0, count, childValidity.nullCount, [
      undefined,
      held(childData.items, chunk),
      childValidity.bitmap ?? NO_BITMAP,
    ] as never);
    return new Data(
      new List(new Field('item', childType, true)),
      0,
      rows,
      validity.nullCount,
      [offsets, undefined, validity.bitmap ?? NO_BITMAP] as never,
      [child],
    );
  }
  const gathered = gatherLists(entries, rows, validity.bitmap, childData, count, chunk);
  child = new Data(childType, 0, gathered.values.length, gathered.nullCount, [
    undefined,
    gathered.values,
    gathered.bitmap ?? NO_BITMAP,
  ] as never);
  return new Data(
    new List(new Field('item', childType, true)),
    0,
    rows,
    validity.nullCount,
    [gathered.offsets, undefined, validity.bitmap ?? NO_BITMAP] as never,
    [child],
  );
}

/** Arrow's offsets of lists that lie one after the other; undefined where they do not. A list that is NULL is empty. */
function listOffsets(entries: Uint32Array, rows: number, valid: Uint8Array | undefined): Int32Array | undefined {
  const offsets = new Int32Array(rows + 1);
  let end = -1;
  for (let row = 0; row < rows; row += 1) {
    const length = isValid(valid, row) ? entries[row * 4 + 2]! : 0;
    if (length === 0) continue;
    const start = entries[row * 4]!;
    if (end === -1) end = start;
    else if (start !== end) return undefined;
    end += length;
  }
  // Offsets of the empty ones before the first value are those of the first value.
  let at = end === -1 ? 0 : end - totalLength(entries, rows, valid);
  offsets[0] = at;
  for (let row = 0; row < rows; row += 1) {
    if (isValid(valid, row)) at += entries[row * 4 + 2]!;
    offsets[row + 1] = at;
  }
  return offsets;
}

function totalLength(entries: Uint32Array, rows: number, valid: Uint8Array | undefined): number {
  let total = 0;
  for (let row = 0; row < rows; row += 1) if (isValid(valid, row)) total += entries[row * 4 + 2]!;
  return total;
}

/** Lists that lie in another order than their rows (a constant that all rows share, for one) are copied into it. */
function gatherLists(
  entries: Uint32Array,
  rows: number,
  valid: Uint8Array | undefined,
  child: RawVector,
  count: number,
  chunk: DuckDBDataChunk,
) {
  const total = totalLength(entries, rows, valid);
  const items = child.items!;
  const childValid = validityOf(child, count, chunk).bitmap;
  const values = new (items.constructor as new (length: number) => Numbers)(total);
  const bitmap = childValid === undefined ? undefined : new Uint8Array(Math.ceil(total / 8));
  const offsets = new Int32Array(rows + 1);
  let at = 0;
  let set = 0;
  for (let row = 0; row < rows; row += 1) {
    const start = entries[row * 4]!;
    const length = isValid(valid, row) ? entries[row * 4 + 2]! : 0;
    values.set(items.subarray(start, start + length) as never, at);
    for (let i = 0; bitmap !== undefined && i < length; i += 1) {
      if (!isValid(childValid, start + i)) continue;
      bitmap[(at + i) >> 3]! |= 1 << ((at + i) & 7);
      set += 1;
    }
    at += length;
    offsets[row + 1] = at;
  }
  return { values, offsets, bitmap, nullCount: bitmap === undefined ? 0 : total - set };
}

/**
 * DuckDB's validity is 64 rows a word, least significant bit first; on a little-endian machine these are the bytes of
 * Arrow's bitmap. Where no row is NULL there is no bitmap, whether DuckDB keeps one or not.
 */
function validityOf(
  vector: RawVector,
  rows: number,
  chunk: DuckDBDataChunk,
): { readonly bitmap?: Uint8Array; readonly nullCount: number } {
  const words = vector.validity.data;
  if (words === null) return { nullCount: 0 };
  const bitmap = new Uint8Array(words.buffer, words.byteOffset, Math.ceil(rows / 8));
  const nullCount = rows - validRows(bitmap, rows);
  return nullCount === 0 ? { nullCount } : { bitmap: held(bitmap, chunk), nullCount };
}

/** Set bits among the first `rows`; those after them are garbage. */
function validRows(bitmap: Uint8Array, rows: number): number {
  const whole = rows >> 3;
  let count = 0;
  for (let i = 0; i < whole; i += 1) count += BITS[bitmap[i]!]!;
  const rest = rows & 7;
  return rest === 0 ? count : count + BITS[bitmap[whole]! & ((1 << rest) - 1)]!;
}

/** What apache-arrow's own Data has where no value is NULL. */
const NO_BITMAP = new Uint8Array(0);

/** Set bits of every byte. */
const BITS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

function held<T extends ArrayBufferView>(view: T, chunk: DuckDBDataChunk): T {
  (view.buffer as { [CHUNK]?: DuckDBDataChunk })[CHUNK] = chunk;
  return view;
}

function isValid(valid: Uint8Array | undefined, row: number): boolean {
  return valid === undefined || (valid[row >> 3]! & (1 << (row & 7))) !== 0;
}

function otherType(column: ProjectedColumn, vector: RawVector): ColonnadeError {
  return new ColonnadeError(
    'INTERNAL',
    `column ${column.name} was planned as ${column.element} and read as ${vector.constructor.name}`,
    {
      phase: 'source',
      hint: 'report this with the pipeline and the types of the source’s columns',
    },
  );
}
