/**
 * The scores of a shard: a small Parquet file of the output columns alone, one row group for each of the shard's.
 *
 *     ScoresWriter.open(path, fields, { compression, metadata? }): Promise<ScoresWriter>
 *     new ScoresWriter(path, encoder, metadata?)        the same with an encoder that is there
 *       .appendRowGroup(vectors): void                  all rows of the next row group, a vector for each field
 *       .close(): WrittenScores                         { path, rows, bytes, sha256 }
 *       .abort(): void                                  closes and removes the file
 *     readScoresFile(path): Promise<ScoresFile>, scoresFile(footer): ScoresFile
 *
 * It is a regular file that any reader of Parquet takes. A sink copies its chunks as they are.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
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

/** Written at once: a small scores file whole. */
const PENDING_BYTES = 64 << 10;

/**
 * Writes one scores file: appendRowGroup … → close, or abort at any point. What is appended is encoded and written while the
 * caller waits, in the middle of a scan: nothing but metadata and page indexes adds up in memory, however slow the disk is.
 *
 * The file is made, over one that is there, when there is enough to write: a small one is open for a moment only, however
 * many are written side by side.
 */
export class ScoresWriter {
  private readonly path: string;
  private readonly metadata: Readonly<Record<string, string>>;
  private readonly encoder: Encoder;
  private readonly hash: Hash = createHash('sha256');
  private readonly groups: PendingGroup[] = [];
  private file: number | undefined;
  /** Copies of small pieces that follow one another and are not written yet. */
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private rows = 0;
  /** Bytes so far. */
  private position = 0;

  /** @param encoder of fields made by `outputField`, names distinct. Several files may share it: what they have in common is encoded once. */
  constructor(path: string, encoder: Encoder, metadata: Readonly<Record<string, string>> = {}) {
    this.path = path;
    this.encoder = encoder;
    this.metadata = metadata;
    this.append(Buffer.from(MAGIC));
  }

  /** @param fields made by `outputField`, names distinct. */
  static async open(path: string, fields: readonly Field[], options: ScoresOptions): Promise<ScoresWriter> {
    return new ScoresWriter(path, await loadEncoder(fields, options.compression), options.metadata);
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
    this.position += bytes.length;
    if (bytes.length > PENDING_BYTES) {
      this.flush();
      this.write(bytes);
      return;
    }
    // A copy: the encoder uses its memory again.
    this.pending.push(Buffer.from(bytes));
    this.pendingBytes += bytes.length;
    if (this.pendingBytes > PENDING_BYTES) this.flush();
  }

  private flush(): void {
    if (this.pendingBytes === 0) return;
    const bytes = Buffer.concat(this.pending, this.pendingBytes);
    this.pending = [];
    this.pendingBytes = 0;
    this.write(bytes);
  }

  private write(bytes: Uint8Array): void {
    const doing = this.file === undefined ? 'creating' : 'writing';
    try {
      this.file ??= openSync(this.path, 'w');
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.file, bytes, done, Math.min(bytes.length - done, BLOCK_BYTES));
    } catch (error) {
      throw systemError(error, 'score', doing, this.path);
    }
  }

  /**
   * Writes page indexes and footer. They are not synced: whoever relies on the file later compares its hash.
   * @throws ColonnadeError as {@link appendRowGroup}
   */
  close(): WrittenScores {
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
    this.flush();
    try {
      this.closeFile();
    } catch (error) {
      throw systemError(error, 'score', 'closing', this.path);
    }
    return { path: this.path, rows: this.rows, bytes: this.position, sha256: this.hash.digest('hex') };
  }

  private closeFile(): void {
    const file = this.file;
    this.file = undefined;
    if (file !== undefined) closeSync(file);
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
  abort(): void {
    try {
      this.closeFile();
      rmSync(this.path, { force: true });
    } catch {
      // It is a draft; the next run removes it.
    }
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
  return scoresFile(await readFooter(path));
}

/** A scores file by its footer. @throws ColonnadeError `BAD_PARQUET` for another file. */
export function scoresFile(footer: Footer): ScoresFile {
  const { path } = footer;
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
