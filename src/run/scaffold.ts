/** Makes a pipeline file for a model and a table, and holds it against both. */
import { basename, dirname, extname, isAbsolute, join, relative } from 'node:path';
import { tmpdir } from 'node:os';
import { ColonnadeError } from '../errors.js';
import { openModel } from '../model/session.js';
import { describeFile } from '../parquet/describe.js';
import { parsePipeline } from '../pipeline/load.js';
import { rangesOf } from '../plan/columns.js';
import type { SourceColumn, SourceFile } from '../plan/facts.js';
import { scaffoldPipeline } from '../plan/scaffold.js';
import { quoteIdentifier } from '../plan/sql.js';
import { columnType } from '../plan/types.js';
import { describeColumns } from '../source/columns.js';
import { openDatabase } from '../source/database.js';
import { findFiles } from '../source/files.js';
import { hiveTypes } from '../source/hive.js';
import { scanSql } from '../source/scan.js';
import { preparePlan } from './prepare.js';

export interface Scaffold {
  /** The text of the pipeline file. */
  readonly text: string;
  /** What a plan of it has against it, in sentences; empty where it can be run as it is. */
  readonly problems: readonly string[];
}

/**
 * @param model an ONNX file or an MLflow model folder, absolute
 * @param data a Parquet file, folder or glob, absolute
 * @param folder where the pipeline file is to lie: its paths are relative to it
 * @throws ColonnadeError what opening the model and reading the footers throw
 */
export async function scaffold(model: string, data: string, folder: string): Promise<Scaffold> {
  const opened = await openModel(model);
  const { signature } = opened;
  await opened.release();
  const found = await findFiles([data]);
  const files: SourceFile[] = [];
  for (const { path, relativePath, hive } of found)
    files.push({ ...(await describeFile(path, dirname(path))), relativePath, hive });
  const first = files[0]!;
  const database = await openDatabase({
    memoryLimit: MEMORY,
    threads: 1,
    spillDirectory: join(tmpdir(), `colonnade-${process.pid}`),
    readable: files.map(({ path }) => path),
    writable: [],
  });
  const listLengths = new Map<string, number>();
  let columns: readonly SourceColumn[];
  try {
    columns = await describeColumns(database, first, hiveTypes(found));
    for (const { name, type } of columns) {
      if (columnType(type).kind !== 'list' || first.rows === 0) continue;
      const length = `len(${quoteIdentifier(name)})`;
      const [row] = await database.rows(
        `SELECT ${length} AS length FROM ${scanSql(first, {})} WHERE ${length} > 0 LIMIT 1`,
        {
          file: first.path,
        },
      );
      if (row !== undefined) listLengths.set(name, Number(row['length']));
    }
  } finally {
    await database.close();
  }
  const name = basename(model, extname(model)).replaceAll(/[^A-Za-z0-9_.-]+/g, '-') || 'pipeline';
  const facts = {
    signature,
    columns,
    ranges: rangesOf(files),
    nulls: nullsOf(files),
    listLengths,
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    paths: {
      data: from(folder, data),
      model: from(folder, model),
      output: from(folder, join(folder, 'out', name)),
    },
    name,
  };
  const problems = await problemsOf(scaffoldPipeline(facts, []), join(folder, 'pipeline.yaml'));
  return { text: scaffoldPipeline(facts, problems), problems };
}

/** DuckDB only describes columns. */
const MEMORY = 256e6;

function from(folder: string, path: string): string {
  const way = relative(folder, path);
  return way === '' || isAbsolute(way) ? path : way;
}

/** NULLs by column, where every file tells. */
function nullsOf(files: readonly SourceFile[]): Map<string, number> {
  const nulls = new Map<string, number>();
  for (const { name } of files[0]?.columns ?? []) {
    const counts = files.map(({ columns }) => columns.find((column) => column.name === name)?.nulls);
    if (counts.every((count) => count !== undefined))
      nulls.set(
        name,
        counts.reduce((sum, count) => sum + count, 0),
      );
  }
  return nulls;
}

async function problemsOf(text: string, file: string): Promise<string[]> {
  try {
    await preparePlan(parsePipeline(text, file, { env: {} }));
    return [];
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    return error.problems.length === 0 ? [error.message] : error.problems.map(({ message }) => message);
  }
}
