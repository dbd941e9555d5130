/** Worker processes: how many there are changes no byte, and that one dies costs an attempt. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SerializedError } from '../../src/errors.js';
import { built } from '../built.js';
import { linearModel } from './onnx.js';
import { errorOf, runProgram, summaryOf, untilGone, writtenBy, type Disturbance, type Told } from './program.js';
import { openWorkbench, sampleModel, type Parts } from './workbench.js';

const bench = await openWorkbench();

/** Four files of the sample, of which a few rows are invalid; many batches, so that there is a middle of a shard. */
const churn: Parts = {
  source: { path: fileURLToPath(new URL('../../data/customers/region=*/part-1.parquet', import.meta.url)) },
  features: ['age', 'income', 'num_transactions', 'tenure_months', 'days_since_login', 'support_calls'],
  model: { path: sampleModel('churn_logistic.onnx'), batch_size: 500 },
  outputs: { churn: 'output_label', churn_probability: { from: 'output_probability', class: 1 } },
  validate: { rules: { age: { min: 0, max: 120 }, income: { min: 0 } } },
};

const clearOutput = async (): Promise<void> => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
};

beforeEach(clearOutput);

describe('the output', () => {
  const SINKS = [{ mode: 'append' }, { mode: 'partition', partition_by: ['region'] }, { mode: 'predictions' }] as const;

  /** Values with all their bits, so that a sum in another order would be another one. */
  const rowsOf = (from: number, to: number): string => `
    SELECT
      i AS id,
      CASE WHEN i % 997 = 0 THEN 999 WHEN i % 1009 = 0 THEN NULL ELSE (hash(i) % 1000000) / 7e5 END::FLOAT AS x,
      ((hash(i + 1) % 1000000) / 3e5)::FLOAT AS y,
      ((hash(i + 2) % 1000000) / 9e5)::FLOAT AS z
    FROM range(${from}, ${to}) t(i)`;
  let parts: Parts;

  beforeAll(async () => {
    await bench.clear();
    parts = {
      source: { key: ['id'] },
      features: ['x', 'y', 'z'],
      model: { path: await bench.write('models/linear.onnx', linearModel([0.1, -0.7, 3.3], 0.2)) },
      outputs: { score: 'score' },
      validate: { rules: { x: { max: 120 } } },
    };
    await bench.parquet('data/region=north/a.parquet', rowsOf(0, 20_000));
    // Enough for two shards, which two workers may score at the same time.
    await bench.parquet('data/region=south/b.parquet', rowsOf(20_000, 520_000), 'row_group_size 122880');
    await bench.parquet('data/region=south/c.parquet', rowsOf(520_000, 525_000));
    await bench.parquet('data/region=west/d.parquet', rowsOf(525_000, 525_007));
  });

  for (const sink of SINKS) {
    it(`is the same, byte for byte, for 1, 2 and 3 workers of any number of threads, and so is the quarantine (${sink.mode})`, async () => {
      const outputs: Record<string, string>[] = [];
      for (const workers of [1, 2, 3]) {
        // With as many threads as there are by default, with one, and with more than there are processors.
        const run = workers === 1 ? {} : { run: { threads: workers === 2 ? 1 : 5 } };
        const pipeline = await bench.pipeline({ ...parts, sink, ...run });
        await clearOutput();
        const told = await runProgram(bench, pipeline, ['--workers', String(workers)]);
        const summary = summaryOf(told);
        expect(summary).toMatchObject({ workers, rows: 525_007, quarantined: 1047 });
        expect(told.workers).toHaveLength(workers === 1 ? 0 : workers);
        outputs.push(await writtenBy(bench, summary.run_id));
      }
      expect(Object.keys(outputs[0]!)).toContain('out.colonnade/quarantine/region=south/b.parquet');
      expect(outputs[1]).toEqual(outputs[0]);
      expect(outputs[2]).toEqual(outputs[0]);
    });
  }
});

describe('a worker process that is killed', () => {
  let pipeline: string;
  let undisturbed: Record<string, string>;

  beforeAll(async () => {
    await bench.clear();
    pipeline = await bench.pipeline(churn);
    undisturbed = await writtenBy(bench, (await run()).run_id);
  });

  const run = async () => summaryOf(await runProgram(bench, pipeline, ['--workers', '2']));

  const killed = { who: 'worker', signals: ['SIGKILL'] } as const;
  const death = ['WORKER_DIED', 'a worker process was ended by SIGKILL'];

  /** Attempt, code and message of every retry that the log tells. */
  const retries = ({ log }: Told): unknown[] =>
    log.flatMap(({ attempt, error }) => {
      if (attempt === undefined) return [];
      const { code, message } = error as SerializedError;
      return [[attempt, code, message]];
    });

  const PLACES: readonly (readonly [string, Pick<Disturbance, 'at' | 'from' | 'when'>])[] = [
    ['before it has opened its model', { at: 'start' }],
    ['in the middle of a shard', { at: 'rows' }],
    ['when a shard has its scores but no manifest', { at: 1, when: 'before', from: '/shards/.*\\.json' }],
  ];

  for (const [place, at] of PLACES) {
    it(`${place} costs a second attempt and no byte of the output`, async () => {
      const told = await runProgram(bench, pipeline, ['--workers', '2'], { ...killed, ...at, once: true });
      const summary = summaryOf(told);
      expect(retries(told)).toEqual([[1, ...death]]);
      expect(told.workers).toHaveLength(3);
      expect(await writtenBy(bench, summary.run_id)).toEqual(undisturbed);
    });
  }

  it('when a shard is done but not told costs nothing: the shard is found done, and not scored again', async () => {
    const place = { at: 2, when: 'after', from: '/shards/\\d+\\.json$', once: true } as const;
    const strict = await bench.pipeline({ ...churn, run: { retries: 0 } }, 'no-retries.yaml');
    const told = await runProgram(bench, strict, ['--workers', '2'], { ...killed, ...place });
    const summary = summaryOf(told);
    expect(retries(told)).toEqual([]);
    const warnings = told.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    expect(warnings).toEqual([expect.stringMatching(/^shard \d was done when its worker died: .* SIGKILL$/)]);
    expect(await writtenBy(bench, summary.run_id)).toEqual(undisturbed);
  });

  it('each time makes the run fail, and nothing is visible', async () => {
    const told = await runProgram(bench, pipeline, ['--workers', '2'], { ...killed, at: 'rows' });
    expect(told).toMatchObject({ code: 1, signal: null });
    const { code, message, problems } = errorOf(told);
    // Three of four, and no other was done: the fourth would fare no better.
    expect([code, message]).toEqual(['WORKER_DIED', '3 of 4 shards failed, 0 are done, 1 was not tried as all failed']);
    expect(problems).toHaveLength(3);
    for (const problem of problems ?? [])
      expect(problem.message).toMatch(
        /region=\w+\/part-1\.parquet, rows 0 to \d+: a worker process was ended by SIGKILL \(2 attempts\)$/,
      );
    expect(await bench.isVisible()).toBe(false);
    expect(await bench.beside()).toEqual(['epochs/1.json']);
    await untilGone(told.workers);
    expect(await writtenBy(bench, (await run()).run_id)).toEqual(undisturbed);
  });

  it('by one shard each time leaves all others done, names that one, and the next run tries it alone', async () => {
    const deadly = { ...killed, at: 1, when: 'before', from: '/shards/000002' } as const;
    const told = await runProgram(bench, pipeline, ['--workers', '2'], deadly);
    expect(told).toMatchObject({ code: 1, signal: null });
    const { code, message } = errorOf(told);
    expect(code).toBe('WORKER_DIED');
    expect(message).toMatch(
      /^1 of 4 shards failed, the others are done: .*\.parquet, rows 0 to \d+: a worker process was ended by SIGKILL \(\d attempts\)$/,
    );
    expect(await bench.isVisible()).toBe(false);
    const next = await runProgram(bench, pipeline, ['--workers', '2']);
    const { rows, resumed_rows, run_id } = summaryOf(next);
    const begun = next.log.find(({ msg }) => String(msg).startsWith('resuming: '));
    expect(begun).toMatchObject({ shards: 3, rows: resumed_rows });
    expect(resumed_rows).toBeLessThan(rows);
    expect(await writtenBy(bench, run_id)).toEqual(undisturbed);
  });

  it('before it has begun, as no file can be opened any more, is told as one that died', async () => {
    const script = fileURLToPath(new URL('out-of-files.mjs', import.meta.url));
    const limited = 'ulimit -n 64 && exec "$0" "$@"';
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      limited,
      process.execPath,
      script,
      built('run/child-worker.js'),
    ]);
    expect(JSON.parse(stdout)).toEqual({
      code: 'WORKER_DIED',
      message: expect.stringContaining('EMFILE') as unknown,
    });
  });
});
