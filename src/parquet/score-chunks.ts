/**
 * The column chunks of scores files, on their way into another file.
 *
 *     openScoresFile(path)                                        with its row groups
 *     checkRows(source, groups), pickColumns(file, names)         what must fit
 *     appendChunk(group, name, appender), withoutBounds(chunk)    one chunk in its new place
 *     chunkOf(group, name), movedChunk(chunk, delta, reader)      the same where its pages are copied elsewhere
 */
import type { FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { RangeReader, openForReading, type Appender } from './blocks.js';
import { columnChunk, moveColumn, type ByteReader, type IndexedChunk } from './chunks.js';
import { CHUNK, COLUMN, STATISTICS } from './format.js';
import type { ColumnChunk, Footer } from './footer.js';
import { readScoresFile, type ScoresColumn, type ScoresFile } from './scores.js';
import { THRIFT } from './thrift.js';

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

/** Opens a scores file; the caller closes its handle. */
export async function openScoresFile(path: string): Promise<OpenScores> {
  const scores = await readScoresFile(path);
  const handle = await openForReading(path);
  return { ...scores, handle, reader: new RangeReader(handle, path, scores.footer.start) };
}

/** The row groups of scores are those of the source. @throws ColonnadeError `LEDGER_UNBALANCED` */
export function checkRows(source: Footer, groups: readonly { readonly rows: number }[]): void {
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

/** Copies the pages of one chunk of scores. */
export async function appendChunk(group: ScoresGroup, name: string, appender: Appender): Promise<IndexedChunk> {
  const { file } = group;
  const chunk = chunkOf(group, name);
  const delta = appender.position - chunk.pages.offset;
  await appender.copy(file.handle, file.path, chunk.pages.offset, chunk.pages.length);
  return movedChunk(chunk, delta, file.reader);
}

/** The chunk of a column in a row group of scores. */
export function chunkOf(
  { file, chunks }: { readonly file: { readonly path: string }; readonly chunks: ReadonlyMap<string, ColumnChunk> },
  name: string,
): ColumnChunk {
  const chunk = chunks.get(name);
  if (chunk === undefined) throw internal(`${file.path} has no column "${name}"`);
  return chunk;
}

/** A chunk whose pages were copied. @param reader of the file that they were copied from */
export function movedChunk(chunk: ColumnChunk, delta: number, reader: ByteReader): IndexedChunk {
  const { columnIndex, offsetIndex } = chunk;
  return {
    tree: columnChunk(moveColumn(chunk.metadata, delta)),
    reader,
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

/** What only a fault of this program leads to. */
export function internal(message: string): ColonnadeError {
  return new ColonnadeError('INTERNAL', message, { phase: 'sink', hint: 'report it, with the pipeline file' });
}
