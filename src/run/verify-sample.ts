/**
 * Scores a sample of an output again, by the code that scored it, and compares each value.
 *
 * Scores may depend on which rows a model is given together, so whole batches are scored, at the borders that they had. They
 * are spread over files and row groups. What is scored goes into a temporary folder.
 */
import { join } from 'node:path';
import { makeFolder } from '../commit/durable.js';
import { placesOf } from '../commit/places.js';
import type { Plan, PlannedFile, Shard } from '../plan/plan.js';
import { counted, formatCount, rowsInWords } from '../plan/quantities.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import { outputSelects } from '../sink/join.js';
import { readSql, ROW_NUMBER, scanSql } from '../source/scan.js';
import { scoresPath } from './shard-files.js';
import type { ShardResult } from './shard-attempt.js';
import { openLocalWorker } from './shard-worker.js';
import { sum } from './summary.js';
import { filesOf, outputPaths, outputSql, outputTypes } from './verify-values.js';
import type { Finding, VerifyContext } from './verify.js';

/** Batches at least, where there are as many: one would tell of one file alone. */
const LEAST_BATCHES = 4;

/** Rows that are scored together. */
interface Window {
  /** Position among the inputs. */
  readonly input: number;
  readonly file: PlannedFile;
  readonly firstRow: number;
  readonly rows: number;
}

export async function checkSample(context: VerifyContext): Promise<Finding> {
  const { manifest, sample, signal } = context;
  const unchecked = (told: string): Finding => ({ told, unchecked: true });
  if (sample === 0) return unchecked('no row was asked for');
  if (manifest.ledger.rows === 0) return { told: 'there are no rows' };
  const planned = await context.plan();
  if ('reason' in planned) return unchecked(planned.reason);
  const { plan, versionsSince } = planned;
  const windows = chooseWindows(filesOf(context, plan), plan, sample);
  if (windows.length === 0) return unchecked('no file of the source is there as it was');

  const { files, shards } = samplePlan(windows);
  const { staging } = placesOf(join(context.folder, 'scored'), '');
  await makeFolder(staging.shards);
  const results: ShardResult[] = [];
  const worker = await openLocalWorker({ plan: { ...plan, files, shards }, planHash: '', staging, threads: 1 }, signal);
  try {
    for (const { index } of shards)
      await worker.score([index], { onRows: () => undefined, onDone: (result) => void results.push(result) });
  } finally {
    await worker.close();
  }
  const scored = windows.map((window, i) => ({
    window,
    shard: shards[i]!,
    result: results[i]!,
    scores: scoresPath(staging.shards, results[i]!),
  }));
  const problems = [...(await wrongStatus(context, scored)), ...(await wrongRows(context, plan, scored))];
  const rows = sum(windows, (window) => window.rows);
  const told = `${counted(rows, 'row')} in ${counted(windows.length, 'batch', 'batches')} of ${counted(new Set(windows.map(({ input }) => input)).size, 'file')} scored again`;
  if (problems.length > 0 && versionsSince.length > 0)
    return unchecked(
      `${told}: some differ (${problems[0]!}), but ${versionsSince.join(', ')}, which may change last bits`,
    );
  const since = versionsSince.length === 0 ? '' : `, though ${versionsSince.join(', ')}`;
  return { told: `${told}: all the same${since}`, problems };
}

/** Windows of the rows that all models are given at once, spread over all that there are. */
export function chooseWindows(
  files: readonly (PlannedFile | undefined)[],
  { models }: Pick<Plan, 'models'>,
  sample: number,
): Window[] {
  // Where the batches of all models end together; else a row group.
  const step = models.reduce((all, { batchSize }) => leastCommonMultiple(all, batchSize), 1);
  const windows: Window[] = [];
  for (const [input, file] of files.entries()) {
    if (file === undefined) continue;
    let start = 0;
    for (const group of file.rowGroups) {
      for (let at = 0; at < group.rows; at += step)
        windows.push({ input, file, firstRow: start + at, rows: Math.min(step, group.rows - at) });
      start += group.rows;
    }
  }
  const all = sum(windows, ({ rows }) => rows);
  const count = Math.min(
    windows.length,
    Math.max(LEAST_BATCHES, Math.ceil((sample * windows.length) / Math.max(1, all))),
  );
  return Array.from({ length: count }, (_, i) => windows[Math.floor(((i + 0.5) * windows.length) / count)]!);
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

/** Each window as a file with one row group: its batches begin where they began. */
function samplePlan(windows: readonly Window[]): { readonly files: PlannedFile[]; readonly shards: Shard[] } {
  return {
    files: windows.map(({ file, rows }, index) => ({ ...file, index, rows, rowGroups: [{ rows, bytes: 0 }] })),
    shards: windows.map(({ firstRow, rows }, index) => ({ index, file: index, rowGroups: [0, 1], firstRow, rows })),
  };
}

/** A window that was scored again. */
interface Scored {
  readonly window: Window;
  readonly shard: Shard;
  readonly result: ShardResult;
  /** Its scores file. */
  readonly scores: string;
}

const placeOf = ({ file, firstRow, rows }: Window): string => `${file.path}, ${rowsInWords(firstRow, firstRow + rows)}`;

/** Rows of the windows that are quarantined now, and were not, or the other way round. */
async function wrongStatus({ manifest, places, ask }: VerifyContext, scored: readonly Scored[]): Promise<string[]> {
  const paths = manifest.quarantine.map(({ path }) => quoteString(join(places.quarantine, path)));
  const problems: string[] = [];
  for (const { window, result } of scored) {
    const { file, firstRow, rows } = window;
    const [row] =
      paths.length === 0
        ? []
        : await ask(
            `SELECT count(*) AS n FROM read_parquet([${paths.join(', ')}], hive_partitioning = false, union_by_name = true) WHERE _file = ${quoteString(file.path)} AND _row BETWEEN ${firstRow} AND ${firstRow + rows - 1}`,
          );
    const found = Number(row?.['n'] ?? 0);
    if (found !== result.counts.quarantined)
      problems.push(
        `${placeOf(window)}: ${formatCount(found)} are in the quarantine, ${formatCount(result.counts.quarantined)} belong there`,
      );
  }
  return problems;
}

/** Windows whose rows are not in the output as they were scored again. */
async function wrongRows(context: VerifyContext, plan: Plan, scored: readonly Scored[]): Promise<string[]> {
  const problems: string[] = [];
  const paths = outputPaths(context);
  for (const each of scored) {
    const different =
      plan.sink.mode === 'partition'
        ? await notInFolders(context, plan, each, paths)
        : await differing(context, plan, each, paths[each.window.input]!);
    if (different > 0)
      problems.push(
        `${placeOf(each.window)}: ${counted(different, 'row')} ${different === 1 ? 'is' : 'are'} not as scored again`,
      );
  }
  return problems;
}

/** Rows of an output file in the order of the source that differ from those of a window. */
async function differing(context: VerifyContext, plan: Plan, scored: Scored, path: string): Promise<number> {
  const { window, shard, result, scores } = scored;
  const { ask } = context;
  const outputs = plan.outputs.map(({ name }) => quoteIdentifier(name));
  const isAppend = plan.sink.mode === 'append';
  const columns = isAppend ? outputs : plan.sink.columns.map(quoteIdentifier);
  const rows = isAppend ? window.rows : result.counts.scored + result.counts.nulled;
  const firstRow = isAppend ? window.firstRow : window.firstRow - (await leftOutBefore(context, plan, window));
  const expected = isAppend
    ? `SELECT ${outputs.join(', ')} FROM ${readSql([scores])}`
    : outputSelects(plan, window.file, [{ shard, scores }])[0]!;
  const found = `SELECT true AS __colonnade_found, ${columns.join(', ')} FROM ${readSql([path])} WHERE ${ROW_NUMBER} BETWEEN ${firstRow} AND ${firstRow + rows - 1}`;
  const differs = columns.map((column) => `e.${column} IS DISTINCT FROM f.${column}`);
  const [row] = await ask(
    `SELECT count(*) AS n FROM (SELECT true AS __colonnade_expected, * FROM (${expected})) AS e POSITIONAL JOIN (${found}) AS f WHERE e.__colonnade_expected IS NULL OR f.__colonnade_found IS NULL OR ${differs.join(' OR ')}`,
  );
  return Number(row!['n']);
}

/** Rows of the file before a window that the output does not have. */
async function leftOutBefore({ manifest, places, ask }: VerifyContext, plan: Plan, window: Window): Promise<number> {
  const { file, firstRow } = window;
  const where = plan.projection.find(({ role }) => role === 'where');
  const paths = manifest.quarantine.map(({ path }) => quoteString(join(places.quarantine, path)));
  const counts = [
    ...(where === undefined
      ? []
      : [
          `SELECT count(*) AS n FROM ${scanSql(file, plan.hiveTypes)} WHERE ${ROW_NUMBER} < ${firstRow} AND ${where.sql} = 0`,
        ]),
    ...(paths.length === 0
      ? []
      : [
          `SELECT count(*) AS n FROM read_parquet([${paths.join(', ')}], hive_partitioning = false, union_by_name = true) WHERE _file = ${quoteString(file.path)} AND _row < ${firstRow}`,
        ]),
  ];
  let left = 0;
  for (const sql of counts) left += Number((await ask(sql))[0]!['n']);
  return left;
}

/** Rows of a window that are not as often in the folders of a partition as they should be. */
async function notInFolders(
  { ask }: VerifyContext,
  plan: Plan,
  { window, shard, scores }: Scored,
  paths: readonly string[],
): Promise<number> {
  const expected = outputSelects(plan, window.file, [{ shard, scores }])[0]!;
  const types = paths.length === 0 ? new Map<string, string>() : await outputTypes(plan, paths, ask);
  const columns = plan.sink.columns.map(quoteIdentifier);
  const cast = plan.sink.columns.map((name) => `CAST(${quoteIdentifier(name)} AS ${types.get(name) ?? 'VARCHAR'})`);
  const wanted = `SELECT hash(${cast.join(', ')}) AS h, count(*) AS n FROM (${expected}) GROUP BY 1`;
  if (paths.length === 0) return Number((await ask(`SELECT count(*) AS n FROM (${expected})`))[0]!['n']);
  const found = `SELECT h, count(*) AS n FROM (SELECT hash(${columns.join(', ')}) AS h FROM ${outputSql(plan, paths, types)}) WHERE h IN (SELECT h FROM wanted) GROUP BY h`;
  const [row] = await ask(
    `WITH wanted AS MATERIALIZED (${wanted}), found AS (${found}) SELECT COALESCE(sum(greatest(wanted.n - COALESCE(found.n, 0), 0)), 0) AS n FROM wanted LEFT JOIN found USING (h)`,
  );
  return Number(row!['n']);
}
