/** Models that never end: their process is ended at a deadline, and the run goes on without what they were given. */
import { fork } from 'node:child_process';
import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { built, runNode } from '../built.js';
import { fixture } from '../model/fixtures.js';
import { linearModel } from './onnx.js';
import { errorOf, runProgram, summaryOf, untilGone, writtenBy, type Told } from './program.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
const clear = async (): Promise<void> => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
};
beforeEach(clear);
// Above 100 the model does not end.
await bench.parquet('data/a.parquet', 'SELECT (i % 90)::FLOAT AS x FROM range(5000) t(i)');
await bench.parquet(
  'data/b.parquet',
  'SELECT CASE i WHEN 3000 THEN 101 ELSE i % 90 END::FLOAT AS x FROM range(5000) t(i)',
);
await bench.parquet('data/c.parquet', 'SELECT (i % 80)::FLOAT AS x FROM range(3) t(i)');
const endless = (name: string, timeout = '400ms'): Parts => ({
  features: ['x'],
  model: { path: fixture(name), batch_size: 1000 },
  outputs: { y: { from: 'Y', index: 0 } },
  run: { timeout },
});

const attempts = ({ log }: Told): unknown[] => log.flatMap(({ attempt }) => attempt ?? []);

describe('a model that never ends on a row', () => {
  for (const [name, workers] of [
    ['endless.onnx', '1'],
    ['endless_hidden.onnx', '2'],
  ] as const) {
    it(`is ended at its deadline and tried once more; the others are done (${name}, ${workers} workers)`, async () => {
      const pipeline = await bench.pipeline(endless(name));
      const told = await runProgram(bench, pipeline, ['--workers', workers]);
      expect(told).toMatchObject({ code: 1, signal: null });
      const error = errorOf(told);
      expect(error.code).toBe('MODEL_TIMEOUT');
      // A batch of the second row group, whose windows begin anew at row 2,048.
      expect(error.message).toBe(
        `1 of 3 shards failed, the others are done: ${bench.path('data/b.parquet')}, rows 2048 to 3047: ` +
          `${fixture(name)} took longer than 0.4 s for this batch, and its process was ended (${attempts(told).length + 1} attempts)`,
      );
      expect(await bench.isVisible()).toBe(false);
      await untilGone(told.workers);

      if (workers === '2') return;
      // Only the one is tried again.
      const again = await runProgram(bench, pipeline, ['--workers', workers]);
      expect(again.code).toBe(1);
      expect(again.log.find(({ msg }) => String(msg).startsWith('resuming: '))).toMatchObject({
        rows: 5003,
        shards: 2,
      });
    });
  }

  it('ends a preview as well, that of rows on which it ends is shown', async () => {
    await bench.parquet('hangs/a.parquet', 'SELECT 101::FLOAT AS x FROM range(3)');
    const preview = async (source: string) => {
      const path = await bench.pipeline({ ...endless('endless.onnx'), source: { path: source } }, 'preview.yaml');
      return runNode(built('bin/colonnade.js'), ['preview', path, '-n', '2', '--json']);
    };
    expect(JSON.parse((await preview('data')).stdout)).toMatchObject({
      rows: [
        { x: 0, y: 0 },
        { x: 1, y: 1 },
      ],
    });
    const { code, stderr } = await preview('hangs');
    expect(code).toBe(1);
    expect(stderr).toMatch(/hangs\/a\.parquet, rows 0 to 1: .*endless\.onnx took longer than 0\.4 s for this batch/);
  });
});

describe('a model that never ends on neutral rows', () => {
  it('is planned, inspected and scored without being run in the main process', async () => {
    // It ends below -1 alone: zeros, as models are tried with otherwise, keep it for ever.
    await bench.parquet('below/a.parquet', 'SELECT (-5 - i % 10)::FLOAT AS x FROM range(3000) t(i)');
    const parts = { ...endless('endless_at_rest.onnx', 'off'), source: { path: 'below' } };
    const pipeline = await bench.pipeline({ ...parts, run: {} });
    const colonnade = (...args: string[]) => runNode(built('bin/colonnade.js'), args);
    expect((await colonnade('plan', pipeline)).code).toBe(0);
    const inspected = await colonnade('inspect', fixture('endless_at_rest.onnx'), '--json');
    expect(JSON.parse(inspected.stdout)).toMatchObject({ mayHang: true, nanOutputs: null, engine: 'onnxruntime' });
    const told = await runProgram(bench, pipeline, []);
    expect(summaryOf(told)).toMatchObject({ scored: 3000, workers: 1 });
    expect(told.workers).toHaveLength(1);
    const wrong = await bench.rows(`SELECT * FROM '${bench.path('out/*.parquet')}' WHERE y IS DISTINCT FROM x`);
    expect(wrong).toEqual([]);
    expect(await bench.failure({ ...parts, model: { ...parts.model, engine: 'trees' } })).toMatchObject({
      code: 'MODEL_UNSUPPORTED',
    });
  });
});

describe('a timeout', () => {
  let model: string;
  beforeAll(async () => {
    model = await bench.write('models/linear.onnx', linearModel([0.5], 1));
  });

  it('that is written has one worker score in a process of its own, and changes no byte', async () => {
    const written: Record<string, string>[] = [];
    for (const [run, processes] of [
      [{}, 0],
      [{ timeout: 'off' }, 0],
      [{ timeout: '1h' }, 1],
    ] as const) {
      await clear();
      const pipeline = await bench.pipeline({ features: ['x'], model: { path: model }, outputs: { s: 'score' }, run });
      const told = await runProgram(bench, pipeline, ['--workers', '1']);
      written.push(await writtenBy(bench, summaryOf(told).run_id));
      expect({ run, processes: told.workers.length }).toEqual({ run, processes });
    }
    expect(written[1]).toEqual(written[0]);
    expect(written[2]).toEqual(written[0]);
  });
});

describe('the watchdog', () => {
  /** A process that is watched with a deadline of a second, calls once for so many milliseconds, and ends with status 7. */
  const watched = (callMs: number) => {
    const script = fileURLToPath(new URL('watched.mjs', import.meta.url));
    const child = fork(script, [built('run/watchdog.js'), String(callMs)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
    let told = '';
    (child.stdio[4] as Readable).on('data', (text: Buffer) => (told += text.toString()));
    const began = new Promise((resolve) => child.once('message', resolve));
    const ended = new Promise<unknown>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, told }));
    });
    return { child, began, ended };
  };

  it('ends a process whose call takes too long, and tells which', async () => {
    expect(await watched(1e9).ended).toEqual({
      code: null,
      signal: 'SIGKILL',
      told: JSON.stringify({ model: 1, file: 2, from: 3, to: 2 ** 40 }),
    });
  });

  it('leaves one alone that was stopped meanwhile: it did not compute', async () => {
    const { child, began, ended } = watched(300);
    await began;
    child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1600));
    child.kill('SIGCONT');
    expect(await ended).toEqual({ code: 7, signal: null, told: '' });
  });
});
