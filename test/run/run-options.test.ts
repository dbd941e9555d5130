/** What a program says to a run that it starts. */
import { beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([2], 1));
  parts = { features: ['x'], model: { path: model }, outputs: { score: 'score' } };
  await bench.parquet('data/a.parquet', 'SELECT i::FLOAT AS x FROM range(100) t(i)');
});

describe('an aborted run', () => {
  it('ends as interrupted, whatever the reason of its signal is', async () => {
    for (const reason of [undefined, new Error('enough'), 'enough']) {
      const controller = new AbortController();
      controller.abort(reason);
      const error = await bench.failure(parts, { signal: controller.signal });
      expect(error).toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
      expect(await bench.isVisible()).toBe(false);
    }
  });
});

describe('a number of workers', () => {
  it('is refused where it is none', async () => {
    for (const workers of [0, -3, 1.5, NaN, 'auto' as unknown as number]) {
      const error = await bench.failure(parts, { workers });
      expect(error).toMatchObject({ code: 'USAGE', exitCode: 64 });
      expect(error.message).toContain('a whole number from 1');
    }
  });
});
