/**
 * The scores of a shard: a small Parquet file of the output columns alone, one row group for each of the shard's.
 *
 *     ScoresWriter.open(path, fields, { compression, metadata? }): Promise<ScoresWriter>        or, with an encoder that is there:
 *     ScoresWriter.create(path, encoder, metadata?): Promise<ScoresWriter>
 *       .appendRowGroup(vectors): void                  all rows of the next row group, a vector for each field
 *       .close(): Promise<WrittenScores>                { path, rows, bytes, sha256 }
 *       .abort(): Promise<void>                         closes and removes the file
 *     readScoresFile(path): Promise<ScoresFile>
 *
 * It is a regular file that any reader of Parquet takes. A sink copies its chunks as they are.
 */
import { createHash, type Hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import type { Field, Vector } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { Compression } from '../pipeline/pipeline.js';
import type { ElementType } from '../plan/facts.js';
import { systemError } from '../system-errors.js';
import { ARROW_SCHEMA_KEY } from './arrow-schema.js';
import { BLOCK_BYTES } from './blocks.js';
import { PAGES_ORIGIN, columnChunk, moveColumn, moveOffsetIndex, rowGroup, serializeFooter } from './chunks.js';
import { loadEncoder, type EncodedChunk, type Encoder } from './encode.js';
import { CHUNK, FILE, KEY_VALUE, MAGIC } from './format.js';
import { keyValue, readFooter, topLevelColumns, type ColumnChunk, type Footer } from './footer.js';
import { typeWords, type SchemaNode } from './schema.js';
import { THRIFT, ThriftList, ThriftStruct, thriftText } from './thrift.js';
import { serializeThrift } from './thrift-compact.js';

export interface ScoresOptions {
  readonly compression: Compression;
  /** Key-value metadata beside the Arrow schema. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A scores file that is complete. */
export interface WrittenScores {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

interface PendingGroup {
  readonly rows: number;
  readonly firstByte: number;
  readonly chunks: { tree: ThriftStruct; columnIndex?: Buffer; offsetIndex?: Buffer }[];
}

/** One `KeyValue` of a footer. */
export function keyValueStruct(key: string, value: string): ThriftStruct {
  return new ThriftStruct([
    { id: KEY_VALUE.key, type: THRIFT.binary, value: thriftText(key) },
    { id: KEY_VALUE.value, type: THRIFT.binary, value: thriftText(value) },
  ]);
}

/**
 * Writes one scores file. Open → appendRowGroup … → close, or abort at any point. What is appended is encoded and written at
 * once, while the caller waits: nothing but metadata and page indexes adds up in memory, however slow the disk is.
 */
export class ScoresWriter {
  private readonly path: string;
  private readonly metadata: Readonly<Record<string, string>>;
  private readonly encoder: Encoder;
  private readonly handle: FileHandle;
  private readonly hash: Hash = createHash('sha256');
  private readonly groups: PendingGroup[] = [];
  private rows = 0;
  /** Bytes so far. */
  private position = 0;

  private constructor(path: string, encoder: Encoder, metadata: Readonly<Record<string, string>>, handle: FileHandle) {
    this.path = path;
    this.encoder = encoder;
    this.metadata = metadata;
    this.handle = handle;
  }

  /**
   * Creates the file, over one that is there.
   *
   * @param fields made by `outputField`, names distinct.
   * @throws ColonnadeError `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`
   */
  static async open(path: string, fields: readonly Field[], options: ScoresOptions): Promise<ScoresWriter> {
    return ScoresWriter.create(path, await loadEncoder(fields, options.compression), options.metadata);
  }

  /** As {@link open}, with an encoder that several files share: what they have in common is encoded once. */
  static async create(
    path: string,
    encoder: Encoder,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<ScoresWriter> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'w');
    } catch (error) {
      throw systemError(error, 'score', 'creating', path);
    }
    const writer = new ScoresWriter(path, encoder, metadata, handle);
    try {
      writer.append(Buffer.from(MAGIC));
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return writer;
  }

  /**
   * @param vectors one for each field, in their order, each with all rows of the row group.
   * @throws ColonnadeError `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`
   */
  appendRowGroup(vectors: readonly Vector[]): void {
    const rows = vectors[0]?.length ?? 0;
    const firstByte = this.position;
    const chunks = Array.from(this.encoder.rowGroup(vectors), (chunk) => this.appendChunk(chunk));
    this.groups.push({ rows, firstByte, chunks });
    this.rows += rows;
  }

  private appendChunk(chunk: EncodedChunk): PendingGroup['chunks'][number] {
    const delta = this.position - PAGES_ORIGIN;
    this.append(chunk.pages);
    const { columnIndex, offsetIndex } = chunk;
    return {
      tree: columnChunk(moveColumn(chunk.metadata, delta)),
      // A copy: the view would keep the pages in memory.
      ...(columnIndex === undefined ? {} : { columnIndex: Buffer.from(columnIndex) }),
      ...(offsetIndex === undefined ? {} : { offsetIndex: serializeThrift(moveOffsetIndex(offsetIndex, delta)) }),
    };
  }

  private append(bytes: Uint8Array): void {
    this.hash.update(bytes);
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.handle.fd, bytes, done, Math.min(bytes.length - done, BLOCK_BYTES));
    } catch (error) {
      throw systemError(error, 'score', 'writing', this.path);
    }
    this.position += bytes.length;
  }

  /** Writes page indexes and footer. They are not synced: whoever relies on the file later compares its hash. */
  async close(): Promise<WrittenScores> {
    const chunks = this.groups.flatMap((group) => group.chunks);
    const append = (
      chunk: PendingGroup['chunks'][number],
      bytes: Buffer | undefined,
      offsetId: number,
      lengthId: number,
    ): void => {
      if (bytes === undefined) return;
      chunk.tree = chunk.tree.with(offsetId, THRIFT.i64, this.position).with(lengthId, THRIFT.i32, bytes.length);
      this.append(bytes);
    };
    for (const chunk of chunks) append(chunk, chunk.columnIndex, CHUNK.columnIndexOffset, CHUNK.columnIndexLength);
    for (const chunk of chunks) append(chunk, chunk.offsetIndex, CHUNK.offsetIndexOffset, CHUNK.offsetIndexLength);
    this.append(serializeFooter(this.footer()));
    await this.handle.close().catch((error: unknown) => {
      throw systemError(error, 'score', 'closing', this.path);
    });
    return { path: this.path, rows: this.rows, bytes: this.position, sha256: this.hash.digest('hex') };
  }

  private footer(): ThriftStruct {
    const { groups } = this;
    const schema = this.encoder.schema();
    const trees = groups.map(({ rows, chunks, firstByte }, index) =>
      rowGroup(
        rows,
        chunks.map((chunk) => chunk.tree),
        firstByte,
        index,
      ),
    );
    const metadata = { [ARROW_SCHEMA_KEY]: schema.arrowSchema, ...this.metadata };
    const entries = Object.entries(metadata).map(([key, value]) => keyValueStruct(key, value));
    return new ThriftStruct([
      { id: FILE.version, type: THRIFT.i32, value: 1 },
      { id: FILE.schema, type: THRIFT.list, value: new ThriftList(THRIFT.struct, schema.elements) },
      { id: FILE.numRows, type: THRIFT.i64, value: this.rows },
      { id: FILE.rowGroups, type: THRIFT.list, value: new ThriftList(THRIFT.struct, trees) },
      { id: FILE.keyValues, type: THRIFT.list, value: new ThriftList(THRIFT.struct, entries) },
      { id: FILE.createdBy, type: THRIFT.binary, value: thriftText(schema.createdBy) },
      { id: FILE.columnOrders, type: THRIFT.list, value: schema.columnOrders },
    ]);
  }

  /** Gives the file up. Never throws: it is called while another error is on its way. */
  async abort(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

/** A column of a scores file. */
export interface ScoresColumn {
  readonly name: string;
  readonly node: SchemaNode;
  readonly type: ElementType;
  readonly list: boolean;
}

export interface ScoresFile {
  readonly path: string;
  readonly footer: Footer;
  readonly columns: readonly ScoresColumn[];
  /** Base64. */
  readonly arrowSchema: string;
  /** For each row group its rows, and the chunk of each column by name: byte range, metadata, page index. */
  readonly rowGroups: readonly { readonly rows: number; readonly chunks: ReadonlyMap<string, ColumnChunk> }[];
}

const ELEMENT_TYPES: Readonly<Record<string, ElementType>> = {
  FLOAT: 'float32',
  DOUBLE: 'float64',
  'INT32 (INT8)': 'int8',
  'INT32 (UINT8)': 'uint8',
  'INT32 (INT16)': 'int16',
  'INT32 (UINT16)': 'uint16',
  INT32: 'int32',
  'INT32 (UINT32)': 'uint32',
  INT64: 'int64',
  'INT64 (UINT64)': 'uint64',
  BOOLEAN: 'bool',
  'BYTE_ARRAY (STRING)': 'string',
};

/** Reads where the chunks of a scores file lie. @throws ColonnadeError what `readFooter` throws, or `BAD_PARQUET` for another file. */
export async function readScoresFile(path: string): Promise<ScoresFile> {
  const footer = await readFooter(path);
  const arrowSchema = keyValue(footer, ARROW_SCHEMA_KEY);
  const columns = topLevelColumns(footer).map((node): ScoresColumn => {
    const [, element] = /^LIST<(.*)>$/.exec(typeWords(node)) ?? [];
    const type = ELEMENT_TYPES[element ?? typeWords(node)];
    if (type === undefined) throw foreign(path, `its column "${node.name}" is of type ${typeWords(node)}`);
    return { name: node.name, node, type, list: element !== undefined };
  });
  if (arrowSchema === undefined) throw foreign(path, 'it has no Arrow schema');
  const rowGroups = footer.rowGroups.map(({ rows, chunks }) => ({
    rows,
    chunks: new Map(columns.map(({ name, node }) => [name, chunks[node.leaves[0]] as ColumnChunk])),
  }));
  return { path, footer, columns, arrowSchema, rowGroups };
}

function foreign(path: string, why: string): ColonnadeError {
  return new ColonnadeError('BAD_PARQUET', `${path}: this is not a scores file of Colonnade: ${why}`, {
    phase: 'sink',
    hint: 'remove it and run again; it is made anew',
  });
}
