/** A partition by a column of very many values. */
import { expect, it } from 'vitest';
import { linearModel } from './onnx.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();

it('that takes more memory than there is names the column, and leaves nothing', async () => {
  const more = Array.from({ length: 20 }, (_, i) => `i + ${i} AS c${i}`).join(', ');
  await bench.parquet('data/a.parquet', `SELECT i AS id, i::FLOAT AS x, ${more} FROM range(4000) t(i)`);
  const error = await bench.failure({
    features: ['x'],
    model: { path: await bench.write('models/linear.onnx', linearModel([2], 1)) },
    outputs: { score: 'score' },
    sink: { mode: 'partition', partition_by: ['id'] },
    run: { memory: '128MB' },
  });
  expect(error).toMatchObject({ code: 'OUT_OF_MEMORY', exitCode: 1 });
  expect(error.hint).toContain('fewer values than id');
  expect(await bench.isVisible()).toBe(false);
});
