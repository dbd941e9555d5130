/** A run that is to stop while DuckDB writes: it does not wait until that is done. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { placesOf } from '../../src/commit/places.js';
import { ColonnadeError } from '../../src/errors.js';
import type { Plan } from '../../src/plan/plan.js';
import { planHash } from '../../src/run/plan-hash.js';
import { startRun } from '../../src/run/run.js';
import { finishedShards } from '../../src/run/resume.js';
import { scoresOf } from '../../src/run/shard-files.js';
import { openSink } from '../../src/sink/open.js';
import { openDatabase } from '../../src/source/database.js';
import { linearModel } from '../run/onnx.js';
import { openWorkbench, rejection } from '../run/workbench.js';

const bench = await openWorkbench();
/** DuckDB writes folders whenever it has collected half a million rows. */
const ROWS = 1_500_000;
const REASON = new ColonnadeError('TERMINATED', 'terminated by a test', { phase: 'run' });

const planOf = (sink: Readonly<Record<string, unknown>>): Promise<Plan> =>
  bench.plan({
    source: { key: 'id' },
    features: ['x'],
    model: { path: bench.path('models/linear.onnx') },
    outputs: { score: 'score' },
    validate: { on_invalid: 'quarantine', rules: { x: { min: 0 } } },
    sink,
  });

beforeAll(async () => {
  await bench.write('models/linear.onnx', linearModel([2], 1));
  // Of every three rows one is invalid.
  await bench.parquet(
    'data/a.parquet',
    `SELECT i AS id, i % 7 AS p, if(i % 3 = 0, -1, i)::FLOAT AS x, md5(i::VARCHAR) AS text FROM range(${ROWS}) t(i)`,
    'row_group_size 122880',
  );
});

beforeEach(async () => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
});

/** Waits until a Parquet file is there whose path ends in what is looked for. */
async function untilWritten(path: RegExp): Promise<void> {
  while (!(await bench.files('out.colonnade')).some((file) => path.test(file)))
    await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Runs a plan until a file is being written, and stops it there. */
async function stopAt(plan: Plan, path: RegExp): Promise<ColonnadeError> {
  const controller = new AbortController();
  const run = startRun(plan, { signal: controller.signal });
  await Promise.race([untilWritten(path), run.result]);
  controller.abort(REASON);
  return rejection(run.result);
}

describe('a run that is stopped while DuckDB writes', () => {
  for (const [what, sink, path] of [
    ['folders', { mode: 'partition', partition_by: ['p'] }, /\/work\/range-0\/p=0\//],
    ['predictions', { mode: 'predictions' }, /\/output\/a\.parquet$/],
    ['the quarantine', { mode: 'predictions' }, /\/quarantine\/a\.parquet$/],
  ] as const) {
    it(`ends with the reason, and keeps nothing but the scores: ${what}`, async () => {
      const plan = await planOf(sink);
      expect(await stopAt(plan, path)).toBe(REASON);
      expect(await bench.isVisible()).toBe(false);
      const left = await bench.beside();
      expect(left.filter((file) => !/^epochs\/1\.json$|\/shards\/\d+\.(json|[\d-]+\.parquet)$/.test(file))).toEqual([]);
      const summary = await startRun(plan).result;
      expect(summary).toMatchObject({ rows: ROWS, resumed_rows: ROWS, quarantined: ROWS / 3 });
    });
  }
});

describe('a sink', () => {
  it('leaves a COPY unfinished when its signal is aborted', async () => {
    const plan = await planOf({ mode: 'partition', partition_by: ['p'] });
    // The scores that a run leaves which is stopped as soon as it writes.
    await stopAt(plan, /\/work\/range-0\/p=0\//);
    const { staging } = placesOf(plan.sink.path, planHash(plan), 1);
    const controller = new AbortController();
    const { signal } = controller;
    const database = await openDatabase({
      memoryLimit: 500e6,
      threads: 1,
      spillDirectory: join(staging.spill, 'sink'),
      readable: [plan.files[0]!.path, staging.root],
      writable: [staging.root],
      signal,
    });
    const { output, work } = staging;
    const sink = openSink({
      plan,
      output,
      work,
      metadata: {},
      signal,
      writers: 2,
      database: () => Promise.resolve(database),
    });
    sink.begin(() => undefined);
    const results = await finishedShards(plan, planHash(plan), staging.shards, signal);
    for (const shard of plan.shards)
      await sink.addShard!(plan.files[0]!, shard, scoresOf([shard], staging.shards, results)[0]!);
    const finished = sink.finish();
    await Promise.race([untilWritten(/\/work\/range-0\/p=0\//), finished]);
    controller.abort(REASON);
    expect(await rejection(finished)).toBe(REASON);
    await database.close();
    // The footer comes last: a file without one was given up.
    await expect(bench.rows(`SELECT count(*) FROM '${work}/range-0/p=0/*.parquet'`)).rejects.toThrow();
  });
});
