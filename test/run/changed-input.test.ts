/** Sources that are written to while they are scored. */
import { utimesSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { startRun } from '../../src/run/run.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;
let source: string;

beforeEach(async () => {
  await bench.clear();
  parts = {
    source: { key: ['id'] },
    features: ['x'],
    model: { path: await bench.write('models/linear.onnx', linearModel([2], 1)) },
    outputs: { score: 'score' },
  };
  // Some rows are quarantined: after the scoring there is something to write yet.
  source = await bench.parquet(
    'data/a.parquet',
    'SELECT i AS id, CASE WHEN i % 9 = 0 THEN NULL ELSE i END::FLOAT AS x, i % 3 AS k FROM range(30000) t(i)',
  );
});

it.each(['append', 'partition', 'predictions'])('end the run before anything is visible: %s', async (mode) => {
  const sink = { mode, ...(mode === 'partition' ? { partition_by: ['k'] } : {}) };
  for (const when of ['planned', 'scored'] as const) {
    const plan = await bench.plan({ ...parts, sink });
    const touch = (): void => utimesSync(source, new Date(), new Date(when === 'planned' ? 1e12 : 2e12));
    if (when === 'planned') touch();
    const run = startRun(plan);
    const ended = rejection(run.result);
    for await (const event of run)
      if (when === 'scored' && event.type === 'phase' && event.phase === 'writing') touch();
    const error = await ended;
    expect({ when, code: error.code }).toEqual({ when, code: 'INPUT_CHANGED' });
    expect(error.message).toContain(`${source} changed while it was read: it was written to`);
    expect(await bench.isVisible()).toBe(false);
  }
});
