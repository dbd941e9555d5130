/** What is copied beside the scoring and cannot be: the run does not score the rest for nothing. */
import { mkdir, rm, truncate } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { placesOf } from '../../src/commit/places.js';
import type { ColonnadeError } from '../../src/errors.js';
import type { Plan } from '../../src/plan/plan.js';
import { planHash } from '../../src/run/plan-hash.js';
import { startRun } from '../../src/run/run.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
const ROWS = 400_000;
let parts: Parts;

beforeAll(async () => {
  parts = {
    features: ['x'],
    // Small batches take long enough for the scoring of the first file to be well behind the copy of the second.
    model: { path: await bench.write('models/linear.onnx', linearModel([2])), batch_size: 16 },
    outputs: { score: 'score' },
  };
});

beforeEach(async () => {
  for (const name of ['data', 'out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
  for (const name of ['a', 'b'])
    await bench.parquet(`data/${name}.parquet`, `SELECT i::FLOAT AS x FROM range(${ROWS}) t(i)`);
});

/** The error of a run in one process, which scores the files in their order, and the rows that were behind it then. */
async function failed(plan: Plan): Promise<{ readonly error: ColonnadeError; readonly rows: number }> {
  const run = startRun(plan, { workers: 1 });
  let rows = 0;
  for await (const event of run) if (event.type === 'progress') rows = event.rowsDone;
  return { error: await rejection(run.result), rows };
}

describe('a file that cannot be copied ahead of its scores', () => {
  it('ends the run before the file before it is scored, where the source is gone', async () => {
    const plan = await bench.plan(parts);
    await rm(bench.path('data/b.parquet'));
    const { error, rows } = await failed(plan);
    expect(error).toMatchObject({ code: 'INPUT_GONE' });
    expect(error.message).toContain(bench.path('data/b.parquet'));
    expect(rows).toBeLessThan(ROWS);
    expect(await bench.isVisible()).toBe(false);
  });

  it('ends it where the source has become shorter', async () => {
    const plan = await bench.plan(parts);
    await truncate(bench.path('data/b.parquet'), 1000);
    const { error, rows } = await failed(plan);
    expect(error).toMatchObject({ code: 'INPUT_CHANGED' });
    expect(error.message).toContain(bench.path('data/b.parquet'));
    expect(rows).toBeLessThan(ROWS);
  });

  it('ends it where the destination cannot be written', async () => {
    const plan = await bench.plan(parts);
    const { staging } = placesOf(plan.sink.path, planHash(plan), 1);
    const run = startRun(plan, { workers: 1 });
    let rows = 0;
    for await (const event of run) {
      // The folder of the run is there by then; one stands where the file is to be.
      if (event.type === 'started') await mkdir(`${staging.output}/b.parquet`, { recursive: true });
      if (event.type === 'progress') rows = event.rowsDone;
    }
    const error = await rejection(run.result);
    expect(error.code).toBe('IO_FAILED');
    expect(error.message).toContain(`${staging.output}/b.parquet`);
    expect(rows).toBeLessThan(ROWS);
  });
});
