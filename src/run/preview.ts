/** Scores the first rows of a source for a look, in memory: nothing is written. */
import { Vector } from 'apache-arrow';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../model/session.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { ROW_STATUS, type Plan, type PlannedFile } from '../plan/plan.js';
import { quoteIdentifier } from '../plan/sql.js';
import { ShardScorer } from '../score/shard.js';
import { openDatabase, type Database } from '../source/database.js';
import { ROW_NUMBER, scanSql } from '../source/scan.js';
import { openScanner, type Scanner } from '../source/scanner.js';
import type { Model } from '../model/engine.js';
import type { Preview } from './events.js';
import { preparePlan } from './prepare.js';

const STATUS_NAMES = Object.fromEntries(Object.entries(ROW_STATUS).map(([name, status]) => [status, name]));

/**
 * Scores the first `count` rows. An invalid row shows its reason, also with `on_invalid: fail`.
 * The rows go through the model together, so that last bits may differ from a run, whose batches are larger.
 */
export async function previewRows(pipeline: Pipeline, count: number): Promise<Preview> {
  const plan = await preparePlan(pipeline);
  const features = plan.projection.map((column, i) => ({ ...column, i })).filter(({ role }) => role === 'feature');
  const columns: Preview['columns'] = [
    ...plan.key.map((name) => ({ name, kind: 'key' as const })),
    ...features.map(({ name }) => ({ name, kind: 'feature' as const })),
    ...plan.outputs.map(({ name }) => ({ name, kind: 'output' as const })),
    { name: '_status', kind: 'status' as const },
  ];
  const [database, model] = await Promise.all([
    openDatabase({
      memoryLimit: plan.run.memory,
      threads: 1,
      spillDirectory: join(tmpdir(), `colonnade-${process.pid}`),
      readable: plan.files.map(({ path }) => path),
      writable: [],
    }),
    openModel(plan.model.path, { signature: plan.model.signature }),
  ]);
  const scanner = await openScanner(database, plan.projection);
  try {
    const rows: unknown[][] = [];
    for (const file of plan.files) {
      if (rows.length >= count) break;
      rows.push(...(await previewFile(plan, file, Math.min(file.rows, count - rows.length), database, scanner, model)));
    }
    return { columns, rows };
  } finally {
    await model.release();
    scanner.close();
    await database.close();
  }
}

async function previewFile(
  plan: Plan,
  file: PlannedFile,
  rows: number,
  database: Database,
  scanner: Scanner,
  model: Model,
): Promise<unknown[][]> {
  if (rows === 0) return [];
  // A plan of one file whose only row group is the rows that are looked at.
  const head: Plan = {
    ...plan,
    onInvalid: 'quarantine',
    files: [{ ...file, index: 0, rows, rowGroups: [{ rows, bytes: 0 }] }],
    shards: [],
  };
  const shard = { index: 0, file: 0, rowGroups: [0, 1] as const, firstRow: 0, rows };
  let values: Vector[] = [];
  const scorer = new ShardScorer(head, shard, model, {
    appendRowGroup: (group) => {
      values = group.finish();
    },
  });
  await scanner.scan({ file, hiveTypes: plan.hiveTypes, firstRow: 0, rows }, (part) => scorer.add(part));
  scorer.finish();
  const outputs = values.slice(0, plan.outputs.length);
  const [status, reason] = values.slice(plan.outputs.length) as [Vector, Vector];
  const shown = [
    ...plan.key.map(quoteIdentifier),
    ...plan.projection.filter(({ role }) => role === 'feature').map(({ sql }) => sql),
  ].map((sql, i) => `${sql} AS c${i}`);
  const inputs = await database.rows(
    `SELECT ${[...shown, ROW_NUMBER].join(', ')} FROM ${scanSql(file, plan.hiveTypes)} WHERE ${ROW_NUMBER} < ${rows} ORDER BY ${ROW_NUMBER}`,
    { file: file.path },
  );
  return inputs.map((input, row) => [
    ...shown.map((_, i) => input[`c${i}`]),
    ...outputs.map((output) => plain(output.get(row))),
    [STATUS_NAMES[Number(status.get(row))], reason.get(row)].filter((text) => text !== null).join(': '),
  ]);
}

/** Lists as arrays; everything else is plain already. */
function plain(value: unknown): unknown {
  return value instanceof Vector ? Array.from(value as Iterable<unknown>) : value;
}
