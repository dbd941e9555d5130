/** Writes rows of the source's files as Parquet, and says which of them is to blame when that fails. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { checkUnchanged } from '../parquet/unchanged.js';
import type { PlannedFile } from '../plan/plan.js';
import { copyTo, type CopyOptions } from '../source/copy.js';
import type { Database } from '../source/database.js';
import { systemError } from '../system-errors.js';
import { OUT_OF_STEP } from './join.js';

/** A query over one file of the source. */
export interface SourceQuery {
  readonly select: string;
  readonly file: PlannedFile;
}

/** Faults that may lie in a file that is read; a full disk or memory does not. */
const MAY_BE_THE_SOURCE: ReadonlySet<string> = new Set([
  'BAD_PARQUET',
  'INPUT_GONE',
  'INTERNAL',
  'IO_FAILED',
  'SQL_FAILED',
]);

/**
 * Writes the queries' rows one after the other into `target`.
 * @throws ColonnadeError as {@link copyTo} does; `BAD_PARQUET` with the file of the source where that cannot be read,
 *   `INPUT_CHANGED` where it is another one than was planned with, `LEDGER_UNBALANCED` where its scores do not fit it.
 */
export async function writeRows(
  database: Database,
  queries: readonly SourceQuery[],
  target: string,
  options: CopyOptions,
): Promise<void> {
  try {
    await copyTo(database, queries.map(({ select }) => select).join(' UNION ALL '), target, options);
  } catch (error) {
    throw await blame(database, queries, error);
  }
}

/**
 * Asks something about a query's rows.
 * @param sql holds the query.
 * @throws ColonnadeError as {@link writeRows}
 */
export async function readRows(
  database: Database,
  query: SourceQuery,
  sql: string,
): Promise<Record<string, unknown>[]> {
  try {
    return await database.rows(sql, { file: query.file.path });
  } catch (error) {
    throw await blame(database, [query], error);
  }
}

/** The error that tells which file is at fault, and how, if one is. */
async function blame(database: Database, queries: readonly SourceQuery[], error: unknown): Promise<unknown> {
  if (!(error instanceof ColonnadeError) || !MAY_BE_THE_SOURCE.has(error.code)) return error;
  for (const { file } of queries) checkUnchanged(file);
  if (error.message.includes(OUT_OF_STEP)) return outOfStep(queries, error);
  await readAlone(database, queries);
  return error;
}

/** Reads every file by itself, so that the one that cannot be read is the one that is named. */
async function readAlone(database: Database, queries: readonly SourceQuery[]): Promise<void> {
  // The hash makes DuckDB decode every value; a mere count would not.
  for (const { select, file } of queries)
    await database.rows(`SELECT max(hash(COLUMNS(*))) FROM (${select})`, { file: file.path });
}

function outOfStep(queries: readonly SourceQuery[], cause: ColonnadeError): ColonnadeError {
  const paths = [...new Set(queries.map(({ file }) => file.path))].join(', ');
  return new ColonnadeError('LEDGER_UNBALANCED', `${paths}: the rows and their scores are not as many`, {
    phase: 'sink',
    hint: 'run it again with --fresh; if it stays, report it',
    cause,
  });
}

/** Makes the folder that a file is to lie in. */
export async function makeFolderOf(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw systemError(error, 'sink', 'making the folder', dirname(path));
  }
}
