/**
 * Encodes columns with parquet-wasm (the Rust implementation): it writes each column as a file of one row group, of which
 * pages, indexes and metadata are taken. Data pages are V1, PLAIN or dictionary; NULLs are definition levels; statistics
 * hold no NaN.
 *
 *     loadWasmEncoder(compression): Promise<WasmEncoder>
 *       .column(field, vector): EncodedChunk
 *       .schema(fields): EncodedSchema
 */
import { createRequire } from 'node:module';
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
import { footerIn, keyValue, type Footer } from './footer.js';
import type { EncodedChunk, EncodedSchema } from './encode.js';
import { FILE } from './format.js';
import { parseThrift } from './thrift-compact.js';

function fieldOf(name: string, type: DataType): Field {
  return new Field(name, type instanceof List ? arrowList((type as List<DataType>).valueType) : type, true);
}

type ParquetWasm = typeof import('parquet-wasm');

const here = createRequire(import.meta.url);

/** Compiles the WebAssembly, at the first call. */
export function loadWasmEncoder(compression: Compression): Promise<WasmEncoder> {
  return Promise.resolve(new WasmEncoder(here('parquet-wasm') as ParquetWasm, compression));
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
  return { ...footerIn(`(encoded column "${field.name}")`, bytes), bytes };
}

function internal(message: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('INTERNAL', message, { phase: 'score', cause, hint: 'report it, with the pipeline file' });
}

export class WasmEncoder {
  readonly #wasm: ParquetWasm;
  readonly #compression: Compression;

  constructor(wasm: ParquetWasm, compression: Compression) {
    this.#wasm = wasm;
    this.#compression = compression;
  }

  /**
   * @param vector at least one row.
   * @throws ColonnadeError `INTERNAL` where it has a type that no output has.
   */
  column(field: Field, vector: Vector): EncodedChunk {
    return encodeColumn(this.#wasm, fieldOf(field.name, vector.type as DataType), vector, this.#compression);
  }

  /** What the footer of a file with these columns says of its schema. */
  schema(fields: readonly Field[]): EncodedSchema {
    const wasm = this.#wasm;
    const schema = new Schema([...fields]);
    const written = wasm.writeParquet(wasm.Table.fromIPCStream(tableToIPC(new Table(schema), 'stream')));
    const bytes = Buffer.from(written.buffer, written.byteOffset, written.byteLength);
    const footer = footerIn('(schema of the outputs)', bytes);
    const columnOrders = footer.tree.list(FILE.columnOrders);
    const arrowSchema = keyValue(footer, ARROW_SCHEMA_KEY);
    if (columnOrders === undefined || arrowSchema === undefined)
      throw internal('the encoder left out the order of columns or the Arrow schema');
    return { elements: footer.tree.structs(FILE.schema), columnOrders, arrowSchema, createdBy: footer.createdBy ?? '' };
  }
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
