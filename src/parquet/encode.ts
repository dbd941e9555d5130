/**
 * Encodes the new columns of one row group as Parquet column chunks, and says what a file of such columns holds.
 *
 *     loadEncoder(fields, compression): Promise<Encoder>
 *       .schema(): EncodedSchema
 *       .rowGroup(vectors): Iterable<EncodedChunk>
 *
 * Scalars are encoded by this program's own code (`column-encoder.ts`), which takes a fifth of the time and nothing to
 * start. Lists, and the codecs that Node does not have, go to parquet-wasm (the Rust implementation, `encode-wasm.ts`),
 * which is loaded only for them. Every column is optional, whether it holds a NULL or not, so that the files of a run have
 * one schema.
 */
import { List, Schema, Table, tableToIPC, type DataType, type Field, type Vector } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { Compression } from '../pipeline/pipeline.js';
import { ColumnEncoder, type PageCompression } from './column-encoder.js';
import type { WasmEncoder } from './encode-wasm.js';
import { COLUMN, COMPRESSION_CODECS, CONVERTED, ELEMENT, ENCODING, LOGICAL, PHYSICAL_TYPES } from './format.js';
import { THRIFT, ThriftList, thriftStruct, thriftText, type ThriftStruct } from './thrift.js';
import { physicalType, storedColumn } from './values.js';

/** One column chunk, ready to be put anywhere: its offsets are those of a file in which its pages begin at `PAGES_ORIGIN`. */
export interface EncodedChunk {
  readonly rows: number;
  /** Dictionary and data pages; empty for no rows. The memory is the encoder's. */
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

/** Bytes of pages that are kept in case their vector comes again. */
const SMALL = 4096;

/** What files that are encoded here call their writer; they are of this program's own use. */
const CREATED_BY = 'colonnade version 1';

/** Makes ready for encoding columns of these fields: from then on it is synchronous. Names are distinct. */
export async function loadEncoder(fields: readonly Field[], compression: Compression): Promise<Encoder> {
  const own =
    isPageCompression(compression) && fields.every(({ type }) => physicalType(type as DataType) !== undefined);
  if (own) return new Encoder(fields, compression, undefined);
  const { loadWasmEncoder } = await import('./encode-wasm.js');
  return new Encoder(fields, compression, await loadWasmEncoder(compression));
}

function isPageCompression(compression: Compression): compression is PageCompression {
  return compression === 'none' || compression === 'snappy' || compression === 'gzip';
}

export class Encoder {
  readonly #fields: readonly Field[];
  readonly #compression: Compression;
  /** Undefined where the codec is none of its own. */
  readonly #own: ColumnEncoder | undefined;
  /** Undefined where nothing needs it. */
  readonly #wasm: WasmEncoder | undefined;
  /** What a vector was encoded as, by name, where that is small: most row groups share the columns that say that all went well. */
  readonly #encoded = new WeakMap<Vector, Map<string, EncodedChunk>>();
  #schema: EncodedSchema | undefined;

  constructor(fields: readonly Field[], compression: Compression, wasm: WasmEncoder | undefined) {
    this.#fields = fields;
    this.#compression = compression;
    this.#own = isPageCompression(compression) ? new ColumnEncoder(compression) : undefined;
    this.#wasm = wasm;
  }

  /**
   * Encodes the columns of one row group, one as each is asked for; it holds until the next one is. A vector must not change
   * afterwards, in case it comes again.
   *
   * @param vectors one for each field, in their order
   * @throws ColonnadeError `INTERNAL` where a vector has a type that no output has, or the columns differ in length
   */
  *rowGroup(vectors: readonly Vector[]): Generator<EncodedChunk, void, undefined> {
    if (vectors.length !== this.#fields.length)
      throw internal(`${vectors.length} vectors were given for ${this.#fields.length} columns`);
    const rows = vectors[0]?.length ?? 0;
    const other = vectors.findIndex(({ length }) => length !== rows);
    if (other >= 0) {
      const { name } = this.#fields[other]!;
      throw internal(`column "${name}" has ${vectors[other]!.length} rows, others of its row group ${rows}`);
    }
    for (const [i, field] of this.#fields.entries())
      yield rows === 0 ? this.#empty(field) : this.#chunkOf(field, vectors[i]!);
  }

  #chunkOf(field: Field, vector: Vector): EncodedChunk {
    const known = this.#encoded.get(vector)?.get(field.name);
    if (known !== undefined) return known;
    const chunk = this.#encode(field, vector);
    if (chunk.pages.length > SMALL) return chunk;
    const kept = { ...chunk, pages: Buffer.from(chunk.pages) };
    const byName = this.#encoded.get(vector) ?? new Map<string, EncodedChunk>();
    this.#encoded.set(vector, byName.set(field.name, kept));
    return kept;
  }

  /** What the footer of a file with these columns says of its schema. */
  schema(): EncodedSchema {
    return (this.#schema ??= this.#wasm?.schema(this.#fields) ?? this.#ownSchema());
  }

  #ownSchema(): EncodedSchema {
    const root = thriftStruct(
      [ELEMENT.name, THRIFT.binary, thriftText('schema')],
      [ELEMENT.numChildren, THRIFT.i32, this.#fields.length],
    );
    // By the order that the type defines: the one that there is.
    const typeDefined = thriftStruct([1, THRIFT.struct, thriftStruct()]);
    return {
      elements: [root, ...this.#fields.map(schemaElement)],
      columnOrders: new ThriftList(
        THRIFT.struct,
        this.#fields.map(() => typeDefined),
      ),
      arrowSchema: arrowSchemaOf(this.#fields),
      createdBy: CREATED_BY,
    };
  }

  #encode(field: Field, vector: Vector): EncodedChunk {
    const column = this.#own === undefined ? undefined : storedColumn(vector);
    if (column !== undefined && this.#own !== undefined) return this.#own.encode(field.name, column);
    if (this.#wasm !== undefined) return this.#wasm.column(field, vector);
    throw internal(`column "${field.name}" came as ${vector.type}, not as ${field.type}`);
  }

  /** A chunk of a row group without rows: no pages at all, as Arrow C++ has it. */
  #empty({ name, type }: Field): EncodedChunk {
    const path = type instanceof List ? [name, 'list', 'element'] : [name];
    const element = type instanceof List ? (type as List<DataType>).valueType : (type as DataType);
    return {
      rows: 0,
      pages: Buffer.alloc(0),
      metadata: thriftStruct(
        [COLUMN.type, THRIFT.i32, PHYSICAL_TYPES.indexOf(physicalType(element) ?? 'BYTE_ARRAY')],
        [COLUMN.encodings, THRIFT.list, new ThriftList(THRIFT.i32, [ENCODING.rle])],
        [COLUMN.path, THRIFT.list, new ThriftList(THRIFT.binary, path.map(thriftText))],
        [COLUMN.codec, THRIFT.i32, COMPRESSION_CODECS[this.#compression]],
        [COLUMN.numValues, THRIFT.i64, 0],
        [COLUMN.uncompressedSize, THRIFT.i64, 0],
        [COLUMN.compressedSize, THRIFT.i64, 0],
        [COLUMN.dataPageOffset, THRIFT.i64, 0],
      ),
    };
  }
}

/** An optional leaf, with what the physical type alone does not tell. */
function schemaElement({ name, type }: Field): ThriftStruct {
  const leaf = thriftStruct(
    [ELEMENT.type, THRIFT.i32, PHYSICAL_TYPES.indexOf(physicalType(type as DataType)!)],
    [ELEMENT.repetition, THRIFT.i32, 1],
    [ELEMENT.name, THRIFT.binary, thriftText(name)],
  );
  const annotated = (converted: number, logical: number, content: ThriftStruct): ThriftStruct =>
    leaf
      .with(ELEMENT.convertedType, THRIFT.i32, converted)
      .with(ELEMENT.logicalType, THRIFT.struct, thriftStruct([logical, THRIFT.struct, content]));
  const arrow = type as { readonly bitWidth?: number; readonly isSigned?: boolean };
  if (physicalType(type as DataType) === 'BYTE_ARRAY') return annotated(CONVERTED.utf8, LOGICAL.string, thriftStruct());
  const { bitWidth, isSigned = true } = arrow;
  if (bitWidth === undefined || (isSigned && bitWidth >= 32)) return leaf;
  const first = isSigned ? CONVERTED.signed8 : CONVERTED.unsigned8;
  return annotated(
    first + Math.log2(bitWidth / 8),
    LOGICAL.integer,
    thriftStruct([1, THRIFT.i8, bitWidth], [2, THRIFT.true, isSigned]),
  );
}

/** The encapsulated message of the schema, with which Arrow's stream begins: a marker, its length, itself. */
function arrowSchemaOf(fields: readonly Field[]): string {
  const stream = Buffer.from(tableToIPC(new Table(new Schema([...fields])), 'stream'));
  return stream.subarray(0, 8 + stream.readInt32LE(4)).toString('base64');
}

function internal(message: string): ColonnadeError {
  return new ColonnadeError('INTERNAL', message, { phase: 'score', hint: 'report it, with the pipeline file' });
}
