/** Sources that are written to while they are scored. */
import { copyFileSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
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

const HARMS: readonly (readonly [what: string, harm: () => void, code: string, told: string])[] = [
  [
    'overwritten in place, by as many bytes',
    () => {
      const bytes = readFileSync(source);
      bytes[100]! ^= 1;
      writeFileSync(source, bytes);
    },
    'INPUT_CHANGED',
    'it was written to',
  ],
  [
    'overwritten in place, and the times put back',
    () => {
      const bytes = readFileSync(source);
      // In its footer: what lies before it, nothing but the time tells.
      bytes[bytes.length - 20]! ^= 1;
      writeFileSync(source, bytes);
      utimesSync(source, TIMES, TIMES);
    },
    'INPUT_CHANGED',
    'changed while it was read',
  ],
  ['truncated', () => truncateSync(source, 1000), 'INPUT_CHANGED', 'it is no whole Parquet file any more'],
  [
    'replaced by a copy that was renamed over it',
    () => {
      copyFileSync(source, `${source}.new`);
      utimesSync(`${source}.new`, TIMES, TIMES);
      renameSync(`${source}.new`, source);
    },
    'INPUT_CHANGED',
    'another file has taken its name',
  ],
  ['deleted', () => rmSync(source), 'INPUT_GONE', 'there is no such file'],
];
const TIMES = new Date(1.5e12);

describe.each(['append', 'partition', 'predictions'] as const)(
  'a file of the source that is, during a run (%s)',
  (mode) => {
    for (const [what, harm, code, told] of HARMS)
      it(`${what} ends the run, which names it, and nothing is published`, async () => {
        utimesSync(source, TIMES, TIMES);
        const sink = { mode, ...(mode === 'partition' ? { partition_by: ['k'] } : {}) };
        const run = startRun(await bench.plan({ ...parts, sink }));
        const ended = rejection(run.result);
        for await (const event of run) if (event.type === 'phase' && event.phase === 'writing') harm();
        const error = await ended;
        expect({ code: error.code, exit: error.exitCode }).toEqual({ code, exit: 1 });
        expect(error.message).toContain(source);
        expect(error.message).toContain(told);
        expect(await bench.isVisible()).toBe(false);
      });
  },
);
