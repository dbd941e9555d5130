/** Sources without files, rows or row groups, and row groups without rows. */
import { mkdir } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { readFooter } from '../../src/parquet/footer.js';
import { describePython, python } from '../python.js';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;
const SINKS = [{ mode: 'append' }, { mode: 'predictions' }, { mode: 'partition', partition_by: ['region'] }];

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([2, 0.5], 1));
  parts = { source: { key: ['id'] }, features: ['x', 'y'], model: { path: model }, outputs: { score: 'score' } };
});

const rowsOf = (n: number): string =>
  `SELECT i AS id, i::FLOAT AS x, (i % 7)::FLOAT AS y, 'r' || (i % 2) AS region FROM range(${n}) t(i)`;

describe('a source with nothing to score', () => {
  it('is refused where there are no files', async () => {
    for (const make of [
      () => Promise.resolve(),
      () => mkdir(bench.path('data')),
      () => bench.write('data/notes.txt', 'x'),
    ]) {
      await make();
      const error = await bench.failure(parts);
      expect(error.code).toBe('NO_INPUT');
      expect(error.problems).toMatchObject([{ key: 'source.path', message: error.message }]);
      expect(error.problems[0]!.position).toBeDefined();
      expect(error.message).toContain(bench.path('data'));
      expect(await bench.isVisible()).toBe(false);
    }
  });

  it('makes an output without rows where the files have none, in every mode', async () => {
    await bench.parquet('data/a.parquet', rowsOf(0));
    for (const sink of SINKS) {
      const { summary, manifest } = await bench.run({ ...parts, sink: { ...sink, exists: 'replace' } });
      expect(summary).toMatchObject({ status: 'done', rows: 0, scored: 0, quarantined: 0, nulled: 0, filtered: 0 });
      expect(manifest.ledger).toMatchObject({ rows: 0, written: 0 });
      expect(await bench.files('out')).toEqual(sink.mode === 'partition' ? ['_SUCCESS'] : ['_SUCCESS', 'a.parquet']);
    }
  });

  it('keeps all columns, the new ones with their types, in an empty file', async () => {
    await bench.parquet('data/a.parquet', rowsOf(0));
    await bench.run(parts);
    const described = await bench.rows(`DESCRIBE SELECT * FROM '${bench.path('out/a.parquet')}'`);
    expect(described.map(({ column_name, column_type }) => [column_name, column_type])).toEqual([
      ['id', 'BIGINT'],
      ['x', 'FLOAT'],
      ['y', 'FLOAT'],
      ['region', 'VARCHAR'],
      ['score', 'FLOAT'],
    ]);
  });

  it('scores the files that have rows beside those that have none', async () => {
    await bench.parquet('data/a.parquet', rowsOf(0));
    await bench.parquet('data/b.parquet', rowsOf(5000));
    await bench.parquet('data/c.parquet', rowsOf(0));
    for (const sink of SINKS) {
      const { summary } = await bench.run({ ...parts, sink: { ...sink, exists: 'replace' } });
      expect(summary).toMatchObject({ rows: 5000, scored: 5000 });
      const [row] = await bench.rows(
        `SELECT count(*) AS n, count(score) AS scored, sum(score) AS sum FROM '${bench.path('out/**/*.parquet')}'`,
      );
      expect(row).toEqual({ n: 5000n, scored: 5000n, sum: sumOfScores(5000) });
    }
  });

  it('makes an output without rows where every row is filtered out', async () => {
    await bench.parquet('data/a.parquet', rowsOf(3000));
    for (const sink of SINKS) {
      const { summary } = await bench.run({
        ...parts,
        source: { key: ['id'], where: 'x < 0' },
        sink: { ...sink, exists: 'replace' },
      });
      expect(summary).toMatchObject({ rows: 3000, scored: 0, filtered: 3000 });
      if (sink.mode === 'partition') {
        expect(summary.files).toBe(0);
        expect(await bench.files('out')).toEqual(['_SUCCESS']);
      }
    }
  });

  it('makes an output where every row is invalid, and says so', async () => {
    await bench.parquet('data/a.parquet', rowsOf(3000));
    for (const sink of SINKS) {
      const { summary } = await bench.run({
        ...parts,
        validate: { rules: { x: { max: -1 } } },
        sink: { ...sink, exists: 'replace' },
      });
      expect(summary).toMatchObject({ rows: 3000, scored: 0, quarantined: 3000, reasons: { 'x: above max -1': 3000 } });
      expect(
        await bench.rows(`SELECT count(*) AS n FROM '${bench.path('out.colonnade/quarantine/a.parquet')}'`),
      ).toEqual([{ n: 3000n }]);
    }
  });
});

describePython('row groups without rows', () => {
  it('keep their place between those that have some', async () => {
    await mkdir(bench.path('data'));
    await python(
      `
import sys, pyarrow as pa, pyarrow.parquet as pq
schema = pa.schema([('id', pa.int64()), ('x', pa.float32()), ('y', pa.float32()), ('region', pa.string())])
def rows(a, b): return pa.table({'id': range(a, b), 'x': [float(i) for i in range(a, b)], 'y': [float(i % 7) for i in range(a, b)], 'region': [f'r{i % 2}' for i in range(a, b)]}, schema)
with pq.ParquetWriter(sys.argv[1], schema) as w:
    for a, b in [(0, 0), (0, 700), (700, 700), (700, 700), (700, 1500), (1500, 1500)]: w.write_table(rows(a, b))
with pq.ParquetWriter(sys.argv[2], schema) as w: pass
`,
      [bench.path('data/a.parquet'), bench.path('data/b.parquet')],
    );
    expect((await readFooter(bench.path('data/b.parquet'))).rowGroups).toEqual([]);
    const before = (await readFooter(bench.path('data/a.parquet'))).rowGroups.map(({ rows }) => rows);
    expect(before).toContain(0);
    for (const sink of SINKS) {
      const { summary } = await bench.run({ ...parts, sink: { ...sink, exists: 'replace' } });
      expect(summary).toMatchObject({ rows: 1500, scored: 1500 });
      const [row] = await bench.rows(
        `SELECT count(*) AS n, sum(score) AS sum FROM '${bench.path('out/**/*.parquet')}'`,
      );
      expect(row).toEqual({ n: 1500n, sum: sumOfScores(1500) });
      if (sink.mode === 'append')
        expect((await readFooter(bench.path('out/a.parquet'))).rowGroups.map(({ rows }) => rows)).toEqual(before);
    }
  });
});

function sumOfScores(rows: number): number {
  let sum = 0;
  for (let i = 0; i < rows; i += 1) sum += 2 * i + 0.5 * (i % 7) + 1;
  return sum;
}
