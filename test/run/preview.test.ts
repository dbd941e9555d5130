/** A preview shows what is there: every column, and values with all that they hold. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { usePlan } from '../../src/run/prepare.js';
import { previewRows } from '../../src/run/preview.js';
import type { Database } from '../../src/source/database.js';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

beforeAll(async () => {
  parts = {
    features: ['x'],
    model: { path: await bench.write('models/double.onnx', linearModel([2])) },
    outputs: { score: 'score' },
  };
});

describe('a preview', () => {
  it("shows a key with all its digits, as it is or in DuckDB's own words", async () => {
    await bench.parquet(
      'kinds/a.parquet',
      `SELECT 1.5::FLOAT AS x, DATE '2026-01-02' AS day, TIMESTAMP '2026-01-02 03:04:05.678901' AS at,
         TIMESTAMPTZ '2026-01-02 03:04:05.678901+00' AS zoned, TIME '03:04:05.000007' AS clock, '\\x00\\xABc'::BLOB AS bytes,
         9007199254740993::BIGINT AS big, 123456789012345678.90::DECIMAL(20, 2) AS price, 'word' AS word, true AS yes,
         [1, 2] AS list, NULL::DATE AS none`,
    );
    const names = ['day', 'at', 'zoned', 'clock', 'bytes', 'big', 'price', 'word', 'yes', 'list', 'none'];
    const { columns, rows } = await previewRows(
      await bench.load({ ...parts, source: { path: 'kinds', key: names } }),
      5,
    );
    expect(columns.map(({ name }) => name)).toEqual([...names, 'x', 'score', '_status']);
    expect(rows).toEqual([
      [
        '2026-01-02',
        '2026-01-02 03:04:05.678901',
        '2026-01-02 03:04:05.678901+00',
        '03:04:05.000007',
        String.raw`\x00\xABc`,
        9007199254740993n,
        '123456789012345678.90',
        'word',
        true,
        [1, 2],
        null,
        1.5,
        3,
        'scored',
      ],
    ]);
  });

  it('gives every column a name of its own, whatever the source calls its columns', async () => {
    await bench.parquet(
      'names/a.parquet',
      `SELECT 1::FLOAT AS x, 2::FLOAT AS _status, 3::FLOAT AS _status_2, 4::FLOAT AS c0`,
    );
    const preview = await previewRows(
      await bench.load({
        ...parts,
        source: { path: 'names', key: ['x', '_status', '_status_2', 'c0'] },
      }),
      5,
    );
    const names = preview.columns.map(({ name }) => name);
    expect(names).toEqual(['x', '_status', '_status_2', 'c0', 'x_2', 'score', '_status_3']);
    expect(preview.rows).toEqual([[1, 2, 3, 4, 1, 2, 'scored']]);
  });

  it('shows the first rows that are not filtered, wherever they lie, and invalid ones with their reason', async () => {
    for (const [i, name] of ['a', 'b'].entries())
      await bench.parquet(
        `far/${name}.parquet`,
        `SELECT i AS id, CASE WHEN i % 3 = 0 THEN NULL ELSE i END::FLOAT AS x FROM range(${i * 5000}, ${(i + 1) * 5000}) t(i)`,
      );
    const looking = async (where: string, count: number) => {
      const { rows, looked, of } = await previewRows(
        await bench.load({ ...parts, source: { path: 'far', key: 'id', where } }),
        count,
      );
      expect(of).toBe(10_000);
      return { ids: rows.map(([id]) => Number(id)), statuses: rows.map((row) => row.at(-1)), looked };
    };
    expect(await looking('id > 4997 AND id % 2 = 0', 2)).toEqual({
      ids: [4998, 5000],
      statuses: ['quarantined: x: NULL', 'scored'],
      looked: 5001,
    });
    expect(await looking('id = 9999 OR NULL', 2)).toMatchObject({ ids: [9999], looked: 10_000 });
    expect(await looking('id < 0', 2)).toMatchObject({ ids: [], looked: 10_000 });
  });

  it('looks at a million rows and no further', async () => {
    await bench.parquet(
      'many/a.parquet',
      'SELECT i AS id, 1::FLOAT AS x FROM range(1100000) t(i)',
      'row_group_size 122880',
    );
    const found = await previewRows(
      await bench.load({ ...parts, source: { path: 'many', key: 'id', where: 'id >= 999999' } }),
      3,
    );
    expect(found.rows.map(([id]) => id)).toEqual([999_999n]);
    expect(found).toMatchObject({ looked: 1_000_000, of: 1_100_000 });
  });

  it('ends with the reason of its signal, while it plans as well as before', async () => {
    await bench.parquet('stopped/a.parquet', 'SELECT i::FLOAT AS x FROM range(10) t(i)');
    const pipeline = await bench.load({ ...parts, source: { path: 'stopped', where: 'x > 3' } });
    for (const reason of [new ColonnadeError('INTERRUPTED', 'enough', { phase: 'run' }), 'enough']) {
      await expect(previewRows(pipeline, 5, AbortSignal.abort(reason))).rejects.toBe(reason);
      const controller = new AbortController();
      const preview = previewRows(pipeline, 5, controller.signal);
      controller.abort(reason);
      await expect(preview).rejects.toBe(reason);
    }
    expect((await previewRows(pipeline, 5)).rows).toHaveLength(5);
  });

  it('uses the database that it was planned with, which is closed afterwards', async () => {
    await bench.parquet('gone/a.parquet', 'SELECT i::FLOAT AS x FROM range(10) t(i)');
    const pipeline = await bench.load({ ...parts, source: { path: 'gone' } });
    const used: Database[] = [];
    const failing = usePlan(pipeline, async (plan, database) => {
      used.push(database);
      expect(await database.rows(`SELECT count(*)::INT AS n FROM '${plan.files[0]!.path}'`)).toEqual([{ n: 10 }]);
      throw new Error('the model is gone');
    });
    await expect(failing).rejects.toThrow('the model is gone');
    await expect(used[0]!.rows('SELECT 1 AS one')).rejects.toThrow();
  });
});
