/**
 * Appends columns to a Parquet file without touching the others.
 *
 *     planSplice(footer, columns): { prefixBytes }                              what is copied as it is
 *     Splice.begin({ destination, prefixBytes, columns }): Promise<Splice>                  on a copy of that
 *       .add(scores): Promise<void>                                                         one scores file after the other
 *       .finish(footer, metadata): Promise<{ bytes, rows }>, .close()
 *     spliceFile({ source, destination, scores, columns, metadata }): Promise<{ bytes, sha256 }>      copy and finish at once
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
import { open, type FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { ARROW_SCHEMA_KEY, editArrowSchema } from './arrow-schema.js';
import { Appender, RangeReader, openForReading } from './blocks.js';
import { columnChunk, moveColumn, serializeFooter, writeIndexes, type IndexedChunk } from './chunks.js';
import { startCopy } from './copy.js';
import { CHUNK, COLUMN, ELEMENT, FILE, ROW_GROUP, STATISTICS } from './format.js';
import { readFooter, type ColumnChunk, type Footer } from './footer.js';
import { spliceObstacle } from './obstacles.js';
import { keyValueStruct, readScoresFile, type ScoresColumn, type ScoresFile } from './scores.js';
import type { ThriftStruct } from './thrift.js';
import { THRIFT, ThriftList } from './thrift.js';
import { WRITER_SCHEMA_KEYS, extendWriterSchema } from './writer-schemas.js';

export interface SpliceOptions {
  /** Holds the first `prefixBytes` of the source; what lies behind them is cut off. */
  readonly destination: string;
  readonly prefixBytes: number;
  /** Columns of the scores files to append, in order. */
  readonly columns: readonly string[];
}

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

/** A row group of scores, with the open file that it lies in. */
export interface ScoresGroup {
  readonly rows: number;
  readonly chunks: ReadonlyMap<string, ColumnChunk>;
  readonly file: OpenScores;
}

export interface OpenScores extends ScoresFile {
  readonly handle: FileHandle;
  readonly reader: RangeReader;
}

/** Opens scores files and matches their row groups with those of the source. The caller closes what is in `opened`. */
export async function openScores(
  source: Footer,
  paths: readonly string[],
  opened: FileHandle[],
): Promise<readonly ScoresGroup[]> {
  const groups: ScoresGroup[] = [];
  for (const path of paths) {
    const file = await openScoresFile(path);
    opened.push(file.handle);
    groups.push(...file.rowGroups.map((group) => ({ ...group, file })));
  }
  checkRows(source, groups);
  return groups;
}

async function openScoresFile(path: string): Promise<OpenScores> {
  const scores = await readScoresFile(path);
  const handle = await openForReading(path);
  return { ...scores, handle, reader: new RangeReader(handle, path, scores.footer.start) };
}

/** @throws ColonnadeError `LEDGER_UNBALANCED` */
function checkRows(source: Footer, groups: readonly { readonly rows: number }[]): void {
  const count = Math.max(groups.length, source.rowGroups.length);
  const differs = Array.from({ length: count }, (_, index) => index).find(
    (index) => groups[index]?.rows !== source.rowGroups[index]?.rows,
  );
  if (differs === undefined) return;
  const rows = (list: readonly { readonly rows: number }[]): string =>
    `${list.reduce((sum, group) => sum + group.rows, 0)} rows in ${list.length} row groups`;
  throw new ColonnadeError(
    'LEDGER_UNBALANCED',
    `${source.path}: row group ${differs} has ${source.rowGroups[differs]?.rows ?? 'no'} rows, its scores have ${groups[differs]?.rows ?? 'none'} ` +
      `(the file: ${rows(source.rowGroups)}; the scores: ${rows(groups)})`,
    { phase: 'sink', hint: 'run it again with --fresh; if it stays, report it' },
  );
}

/** The columns of the scores that are wanted, in that order. */
export function pickColumns(first: ScoresFile, names: readonly string[]): readonly ScoresColumn[] {
  return names.map((name) => {
    const column = first.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw new ColonnadeError(
      'INTERNAL',
      `${first.path} has no column "${name}"; it has ${first.columns.map((each) => each.name).join(', ')}`,
      { phase: 'sink' },
    );
  });
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
  readonly #groups: { readonly rows: number; readonly chunks: readonly IndexedChunk[] }[] = [];
  /** Of the first scores file: the others have the same columns. */
  #schema: ScoresFile | undefined;

  private constructor(options: SpliceOptions, target: FileHandle) {
    this.#options = options;
    this.#target = target;
    this.#appender = new Appender(target, options.destination, options.prefixBytes);
  }

  /** @throws ColonnadeError `IO_FAILED` where the copy is shorter than the prefix. */
  static async begin(options: SpliceOptions): Promise<Splice> {
    return new Splice(options, await openPrefix(options.destination, options.prefixBytes));
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
   * Writes indexes and footer, waits for the disk, and reads the footer again.
   *
   * @param source the footer of the file of which the destination has the prefix
   * @param metadata key-value metadata to add; a key that is there already is replaced
   * @throws ColonnadeError as {@link planSplice}; `LEDGER_UNBALANCED` where rows of scores and source differ; `DISK_FULL`,
   * `IO_FAILED`.
   */
  async finish(
    source: Footer,
    metadata: Readonly<Record<string, string>>,
  ): Promise<{ readonly bytes: number; readonly rows: number }> {
    const { destination, prefixBytes, columns } = this.#options;
    if (planSplice(source, columns).prefixBytes !== prefixBytes)
      throw internal(`${source.path} is not what was copied`);
    checkRows(source, this.#groups);
    const schema = this.#schema;
    if (schema === undefined) throw internal(`${source.path}: no scores file was given to splice from`);
    const reader = new RangeReader(this.#target, destination, prefixBytes);
    const indexed = source.rowGroups.map(({ chunks }, group) => [
      ...chunks.map((chunk): IndexedChunk => ({ ...chunk, reader, delta: 0 })),
      ...this.#groups[group]!.chunks.map((chunk) => (source.columnOrders ? chunk : withoutBounds(chunk))),
    ]);
    const chunks = source.pageIndex
      ? await writeIndexes(this.#appender, indexed)
      : indexed.map((group) => group.map(({ tree }) => tree));
    const footer = splicedFooter(source, chunks, pickColumns(schema, columns), schema, metadata);
    await this.#appender.write(serializeFooter(footer));
    await this.#appender.sync();
    // Counted by reading what was written, not taken from what was meant to be.
    const { size, rows } = await readFooter(destination);
    return { bytes: size, rows };
  }

  async close(): Promise<void> {
    await this.#target.close();
  }
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

async function openPrefix(path: string, bytes: number): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r+');
    const { size } = await handle.stat();
    if (size < bytes) {
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

/** Copies the pages of one chunk of scores. */
export async function appendChunk(group: ScoresGroup, name: string, appender: Appender): Promise<IndexedChunk> {
  const { file, chunks } = group;
  const chunk = chunks.get(name);
  if (chunk === undefined) throw internal(`${file.path} has no column "${name}"`);
  const delta = appender.position - chunk.pages.offset;
  await appender.copy(file.handle, file.path, chunk.pages.offset, chunk.pages.length);
  const { columnIndex, offsetIndex } = chunk;
  return {
    tree: columnChunk(moveColumn(chunk.metadata, delta)),
    reader: file.reader,
    ...(columnIndex === undefined ? {} : { columnIndex }),
    ...(offsetIndex === undefined ? {} : { offsetIndex }),
    delta,
  };
}

/** The chunk without minima and maxima, for a file that does not say how they are ordered. */
export function withoutBounds(chunk: IndexedChunk): IndexedChunk {
  const { tree, reader, offsetIndex, delta } = chunk;
  const metadata = tree.struct(CHUNK.metadata);
  const statistics = metadata?.struct(COLUMN.statistics);
  const { min, max, minValue, maxValue, minExact, maxExact } = STATISTICS;
  return {
    tree:
      metadata === undefined || statistics === undefined
        ? tree
        : tree.with(
            CHUNK.metadata,
            THRIFT.struct,
            metadata.with(
              COLUMN.statistics,
              THRIFT.struct,
              statistics.without(min, max, minValue, maxValue, minExact, maxExact),
            ),
          ),
    ...(reader === undefined ? {} : { reader }),
    ...(offsetIndex === undefined ? {} : { offsetIndex }),
    delta,
  };
}

function internal(message: string): ColonnadeError {
  return new ColonnadeError('INTERNAL', message, { phase: 'sink', hint: 'report it, with the pipeline file' });
}

function splicedFooter(
  source: Footer,
  chunks: readonly (readonly ThriftStruct[])[],
  columns: readonly ScoresColumn[],
  scores: ScoresFile,
  metadata: Readonly<Record<string, string>>,
): ThriftStruct {
  const { tree } = source;
  const groups = source.rowGroups.map((group, index) => grownRowGroup(group.tree, chunks[index] ?? [], columns.length));
  let footer = tree
    .with(FILE.schema, THRIFT.list, new ThriftList(THRIFT.struct, splicedSchema(source, columns, scores)))
    .with(FILE.rowGroups, THRIFT.list, new ThriftList(THRIFT.struct, groups));
  const entries = splicedMetadata(source, columns, scores, metadata);
  if (entries.length > 0) footer = footer.with(FILE.keyValues, THRIFT.list, new ThriftList(THRIFT.struct, entries));
  const orders = tree.list(FILE.columnOrders);
  if (orders === undefined) return footer;
  const added = columns.flatMap(
    ({ node }) => scores.footer.tree.list(FILE.columnOrders)?.values.slice(...node.leaves) ?? [],
  );
  // An empty list may have been written with any type of element.
  return footer.with(FILE.columnOrders, THRIFT.list, new ThriftList(THRIFT.struct, [...orders.values, ...added]));
}

/** The old row group with more chunks. Its offset, ordinal and sorting columns stay. */
function grownRowGroup(group: ThriftStruct, chunks: readonly ThriftStruct[], added: number): ThriftStruct {
  const sum = (id: number): number =>
    chunks
      .slice(chunks.length - added)
      .reduce((total, chunk) => total + (chunk.struct(CHUNK.metadata)?.int(id) ?? 0), 0);
  const grown = group
    .with(ROW_GROUP.columns, THRIFT.list, new ThriftList(THRIFT.struct, chunks))
    .with(
      ROW_GROUP.totalByteSize,
      THRIFT.i64,
      (group.int(ROW_GROUP.totalByteSize) ?? 0) + sum(COLUMN.uncompressedSize),
    );
  const compressed = group.int(ROW_GROUP.totalCompressedSize);
  return compressed === undefined
    ? grown
    : grown.with(ROW_GROUP.totalCompressedSize, THRIFT.i64, compressed + sum(COLUMN.compressedSize));
}

/** The old elements, one child more for the root, and the new columns' elements; with field ids where the file has them. */
function splicedSchema(source: Footer, columns: readonly ScoresColumn[], scores: ScoresFile): readonly ThriftStruct[] {
  const [root, ...old] = source.tree.structs(FILE.schema);
  const ids = old
    .map((element) => element.int(ELEMENT.fieldId))
    .filter((id) => id !== undefined && id >= 0) as number[];
  let id = ids.reduce((highest, each) => Math.max(highest, each), 0);
  const elements = scores.footer.tree.structs(FILE.schema);
  const added = columns.flatMap(({ node }) =>
    elements.slice(...node.elements).map((element, depth) => {
      // Of a list, the column and its elements have ids; the repeated group between them has none.
      if (ids.length === 0 || depth === 1) return element;
      return element.with(ELEMENT.fieldId, THRIFT.i32, (id += 1));
    }),
  );
  const children = source.schema.children.length + columns.length;
  return [(root as ThriftStruct).with(ELEMENT.numChildren, THRIFT.i32, children), ...old, ...added];
}

function splicedMetadata(
  source: Footer,
  columns: readonly ScoresColumn[],
  scores: ScoresFile,
  metadata: Readonly<Record<string, string>>,
): readonly ThriftStruct[] {
  const entries = source.tree.structs(FILE.keyValues).flatMap((tree, index) => {
    const { key, value } = source.keyValues[index] ?? { key: '', value: undefined };
    if (Object.hasOwn(metadata, key)) return [];
    if (value === undefined) return [tree];
    if (key === ARROW_SCHEMA_KEY) return [keyValueStruct(key, splicedArrowSchema(value, columns, scores))];
    const extended = WRITER_SCHEMA_KEYS.has(key) ? extendWriterSchema(key, value, columns) : undefined;
    return [extended === undefined ? tree : keyValueStruct(key, extended)];
  });
  return [...entries, ...Object.entries(metadata).map(([key, value]) => keyValueStruct(key, value))];
}

/** Arrow's readers take the file's metadata from within the Arrow schema too: what pandas left there is extended as well. */
function splicedArrowSchema(base64: string, columns: readonly ScoresColumn[], scores: ScoresFile): string {
  return editArrowSchema(base64, {
    add: { from: scores.arrowSchema, names: columns.map(({ name }) => name) },
    change: (key, value) => extendWriterSchema(key, value, columns),
  });
}

/** Copies the source and appends to the copy. `destination` is created, or written over. */
export async function spliceFile(
  options: Omit<SpliceOptions, 'prefixBytes'> & {
    readonly source: string | Footer;
    /** Scores files whose row groups, taken together in this order, are those of the source. */
    readonly scores: readonly string[];
    readonly metadata: Readonly<Record<string, string>>;
  },
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { destination, columns, metadata } = options;
  const source = typeof options.source === 'string' ? await readFooter(options.source) : options.source;
  const { prefixBytes } = planSplice(source, columns);
  const copy = startCopy({ source: source.path, destination, bytes: prefixBytes });
  try {
    await copy.copied;
    const splice = await Splice.begin({ destination, prefixBytes, columns });
    try {
      for (const scores of options.scores) await splice.add(scores);
      await splice.finish(source, metadata);
    } finally {
      await splice.close();
    }
    return await copy.digest();
  } finally {
    await copy.abort();
  }
}
