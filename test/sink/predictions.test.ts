import { beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from '../run/onnx.js';
import { openWorkbench, type Parts } from '../run/workbench.js';

const bench = await openWorkbench();
let parts: Parts;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/double.onnx', linearModel([2]));
  parts = {
    source: { key: ['id', 'region'] },
    features: ['x'],
    model: { path: model, batch_size: 500 },
    outputs: { score: 'score', scores: { from: 'score', as: 'list' } },
    sink: { mode: 'predictions' },
  };
  for (const [i, region] of ['north', 'south'].entries()) {
    await bench.parquet(
      `data/region=${region}/part.parquet`,
      `SELECT 'k' || i AS id, CASE WHEN i % 10 < 9 THEN (i % 1000)::FLOAT END AS x, i AS other FROM range(${i * 5000}, ${i * 5000 + 5000}) t(i)`,
    );
  }
});

const read = (file: string) =>
  bench.rows(`SELECT * FROM read_parquet('${bench.path(file)}', file_row_number = true, hive_partitioning = false)`);

describe('predictions', () => {
  it('are the key, then the new columns, in files as the source has them, row by row in its order', async () => {
    const { summary } = await bench.run(parts);
    expect(summary).toMatchObject({ rows: 10_000, scored: 9000, quarantined: 1000, files: 2 });
    expect(await bench.files('out')).toEqual(['_SUCCESS', 'region=north/part.parquet', 'region=south/part.parquet']);
    for (const [i, region] of ['north', 'south'].entries()) {
      const want = Array.from({ length: 5000 }, (_, row) => i * 5000 + row)
        .filter((id) => id % 10 < 9)
        .map((id, row) => {
          const score = (id % 1000) * 2;
          return { id: `k${id}`, region, score, scores: [score], file_row_number: BigInt(row) };
        });
      const got = await read(`out/region=${region}/part.parquet`);
      expect(Object.keys(got[0]!)).toEqual(['id', 'region', 'score', 'scores', 'file_row_number']);
      expect(got).toEqual(want);
    }
  });

  it('are not there for rows that are not asked for, and NULL for rows that keep their place', async () => {
    const { summary } = await bench.run({
      ...parts,
      source: { key: 'id', where: "region = 'south' AND other < 5020" },
      validate: { on_invalid: 'null' },
    });
    expect(summary).toMatchObject({ rows: 10_000, scored: 18, nulled: 2, filtered: 9980 });
    const rows = await read('out/region=south/part.parquet');
    expect(rows.map(({ id, score, scores }) => [id, score, scores])).toEqual(
      Array.from({ length: 20 }, (_, row) =>
        row % 10 < 9 ? [`k${5000 + row}`, row * 2, [row * 2]] : [`k${5000 + row}`, null, null],
      ),
    );
    // A file of which no row is kept is a file without rows, with the same columns.
    expect(await read('out/region=north/part.parquet')).toEqual([]);
    const columns = async (region: string): Promise<unknown[]> =>
      (await bench.rows(`DESCRIBE FROM '${bench.path(`out/region=${region}/part.parquet`)}'`)).map(
        ({ column_name, column_type }) => [column_name, column_type],
      );
    expect(await columns('north')).toEqual(await columns('south'));
  });

  it('are cut into row groups about as large as the pipeline says, and compressed so', async () => {
    await bench.run({ ...parts, sink: { mode: 'predictions', row_group_size: 2048, compression: 'zstd' } });
    const groups = await bench.rows(
      `SELECT DISTINCT row_group_id::INT AS id, row_group_num_rows::INT AS n, compression FROM parquet_metadata('${bench.path('out/region=north/part.parquet')}') ORDER BY id`,
    );
    expect(groups.length).toBeGreaterThan(1);
    for (const { n, compression } of groups) {
      expect(compression).toBe('ZSTD');
      // DuckDB closes a row group with the chunk that fills it.
      expect(n).toBeLessThan(2048 + 2048);
    }
  });
});
