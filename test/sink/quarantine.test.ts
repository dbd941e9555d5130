import { beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from '../run/onnx.js';
import { openWorkbench, type Parts } from '../run/workbench.js';

const bench = await openWorkbench();
let parts: Parts;

/** Every 500th row breaks a rule, every 700th lacks a value; `north` has none of these. */
beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/double.onnx', linearModel([2]));
  parts = {
    source: { key: 'id' },
    features: ['größe'],
    model: { path: model, batch_size: 300 },
    outputs: { score: 'score' },
    validate: { rules: { größe: { max: 1000 } } },
  };
  const size = `CASE WHEN i < 5000 THEN 1 WHEN i % 700 = 0 THEN NULL WHEN i % 500 = 0 THEN 2000 ELSE i % 1000 END::FLOAT`;
  for (const [i, place] of ['region=north/a', 'region=south/a', 'region=south/b'].entries()) {
    await bench.parquet(
      `data/${place}.parquet`,
      `SELECT i AS id, ${size} AS größe, {n: i, tags: ['t' || i, NULL]} AS more FROM range(${i * 5000}, ${i * 5000 + 5000}) t(i)`,
    );
  }
});

const isInvalid = (id: number): boolean => id >= 5000 && (id % 700 === 0 || id % 500 === 0);
const invalidIds = Array.from({ length: 15_000 }, (_, id) => id).filter(isInvalid);

describe.each(['append', 'partition', 'predictions'])('the quarantine beside %s', (mode) => {
  const sink = { mode, ...(mode === 'partition' ? { partition_by: ['region'] } : {}) };

  it('has every invalid row once, under the path of its file, as it stands there at its place', async () => {
    const { summary, manifest } = await bench.run({ ...parts, sink });
    expect(summary.quarantined).toBe(invalidIds.length);
    expect(await bench.files('out.colonnade/quarantine')).toEqual(['region=south/a.parquet', 'region=south/b.parquet']);
    expect(manifest.quarantine.map(({ path, rows }) => [path, rows])).toEqual([
      ['region=south/a.parquet', invalidIds.filter((id) => id < 10_000).length],
      ['region=south/b.parquet', invalidIds.filter((id) => id >= 10_000).length],
    ]);
    const all = `read_parquet('${bench.path('out.colonnade/quarantine/**/*.parquet')}', hive_partitioning = false)`;
    const rows = await bench.rows(`SELECT id::INT AS id, _file, _row::INT AS _row, _reason FROM ${all} ORDER BY id`);
    expect(rows).toEqual(
      invalidIds.map((id) => ({
        id,
        _file: bench.path(`data/region=south/${id < 10_000 ? 'a' : 'b'}.parquet`),
        _row: id % 5000,
        _reason: id % 700 === 0 ? 'größe: NULL' : 'größe: above max 1000',
      })),
    );
    // Found again in the source by file and row, with the same value in every column.
    const found = await bench.rows(`
      SELECT count(*)::INT AS n FROM ${all} q
      JOIN read_parquet('${bench.path('data/**/*.parquet')}', filename = true, file_row_number = true, hive_partitioning = false) s
        ON q._file = s.filename AND q._row = s.file_row_number
      WHERE q.id = s.id AND q.größe IS NOT DISTINCT FROM s.größe AND q.more IS NOT DISTINCT FROM s.more`);
    expect(found).toEqual([{ n: invalidIds.length }]);
  });
});

describe('the quarantine', () => {
  it('is a source like any other, as long as it needs no quarantine of its own', async () => {
    await bench.run(parts);
    const source = { path: 'out.colonnade/quarantine', key: ['id', 'region', '_file', '_row'] };
    const twice = await bench.failure({ ...parts, source, sink: { mode: 'predictions', path: 'mended' } });
    expect(twice).toMatchObject({ code: 'COLUMN_EXISTS', exitCode: 78 });
    expect(twice.problems.map(({ message }) => /has a column (\w+)/.exec(message)![1])).toEqual([
      '_file',
      '_row',
      '_reason',
    ]);
    const { summary } = await bench.run({
      ...parts,
      source,
      validate: { on_invalid: 'null', rules: { größe: { missing: 7 } } },
      sink: { mode: 'predictions', path: 'mended' },
    });
    expect(summary).toMatchObject({ rows: invalidIds.length, scored: invalidIds.length });
    const rows = await bench.rows(
      `SELECT id::INT AS id, region, _row::INT AS _row, score FROM read_parquet('${bench.path('mended/**/*.parquet')}', hive_partitioning = false) ORDER BY id`,
    );
    expect(rows).toEqual(
      invalidIds.map((id) => ({ id, region: 'south', _row: id % 5000, score: id % 700 === 0 ? 14 : 4000 })),
    );
  });

  it('is that of the last run: what an earlier one left is gone with its output', async () => {
    await bench.run(parts);
    const relaxed: Parts = {
      ...parts,
      validate: { rules: { größe: { missing: 7 } } },
      sink: { exists: 'replace' },
    };
    const { summary } = await bench.run(relaxed);
    expect(summary.quarantine).toBeUndefined();
    expect(await bench.files('out.colonnade/quarantine')).toEqual([]);
  });
});
