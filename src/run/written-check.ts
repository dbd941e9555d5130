/**
 * Reads what was written once more, by another way than it was written, before any of it is published.
 *
 * What our own splice has written, DuckDB reads: rows, row groups, columns with their types in their order, and every new value,
 * which has to be the one that was scored: same NULLs, same NaN, and the same digest of values with their positions as in
 * the scores files. Files are checked as soon as their bytes are there, beside the scoring of others and beside the sync of
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
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import type { ShardCounts } from '../score/shard.js';
import { filesBelow } from '../sink/staged-files.js';
import type { StagedFile } from '../sink/sink.js';
import type { Database } from '../source/database.js';
import { ROW_NUMBER } from '../source/scan.js';
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
  /** Digests of shards by their place: those of files that are not small. */
  readonly #scored = new Map<number, Promise<bigint | undefined>>();
  /** Settled when the last of them is. Never rejected. */
  #lastScored: Promise<unknown> = Promise.resolve();
  /** What is being read. Never rejected. */
  #reading: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(context: WrittenCheckContext) {
    this.#context = context;
  }

  /** Says that a shard of a file that is not small is scored: its scores are read beside the scoring of others. */
  scored(shard: Shard, scores: string): void {
    const digest = this.#lastScored
      .then(() => this.#inTurn((ask) => aggregatesByFile([scores], [`${this.#digest(shard.firstRow)} AS digest`], ask)))
      .then(([row]) => row?.['digest'] as bigint | undefined);
    this.#scored.set(shard.index, digest);
    this.#lastScored = digest.catch(() => undefined);
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
    await this.#lastScored;
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
    await this.#compare(files).catch(async (error: unknown) => {
      this.#context.signal.throwIfAborted();
      // DuckDB mostly does not say which of the files it is.
      if (files.length > 1) for (const file of files) await this.#compare([file]);
      throw error;
    });
    for (const { index } of files) this.#checked.add(index);
  }

  async #compare(files: readonly PlannedFile[]): Promise<void> {
    const { staging, shardsOf, scoresOf } = this.#context;
    const written = files.map((file) => join(staging.output, file.relativePath));
    const scores = files.map(({ index }) => scoresOf(index));
    const alone = files.length === 1 ? written[0] : undefined;
    const scored = files.flatMap(({ index }, i) =>
      shardsOf(index).map((shard, k) => ({ shard, path: scores[i]![k]! })),
    );
    // Side by side, each on a connection of its own: there is little else that the processor has to do by now.
    const all = await Promise.allSettled([
      this.#inTurn((ask) => this.#compareShape(files, written, scores, ask), alone),
      this.#inTurn((ask) => this.#values(written, ask), alone),
      this.#inTurn((ask) => this.#digests(scored, ask)),
    ]);
    for (const each of all) if (each.status === 'rejected') throw each.reason;
    const [, found, digests] = all.map((each) => (each as PromiseFulfilledResult<unknown>).value) as [
      undefined,
      Values[],
      (bigint | undefined)[],
    ];
    let next = 0;
    for (const [i, file] of files.entries()) {
      const digest = digests
        .slice(next, (next += scores[i]!.length))
        .reduce<bigint>((sofar, each) => sofar ^ (each ?? 0n), 0n);
      this.#compareValues(written[i]!, file, found[i]!, digest);
    }
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
    const rows = await ask(`SELECT file_name, num_rows, num_row_groups FROM parquet_file_metadata(${listOf(written)})`);
    const byName = new Map(rows.map((row) => [row['file_name'], row]));
    for (const [i, file] of files.entries()) {
      const path = written[i]!;
      const groups = Number(byName.get(path)?.['num_row_groups']);
      if (groups !== file.rowGroups.length)
        throw damaged(path, `it has ${counted(groups, 'row group')}, the source ${file.rowGroups.length}`);
      wrongRows(path, Number(byName.get(path)?.['num_rows']), file.rows);
    }
    const spliced = files.map(({ path }, i) => ({ written: written[i]!, source: path, scores: scores[i]![0]! }));
    const [wrong] = await ask(schemaSql(spliced, this.#context.plan.outputs.length));
    if (wrong !== undefined) throw damaged(String(wrong['written']), String(wrong['problem']));
  }

  /** Compares the new columns as DuckDB reads them with what was counted while they were scored, and with the scores. */
  #compareValues(path: string, file: PlannedFile, found: Values, digest: bigint): void {
    const { outputs } = this.#context.plan;
    wrongRows(path, found.rows, file.rows);
    const counts = this.#context.countsOf(file.index);
    const nulls = file.rows - sum(counts, ({ scored }) => scored);
    for (const [k, { name }] of outputs.entries()) {
      const { values, nan } = found.columns[k]!;
      const isNull = file.rows - values;
      if (isNull !== nulls)
        throw damaged(path, `${name} is NULL in ${counted(isNull, 'row')}, by the ledger in ${formatCount(nulls)}`);
      const scoredNan = sum(counts, (count) => count.nan[name] ?? 0);
      if (nan !== undefined && nan !== scoredNan)
        throw damaged(path, `${name} is NaN in ${counted(nan, 'row')}, it was scored NaN in ${formatCount(scoredNan)}`);
    }
    if (found.digest !== digest)
      throw damaged(path, `${outputs.map(({ name }) => name).join(', ')} do not hold what was scored`);
  }

  /** What there is of the new columns in each of the files. */
  async #values(files: readonly string[], ask: Ask): Promise<Values[]> {
    const { outputs } = this.#context.plan;
    const measures = outputs.flatMap(({ name, type, list }, k) => [
      `count(${quoteIdentifier(name)}) AS values${k}`,
      ...(!list && type.startsWith('float') ? [`count(*) FILTER (isnan(${quoteIdentifier(name)})) AS nan${k}`] : []),
    ]);
    const rows = await aggregatesByFile(files, ['count(*) AS n', ...measures, `${this.#digest(0)} AS digest`], ask);
    return rows.map((row) => ({
      rows: Number(row?.['n'] ?? 0),
      columns: outputs.map((_, k) => ({
        values: Number(row?.[`values${k}`] ?? 0),
        nan: row?.[`nan${k}`] === undefined ? undefined : Number(row[`nan${k}`]),
      })),
      digest: (row?.['digest'] as bigint | undefined) ?? 0n,
    }));
  }

  /** Digests of shards: those that were begun, and those of small files by one query. */
  async #digests(
    scored: readonly { readonly shard: Shard; readonly path: string }[],
    ask: Ask,
  ): Promise<(bigint | undefined)[]> {
    const small = scored.filter(({ shard }) => !this.#scored.has(shard.index));
    const rows = await aggregatesByFile(
      small.map(({ path }) => path),
      [`${this.#digest(0)} AS digest`],
      ask,
    );
    const digests = new Map(small.map(({ shard }, i) => [shard.index, rows[i]?.['digest'] as bigint | undefined]));
    return Promise.all(scored.map(async ({ shard: { index } }) => this.#scored.get(index) ?? digests.get(index)));
  }

  /** SQL of a number that all new values and their positions make up, in any order. @param firstRow of the file. */
  #digest(firstRow: number): string {
    const columns = this.#context.plan.outputs.map(({ name }) => quoteIdentifier(name));
    return `bit_xor(hash(${columns.join(', ')}, ${ROW_NUMBER} + ${firstRow}))`;
  }
}

/** The new columns of a file. */
interface Values {
  readonly rows: number;
  readonly columns: readonly { readonly values: number; readonly nan: number | undefined }[];
  /** Of all values with their positions. */
  readonly digest: bigint;
}

/** Files of which one is made of the two others. */
interface Spliced {
  readonly written: string;
  readonly source: string;
  readonly scores: string;
}

/** The first of some files whose columns are not those of its source and then those of its scores, and what is wrong. */
function schemaSql(files: readonly Spliced[], outputs: number): string {
  const paths = files.flatMap(({ written, source, scores }) => [written, source, scores]);
  const rows = files.map(
    ({ written, source, scores }) => `(${quoteString(written)}, ${quoteString(source)}, ${quoteString(scores)})`,
  );
  return `WITH schemas AS (
      SELECT file_name, list(struct_pack(name, type, type_length, repetition_type, num_children, converted_type, scale, precision, logical_type)) AS elements
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
  if (error instanceof ColonnadeError && !DAMAGE.has(error.code)) return error;
  const isGone =
    error instanceof ColonnadeError ? error.code === 'INPUT_GONE' : (error as NodeJS.ErrnoException).code === 'ENOENT';
  if (isGone) return damaged(path, 'it is not there any more', error);
  return damaged(path, `it cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
}

function damaged(path: string, what: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('OUTPUT_DAMAGED', `${path}: read back after it was written, ${what}`, {
    phase: 'sink',
    cause,
    hint: 'nothing was published; let nothing else write there, and check disk and memory; run it again, which goes on from the scores',
  });
}
