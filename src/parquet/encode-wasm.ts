/**
 * Encodes the new columns of one row group as Parquet column chunks.
 *
 *     encodeRowGroup(columns, compression): Promise<EncodedChunk[]>
 *     encodeSchema(fields): Promise<EncodedSchema>
 *
 * parquet-wasm (the Rust implementation) writes each column as a file of one row group, of which pages, indexes and
 * metadata are taken. Data pages are V1, PLAIN or dictionary; NULLs are definition levels; every column is optional,
 * whether it holds a NULL or not, so that the files of a run have one schema. Statistics hold no NaN.
 */
import {
  Field,
  List,
  RecordBatch,
  Schema,
  Struct,
  Table,
  makeData,
  tableToIPC,
  type Data,
  type DataType,
  type Vector,
} from 'apache-arrow';
import { ColonnadeError, messageOf } from '../errors.js';
import type { Compression } from '../pipeline/pipeline.js';
import { arrowList } from '../plan/arrow-types.js';
import { ARROW_SCHEMA_KEY } from './arrow-schema.js';
import { PAGES_ORIGIN, moveColumn, moveOffsetIndex } from './chunks.js';
import { keyValue, parseFooter, type Footer } from './footer.js';
import { COLUMN, COMPRESSION_CODECS, FILE } from './format.js';
import { THRIFT, ThriftList, ThriftStruct } from './thrift.js';
import { parseThrift } from './thrift-compact.js';

/** A column of a row group: all its rows. */
export interface OutputVector {
  readonly name: string;
  readonly vector: Vector;
}

/** One column chunk, ready to be put anywhere: its offsets are those of a file in which its pages begin at {@link PAGES_ORIGIN}. */
export interface EncodedChunk {
  readonly rows: number;
  /** Dictionary and data pages; empty for no rows. */
  readonly pages: Buffer;
  /** `ColumnMetaData`. */
  readonly metadata: ThriftStruct;
  /** `ColumnIndex`; absent for no rows, and where there are no minima and maxima. */
  readonly columnIndex?: Buffer;
  /** `OffsetIndex`; absent for no rows. */
  readonly offsetIndex?: ThriftStruct;
}

/** What a file of such columns says of them. */
export interface EncodedSchema {
  /** `SchemaElement`s, root first. */
  readonly elements: readonly ThriftStruct[];
  /** One `ColumnOrder` for each leaf. */
  readonly columnOrders: ThriftList;
  /** Base64 of the Arrow schema. */
  readonly arrowSchema: string;
  readonly createdBy: string;
}

function fieldOf(name: string, type: DataType): Field {
  return new Field(name, type instanceof List ? arrowList((type as List<DataType>).valueType) : type, true);
}

type ParquetWasm = typeof import('parquet-wasm');
let loading: Promise<ParquetWasm> | undefined;

/** Compiles the WebAssembly once, at first use. */
function parquetWasm(): Promise<ParquetWasm> {
  return (loading ??= import('parquet-wasm'));
}

/** Rows looked at to guess whether a dictionary pays, and the distinct values among them at which it no longer does. */
const SAMPLE_ROWS = 1024;
const FEW_VALUES = 128;

/** Scores are mostly distinct, and then building a dictionary costs twice the time of the rest. */
function fewValues(parts: readonly Data[]): boolean {
  const values: unknown = (parts[0]?.children[0] ?? parts[0])?.values;
  if (!(values instanceof Float32Array || values instanceof Float64Array)) return true;
  const step = Math.max(1, Math.floor(values.length / SAMPLE_ROWS));
  const seen = new Set<number>();
  for (let at = 0; at < values.length && seen.size <= FEW_VALUES; at += step) seen.add(values[at] as number);
  return seen.size <= FEW_VALUES;
}

/** The same values under the type that the field says: only a list's child may have another name. */
function retyped(data: Data, type: DataType): Data {
  return data.type instanceof List ? data.clone(type) : data;
}

function encodeFile(
  wasm: ParquetWasm,
  field: Field,
  parts: readonly Data[],
  rows: number,
  compression: Compression,
): Footer & { bytes: Buffer } {
  const schema = new Schema([field]);
  const batches = parts.map(
    (data) =>
      new RecordBatch(
        schema,
        makeData({
          type: new Struct([field]),
          length: data.length,
          nullCount: 0,
          children: [retyped(data, field.type as DataType)],
        }),
      ),
  );
  const codecs = {
    none: wasm.Compression.UNCOMPRESSED,
    snappy: wasm.Compression.SNAPPY,
    gzip: wasm.Compression.GZIP,
    zstd: wasm.Compression.ZSTD,
    lz4: wasm.Compression.LZ4_RAW,
  };
  const properties = new wasm.WriterPropertiesBuilder()
    .setWriterVersion(wasm.WriterVersion.V1)
    .setCompression(codecs[compression])
    .setDictionaryEnabled(fewValues(parts))
    .setMaxRowGroupSize(rows)
    .build();
  // Both calls take over what they are given: nothing is left to free.
  const table = wasm.Table.fromIPCStream(tableToIPC(new Table(schema, batches), 'stream'));
  const written = wasm.writeParquet(table, properties);
  const bytes = Buffer.from(written.buffer, written.byteOffset, written.byteLength);
  return { ...footerOf(bytes, `(encoded column "${field.name}")`), bytes };
}

function footerOf(bytes: Buffer, path: string): Footer {
  const start = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
  const fingerprint = { size: bytes.length, mtimeNs: '0', inode: '0', footerHash: '' };
  return parseFooter(bytes.subarray(start, bytes.length - 8), { path, size: bytes.length, start, fingerprint });
}

function internal(message: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('INTERNAL', message, { phase: 'score', cause, hint: 'report it, with the pipeline file' });
}

/** A chunk of a row group without rows: no pages at all, as Arrow C++ has it. */
function emptyChunk(schema: EncodedSchema, path: readonly string[], compression: Compression): EncodedChunk {
  const leaf = schema.elements.at(-1) as ThriftStruct;
  const text = path.map((part) => Buffer.from(part));
  const rle = 3;
  return {
    rows: 0,
    pages: Buffer.alloc(0),
    metadata: new ThriftStruct([
      { id: COLUMN.type, type: THRIFT.i32, value: leaf.int(1) ?? 0 },
      { id: COLUMN.encodings, type: THRIFT.list, value: new ThriftList(THRIFT.i32, [rle]) },
      { id: COLUMN.path, type: THRIFT.list, value: new ThriftList(THRIFT.binary, text) },
      { id: COLUMN.codec, type: THRIFT.i32, value: COMPRESSION_CODECS[compression] },
      { id: COLUMN.numValues, type: THRIFT.i64, value: 0 },
      { id: COLUMN.uncompressedSize, type: THRIFT.i64, value: 0 },
      { id: COLUMN.compressedSize, type: THRIFT.i64, value: 0 },
      { id: COLUMN.dataPageOffset, type: THRIFT.i64, value: 0 },
    ]),
  };
}

/**
 * Encodes the columns of one row group, one after the other: no more than one column is held in WebAssembly memory.
 * A vector that comes again is not encoded again; vectors must not change.
 *
 * @throws ColonnadeError `INTERNAL` where a vector has a type that no output has, or the columns differ in length.
 */
export async function encodeRowGroup(
  columns: readonly OutputVector[],
  compression: Compression,
): Promise<EncodedChunk[]> {
  const wasm = await parquetWasm();
  const rows = columns[0]?.vector.length ?? 0;
  const chunks: EncodedChunk[] = [];
  for (const { name, vector } of columns) {
    if (vector.length !== rows)
      throw internal(`column "${name}" has ${vector.length} rows, others of its row group ${rows}`);
    const field = fieldOf(name, vector.type as DataType);
    if (rows === 0) {
      const path = field.type instanceof List ? [name, 'list', 'element'] : [name];
      chunks.push(emptyChunk(await encodeSchema([field]), path, compression));
    } else chunks.push(encodeOnce(wasm, field, vector, compression));
  }
  return chunks;
}

/** What a vector was encoded as, by name and codec: most row groups share the columns that say that all went well. */
const encoded = new WeakMap<Vector, Map<string, EncodedChunk>>();

function encodeOnce(wasm: ParquetWasm, field: Field, vector: Vector, compression: Compression): EncodedChunk {
  const key = `${compression} ${field.name}`;
  const known = encoded.get(vector) ?? new Map<string, EncodedChunk>();
  encoded.set(vector, known);
  let chunk = known.get(key);
  if (chunk === undefined) {
    chunk = encodeColumn(wasm, field, vector, compression);
    known.set(key, chunk);
  }
  return chunk;
}

function encodeColumn(wasm: ParquetWasm, field: Field, vector: Vector, compression: Compression): EncodedChunk {
  const rows = vector.length;
  let file: Footer & { bytes: Buffer };
  try {
    const parts = vector.data.filter((data) => data.length > 0);
    file = encodeFile(wasm, field, parts, rows, compression);
  } catch (error) {
    throw internal(`column "${field.name}" of type ${field.type} could not be encoded: ${messageOf(error)}`, error);
  }
  const group = file.rowGroups[0];
  const chunk = group?.chunks[0];
  if (
    group === undefined ||
    chunk === undefined ||
    file.rowGroups.length !== 1 ||
    group.chunks.length !== 1 ||
    group.rows !== rows
  ) {
    throw internal(
      `column "${field.name}" was encoded as ${file.rowGroups.length} row groups of ${file.rows} rows, not one of ${rows}`,
    );
  }
  const { offset, length } = chunk.pages;
  const slice = (range: { offset: number; length: number }): Buffer =>
    file.bytes.subarray(range.offset, range.offset + range.length);
  return {
    rows,
    pages: file.bytes.subarray(offset, offset + length),
    metadata: moveColumn(chunk.metadata, PAGES_ORIGIN - offset),
    ...(chunk.columnIndex === undefined ? {} : { columnIndex: slice(chunk.columnIndex) }),
    ...(chunk.offsetIndex === undefined
      ? {}
      : { offsetIndex: moveOffsetIndex(parseThrift(slice(chunk.offsetIndex)).struct, PAGES_ORIGIN - offset) }),
  };
}

/** What the footer of a file with these columns says of its schema. */
export async function encodeSchema(fields: readonly Field[]): Promise<EncodedSchema> {
  const wasm = await parquetWasm();
  const schema = new Schema([...fields]);
  const written = wasm.writeParquet(wasm.Table.fromIPCStream(tableToIPC(new Table(schema), 'stream')));
  const footer = footerOf(
    Buffer.from(written.buffer, written.byteOffset, written.byteLength),
    '(schema of the outputs)',
  );
  const columnOrders = footer.tree.list(FILE.columnOrders);
  const arrowSchema = keyValue(footer, ARROW_SCHEMA_KEY);
  if (columnOrders === undefined || arrowSchema === undefined)
    throw internal('the encoder left out the order of columns or the Arrow schema');
  return { elements: footer.tree.structs(FILE.schema), columnOrders, arrowSchema, createdBy: footer.createdBy ?? '' };
}
