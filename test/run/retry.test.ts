/** Faults that pass, and faults that stay: tried again, told, and the rest of the run done. */
import { rm } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { linearModel, onnx } from './onnx.js';
import { errorOf, runProgram, summaryOf, writtenBy, type Disturbance, type Told } from './program.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();
for (const name of ['a', 'b', 'c'])
  await bench.parquet(`data/${name}.parquet`, 'SELECT (hash(i) % 1000 / 7)::FLOAT AS x FROM range(3000) t(i)');
const clear = async (): Promise<void> => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
};
beforeEach(clear);

describe('an error of the disk', () => {
  let pipeline: string;
  beforeAll(async () => {
    pipeline = await bench.pipeline({
      features: ['x'],
      model: { path: await bench.write('models/linear.onnx', linearModel([0.3], 1)) },
      outputs: { score: 'score' },
      run: { retries: 2, workers: 1 },
    });
  });

  const run = (disturbance?: Disturbance): Promise<Told> => runProgram(bench, pipeline, [], disturbance);
  const failing = (times: number): Disturbance => ({
    who: 'main',
    from: '/shards/000001\\.json$',
    fails: 'EIO',
    times,
  });
  /** Attempts that failed, with their codes and the waits before the next, as the log tells them. */
  const retries = ({ log }: Told) =>
    log.flatMap(({ attempt, shard, delay_ms, error }) =>
      attempt === undefined
        ? []
        : [{ attempt, shard, delay: Number(delay_ms), code: (error as { readonly code: string }).code }],
    );

  it('that passes at the third try costs two attempts, each logged, waits that grow, and no byte of the output', async () => {
    const whole = await writtenBy(bench, summaryOf(await run()).run_id);
    await clear();
    const told = await run(failing(2));
    const [first, second, ...others] = retries(told);
    expect(others).toEqual([]);
    expect([first, second]).toMatchObject([
      { attempt: 1, shard: 1, code: 'IO_FAILED' },
      { attempt: 2, shard: 1, code: 'IO_FAILED' },
    ]);
    // Half of each is left to chance.
    expect(first!.delay).toBeGreaterThanOrEqual(100);
    expect(first!.delay).toBeLessThanOrEqual(200);
    expect(second!.delay).toBeGreaterThanOrEqual(200);
    expect(second!.delay).toBeLessThanOrEqual(400);
    expect(await writtenBy(bench, summaryOf(told).run_id)).toEqual(whole);
  });

  it('that stays ends the run with status 1, names file and rows, and leaves the others done', async () => {
    const told = await run(failing(9));
    expect(told).toMatchObject({ code: 1, signal: null });
    expect(errorOf(told)).toMatchObject({ code: 'IO_FAILED' });
    expect(errorOf(told).message).toMatch(
      /^1 of 3 shards failed, the others are done: .*data\/b\.parquet, rows 0 to 2999: .*EIO.* \(3 attempts\)$/,
    );
    expect(await bench.isVisible()).toBe(false);
    expect(summaryOf(await run()).resumed_rows).toBe(6000);
  });
});

describe('a model that runs out of memory', () => {
  it('is tried once more, and told; the other files are done', async () => {
    // As many zeros as the largest value says: of 2^45 there is no memory on any machine.
    const zeros = onnx({
      inputs: [{ name: 'X', type: 'int64', shape: ['N'] }],
      outputs: [{ name: 'Y', type: 'float32', shape: ['N'] }],
      nodes: [
        { op: 'ReduceMax', inputs: ['X'], outputs: ['most'], attributes: { keepdims: 1, axes: [0] } },
        { op: 'ConstantOfShape', inputs: ['most'], outputs: ['zeros'] },
        { op: 'ReduceSum', inputs: ['zeros'], outputs: ['sum'], attributes: { keepdims: 0 } },
        { op: 'Add', inputs: ['W', 'sum'], outputs: ['one'] },
        { op: 'Mul', inputs: ['X', 'nought'], outputs: ['at'] },
        { op: 'Gather', inputs: ['one', 'at'], outputs: ['Y'] },
      ],
      constants: [
        { name: 'W', type: 'float32', dims: [1], values: [7] },
        { name: 'nought', type: 'int64', dims: [1], values: [0] },
      ],
    });
    for (const [name, most] of Object.entries({ a: 9, b: 2 ** 45, c: 5 }))
      await bench.parquet(
        `large/${name}.parquet`,
        `SELECT CASE i WHEN 7 THEN ${most} ELSE 3 END::BIGINT AS x FROM range(100) t(i)`,
      );
    const pipeline = await bench.pipeline({
      source: { path: 'large' },
      features: ['x'],
      model: { path: await bench.write('models/zeros.onnx', zeros) },
      outputs: { y: 'Y' },
      run: { workers: 1 },
    });
    const told = await runProgram(bench, pipeline, []);
    expect(told).toMatchObject({ code: 1, signal: null });
    expect(errorOf(told).code).toBe('OUT_OF_MEMORY');
    expect(errorOf(told).message).toMatch(
      /^1 of 3 shards failed, the others are done: .*large\/b\.parquet, rows 0 to 99: .*zeros\.onnx ran out of memory on a batch of 100 rows: .* \(2 attempts\)$/,
    );
  });
});
