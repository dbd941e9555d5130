/** `batch_size: auto` depends on the model alone, and the run says what it was. */
import { beforeAll, describe, expect, it } from 'vitest';
import { linearModel, slowModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
const parts = (model: string, more: Partial<Parts> = {}): Parts => ({
  features: ['x', 'y'],
  model: { path: `models/${model}.onnx` },
  outputs: { score: 'score' },
  ...more,
});

beforeAll(async () => {
  await bench.write('models/linear.onnx', linearModel([2, 1]));
  for (const width of [64, 256, 1024])
    await bench.write(`models/${width}.onnx`, slowModel(width, { layers: 1, features: 2 }));
  await bench.parquet(
    'data/a.parquet',
    'SELECT (i % 100)::FLOAT AS x, (i % 7)::FLOAT AS y FROM range(5000) t(i)',
    'row_group_size 4096',
  );
  await bench.parquet(
    'more/a.parquet',
    'SELECT (i % 9)::FLOAT AS x, (i % 5)::FLOAT AS y, i AS z FROM range(100000) t(i)',
    'row_group_size 50000',
  );
});

const sizeFor = async (model: string, more?: Partial<Parts>): Promise<number> =>
  (await bench.plan(parts(model, more))).models[0]!.batchSize;

describe('batch_size: auto', () => {
  it('is smaller the wider the layers of the model are, so that a batch of them stays in the cache', async () => {
    const sizes = [await sizeFor('linear'), await sizeFor('64'), await sizeFor('256'), await sizeFor('1024')];
    expect(sizes).toEqual([16_384, 8192, 2048, 512]);
  });

  it('is the same for other data, workers and memory', async () => {
    const more = { source: { path: 'more' }, run: { workers: 3, memory: '2GB' } };
    expect(await sizeFor('256', more)).toBe(await sizeFor('256'));
  });

  it('stands in the manifest; the number written into the pipeline gives the same bytes', async () => {
    const auto = await bench.run(parts('1024'));
    const [model] = auto.manifest.models;
    expect(model).toMatchObject({ batch_size: 512 });
    expect(auto.summary.models).toMatchObject([{ batch_size: 512 }]);
    const pinned = await bench.run(
      parts('1024', { model: { path: 'models/1024.onnx', batch_size: model!.batch_size }, sink: { path: 'pinned' } }),
    );
    expect(pinned.manifest.plan_hash).not.toBe(auto.manifest.plan_hash);
    const scores = (out: string) => bench.rows(`SELECT score FROM '${bench.path(out)}/**/*.parquet'`);
    expect(await scores('pinned')).toEqual(await scores('out'));
    // The same plan again, and the same hash of every file but for the id of the run in it.
    const again = await bench.run(parts('1024', { sink: { exists: 'replace' } }));
    expect(again.manifest.plan_hash).toBe(auto.manifest.plan_hash);
    expect(await scores('out')).toEqual(await scores('pinned'));
  });
});
