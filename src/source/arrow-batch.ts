/**
 * DuckDB's chunks of rows as Arrow record batches. Numbers, and the numbers in lists, are what DuckDB's binding gives for a
 * vector; offsets of lists and texts are built anew, as Arrow lays them out in another way.
 */
import { Data, Field, RecordBatch, Schema, Struct, type DataType } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import { arrowElement, arrowList } from '../plan/arrow-types.js';
import { ARRAYS, DUCKDB_TYPES, type NumericData } from '../plan/elements.js';
import type { ProjectedColumn } from '../plan/plan.js';
import { isSet } from '../plan/validity.js';
import { duckdbBinding, type DuckDBBinding, type RawChunk, type RawVector, type Type } from './binding.js';
import { utf8Values } from './text.js';

/** DuckDB's string_t, and its list_entry_t: an offset and a length of 64 bits each. */
const STRING_BYTES = 16;
const LIST_ENTRY_BYTES = 16;

/** What of Arrow's `Data` is put in place anew; `_nullCount` is what its `nullCount` gives. */
interface Reused {
  length: number;
  _nullCount: number;
  values: unknown;
  nullBitmap: Uint8Array;
}

/** Turns chunks of one projection into record batches. */
export class BatchReader {
  readonly schema: Schema;
  readonly #columns: readonly ProjectedColumn[];
  readonly #types: readonly DataType[];
  readonly #binding = duckdbBinding();
  /** Filled anew for every chunk: making them would take longer than all the rest. */
  readonly #batch: RecordBatch;
  readonly #row: Data<Struct>;
  readonly #numbers: readonly Data[];

  constructor(columns: readonly ProjectedColumn[]) {
    this.#columns = columns;
    this.#types = columns.map(arrowType);
    // Names need not be distinct, a feature and its check share one: consumers go by position.
    const fields = columns.map((column, i) => new Field(column.name, this.#types[i]!, true));
    this.schema = new Schema(fields);
    this.#numbers = this.#types.map((type) => new Data(type, 0, 0, 0, [undefined, NO_BITMAP, NO_BITMAP] as never));
    this.#row = new Data(new Struct(fields), 0, 0, 0, undefined, [...this.#numbers]);
    this.#batch = recordBatch(this.schema, this.#row);
  }

  /**
   * The chunk's first columns as a record batch: valid until the next chunk is read. The chunk's types must be those of the columns ({@link check}).
   */
  read(chunk: RawChunk): RecordBatch {
    const binding = this.#binding;
    const rows = binding.data_chunk_get_size(chunk);
    const children = this.#row.children;
    for (const [i, column] of this.#columns.entries()) {
      const vector = binding.data_chunk_get_vector(chunk, i);
      const type = this.#types[i]!;
      if (column.listLength !== undefined) children[i] = listData(binding, column, vector, rows, type);
      else if (column.element === 'string') children[i] = textData(binding, vector, rows, type);
      else {
        const data = this.#numbers[i] as unknown as Reused;
        const { bitmap, nullCount } = validityOf(binding, vector, rows);
        data.length = rows;
        data._nullCount = nullCount;
        data.values = numbersAt(binding, column.element, vector, rows);
        data.nullBitmap = bitmap;
      }
    }
    (this.#row as unknown as Reused).length = rows;
    return this.#batch;
  }

  /**
   * Holds the types of a chunk's vectors against the columns: they are the same for all chunks of a query.
   * @throws ColonnadeError `INTERNAL`
   */
  check(chunk: RawChunk): void {
    const binding = this.#binding;
    const typeOf = (vector: RawVector): Type => binding.get_type_id(binding.vector_get_column_type(vector));
    this.#columns.forEach(({ name, element, listLength }, i) => {
      const vector = binding.data_chunk_get_vector(chunk, i);
      const found = typeOf(vector);
      const isList = found === binding.Type.LIST;
      const value = isList ? typeOf(binding.list_vector_get_child(vector)) : found;
      if (isList === (listLength !== undefined) && value === binding.Type[DUCKDB_TYPES[element]]) return;
      const words = (list: boolean, type: string): string => (list ? `a list of ${type}` : type);
      throw new ColonnadeError(
        'INTERNAL',
        `column ${name} was planned as ${words(listLength !== undefined, DUCKDB_TYPES[element])} and read as ${words(isList, binding.Type[value])}`,
        { phase: 'source', hint: 'report this with the pipeline and the types of the source’s columns' },
      );
    });
  }
}

/**
 * A record batch of data that fits its schema. Arrow's constructor would make both anew for every batch, to be sure of
 * that, which takes longer than all the rest.
 */
function recordBatch(schema: Schema, data: Data<Struct>): RecordBatch {
  return Object.assign(Object.create(RecordBatch.prototype) as RecordBatch, { schema, data });
}

function arrowType({ element, listLength }: ProjectedColumn): DataType {
  // Bools are asked for as bytes.
  const value = arrowElement(element === 'bool' ? 'uint8' : element);
  return listLength === undefined ? value : arrowList(value);
}

/** The numbers of a flat vector. */
function numbersAt(
  binding: DuckDBBinding,
  element: keyof typeof ARRAYS,
  vector: RawVector,
  count: number,
): NumericData {
  const Values = ARRAYS[element];
  const { buffer, byteOffset } = binding.vector_get_data(vector, count * Values.BYTES_PER_ELEMENT);
  return new Values(buffer as ArrayBuffer, byteOffset, count);
}

function textData(binding: DuckDBBinding, vector: RawVector, rows: number, type: DataType): Data {
  const { bitmap, nullCount } = validityOf(binding, vector, rows);
  const strings = binding.vector_get_data(vector, rows * STRING_BYTES);
  const view = new DataView(strings.buffer, strings.byteOffset, strings.byteLength);
  const { offsets, bytes } = utf8Values(view, rows, nullCount === 0 ? undefined : bitmap);
  return new Data(type, 0, rows, nullCount, [offsets, bytes, bitmap] as never);
}

function listData(
  binding: DuckDBBinding,
  column: ProjectedColumn,
  vector: RawVector,
  rows: number,
  type: DataType,
): Data {
  // The plan takes lists of numbers alone.
  const element = column.element as keyof typeof ARRAYS;
  const childType = type.children[0]!.type as DataType;
  const { bitmap, nullCount } = validityOf(binding, vector, rows);
  const valid = nullCount === 0 ? undefined : bitmap;
  const { buffer, byteOffset } = binding.vector_get_data(vector, rows * LIST_ENTRY_BYTES);
  // Low words alone: a chunk holds fewer than 2^32 values.
  const entries = new Uint32Array(buffer, byteOffset, rows * 4);
  const childVector = binding.list_vector_get_child(vector);
  const count = binding.list_vector_get_size(vector);
  const items = numbersAt(binding, element, childVector, count);
  const childValidity = validityOf(binding, childVector, count);
  const inPlace = listOffsets(entries, rows, valid);
  const lists =
    inPlace === undefined
      ? gatherLists(entries, rows, valid, items, childValidity)
      : { offsets: inPlace, values: items, ...childValidity };
  const child = new Data(childType, 0, lists.values.length, lists.nullCount, [
    undefined,
    lists.values,
    lists.bitmap,
  ] as never);
  return new Data(type, 0, rows, nullCount, [lists.offsets, undefined, bitmap] as never, [child]);
}

/** Arrow's offsets of lists that lie one after the other; undefined where they do not. A list that is NULL is empty. */
function listOffsets(entries: Uint32Array, rows: number, valid: Uint8Array | undefined): Int32Array | undefined {
  const offsets = new Int32Array(rows + 1);
  let end = -1;
  for (let row = 0; row < rows; row += 1) {
    const length = isSet(valid, row) ? entries[row * 4 + 2]! : 0;
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
    if (isSet(valid, row)) at += entries[row * 4 + 2]!;
    offsets[row + 1] = at;
  }
  return offsets;
}

function totalLength(entries: Uint32Array, rows: number, valid: Uint8Array | undefined): number {
  let total = 0;
  for (let row = 0; row < rows; row += 1) if (isSet(valid, row)) total += entries[row * 4 + 2]!;
  return total;
}

/** Lists that lie in another order than their rows (a constant that all rows share, for one) are copied into it. */
function gatherLists(
  entries: Uint32Array,
  rows: number,
  valid: Uint8Array | undefined,
  items: NumericData,
  childValidity: Validity,
): Validity & { readonly values: NumericData; readonly offsets: Int32Array } {
  const total = totalLength(entries, rows, valid);
  const childValid = childValidity.nullCount === 0 ? undefined : childValidity.bitmap;
  const values = new (items.constructor as new (length: number) => NumericData)(total);
  const bitmap = childValid === undefined ? NO_BITMAP : new Uint8Array(Math.ceil(total / 8));
  const offsets = new Int32Array(rows + 1);
  let at = 0;
  let nullCount = 0;
  for (let row = 0; row < rows; row += 1) {
    const start = entries[row * 4]!;
    const length = isSet(valid, row) ? entries[row * 4 + 2]! : 0;
    values.set(items.subarray(start, start + length) as never, at);
    for (let i = 0; childValid !== undefined && i < length; i += 1) {
      if (isSet(childValid, start + i)) bitmap[(at + i) >> 3]! |= 1 << ((at + i) & 7);
      else nullCount += 1;
    }
    at += length;
    offsets[row + 1] = at;
  }
  return { values, offsets, bitmap, nullCount };
}

/** Which rows hold a value: Arrow's bitmap, empty where all do. */
interface Validity {
  readonly bitmap: Uint8Array;
  readonly nullCount: number;
}

/**
 * DuckDB's validity is 64 rows a word, least significant bit first; on a little-endian machine these are the bytes of
 * Arrow's bitmap. Where no row is NULL there is no bitmap, whether DuckDB keeps one or not.
 */
function validityOf(binding: DuckDBBinding, vector: RawVector, rows: number): Validity {
  const words = binding.vector_get_validity(vector, Math.ceil(rows / 64) * 8);
  if (words === null) return ALL_VALID;
  const bitmap = words.subarray(0, Math.ceil(rows / 8));
  const nullCount = rows - validRows(bitmap, rows);
  return nullCount === 0 ? ALL_VALID : { bitmap, nullCount };
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
const ALL_VALID: Validity = { bitmap: NO_BITMAP, nullCount: 0 };

/** Set bits of every byte. */
const BITS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);
