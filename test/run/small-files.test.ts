/** Sources of many small files, which are handed over, read and written together: what holds for one file holds for each. */
import { open, readFile, rm } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readFooter } from '../../src/parquet/footer.js';
import { startRun } from '../../src/run/run.js';
import { linearModel } from './onnx.js';
import { errorOf, runProgram, summaryOf, writtenBy } from './program.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
const REGIONS = ['north', 'south', 'far west'];
const FILES = 60;
let model: string;
let parts: Parts;

/** Of different lengths, one of them without rows, one of several row groups; some with columns that the others lack. */
const rowsIn = (file: number): number => (file === 7 ? 0 : file === 11 ? 5000 : 40 + file);
const nameOf = (file: number): string =>
  `data/region=${REGIONS[file % 3]!}/part-${String(file).padStart(3, '0')}.parquet`;
const queryOf = (file: number): string => `
  SELECT ${file * 10_000} + i AS id, CASE WHEN i % 13 = 5 THEN NULL ELSE (hash(id) % 1000) / 7e2 END::FLOAT AS x,
    (hash(id + 1) % 1000)::FLOAT AS y ${file % 4 === 3 ? ", 'more' AS extra, i AS file_index" : ''}
  FROM range(${rowsIn(file)}) t(i)`;
const ALL = Array.from({ length: FILES }, (_, file) => file);
const ROWS = ALL.reduce((sum, file) => sum + rowsIn(file), 0);

beforeAll(async () => {
  model = await bench.write('models/linear.onnx', linearModel([0.5, -2, 10], 1));
});

beforeEach(async () => {
  for (const name of ['data', 'out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
  for (const file of ALL) await bench.parquet(nameOf(file), queryOf(file));
  parts = {
    source: { path: 'data', key: ['id'] },
    features: ['x', 'y', { name: 'place', sql: 'length(region)' }],
    model: { path: model },
    outputs: { score: 'score' },
  };
});

/** Overwrites some bytes in the middle of the pages of a file, of which the footer stays as it is. */
async function damage(path: string): Promise<void> {
  const { rowGroups } = await readFooter(path);
  const { offset, length } = rowGroups[0]!.chunks.find(({ path: [name] }) => name === 'x')!.pages;
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(length, 0xff), 0, length, offset);
  await file.close();
}

describe('many small files', () => {
  const SINKS = [{ mode: 'append' }, { mode: 'partition', partition_by: ['region'] }, { mode: 'predictions' }] as const;

  for (const sink of SINKS) {
    it(`are the same, byte for byte, for 1, 2 and 3 workers, and have the scores of their own rows (${sink.mode})`, async () => {
      const pipeline = await bench.pipeline({ ...parts, sink });
      const outputs: Record<string, string>[] = [];
      for (const workers of [1, 2, 3]) {
        for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
        const told = await runProgram(bench, pipeline, ['--workers', String(workers)]);
        const summary = summaryOf(told);
        expect(summary).toMatchObject({ workers, rows: ROWS, resumed_rows: 0 });
        outputs.push(await writtenBy(bench, summary.run_id));
      }
      expect(outputs[1]).toEqual(outputs[0]);
      expect(outputs[2]).toEqual(outputs[0]);
      const wrong = await bench.rows(`
        SELECT count(*) FILTER (abs(o.score - (0.5 * s.x - 2 * s.y + 10 * length(s.region) + 1)) > 1e-3 OR o.score IS NULL) AS wrong,
          count(*) AS rows, (SELECT count(*) FROM '${bench.path('data')}/**/*.parquet' WHERE x IS NOT NULL) AS valid
        FROM read_parquet('${bench.path('out')}/**/*.parquet', hive_partitioning = true) AS o
        JOIN read_parquet('${bench.path('data')}/**/*.parquet', hive_partitioning = true, union_by_name = true) AS s USING (id)
        WHERE s.x IS NOT NULL`);
      expect(wrong).toEqual([{ wrong: 0n, rows: wrong[0]!['valid'], valid: wrong[0]!['valid'] }]);
    });
  }

  it('are counted file by file', async () => {
    const { manifest } = await bench.run(parts);
    expect(manifest.ledger.files).toHaveLength(FILES);
    for (const { file, rows, scored, quarantined, written } of manifest.ledger.files) {
      const [counts] = await bench.rows(
        `SELECT count(*) AS rows, count(*) FILTER (x IS NULL) AS invalid FROM '${file}'`,
      );
      expect({ file, rows, quarantined, written }).toEqual({
        file,
        rows: Number(counts!['rows']),
        quarantined: Number(counts!['invalid']),
        written: rows,
      });
      expect(scored).toBe(rows - quarantined);
    }
    expect(manifest.outputs).toHaveLength(FILES);
  });

  it('are gone on from in the middle of a group, and nothing that was done is scored again', async () => {
    const pipeline = await bench.pipeline(parts);
    const undisturbed = await writtenBy(bench, summaryOf(await runProgram(bench, pipeline, ['--workers', '1'])).run_id);
    for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
    const told = await runProgram(bench, pipeline, ['--workers', '1'], {
      who: 'main',
      at: 1,
      when: 'before',
      from: '/shards/000017\\.json',
      signals: ['SIGKILL'],
    });
    expect(told.signal).toBe('SIGKILL');
    const done = (await bench.files('out.colonnade')).filter((file) => /shards\/\d+\.json$/.test(file));
    expect(done.length).toBeGreaterThan(10);
    const next = summaryOf(await runProgram(bench, pipeline, ['--workers', '1']));
    const { ledger } = JSON.parse(await readFile(bench.path('out.colonnade/manifest.json'), 'utf8')) as {
      readonly ledger: { readonly files: readonly { readonly rows: number }[] };
    };
    const rowsOf = (file: string): number => ledger.files[Number(/(\d+)\.json$/.exec(file)![1])]!.rows;
    expect(next.resumed_rows).toBe(done.reduce((sum, file) => sum + rowsOf(file), 0));
    expect(await writtenBy(bench, next.run_id)).toEqual(undisturbed);
  });
});

describe('one of many small files', () => {
  it('is named where its pages are damaged, for any number of workers', async () => {
    await damage(bench.path(nameOf(31)));
    const pipeline = await bench.pipeline(parts);
    for (const workers of ['1', '2']) {
      const { code, message } = errorOf(await runProgram(bench, pipeline, ['--workers', workers]));
      expect({ code, message }).toEqual({
        code: 'BAD_PARQUET',
        message: expect.stringContaining(`${bench.path(nameOf(31))} cannot be read in rows 0 to 70`) as string,
      });
      expect(await bench.isVisible()).toBe(false);
    }
  });

  it('is named, with the row, where a row must not be invalid', async () => {
    for (const file of ALL.filter((each) => each !== 33))
      await bench.parquet(nameOf(file), `SELECT * REPLACE (coalesce(x, 0) AS x) FROM (${queryOf(file)})`);
    const error = await bench.failure({ ...parts, validate: { on_invalid: 'fail' } });
    expect(error).toMatchObject({ code: 'ROW_INVALID' });
    expect(error.message).toContain(`${bench.path(nameOf(33))}: row 5 is invalid`);
  });

  it('is named where it is gone, or another, once it was planned with', async () => {
    const plan = await bench.plan(parts);
    await rm(bench.path(nameOf(50)));
    const gone = await rejection(startRun(plan, { workers: 1 }).result);
    expect(gone).toMatchObject({ code: 'INPUT_GONE' });
    expect(gone.message).toContain(bench.path(nameOf(50)));
    await bench.parquet(nameOf(50), `${queryOf(50)} UNION ALL SELECT 1, 2, 3`);
    const grown = await rejection(startRun(plan, { workers: 1 }).result);
    expect(['INPUT_CHANGED', 'BAD_PARQUET']).toContain(grown.code);
    expect(grown.message).toContain(bench.path(nameOf(50)));
    await bench.parquet(nameOf(50), queryOf(50));
    const rewritten = await rejection(startRun(plan, { workers: 1 }).result);
    expect(rewritten).toMatchObject({ code: 'INPUT_CHANGED' });
    expect(rewritten.message).toContain(bench.path(nameOf(50)));
    expect(await bench.isVisible()).toBe(false);
  });

  it('is refused in the plan where a column that is needed lies in it and is a folder of the others', async () => {
    await bench.parquet(nameOf(20), `SELECT *, 'east' AS region FROM (${queryOf(20)})`);
    const error = await bench.failure(parts);
    expect(error).toMatchObject({ code: 'SCHEMA_DRIFT' });
    expect(error.message).toContain(`${bench.path(nameOf(20))}: column region is VARCHAR, in the file itself`);
  });
});
