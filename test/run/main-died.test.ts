/** A model that takes the main process down with it: once, as the next run has it scored elsewhere. */
import { rm } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from './onnx.js';
import { errorOf, runProgram, summaryOf, untilGone, writtenBy, type Told } from './program.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();
for (const name of ['a', 'b', 'c'])
  await bench.parquet(`data/${name}.parquet`, 'SELECT (hash(i) % 1000 / 7)::FLOAT AS x FROM range(5000) t(i)');
const pipeline = await bench.pipeline({
  features: ['x'],
  model: { path: await bench.write('models/linear.onnx', linearModel([0.3], 1)) },
  outputs: { score: 'score' },
});
beforeEach(async () => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
});

const run = (...args: string[]): Promise<Told> => runProgram(bench, pipeline, ['--workers', '1', ...args]);
const warnings = ({ log }: Told): unknown[] =>
  log.flatMap(({ level, msg, attempt, shard }) =>
    level === 'warn' && attempt === undefined && shard === undefined ? [msg] : [],
  );
const DIED =
  'an earlier run of this plan died while its main process scored; this one scores in a worker process, so that a crash of the model is told and costs a part';
const marks = async (): Promise<string[]> =>
  (await bench.files('out.colonnade')).filter((file) => file.endsWith('/main-scores'));

/** As a model does that crashes: in the middle of the second shard. */
const crash = { at: 1, when: 'before', from: '/shards/000001', signals: ['SIGSEGV'] } as const;

describe('a main process that dies while it scores', () => {
  it('is not to score again: the next run has a worker process do it, says so, and writes the same', async () => {
    const undisturbed = await run();
    expect(undisturbed.workers).toEqual([]);
    const whole = await writtenBy(bench, summaryOf(undisturbed).run_id);
    for (const fresh of [[], ['--fresh']]) {
      await rm(bench.path('out'), { recursive: true });
      await rm(bench.path('out.colonnade'), { recursive: true });
      expect((await runProgram(bench, pipeline, ['--workers', '1'], { ...crash, who: 'main' })).signal).toBe('SIGSEGV');
      const next = await run(...fresh);
      expect(summaryOf(next).resumed_rows).toBe(fresh.length === 0 ? 5000 : 0);
      expect(warnings(next)).toEqual([DIED]);
      expect(next.workers).toHaveLength(1);
      expect(await writtenBy(bench, summaryOf(next).run_id)).toEqual(whole);
      expect(await marks()).toEqual([]);
    }
  });

  it('is told by the next runs as a shard that crashes, for as long as it does', async () => {
    expect((await runProgram(bench, pipeline, ['--workers', '1'], { ...crash, who: 'main' })).signal).toBe('SIGSEGV');
    for (let time = 0; time < 2; time += 1) {
      const next = await runProgram(bench, pipeline, ['--workers', '1'], { ...crash, who: 'worker' });
      expect(next).toMatchObject({ code: 1, signal: null });
      expect(warnings(next)).toEqual([DIED]);
      expect(errorOf(next).message).toMatch(
        /^1 of 3 shards failed, the others are done: .*b\.parquet, rows 0 to 4999: a worker process was ended by SIGSEGV \(\d attempts\)$/,
      );
      expect(await bench.isVisible()).toBe(false);
      await untilGone(next.workers);
    }
  });

  it('leaves no mark where it ends in any other way', async () => {
    const args = ['--workers', '1'];
    const stopped = await runProgram(bench, pipeline, args, { ...crash, who: 'main', signals: ['SIGTERM'] });
    expect(stopped.code).toBe(143);
    expect(await marks()).toEqual([]);
    const next = await run();
    summaryOf(next);
    expect({ warnings: warnings(next), workers: next.workers }).toEqual({ warnings: [], workers: [] });
  });
});
