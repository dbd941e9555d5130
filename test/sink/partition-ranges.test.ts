/** A partition of a source that is large enough to be written in ranges, several at once. */
import { rm } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { placesOf } from '../../src/commit/places.js';
import { planHash } from '../../src/run/plan-hash.js';
import { startRun } from '../../src/run/run.js';
import { openSink } from '../../src/sink/open.js';
import type { StagedFile } from '../../src/sink/sink.js';
import { openDatabase } from '../../src/source/database.js';
import { linearModel } from '../run/onnx.js';
import { runProgram, summaryOf, writtenBy } from '../run/program.js';
import { openWorkbench, rejection, type Parts } from '../run/workbench.js';

const bench = await openWorkbench();
let parts: Parts;

const FILES = ['a', 'b', 'c', 'd'];
/** Rows of a file; each has 2.5 KB that no codec makes less, so that two files are a range. */
const ROWS = 20_000;

beforeAll(async () => {
  for (const [i, name] of FILES.entries())
    await bench.parquet(
      `data/${name}.parquet`,
      `SELECT i AS id, (i % 7)::FLOAT AS x, i % 3 AS p, i % 200 AS q,
        list_reduce([md5((i * 80 + j)::VARCHAR) FOR j IN range(80)], lambda a, b: a || b) AS text
       FROM range(${i * ROWS}, ${(i + 1) * ROWS}) t(i)`,
      'row_group_size 4096',
    );
  parts = {
    features: ['x'],
    model: { path: await bench.write('models/double.onnx', linearModel([2], 1)) },
    outputs: { score: 'score' },
    validate: { rules: { x: { max: 5 } } },
    sink: { mode: 'partition', partition_by: ['p'] },
  };
});

const clearOutput = async (): Promise<void> => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
};
beforeEach(clearOutput);

describe('ranges of the source', () => {
  it('give each folder a file each, named in their order, with the rows in the order of the source', async () => {
    const { summary } = await bench.run(parts);
    expect(summary).toMatchObject({ rows: 80_000, scored: 68_572, quarantined: 11_428, files: 6 });
    expect(await bench.files('out')).toEqual([
      '_SUCCESS',
      ...[0, 1, 2].flatMap((p) => [`p=${p}/part-0.parquet`, `p=${p}/part-1.parquet`]),
    ]);
    const rows = await bench.rows(
      `SELECT p, filename, id, x, score, md5(text) AS hash FROM read_parquet('${bench.path('out/**/*.parquet')}', hive_partitioning = true, filename = true, file_row_number = true) ORDER BY filename, file_row_number`,
    );
    const want = [0, 1, 2].flatMap((p) =>
      Array.from({ length: FILES.length * ROWS }, (_, id) => id)
        .filter((id) => id % 3 === p && id % 7 < 6)
        .map((id) => ({ id, x: id % 7, score: (id % 7) * 2 + 1 })),
    );
    expect(rows.map(({ id, x, score }) => ({ id: Number(id), x, score }))).toEqual(want);
    const [texts] = await bench.rows(
      `SELECT count(*)::INT AS n FROM '${bench.path('out/**/*.parquet')}' AS o JOIN '${bench.path('data/*.parquet')}' AS s USING (id) WHERE o.text = s.text`,
    );
    expect(texts).toEqual({ n: 68_572 });
  });

  it('give the same bytes for 1, 2 and 3 workers, each time, and after a run that was stopped', async () => {
    const pipeline = await bench.pipeline(parts);
    const outputs: Record<string, string>[] = [];
    for (const workers of [1, 2, 3, 1]) {
      await clearOutput();
      const summary = summaryOf(await runProgram(bench, pipeline, ['--workers', String(workers)]));
      outputs.push(await writtenBy(bench, summary.run_id));
    }
    await clearOutput();
    const plan = await bench.plan(parts);
    const controller = new AbortController();
    const stopped = startRun(plan, { signal: controller.signal });
    const end = rejection(stopped.result);
    for await (const event of stopped)
      if (event.type === 'phase' && event.phase === 'writing')
        controller.abort(new ColonnadeError('TERMINATED', 'terminated by a test', { phase: 'run' }));
    expect((await end).code).toBe('TERMINATED');
    const resumed = await startRun(plan).result;
    expect(resumed.resumed_rows).toBe(80_000);
    outputs.push(await writtenBy(bench, resumed.run_id));
    expect(Object.keys(outputs[0]!)).toHaveLength(11);
    for (const output of outputs) expect(output).toEqual(outputs[0]);
  });

  it('may be told by a prediction', async () => {
    await bench.run({ ...parts, sink: { ...parts.sink, partition_by: ['score'], columns: ['id'] } });
    expect(await bench.files('out')).toEqual([
      '_SUCCESS',
      ...['1', '11', '3', '5', '7', '9'].flatMap((score) => [
        `score=${score}.0/part-0.parquet`,
        `score=${score}.0/part-1.parquet`,
      ]),
    ]);
    const [row] = await bench.rows(
      `SELECT count(*)::INT AS n, bool_and(score = id % 7 * 2 + 1) AS placed FROM read_parquet('${bench.path('out/**/*.parquet')}', hive_partitioning = true)`,
    );
    expect(row).toEqual({ n: 68_572, placed: true });
  });

  it('are one where there are many folders, so that each has one file', async () => {
    await bench.run({ ...parts, sink: { ...parts.sink, partition_by: ['q'], columns: ['id'] } });
    const files = (await bench.files('out')).filter((file) => file !== '_SUCCESS');
    expect(files).toHaveLength(200);
    for (const file of files) expect(file).toMatch(/^q=\d+\/part-0\.parquet$/);
  });

  /** Gives scores to a sink that has so much memory; the scores of a shard have `rows` rows. */
  async function write(
    memoryLimit: number,
    rows: number,
  ): Promise<{ files: readonly StagedFile[]; failures: unknown[] }> {
    const plan = await bench.plan(parts);
    const scores = await bench.parquet(
      'scores/scores.parquet',
      `SELECT 1::FLOAT AS score, 0::UTINYINT AS __colonnade_status FROM range(${rows})`,
    );
    const { signal } = new AbortController();
    const database = await openDatabase({
      memoryLimit,
      threads: 1,
      spillDirectory: bench.path('spill'),
      readable: [...plan.files.map(({ path }) => path), scores],
      writable: [bench.folder],
      signal,
    });
    const { output, work } = placesOf(plan.sink.path, planHash(plan)).staging;
    const sink = openSink({
      plan,
      output,
      work,
      metadata: {},
      signal,
      writers: 2,
      database: () => Promise.resolve(database),
    });
    const failures: unknown[] = [];
    sink.begin((error) => failures.push(error));
    try {
      for (const shard of plan.shards) await sink.addShard!(plan.files[shard.file]!, shard, scores);
      return { files: await sink.finish(), failures };
    } catch (error) {
      expect(failures).toEqual([error]);
      throw error;
    } finally {
      await sink.abort();
      await database.close();
    }
  }

  it('are written one by one where memory does not do for several', async () => {
    // One range takes some 110 MB, two together are more than there is.
    const { files, failures } = await write(128e6, ROWS);
    expect(failures).toEqual([]);
    expect(files.map(({ rows }) => rows).reduce((sum, rows) => sum + rows)).toBe(80_000);
  });

  it('are refused where rows and scores are not in step', async () => {
    for (const rows of [ROWS - 1, ROWS + 1]) {
      const error = await rejection(write(1e9, rows));
      expect(error).toMatchObject({ code: 'LEDGER_UNBALANCED' });
      expect(error.message).toContain('a.parquet');
    }
  });
});
