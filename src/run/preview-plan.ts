/** Scores the first rows of a plan for a look, in memory. */
import { Vector } from 'apache-arrow';
import { ROW_STATUS, type Plan, type PlannedFile } from '../plan/plan.js';
import { quoteIdentifier } from '../plan/sql.js';
import type { RowGroupScores } from '../score/row-group-scores.js';
import { ShardScorer, type CallWatch } from '../score/shard.js';
import type { Database } from '../source/database.js';
import { ROW_NUMBER, scanSql } from '../source/scan.js';
import { openScanner, type Scanner } from '../source/scanner.js';
import type { Model } from '../model/engine.js';
import type { Preview } from './events.js';
import { openPlannedModels } from './shard-worker.js';

const STATUS_NAMES = Object.fromEntries(Object.entries(ROW_STATUS).map(([name, status]) => [status, name]));

/** A condition that hardly a row meets must not read a whole table. */
const MOST_LOOKED = 1_000_000;
/** Types of DuckDB that JavaScript has exactly, and lists of them; of all others DuckDB's own text is shown. */
const PLAIN_TYPE = /^(BOOLEAN|VARCHAR|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE)(\[\d*\])*$/;

/** How rows are scored for a look. */
export interface PreviewOptions {
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
  readonly watch?: CallWatch;
}

/** The first `count` rows that `source.where` keeps, scored together. @param database that may read the files of the plan */
export async function previewPlan(
  plan: Plan,
  count: number,
  database: Database,
  options: PreviewOptions = {},
): Promise<Preview> {
  const features = plan.projection.filter(({ role }) => role === 'feature');
  const columns = withOwnNames([
    ...plan.key.map((name) => ({ name, kind: 'key' as const })),
    ...features.map(({ name }) => ({ name, kind: 'feature' as const })),
    ...plan.outputs.map(({ name }) => ({ name, kind: 'output' as const })),
    { name: '_status', kind: 'status' as const },
  ]);
  options.signal?.throwIfAborted();
  const models = await openPlannedModels(plan);
  try {
    const scanner = await openScanner(database, plan.projection);
    try {
      const tools = { database, scanner, models, ...options };
      return { columns, ...(await firstRows(plan, count, tools)), of: plan.expected.rows };
    } finally {
      scanner.close();
    }
  } finally {
    for (const model of models) await model.release();
  }
}

/** What rows are previewed with. */
interface Tools extends PreviewOptions {
  readonly database: Database;
  readonly scanner: Scanner;
  readonly models: readonly Model[];
}

/** The first `count` rows that are not filtered, file by file and row group by row group, and how many were looked at. */
async function firstRows(plan: Plan, count: number, tools: Tools): Promise<Pick<Preview, 'rows' | 'looked'>> {
  const rows: unknown[][] = [];
  let looked = 0;
  for (const file of plan.files) {
    let firstRow = 0;
    for (const group of file.rowGroups) {
      const inGroup = Math.min(group.rows, MOST_LOOKED - looked);
      if (rows.length >= count) break;
      if (inGroup > 0) {
        const found = await keptRows(plan, file, { firstRow, rows: inGroup }, count - rows.length, tools.database);
        rows.push(...(await previewRange(plan, file, found.range, tools)));
        looked += found.looked;
      }
      firstRow += group.rows;
    }
  }
  return { rows, looked };
}

/** A name that another column has too gets a number: rows are objects in JSON, and none may lose a value. */
function withOwnNames(columns: Preview['columns']): Preview['columns'] {
  const taken = new Set(columns.map(({ name }) => name));
  const given = new Set<string>();
  return columns.map(({ name, kind }) => {
    let own = name;
    for (let i = 2; given.has(own) || (own !== name && taken.has(own)); i += 1) own = `${name}_${i}`;
    given.add(own);
    return { name: own, kind };
  });
}

interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
}

/** The part of a range in which the first `count` rows that are not filtered lie, and how far it was looked through. */
async function keptRows(
  plan: Plan,
  file: PlannedFile,
  range: RowRange,
  count: number,
  database: Database,
): Promise<{ readonly range: RowRange; readonly looked: number }> {
  const where = plan.projection.find(({ role }) => role === 'where');
  if (where === undefined) {
    const rows = Math.min(range.rows, count);
    return { range: { firstRow: range.firstRow, rows }, looked: rows };
  }
  const kept = await database.rows(
    `SELECT ${ROW_NUMBER} AS n FROM ${scanSql(file, plan.hiveTypes)} WHERE ${between(range)} AND COALESCE((${where.sql}), false) ORDER BY n LIMIT ${count}`,
    { file: file.path, expression: 'source.where' },
  );
  if (kept.length === 0) return { range: { firstRow: range.firstRow, rows: 0 }, looked: range.rows };
  const [first, last] = [Number(kept[0]!['n']), Number(kept.at(-1)!['n'])];
  return {
    range: { firstRow: first, rows: last - first + 1 },
    looked: kept.length === count ? last - range.firstRow + 1 : range.rows,
  };
}

const between = ({ firstRow, rows }: RowRange): string =>
  `${ROW_NUMBER} BETWEEN ${firstRow} AND ${firstRow + rows - 1}`;

/** Keys, features, outputs and status of the rows of a range that are not filtered. */
async function previewRange(
  plan: Plan,
  file: PlannedFile,
  range: RowRange,
  { database, scanner, models, signal, watch }: Tools,
): Promise<unknown[][]> {
  const { firstRow, rows } = range;
  if (rows === 0) return [];
  // A plan of one file whose only row group is the rows that are looked at.
  const head: Plan = {
    ...plan,
    onInvalid: 'quarantine',
    files: [{ ...file, index: 0, rows, rowGroups: [{ rows, bytes: 0 }] }],
    shards: [],
  };
  const shard = { index: 0, file: 0, rowGroups: [0, 1] as const, firstRow, rows };
  let values: Vector[] = [];
  const target = {
    appendRowGroup: (group: RowGroupScores): void => {
      values = group.finish();
    },
  };
  const scorer = new ShardScorer(head, shard, models, target, watch === undefined ? {} : { watch });
  await scanner.scan(
    { file, hiveTypes: plan.hiveTypes, firstRow, rows, ...(signal === undefined ? {} : { signal }) },
    (part) => scorer.add(part),
  );
  scorer.finish();
  const outputs = values.slice(0, plan.outputs.length);
  const [status, reason] = values.slice(plan.outputs.length) as [Vector, Vector];
  const source = scanSql(file, plan.hiveTypes);
  const shown = [
    ...plan.key.map(quoteIdentifier),
    ...plan.projection.filter(({ role }) => role === 'feature').map(({ sql }) => sql),
  ];
  const named = shown.map((sql, i) => `${sql} AS c${i}`);
  const types = await database.rows(`DESCRIBE SELECT ${[...named, ROW_NUMBER].join(', ')} FROM ${source}`);
  const texts = named.map((_, i) =>
    PLAIN_TYPE.test(String(types[i]!['column_type'])) ? `c${i}` : `CAST(c${i} AS VARCHAR) AS c${i}`,
  );
  const inputs = await database.rows(
    `SELECT ${[...texts, ROW_NUMBER].join(', ')} FROM (SELECT ${[...named, ROW_NUMBER].join(', ')} FROM ${source} WHERE ${between(range)}) ORDER BY ${ROW_NUMBER}`,
    { file: file.path },
  );
  return inputs.flatMap((input, row) => {
    const code = Number(status.get(row));
    if (code === ROW_STATUS.filtered) return [];
    return [
      [
        ...shown.map((_, i) => input[`c${i}`]),
        ...outputs.map((output) => plain(output.get(row))),
        [STATUS_NAMES[code], reason.get(row)].filter((text) => text !== null).join(': '),
      ],
    ];
  });
}

/** Lists as arrays; everything else is plain already. */
function plain(value: unknown): unknown {
  return value instanceof Vector ? Array.from(value as Iterable<unknown>) : value;
}
