/** Holds the values of an output against those of its source, its manifest and its quarantine. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expectedRows } from '../commit/ledger.js';
import type { Manifest } from '../commit/manifest.js';
import { readSameFooterStart } from '../parquet/unchanged.js';
import { DUCKDB_TYPES } from '../plan/elements.js';
import { counted, formatBytes, formatCount } from '../plan/quantities.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import type { Plan, PlannedFile } from '../plan/plan.js';
import { ROW_NUMBER, scanSql } from '../source/scan.js';
import { aggregatesByFile, type Ask } from './by-file.js';
import { sum } from './summary.js';
import type { Finding, VerifyContext } from './verify.js';

/** Read at once. */
const BLOCK = 1 << 20;
/** Files that one query reads. */
const FILES_AT_ONCE = 256;

/** Absolute paths of the output's files. */
export function outputPaths({ manifest, places }: Pick<VerifyContext, 'manifest' | 'places'>): string[] {
  return manifest.outputs.map(({ path }) => join(places.output, path));
}

/** What was taken over from the source is what is in the source. */
export async function checkOldColumns(context: VerifyContext): Promise<Finding> {
  const { manifest, inputs } = context;
  const same = inputs.filter(({ fault }) => fault === undefined);
  if (same.length === 0) return { told: 'no file of the source is there as it was', unchecked: true };
  if (manifest.sink.mode === 'append') return compareBytes(context);
  if (same.length < inputs.length && manifest.sink.mode === 'partition')
    return { told: 'not all files of the source are there as they were', unchecked: true };
  const planned = await context.plan();
  if ('reason' in planned) return { told: planned.reason, unchecked: true };
  const columns = oldColumns(planned.plan);
  if (columns.length === 0) return { told: 'the output has none', unchecked: true };
  const { plan } = planned;
  const problems: string[] = [];
  let rows = 0;
  const compare = async (files: readonly PlannedFile[], paths: readonly string[]): Promise<void> => {
    const [kept, written] = await digestsOf(context, plan, columns, files, paths);
    rows += written.rows;
    if (kept.rows !== written.rows || kept.digest !== written.digest)
      problems.push(
        `${paths.length === 1 ? paths[0]! : context.places.output}: ${columns.join(', ')} do not hold what the source holds`,
      );
  };
  const paths = outputPaths(context);
  const files = filesOf(context, plan);
  if (manifest.sink.mode === 'partition')
    await compare(
      files.flatMap((file) => file ?? []),
      paths,
    );
  else for (const [i, file] of files.entries()) if (file !== undefined) await compare([file], [paths[i]!]);
  const names = columns.length <= 3 ? columns.join(', ') : counted(columns.length, 'column');
  return { told: `${names} of ${counted(rows, 'row')} as in the source, compared by value`, problems };
}

/** Columns of the source that are in the output. */
function oldColumns({ sink, outputs }: Plan): string[] {
  return sink.columns.filter((name) => !outputs.some((output) => output.name === name));
}

/** The planned file of each input; undefined for one that changed. */
export function filesOf({ inputs }: Pick<VerifyContext, 'inputs'>, plan: Plan): (PlannedFile | undefined)[] {
  const byPath = new Map(plan.files.map((file) => [file.path, file]));
  return inputs.map(({ path, fault }) => (fault === undefined ? byPath.get(path) : undefined));
}

/** The bytes before the new columns are those of the source. */
async function compareBytes(context: VerifyContext): Promise<Finding> {
  const { inputs, signal } = context;
  const paths = outputPaths(context);
  const problems: string[] = [];
  let bytes = 0;
  let files = 0;
  for (const [i, input] of inputs.entries()) {
    if (input.fault !== undefined) continue;
    const length = readSameFooterStart(input);
    const at = await firstDifference(input.path, paths[i]!, length, signal);
    if (at !== undefined) problems.push(`${paths[i]!} differs from ${input.path} at byte ${formatCount(at)}`);
    files += 1;
    bytes += length;
  }
  const left = inputs.length - files;
  const rest = left === 0 ? '' : `; ${counted(left, 'file')} not compared, as the source changed`;
  return {
    told: `${formatBytes(bytes)} of ${counted(files, 'file')} are the source's, byte for byte${rest}`,
    problems,
  };
}

/** Where two files differ first within `length` bytes. */
async function firstDifference(
  one: string,
  other: string,
  length: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const handles = [await open(one, 'r'), await open(other, 'r')] as const;
  try {
    const blocks = [Buffer.allocUnsafe(BLOCK), Buffer.allocUnsafe(BLOCK)] as const;
    for (let at = 0; at < length;) {
      signal.throwIfAborted();
      const wanted = Math.min(BLOCK, length - at);
      const read = await Promise.all(handles.map((handle, k) => handle.read(blocks[k]!, 0, wanted, at)));
      const some = Math.min(...read.map(({ bytesRead }) => bytesRead));
      const [a, b] = blocks.map((block) => block.subarray(0, some));
      if (!a!.equals(b!)) return at + a!.findIndex((byte, k) => byte !== b![k]);
      if (some === 0) return at;
      at += some;
    }
    return undefined;
  } finally {
    for (const handle of handles) await handle.close();
  }
}

interface Digest {
  readonly rows: number;
  /** Of all rows, in any order. */
  readonly digest: string;
}

/** Digests of columns in the rows of the source that the output has, and in the output. */
async function digestsOf(
  { manifest, places, ask }: VerifyContext,
  plan: Plan,
  columns: readonly string[],
  files: readonly PlannedFile[],
  paths: readonly string[],
): Promise<readonly [kept: Digest, written: Digest]> {
  const none: Digest = { rows: 0, digest: '0' };
  const types = paths.length === 0 ? new Map<string, string>() : await outputTypes(plan, paths, ask);
  const written =
    paths.length === 0
      ? none
      : await digest(
          ask,
          `SELECT ${columns.map((name) => quoteIdentifier(name)).join(', ')} FROM ${outputSql(plan, paths, types)}`,
        );
  const quarantined = manifest.quarantine.map(({ path }) => join(places.quarantine, path));
  const where = plan.projection.find(({ role }) => role === 'where');
  let kept = none;
  for (const file of files) {
    const values = columns.map(
      (name) => `CAST(${asWritten(plan, name)} AS ${types.get(name) ?? 'VARCHAR'}) AS ${quoteIdentifier(name)}`,
    );
    const conditions = [
      ...(where === undefined ? [] : [`${where.sql} = 1`]),
      ...(quarantined.length === 0
        ? []
        : [
            `${ROW_NUMBER} NOT IN (SELECT _row FROM ${quarantineSql(quarantined)} WHERE _file = ${quoteString(file.path)})`,
          ]),
    ];
    const condition = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    const mine = await digest(ask, `SELECT ${values.join(', ')} FROM ${scanSql(file, plan.hiveTypes)}${condition}`);
    kept = { rows: kept.rows + mine.rows, digest: String(BigInt(kept.digest) + BigInt(mine.digest)) };
  }
  return [kept, written];
}

async function digest(ask: Ask, select: string): Promise<Digest> {
  const [row] = await ask(
    `SELECT count(*) AS n, COALESCE(sum(hash(__colonnade_kept)::HUGEINT), 0)::VARCHAR AS digest FROM (${select}) AS __colonnade_kept`,
  );
  return { rows: Number(row!['n']), digest: String(row!['digest']) };
}

/** A column of the source as a sink writes it: a text that is the name of NULL's folder is read as NULL. */
function asWritten({ sink, sourceColumns }: Plan, name: string): string {
  const column = quoteIdentifier(name);
  const isText = sourceColumns.find((candidate) => candidate.name === name)?.type === 'VARCHAR';
  return sink.partitionBy.includes(name) && isText ? `NULLIF(${column}, '__HIVE_DEFAULT_PARTITION__')` : column;
}

/** DuckDB's types of the output's columns; of those that are folders, the types that they had. */
export async function outputTypes(plan: Plan, paths: readonly string[], ask: Ask): Promise<Map<string, string>> {
  const described = await ask(
    `DESCRIBE SELECT * FROM read_parquet(${quoteString(paths[0]!)}, hive_partitioning = false)`,
  );
  const types = new Map(described.map((column) => [String(column['column_name']), String(column['column_type'])]));
  for (const name of plan.sink.partitionBy) {
    const source = plan.sourceColumns.find((column) => column.name === name);
    const output = plan.outputs.find((column) => column.name === name);
    types.set(
      name,
      source?.type ??
        (output === undefined ? 'VARCHAR' : output.type === 'bool' ? 'BOOLEAN' : DUCKDB_TYPES[output.type]),
    );
  }
  return types;
}

/** The FROM clause that reads files of the output, with its folders as columns of their types. */
export function outputSql({ sink }: Plan, paths: readonly string[], types: ReadonlyMap<string, string>): string {
  const folders = sink.partitionBy.map(
    (name) => `CAST(${quoteIdentifier(name)} AS ${types.get(name) ?? 'VARCHAR'}) AS ${quoteIdentifier(name)}`,
  );
  const replaced = folders.length === 0 ? '*' : `* REPLACE (${folders.join(', ')})`;
  const hive = folders.length === 0 ? 'false' : 'true, hive_types_autocast = false';
  return `(SELECT ${replaced} FROM read_parquet([${paths.map(quoteString).join(', ')}], ${ROW_NUMBER} = true, hive_partitioning = ${hive}))`;
}

/** The FROM clause that reads the quarantine's own columns. */
function quarantineSql(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoteString).join(', ')}], hive_partitioning = false, union_by_name = true)`;
}

/** NULL and NaN are as many as the ledger and the manifest say. */
export async function checkNewColumns(context: VerifyContext): Promise<Finding> {
  const { manifest, ask } = context;
  const { sink, ledger } = manifest;
  // Manifests of earlier versions do not name them.
  const named = (manifest.columns as Manifest['columns'] | undefined) ?? [];
  const columns = named.filter(({ name }) => !sink.partitionBy.includes(name));
  const paths = outputPaths(context);
  if (columns.length === 0)
    return { told: named.length === 0 ? 'the manifest does not name them' : 'they are folders', unchecked: true };
  const aggregates = [
    'count(*) AS n',
    ...columns.flatMap(({ name, type, list }, k) => {
      const column = quoteIdentifier(name);
      if (!type.startsWith('float')) return [`count(${column}) AS values${k}`];
      const nan = list ? `sum(len(list_filter(${column}, lambda x: isnan(x))))` : `count(*) FILTER (isnan(${column}))`;
      return [`count(${column}) AS values${k}`, `COALESCE(${nan}, 0) AS nan${k}`];
    }),
  ];
  const rows: (Record<string, unknown> | undefined)[] = [];
  for (let from = 0; from < paths.length; from += FILES_AT_ONCE)
    rows.push(...(await aggregatesByFile(paths.slice(from, from + FILES_AT_ONCE), aggregates, ask)));
  const number = (row: Record<string, unknown> | undefined, key: string): number => Number(row?.[key] ?? 0);
  const nullsIn = (row: Record<string, unknown> | undefined, k: number): number =>
    number(row, 'n') - number(row, `values${k}`);
  const problems: string[] = [];
  for (const [k, { name }] of columns.entries()) {
    const found = sum(rows, (row) => nullsIn(row, k));
    const expected = sum(ledger.files, (entry) => expectedRows(sink.mode, entry) - entry.scored);
    if (found !== expected)
      problems.push(`${name} is NULL in ${counted(found, 'row')}, by the ledger in ${formatCount(expected)}`);
    const nan = sum(rows, (row) => number(row, `nan${k}`));
    if (nan !== (manifest.nan[name] ?? 0))
      problems.push(`${name} holds ${formatCount(nan)} NaN, by the manifest ${formatCount(manifest.nan[name] ?? 0)}`);
    if (sink.mode === 'partition') continue;
    for (const [i, entry] of ledger.files.entries()) {
      const here = expectedRows(sink.mode, entry) - entry.scored;
      if (nullsIn(rows[i], k) !== here)
        problems.push(
          `${paths[i]!}: ${name} is NULL in ${counted(nullsIn(rows[i], k), 'row')}, by the ledger in ${formatCount(here)}`,
        );
    }
  }
  const nulls = sum(rows, (row) => nullsIn(row, 0));
  const nan = sum(Object.values(manifest.nan), (count) => count);
  const names = columns.map(({ name }) => name);
  return {
    told: `${names.length <= 3 ? names.join(', ') : counted(names.length, 'column')}: ${formatCount(nulls)} NULL as by the ledger, ${nan === 0 ? 'no NaN' : `${formatCount(nan)} NaN as by the manifest`}`,
    problems,
  };
}

/** Each quarantined row is there once, and is a row of its file. */
export async function checkQuarantine({ manifest, places, ask }: VerifyContext): Promise<Finding> {
  const { quarantine, ledger } = manifest;
  if (quarantine.length === 0) return { told: 'there is none, and no row was quarantined' };
  const paths = quarantine.map(({ path }) => join(places.quarantine, path));
  const rows = await ask(
    `SELECT _file AS file, count(*) AS n, count(DISTINCT _row) AS once, min(_row) AS first, max(_row) AS last, count(_reason) AS reasons FROM ${quarantineSql(paths)} GROUP BY _file`,
  );
  const problems: string[] = [];
  const byFile = new Map(rows.map((row) => [row['file'], row]));
  for (const entry of ledger.files) {
    const row = byFile.get(entry.file);
    byFile.delete(entry.file);
    const found = Number(row?.['n'] ?? 0);
    if (found !== entry.quarantined)
      problems.push(
        `of ${entry.file} ${counted(found, 'row')} are there, by the ledger ${formatCount(entry.quarantined)}`,
      );
    if (row === undefined) continue;
    if (Number(row['once']) !== found) problems.push(`of ${entry.file} some rows are there more than once`);
    if (Number(row['first']) < 0 || Number(row['last']) >= entry.rows)
      problems.push(`of ${entry.file} there are rows that it does not have`);
    if (Number(row['reasons']) !== found) problems.push(`of ${entry.file} some rows have no reason`);
  }
  for (const file of byFile.keys()) problems.push(`there are rows of ${String(file)}, which was not read`);
  return { told: `${counted(ledger.quarantined, 'row')}, each once, with its file, its row and a reason`, problems };
}
