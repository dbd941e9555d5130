/**
 * Reads what was written once more, by another way than it was written, before any of it is published.
 *
 * What our own splice has written, DuckDB reads: rows, row groups, columns with their types in their order, and every new value.
 * NULLs must be as many as the ledger says; values must be those that were scored, all of them in a file that is not large, in
 * one that is those of some row groups, its first and its last among them. Files are checked as soon as their bytes are there, beside the scoring of others and beside the sync of
 * the last; many small ones by one query. What DuckDB has written (partitions, predictions, the quarantine), our own reader
 * of footers counts. Of all files place and size are compared, and that there are no others.
 */
import { statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Ledger } from '../commit/ledger.js';
import type { StagingPlaces } from '../commit/places.js';
import { ColonnadeError, type ErrorCode } from '../errors.js';
import { readFooterNow, topLevelColumns } from '../parquet/footer.js';
import type { Plan, PlannedFile, Shard } from '../plan/plan.js';
import { counted, formatCount } from '../plan/quantities.js';
import { SHARD_ROWS } from '../plan/shards.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import type { ShardCounts } from '../score/shard.js';
import { filesBelow } from '../sink/staged-files.js';
import type { StagedFile } from '../sink/sink.js';
import type { Database } from '../source/database.js';
import { readSql, ROW_NUMBER } from '../source/scan.js';
import { aggregatesByFile, type Ask } from './by-file.js';
import { sum } from './summary.js';

/** Files that one query reads: to ask costs more than to read small ones. */
const MOST_FILES = 256;
/** Rows that are worth a query by themselves. */
const ENOUGH_ROWS = 500_000;

/** Columns of the quarantine behind those of the source. */
const QUARANTINE_COLUMNS = ['_file', '_row', '_reason'];

export interface WrittenCheckContext {
  readonly plan: Plan;
  readonly staging: StagingPlaces;
  /** Shards of a file, in their order. */
  readonly shardsOf: (file: number) => readonly Shard[];
  /** Scores files of a file's shards, in their order; asked once they are all scored. */
  readonly scoresOf: (file: number) => readonly string[];
  /** What became of the rows of a file's shards; asked once they are all scored. */
  readonly countsOf: (file: number) => readonly ShardCounts[];
  /** Opens DuckDB, whose statements end with `signal`, for reading source and staging. */
  readonly database: () => Promise<Database>;
  readonly signal: AbortSignal;
}

/** The checks of one run: `written` for each file that is made of one of the source, then `finish`. */
export class WrittenCheck {
  readonly #context: WrittenCheckContext;
  /** Written, and not read yet. */
  readonly #waiting: number[] = [];
  #waitingRows = 0;
  readonly #checked = new Set<number>();
  /** What is being read. Never rejected. */
  #reading: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(context: WrittenCheckContext) {
    this.#context = context;
  }

  /** Says that all bytes of a file's output are there. */
  written(file: PlannedFile): void {
    this.#waiting.push(file.index);
    this.#waitingRows += file.rows;
    if (this.#reading === undefined && (this.#waiting.length >= MOST_FILES || this.#waitingRows >= ENOUGH_ROWS))
      this.#readNext();
  }

  /**
   * Checks what has not been checked yet.
   * @throws ColonnadeError `OUTPUT_DAMAGED` naming the file and what differs; the signal's reason.
   */
  async finish(outputs: readonly StagedFile[], quarantine: readonly StagedFile[], ledger: Ledger): Promise<void> {
    const { plan, staging } = this.#context;
    await checkFolder(staging.output, outputs, plan.sink.mode === 'append' ? undefined : outputColumns(plan));
    if (quarantine.length > 0) await checkFolder(staging.quarantine, quarantine, QUARANTINE_COLUMNS);
    checkLedger(outputs, quarantine, ledger);
    for (;;) {
      if (this.#reading === undefined && this.#waiting.length > 0) this.#readNext();
      if (this.#reading === undefined) break;
      await this.#reading;
    }
    this.#context.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure.error;
    if (plan.sink.mode !== 'append') return;
    const left = plan.files.find(({ index }) => !this.#checked.has(index));
    if (left !== undefined) throw damaged(join(staging.output, left.relativePath), 'it was not written');
  }

  /** Waits for what is being read, after a failure of anything else. Never rejects. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    await this.#reading;
  }

  #readNext(): void {
    const files = this.#waiting.splice(0, MOST_FILES).map((index) => this.#context.plan.files[index]!);
    this.#waitingRows -= sum(files, ({ rows }) => rows);
    this.#reading = this.#read(files)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#reading = undefined;
        if (this.#failure !== undefined) this.#waiting.length = 0;
        else if (this.#waiting.length >= MOST_FILES) this.#readNext();
      });
  }

  async #read(files: readonly PlannedFile[]): Promise<void> {
    const small = files.filter((file) => this.#isSmall(file));
    const large = files.filter((file) => !this.#isSmall(file));
    await this.#compare(small).catch(async (error: unknown) => {
      this.#context.signal.throwIfAborted();
      // DuckDB mostly does not say which of the files it is.
      if (small.length > 1) for (const file of small) await this.#compare([file]);
      throw error;
    });
    for (const file of large) await this.#compare([file]);
    for (const { index } of files) this.#checked.add(index);
  }

  /** Whether all values of a file are compared. */
  #isSmall({ index, rows }: PlannedFile): boolean {
    return rows < WHOLE_ROWS && this.#context.shardsOf(index).length === 1;
  }

  /** @param files small ones, or one large. */
  async #compare(files: readonly PlannedFile[]): Promise<void> {
    if (files.length === 0) return;
    const { staging, scoresOf } = this.#context;
    const written = files.map((file) => join(staging.output, file.relativePath));
    const scores = files.map(({ index }) => scoresOf(index));
    const alone = files.length === 1 ? written[0] : undefined;
    const [file] = files;
    const isLarge = !this.#isSmall(file!);
    // Side by side, each on a connection of its own: there is little else that the processor has to do by now.
    const all = await Promise.allSettled([
      this.#inTurn((ask) => this.#compareShape(files, written, scores, ask), alone),
      this.#inTurn((ask) => this.#compareRows(files, written, isLarge ? undefined : scores, ask), alone),
      isLarge ? this.#inTurn((ask) => this.#compareSample(file!, written[0]!, scores[0]!, ask), alone) : undefined,
    ]);
    for (const each of all) if (each.status === 'rejected') throw each.reason;
  }

  /** @param file that is to blame for what fails. */
  async #inTurn<T>(work: (ask: Ask) => Promise<T>, file?: string): Promise<T> {
    const database = await (await this.#context.database()).beside();
    try {
      return await work((sql) => database.rows(sql, file === undefined ? {} : { file }));
    } catch (error) {
      throw file === undefined ? error : unreadable(file, error);
    } finally {
      await database.close();
    }
  }

  /** Compares rows, row groups and columns with those of the source and of the scores. */
  async #compareShape(
    files: readonly PlannedFile[],
    written: readonly string[],
    scores: readonly (readonly string[])[],
    ask: Ask,
  ): Promise<void> {
    // Rows are counted in any case; most small files are one row group.
    const several = files.flatMap(({ rowGroups }, i) =>
      rowGroups.length === 1 ? [] : [{ path: written[i]!, groups: rowGroups.length }],
    );
    if (several.length > 0) {
      const found = await rowGroupsOf(
        several.map(({ path }) => path),
        ask,
      );
      for (const { path, groups } of several) {
        const is = found?.get(path) ?? (found === undefined ? groups : 0);
        if (is !== groups) throw damaged(path, `it has ${counted(is, 'row group')}, the source ${formatCount(groups)}`);
      }
    }
    const spliced = files.map(({ path }, i) => ({ written: written[i]!, source: path, scores: scores[i]![0]! }));
    // Of many small files with the same columns one is held against its source.
    const kinds = new Map(spliced.map((each) => [each.written, each]));
    if (spliced.length > 1) {
      const rows = await ask(
        `SELECT min(file_name) AS one FROM (SELECT file_name, list(${ELEMENT}) AS elements FROM parquet_schema(${listOf(written)}) GROUP BY file_name) GROUP BY elements`,
      );
      const ones = new Set(rows.map(({ one }) => one));
      for (const path of written) if (!ones.has(path)) kinds.delete(path);
    }
    const [wrong] = await ask(schemaSql([...kinds.values()], this.#context.plan.outputs.length));
    if (wrong !== undefined) throw damaged(String(wrong['written']), String(wrong['problem']));
  }

  /**
   * Reads every new value, and compares how many there are with what was counted while they were scored.
   * @param scores with which all values are compared, where given.
   */
  async #compareRows(
    files: readonly PlannedFile[],
    written: readonly string[],
    scores: readonly (readonly string[])[] | undefined,
    ask: Ask,
  ): Promise<void> {
    const { plan, countsOf } = this.#context;
    const counts = plan.outputs.map(({ name }, k) => `count(${quoteIdentifier(name)}) AS values${k}`);
    const digest = scores === undefined ? [] : [`${this.#digest(0)} AS digest`];
    const rows = await aggregatesByFile(written, ['count(*) AS n', ...counts, ...digest], ask);
    for (const [i, file] of files.entries()) {
      const path = written[i]!;
      wrongRows(path, Number(rows[i]?.['n'] ?? 0), file.rows);
      const nulls = file.rows - sum(countsOf(file.index), ({ scored }) => scored);
      for (const [k, { name }] of plan.outputs.entries()) {
        const isNull = file.rows - Number(rows[i]?.[`values${k}`] ?? 0);
        if (isNull !== nulls)
          throw damaged(path, `${name} is NULL in ${counted(isNull, 'row')}, by the ledger in ${formatCount(nulls)}`);
      }
    }
    if (scores === undefined) return;
    const scored = await aggregatesByFile(
      scores.map(([only]) => only!),
      digest,
      ask,
    );
    for (const [i, path] of written.entries())
      if (rows[i]?.['digest'] !== scored[i]?.['digest']) throw this.#otherValues(path);
  }

  /** Compares the values of some row groups of a large file with those that were scored. */
  async #compareSample(file: PlannedFile, written: string, scores: readonly string[], ask: Ask): Promise<void> {
    for (const { shard, part, rows } of sampleOf(this.#context.shardsOf(file.index), file)) {
      const digestIn = async (path: string, firstRow: number, from: number): Promise<unknown> => {
        const range = `${ROW_NUMBER} BETWEEN ${from} AND ${from + rows - 1}`;
        const [row] = await ask(`SELECT ${this.#digest(firstRow)} AS digest FROM ${readSql([path])} WHERE ${range}`);
        return row?.['digest'];
      };
      const found = await digestIn(written, 0, shard.firstRow + part);
      if (found !== (await digestIn(scores[shard.at]!, shard.firstRow, part))) throw this.#otherValues(written);
    }
  }

  #otherValues(path: string): ColonnadeError {
    const names = this.#context.plan.outputs.map(({ name }) => name);
    return damaged(path, `${names.join(', ')} ${names.length === 1 ? 'does' : 'do'} not hold what was scored`);
  }

  /** SQL of a number that all new values and their positions make up, in any order. @param firstRow of the file. */
  #digest(firstRow: number): string {
    const columns = this.#context.plan.outputs.map(({ name }) => quoteIdentifier(name));
    return `bit_xor(hash(${columns.join(', ')}, ${ROW_NUMBER} + ${firstRow}))`;
  }
}

/**
 * Files with fewer rows are compared value by value. To compare 5 M rows would take 0.05 s of two processors, a twentieth of
 * the run: of a larger file, row groups are.
 */
const WHOLE_ROWS = 2 * SHARD_ROWS;
/** Row groups of a large file whose values are compared. */
const COMPARED_GROUPS = 4;
/** Rows of each of them. */
const COMPARED_ROWS = 65_536;

/** Rows of a scores file. */
interface Part {
  /** Its shard, and the place of that in its file. */
  readonly shard: Shard & { readonly at: number };
  /** Position of the first row in the shard. */
  readonly part: number;
  readonly rows: number;
}

/** Where a large file is compared: in the first row group, in the last, and between them. */
function sampleOf(shards: readonly Shard[], { rowGroups }: PlannedFile): Part[] {
  const all = shards.flatMap((shard, at) => {
    let part = 0;
    return rowGroups.slice(...shard.rowGroups).map(({ rows }): Part => {
      const start = part;
      part += rows;
      return { shard: { ...shard, at }, part: start, rows: Math.min(rows, COMPARED_ROWS) };
    });
  });
  const count = Math.min(all.length, COMPARED_GROUPS);
  return Array.from({ length: count }, (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, count - 1))]!);
}

/** Files of which one is made of the two others. */
interface Spliced {
  readonly written: string;
  readonly source: string;
  readonly scores: string;
}

/** Row groups by file; undefined where DuckDB refuses to tell: the name of the writer, which it tells as well, may be no text. */
async function rowGroupsOf(paths: readonly string[], ask: Ask): Promise<Map<unknown, number> | undefined> {
  try {
    const rows = await ask(`SELECT file_name, num_row_groups FROM parquet_file_metadata(${listOf(paths)})`);
    return new Map(rows.map((row) => [row['file_name'], Number(row['num_row_groups'])]));
  } catch (error) {
    if (error instanceof ColonnadeError && error.code === 'SQL_FAILED') return undefined;
    throw error;
  }
}

/** An element of a Parquet schema, as far as it says what its values are. */
const ELEMENT =
  'struct_pack(name, type, type_length, repetition_type, num_children, converted_type, scale, precision, logical_type)';

/** The first of some files whose columns are not those of its source and then those of its scores, and what is wrong. */
function schemaSql(files: readonly Spliced[], outputs: number): string {
  const paths = files.flatMap(({ written, source, scores }) => [written, source, scores]);
  const rows = files.map(
    ({ written, source, scores }) => `(${quoteString(written)}, ${quoteString(source)}, ${quoteString(scores)})`,
  );
  return `WITH schemas AS (
      SELECT file_name, list(${ELEMENT}) AS elements
      FROM parquet_schema(${listOf([...new Set(paths)])}) GROUP BY file_name)
    SELECT f.written, CASE
        WHEN w.elements[1].num_children <> s.elements[1].num_children + ${outputs}
        THEN format('it has {} columns, {} and {} were meant to be there', w.elements[1].num_children, s.elements[1].num_children, ${outputs})
        WHEN w.elements[2:len(s.elements)] IS DISTINCT FROM s.elements[2:]
        THEN 'its columns are not those of the source' ELSE 'its new columns are not those that were scored' END AS problem
    FROM (VALUES ${rows.join(', ')}) AS f(written, source, scores)
    JOIN schemas AS w ON w.file_name = f.written JOIN schemas AS s ON s.file_name = f.source
    JOIN schemas AS c ON c.file_name = f.scores
    WHERE w.elements[1].num_children IS DISTINCT FROM s.elements[1].num_children + ${outputs}
      OR w.elements[2:len(s.elements)] IS DISTINCT FROM s.elements[2:]
      OR w.elements[len(s.elements) + 1:] IS DISTINCT FROM c.elements[2:len(w.elements) - len(s.elements) + 1]
    LIMIT 1`;
}

function listOf(paths: readonly string[]): string {
  return `[${paths.map(quoteString).join(', ')}]`;
}

/** Names of the last columns in the files that DuckDB writes: all of an output's; the quarantine has those of its file before. */
function outputColumns({ sink }: Plan): readonly string[] {
  return sink.mode === 'partition' ? sink.columns.filter((name) => !sink.partitionBy.includes(name)) : sink.columns;
}

/**
 * Compares what lies in a folder with what was staged there.
 * @param columns that each file ends with, where our own reader is to count rows and columns.
 */
async function checkFolder(
  folder: string,
  staged: readonly StagedFile[],
  columns: readonly string[] | undefined,
): Promise<void> {
  const known = new Set(staged.map(({ path }) => path));
  const there = (await filesBelow(folder)).map((path) => relative(folder, path).split(sep).join('/'));
  const foreign = there.find((path) => !known.has(path) && path !== '_SUCCESS');
  if (foreign !== undefined) throw damaged(join(folder, foreign), 'nothing that was written is known by that name');
  for (const file of staged) {
    const path = join(folder, file.path);
    const size = sizeOf(path);
    if (size !== file.bytes)
      throw damaged(path, `it has ${counted(size, 'byte')}, ${formatCount(file.bytes)} were written`);
    if (columns === undefined) continue;
    const footer = readAgain(path);
    wrongRows(path, footer.rows, file.rows);
    const names = topLevelColumns(footer).map(({ name }) => name);
    if (names.slice(-columns.length).join('\0') !== columns.join('\0'))
      throw damaged(path, `its columns are ${names.join(', ')}; ${columns.join(', ')} were meant to be`);
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readAgain(path: string): ReturnType<typeof readFooterNow> {
  try {
    return readFooterNow(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** What was counted by reading must be what the ledger was balanced with. */
function checkLedger(outputs: readonly StagedFile[], quarantine: readonly StagedFile[], ledger: Ledger): void {
  for (const [what, files, rows] of [
    ['output', outputs, ledger.written],
    ['quarantine', quarantine, ledger.quarantineWritten],
  ] as const) {
    const found = sum(files, (file) => file.rows);
    if (found !== rows)
      throw damaged(`the ${what}`, `it has ${counted(found, 'row')}, by the ledger ${formatCount(rows)}`);
  }
}

function wrongRows(path: string, found: number, expected: number): void {
  if (found !== expected) throw damaged(path, `it has ${counted(found, 'row')}, ${formatCount(expected)} were written`);
}

/** Faults of reading that mean that the file is not as it should be; a full memory does not. */
const DAMAGE: ReadonlySet<ErrorCode> = new Set(['BAD_PARQUET', 'INPUT_GONE', 'IO_FAILED', 'INTERNAL', 'SQL_FAILED']);

/** What reading a written file failed with. */
function unreadable(path: string, error: unknown): unknown {
  if (error instanceof ColonnadeError) {
    if (error.code === 'INPUT_GONE') return damaged(path, 'it is not there any more', error);
    return DAMAGE.has(error.code) ? damaged(path, `it cannot be read: ${error.message}`, error) : error;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  // Anything else is a fault of this program.
  if (code === undefined) return error;
  return damaged(path, code === 'ENOENT' ? 'it is not there any more' : `it cannot be read: ${message}`, error);
}

function damaged(path: string, what: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('OUTPUT_DAMAGED', `${path}: read back after it was written, ${what}`, {
    phase: 'sink',
    cause,
    hint: 'nothing was published; let nothing else write there, and check disk and memory; run it again, which goes on from the scores',
  });
}
