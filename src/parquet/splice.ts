/**
 * Appends columns to a Parquet file without touching the others.
 *
 *     planSplice(footer, columns): { prefixBytes }                              what is copied as it is
 *     Splice.begin({ destination, prefixBytes, columns, copied? }): Promise<Splice>         on a copy of that
 *       .add(scores): Promise<void>                                                         one scores file after the other
 *       .finish(footer, metadata): Promise<{ bytes, rows }>, .close()
 *     spliceTail(footer, scores, columns, metadata): Promise<{ bytes, rows }>               all of a small file in memory
 *
 * The new file:
 *
 *     [0, start of the old footer)   byte for byte: magic, row groups, bloom filters, the old page indexes (now dead)
 *     [new column chunks]            row group by row group
 *     [all column indexes]           row group by row group, column by column: old ones copied, new ones added
 *     [all offset indexes]           the same
 *     [footer] [length] "PAR1"
 *
 * No old page moves, so no offset in the old chunks' metadata changes but the pointers to the page index.
 */
import { readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { Appender, RangeReader, readError, shrunk } from './blocks.js';
import { serializeFooter, writeIndexes, type ByteAppender, type ByteReader, type IndexedChunk } from './chunks.js';
import { footerIn, NO_FINGERPRINT, parseFooter, readFooter, type Footer } from './footer.js';
import { spliceObstacle } from './obstacles.js';
import {
  appendChunk,
  checkRows,
  chunkOf,
  internal,
  movedChunk,
  openScoresFile,
  pickColumns,
  withoutBounds,
} from './score-chunks.js';
import { scoresFile, type ScoresFile } from './scores.js';
import { splicedFooter } from './spliced-footer.js';
import { ThriftError } from './thrift.js';

export interface SpliceOptions {
  /** Holds the first `prefixBytes` of the source; what lies behind them is cut off. */
  readonly destination: string;
  readonly prefixBytes: number;
  /** Columns of the scores files to append, in order. */
  readonly columns: readonly string[];
  /**
   * Resolves when the first `prefixBytes` are there, where the destination is still being copied to: what is appended is
   * written behind them meanwhile. Without it they are there already.
   */
  readonly copied?: Promise<unknown>;
}

/** Files of this size have been written to the disk for the most part when they are complete: what is left is written at once. */
const SYNCED_BYTES = 16 << 20;

const REWRITE = 'use sink.mode: partition, which writes the file anew';

/**
 * Checks that columns of these names can be appended to the file.
 *
 * @returns how much of the file is taken over as it is, from its start.
 * @throws ColonnadeError `NOT_SPLICEABLE`, `COLUMN_EXISTS`
 */
export function planSplice(footer: Footer, columns: readonly string[]): { readonly prefixBytes: number } {
  const obstacle = spliceObstacle(footer);
  if (obstacle !== undefined) {
    throw new ColonnadeError('NOT_SPLICEABLE', `${footer.path}: columns cannot be appended to it: ${obstacle}`, {
      phase: 'sink',
      hint: REWRITE,
    });
  }
  const taken = new Map(footer.schema.children.map(({ name }) => [name.toLowerCase(), `a column "${name}" already`]));
  for (const column of columns) {
    const other = taken.get(column.toLowerCase());
    if (other !== undefined) {
      throw new ColonnadeError(
        'COLUMN_EXISTS',
        `${footer.path}: "${column}" cannot be appended; the file has ${other}`,
        {
          phase: 'sink',
          hint: 'give the output another name (readers such as DuckDB and Spark do not tell names apart by case)',
        },
      );
    }
    taken.set(column.toLowerCase(), `an output "${column}" already`);
  }
  return { prefixBytes: footer.start };
}

/**
 * Appends to a copy of the source's prefix what makes it the new file. `begin`, then `add` for every scores file in order,
 * as soon as it is there, then `finish`; `close` in any case. One call at a time.
 *
 * Memory: blocks of some MB and the metadata of the new columns, whatever their size; the old ones' only in `finish`.
 */
export class Splice {
  readonly #options: SpliceOptions;
  readonly #target: FileHandle;
  readonly #appender: Appender;
  /** The new chunks of the row groups so far. */
  readonly #groups: NewGroup[] = [];
  /** Of the first scores file: the others have the same columns. */
  #schema: ScoresFile | undefined;

  private constructor(options: SpliceOptions, target: FileHandle) {
    this.#options = options;
    this.#target = target;
    this.#appender = new Appender(target, options.destination, options.prefixBytes);
  }

  /** @throws ColonnadeError `IO_FAILED` where the copy is shorter than the prefix. */
  static async begin(options: SpliceOptions): Promise<Splice> {
    return new Splice(options, await openPrefix(options));
  }

  /**
   * Copies the pages of the new columns, for the row groups that follow.
   * @throws ColonnadeError `BAD_PARQUET` where it is no scores file; `DISK_FULL`, `IO_FAILED`.
   */
  async add(scores: string): Promise<void> {
    const file = await openScoresFile(scores);
    const { handle, reader: _, ...schema } = file;
    this.#schema ??= schema;
    try {
      for (const group of file.rowGroups) {
        const chunks: IndexedChunk[] = [];
        for (const name of this.#options.columns)
          chunks.push(await withIndexInMemory(await appendChunk({ ...group, file }, name, this.#appender)));
        this.#groups.push({ rows: group.rows, chunks });
      }
    } finally {
      await handle.close();
    }
  }

  /**
   * Writes indexes and footer, reads the footer again, and waits for the copy; for large files for the disk as well. Whoever
   * publishes the file syncs it in any case, and many small ones faster together.
   *
   * @param source the footer of the file of which the destination has the prefix
   * @param metadata key-value metadata to add; a key that is there already is replaced
   * @param onWritten called when all bytes are there, before what is left of a large file is waited for
   * @throws ColonnadeError as {@link planSplice}; `LEDGER_UNBALANCED` where rows of scores and source differ; `DISK_FULL`,
   * `IO_FAILED`.
   */
  async finish(
    source: Footer,
    metadata: Readonly<Record<string, string>>,
    onWritten?: () => void,
  ): Promise<{ readonly bytes: number; readonly rows: number }> {
    const { destination, prefixBytes, columns, copied } = this.#options;
    if (planSplice(source, columns).prefixBytes !== prefixBytes)
      throw internal(`${source.path} is not what was copied`);
    const schema = this.#schema;
    if (schema === undefined) throw internal(`${source.path}: no scores file was given to splice from`);
    // The old page index is taken from the copy.
    if (source.pageIndex) await copied;
    const old = new RangeReader(this.#target, destination, prefixBytes);
    await writeEnd({ source, old, groups: this.#groups, columns, schema, metadata }, this.#appender);
    await this.#appender.flush();
    // Counted by reading what was written, not taken from what was meant to be.
    const { size, rows } = await readFooter(destination);
    await copied;
    onWritten?.();
    if (size >= SYNCED_BYTES) await this.#appender.sync();
    return { bytes: size, rows };
  }

  async close(): Promise<void> {
    await this.#target.close();
  }
}

/** What follows the new column chunks: indexes and footer. */
interface SplicedEnd {
  readonly source: Footer;
  /** Reads the page index of the source. */
  readonly old: ByteReader;
  readonly groups: readonly NewGroup[];
  readonly columns: readonly string[];
  /** A scores file with these columns. */
  readonly schema: ScoresFile;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The new chunks of a row group, in their place. */
interface NewGroup {
  readonly rows: number;
  readonly chunks: readonly IndexedChunk[];
}

/** @throws ColonnadeError `BAD_PARQUET` where a field of the old footer, which nothing has read until now, is none of its kind. */
async function writeEnd(end: SplicedEnd, appender: ByteAppender): Promise<void> {
  try {
    await writeIndexesAndFooter(end, appender);
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    throw new ColonnadeError('BAD_PARQUET', `${end.source.path}: its footer is damaged: ${error.message}`, {
      phase: 'sink',
      hint: 'write or download the file again',
      cause: error,
    });
  }
}

async function writeIndexesAndFooter(end: SplicedEnd, appender: ByteAppender): Promise<void> {
  const { source, old: reader, groups, columns, schema, metadata } = end;
  checkRows(source, groups);
  const indexed = source.rowGroups.map(({ chunks }, group) => [
    ...chunks.map((chunk): IndexedChunk => ({ ...chunk, reader, delta: 0 })),
    ...groups[group]!.chunks.map((chunk) => (source.columnOrders ? chunk : withoutBounds(chunk))),
  ]);
  const chunks = source.pageIndex
    ? await writeIndexes(appender, indexed)
    : indexed.map((group) => group.map(({ tree }) => tree));
  const footer = splicedFooter(source, chunks, pickColumns(schema, columns), schema, metadata);
  await appender.write(serializeFooter(footer));
}

/**
 * What {@link Splice} would write behind the prefix of a small file, of which all scores are there: the same bytes, put
 * together in memory, as for small files to write piece by piece takes longer than all the rest.
 * @param source the footer of the file
 * @param scores paths of its scores files, in order
 * @returns the bytes, and the rows by the new footer.
 * @throws ColonnadeError as {@link Splice.add} and {@link Splice.finish}
 */
export async function spliceTail(
  source: Footer,
  scores: readonly string[],
  columns: readonly string[],
  metadata: Readonly<Record<string, string>>,
): Promise<{ readonly bytes: Buffer; readonly rows: number }> {
  const { prefixBytes } = planSplice(source, columns);
  const pieces: Uint8Array[] = [];
  let position = prefixBytes;
  const appender: ByteAppender = {
    get position() {
      return position;
    },
    write: (bytes) => {
      pieces.push(bytes);
      position += bytes.length;
      return Promise.resolve();
    },
  };
  const files = scores.map(readSmallScores);
  const groups: NewGroup[] = [];
  for (const file of files) {
    for (const group of file.rowGroups) {
      const chunks: IndexedChunk[] = [];
      for (const name of columns) {
        const chunk = chunkOf({ ...group, file }, name);
        const { offset, length } = chunk.pages;
        chunks.push(movedChunk(chunk, position - offset, file.reader));
        await appender.write(file.bytes.subarray(offset, offset + length));
      }
      groups.push({ rows: group.rows, chunks });
    }
  }
  const [schema] = files;
  if (schema === undefined) throw internal(`${source.path}: no scores file was given to splice from`);
  await writeEnd({ source, old: oldIndex(source), groups, columns, schema, metadata }, appender);
  const bytes = Buffer.concat(pieces, position - prefixBytes);
  // Counted by reading what is written, not taken from what was meant to be.
  const start = position - 8 - bytes.readUInt32LE(bytes.length - 8);
  const { rows } = parseFooter(bytes.subarray(start - prefixBytes, bytes.length - 8), {
    path: source.path,
    size: position,
    start,
    fingerprint: NO_FINGERPRINT,
  });
  return { bytes, rows };
}

/** A scores file that is in memory. */
function readSmallScores(path: string): ScoresFile & { readonly bytes: Buffer; readonly reader: ByteReader } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw readError(error, path);
  }
  const read = (offset: number, length: number): Promise<Buffer> =>
    Promise.resolve(bytes.subarray(offset, offset + length));
  return { ...scoresFile(footerIn(path, bytes)), bytes, reader: { read } };
}

/** Reads the old page index from the source itself, which has just been read. */
function oldIndex(source: Footer): ByteReader {
  let all: Buffer | undefined;
  return {
    read: (offset, length) => {
      try {
        all ??= readFileSync(source.path);
      } catch (error) {
        throw readError(error, source.path);
      }
      if (all.length < offset + length) throw shrunk(source.path, all.length);
      return Promise.resolve(all.subarray(offset, offset + length));
    },
  };
}

/** The chunk with the bytes of its page index: its file will be closed by the time they are written. */
async function withIndexInMemory(chunk: IndexedChunk): Promise<IndexedChunk> {
  const { reader, columnIndex, offsetIndex } = chunk;
  if (reader === undefined) return chunk;
  const known = new Map<number, Buffer>();
  for (const range of [columnIndex, offsetIndex])
    if (range !== undefined) known.set(range.offset, Buffer.from(await reader.read(range.offset, range.length)));
  const read = (offset: number): Promise<Buffer> => {
    const bytes = known.get(offset);
    if (bytes !== undefined) return Promise.resolve(bytes);
    throw new ColonnadeError('INTERNAL', `no page index was read at byte ${offset}`, { phase: 'sink' });
  };
  return { ...chunk, reader: { read } };
}

async function openPrefix({ destination: path, prefixBytes: bytes, copied }: SpliceOptions): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r+');
    const { size } = await handle.stat();
    if (size < bytes && copied === undefined) {
      throw new ColonnadeError('IO_FAILED', `${path}: the copy has ${size} bytes, ${bytes} are needed`, {
        phase: 'sink',
        hint: 'run it again',
      });
    }
    if (size > bytes) await handle.truncate(bytes);
    return handle;
  } catch (error) {
    await handle?.close();
    throw systemError(error, 'sink', 'opening', path);
  }
}
