/** A model that throws on a few rows, as embeddings do: these are set apart, and the run is done. */
import { rm } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { fixture, goldens } from '../model/fixtures.js';
import { onnx } from './onnx.js';
import { errorOf, runProgram, summaryOf, writtenBy } from './program.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();

const parts: Parts = {
  source: { key: ['id'] },
  features: ['index'],
  model: { path: fixture('lookup.onnx'), batch_size: 700 },
  outputs: { first: { from: 'Y', index: 0 }, both: { from: 'Y', as: 'list' } },
};
/** What Python gives for the indices that the table has, by index. */
const { feeds, outputs } = goldens['lookup']!;
const GOLDEN = feeds['index']!.data.map((index, i) => [
  Number(index),
  Number(outputs['Y']!.data[2 * i]),
  Number(outputs['Y']!.data[2 * i + 1]),
]);
const isBad = 'id % 1009 = 5 OR id IN (0, 699, 700, 2047, 2048, 4095)';
const data = (name: string, from: number, to: number): Promise<string> =>
  bench.parquet(
    `data/${name}.parquet`,
    `SELECT *, CASE WHEN ${isBad} THEN 12 + id ELSE [9, 10, 11, 6][1 + id % 4] END::BIGINT AS index
     FROM range(${from}, ${to}) t(id)`,
  );
await data('a', 0, 5000);
await data('b', 5000, 9000);
await data('c', 9000, 9003);
const BAD = Number((await bench.rows(`SELECT count(*) AS n FROM range(9003) t(id) WHERE ${isBad}`))[0]!['n']);
const REASON = 'model: Gather: indices element out of data bounds, idx=… must be within the inclusive range […,…]';

const clear = async (): Promise<void> => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
};
beforeEach(clear);

describe('rows that the model throws on', () => {
  it('are quarantined with what it said, counted, and the others have the scores that Python gives', async () => {
    const { summary } = await bench.run(parts);
    expect(BAD).toBeGreaterThan(10);
    expect(summary).toMatchObject({
      rows: 9003,
      scored: 9003 - BAD,
      quarantined: BAD,
      reasons: { [REASON]: BAD },
    });
    const wrong = await bench.rows(`
      WITH golden(index, a, b) AS (VALUES ${GOLDEN.map((row) => `(${row.join()})`).join()})
      SELECT id, first, "both" FROM '${bench.path('out/*.parquet')}' LEFT JOIN golden USING (index)
      WHERE first IS DISTINCT FROM a OR "both" IS DISTINCT FROM CASE WHEN a IS NOT NULL THEN [a, b]::FLOAT[] END
      OR (first IS NULL) != (${isBad})`);
    expect(wrong).toEqual([]);
    const apart = await bench.rows(
      `SELECT id, index, _file, _row, _reason FROM '${bench.path('out.colonnade/quarantine/*.parquet')}' ORDER BY id`,
    );
    expect(apart).toHaveLength(BAD);
    for (const { id, index, _file, _row, _reason } of apart) {
      const file = Number(id) < 5000 ? 'a' : Number(id) < 9000 ? 'b' : 'c';
      const start = { a: 0, b: 5000, c: 9000 }[file];
      expect({ file: String(_file), row: Number(_row) }).toEqual({
        file: bench.path(`data/${file}.parquet`),
        row: Number(id) - start,
      });
      expect(_reason).toBe(REASON.replace('…', String(Number(index) - 9)).replace('[…,…]', '[-3,2]'));
    }
  });

  it('are NULL with on_invalid: null, end the run with fail, and count for max_invalid', async () => {
    const nulled = await bench.run({ ...parts, validate: { on_invalid: 'null' } });
    expect(nulled.summary).toMatchObject({ scored: 9003 - BAD, nulled: BAD, quarantined: 0 });
    await clear();
    expect(await bench.failure({ ...parts, validate: { on_invalid: 'fail' } })).toMatchObject({
      code: 'MODEL_FAILED',
      exitCode: 1,
      message: expect.stringContaining(`${bench.path('data/a.parquet')}: row 0: model: Gather: `) as string,
    });
    await clear();
    await bench.run({ ...parts, validate: { max_invalid: BAD } });
    await clear();
    expect(await bench.failure({ ...parts, validate: { max_invalid: BAD - 1 } })).toMatchObject({
      code: 'TOO_MANY_INVALID',
      exitCode: 3,
    });
  });

  it('change no byte for any number of workers, or after a resume', async () => {
    const pipeline = await bench.pipeline({ ...parts, sink: { mode: 'predictions' } });
    const written: Record<string, string>[] = [];
    const take = async (args: readonly string[]): Promise<void> => {
      const told = await runProgram(bench, pipeline, args);
      const summary = summaryOf(told);
      expect(summary).toMatchObject({ scored: 9003 - BAD, quarantined: BAD });
      written.push(await writtenBy(bench, summary.run_id));
    };
    for (const workers of ['1', '3']) {
      await clear();
      await take(['--workers', workers]);
    }
    await clear();
    const kill = { who: 'main', at: 1, when: 'before', from: '/shards/000001', signals: ['SIGKILL'] } as const;
    expect((await runProgram(bench, pipeline, ['--workers', '1'], kill)).signal).toBe('SIGKILL');
    await take([]);
    expect(Object.keys(written[0]!)).toContain('out.colonnade/quarantine/b.parquet');
    for (const other of written) expect(other).toEqual(written[0]);
  });
});

describe('rows that a model of a fixed batch size throws on', () => {
  it('are found in padded batches, and the others have the scores of one without a fixed size', async () => {
    const lookup = (batch: number | string): Uint8Array =>
      onnx({
        inputs: [{ name: 'X', type: 'int64', shape: [batch] }],
        outputs: [{ name: 'Y', type: 'float32', shape: [batch] }],
        nodes: [{ op: 'Gather', inputs: ['W', 'X'], outputs: ['Y'] }],
        constants: [{ name: 'W', type: 'float32', dims: [3], values: [0.1, 0.2, 0.3] }],
      });
    await bench.parquet(
      'fixed/a.parquet',
      'SELECT i, CASE WHEN i % 13 = 0 THEN 50 + i ELSE i % 3 END::BIGINT AS x FROM range(203) t(i)',
    );
    for (const size of [1, 16, 64]) {
      const { summary } = await bench.run({
        source: { path: 'fixed' },
        features: ['x'],
        model: { path: await bench.write(`models/fixed-${size}.onnx`, lookup(size)) },
        outputs: { y: 'Y' },
        sink: { path: `fixed-${size}` },
      });
      expect(summary).toMatchObject({ scored: 187, quarantined: 16 });
      const wrong = await bench.rows(
        `SELECT * FROM '${bench.path(`fixed-${size}/a.parquet`)}'
         WHERE y IS DISTINCT FROM CASE WHEN i % 13 > 0 THEN [0.1, 0.2, 0.3][1 + i % 3] END::FLOAT`,
      );
      expect({ size, wrong }).toEqual({ size, wrong: [] });
    }
  });
});

describe('a model that throws on everything', () => {
  it('fails the run at once, whatever the size of files and batches', async () => {
    await bench.parquet('bad/large.parquet', 'SELECT 99::BIGINT AS index FROM range(20000)');
    const large = await bench.failure({ ...parts, source: { path: 'bad/large.parquet' } });
    expect(large).toMatchObject({ code: 'MODEL_FAILED', exitCode: 1 });
    expect(large.message).toContain(`${bench.path('bad/large.parquet')}, rows `);
    expect(large.message).toMatch(/, rows \d+ to \d+: /);
    expect(large.message).toMatch(/; 8 rows of it, tried one by one, fail as well$/);
    // Of five rows nobody knows whether they are all that there is.
    for (let i = 0; i < 40; i += 1)
      await bench.parquet(`bad/small/${i}.parquet`, 'SELECT 99::BIGINT AS index FROM range(5)');
    const small = await bench.failure({ ...parts, source: { path: 'bad/small' } });
    expect(small).toMatchObject({ code: 'MODEL_FAILED', exitCode: 1 });
    expect(small.message).toMatch(/^the model failed on each of the 65 rows that it was given so far: model: Gather/);
    expect(await bench.isVisible()).toBe(false);
  });

  it('in one file of several leaves the others done, and is tried alone by the next run', async () => {
    await bench.parquet('mixed/a.parquet', 'SELECT 9::BIGINT AS index FROM range(3000)');
    await bench.parquet('mixed/b.parquet', 'SELECT 99::BIGINT AS index FROM range(3000)');
    await bench.parquet('mixed/c.parquet', 'SELECT 10::BIGINT AS index FROM range(3000)');
    const pipeline = await bench.pipeline({ ...parts, source: { path: 'mixed' } }, 'mixed.yaml');
    for (const again of [false, true]) {
      const told = await runProgram(bench, pipeline, ['--workers', '1']);
      expect(told.code).toBe(1);
      expect(errorOf(told)).toMatchObject({
        code: 'MODEL_FAILED',
        message: expect.stringContaining('1 of 3 shards failed, the others are done: ') as string,
      });
      // Of whichever row group a thread has come to first.
      const where = `${bench.path('mixed/b.parquet')}, rows `;
      expect(errorOf(told).message).toContain(where);
      expect(errorOf(told).message.split(where)[1]).toMatch(/^(0 to 699|2048 to 2747): /);
      const resumed = told.log.filter(({ msg }) => String(msg).startsWith('resuming: 6,000 rows in 2 shards'));
      expect(resumed).toHaveLength(again ? 1 : 0);
      expect(await bench.isVisible()).toBe(false);
    }
  });
});
