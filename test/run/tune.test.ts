/** Tuning measures with the real parts, recommends only what is better by more than the noise, and leaves nothing behind. */
import { mkdir, readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { samplePlan } from '../../src/plan/sample.js';
import { compare, isBetter, median } from '../../src/run/paired.js';
import { pick, pickWorkers, secondsForAll } from '../../src/run/tune.js';
import type { Tuning, TuneOptions, TuneProgress } from '../../src/run/tuning.js';
import { built } from '../built.js';
import { linearModel, slowModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
// Workers are processes of the built program.
const { tunePlan } = (await import(built('run/tune.js'))) as typeof import('../../src/run/tune.js');

const slow: Parts = {
  features: ['x'],
  model: { path: 'models/slow.onnx' },
  outputs: { score: 'score' },
};

beforeAll(async () => {
  await bench.write('models/slow.onnx', slowModel(512));
  await bench.write('models/fixed.onnx', slowModel(512, { layers: 1, batch: 32 }));
  await bench.write('models/linear.onnx', linearModel([2]));
  for (const [i, name] of ['a', 'b'].entries())
    await bench.parquet(
      `data/region=${name}/part.parquet`,
      `SELECT i AS id, CASE WHEN i % 10 < 9 THEN (i % 50)::FLOAT END AS x FROM range(${i * 100_000}, ${(i + 1) * 100_000}) t(i)`,
      'row_group_size 8192',
    );
});

const tmp = process.env['TMPDIR'];
beforeEach(async () => {
  await mkdir(bench.path('tmp'), { recursive: true });
  process.env['TMPDIR'] = bench.path('tmp');
});
afterEach(() => {
  if (tmp === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = tmp;
});

/** What tuning says; nothing of it may be left, and nothing of the output be there. */
async function tune(parts: Parts, options: TuneOptions = {}): Promise<Tuning> {
  const plan = await bench.plan(parts);
  const before = await bench.files('.');
  const tuning = await tunePlan(plan, { seconds: 3, rows: 4096, ...options });
  expect(await bench.files('.')).toEqual(before);
  expect(await readdir(bench.path('tmp'))).toEqual([]);
  return tuning;
}

const sizesOf = ({ batch_sizes }: Tuning, model = 0): number[] =>
  batch_sizes[model]!.tried.map(({ batch_size }) => batch_size);

describe('tuning', () => {
  it('measures batch sizes around auto and numbers of workers, each with its speed and memory', async () => {
    const told: TuneProgress[] = [];
    const tuning = await tune(slow, { seconds: 12, onProgress: (progress) => told.push(progress) });
    expect(tuning).toMatchObject({ status: 'done', pipeline: 'test', rows: 200_000, sample: { rows: 4096 } });
    // Every tenth row is invalid.
    expect(tuning.sample!.scored).toBeGreaterThan(3600);
    expect(tuning.sample!.scored).toBeLessThan(3700);
    const [sizes] = tuning.batch_sizes;
    expect(sizes).toMatchObject({ auto: 1024, current: 1024 });
    expect(sizesOf(tuning)).toEqual(expect.arrayContaining([512, 1024, 2048]));
    expect(sizesOf(tuning)).toEqual(sizesOf(tuning).toSorted((a, b) => a - b));
    for (const trial of sizes!.tried) {
      expect(trial).not.toHaveProperty('error');
      expect(trial).toMatchObject({ rows_per_s: expect.any(Number) as number });
      // Node, DuckDB and ONNX Runtime are in each; what this process holds is not.
      const { peak_memory } = trial as { peak_memory: number };
      expect(peak_memory).toBeGreaterThan(50e6);
    }
    expect(told.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['sample', 'batch_size']));
    expect(tuning.notes).toContainEqual(
      expect.stringContaining('the sample has too few rows for batches of more than 4,096'),
    );
    if (availableParallelism() > 1) {
      const counts = tuning.workers.tried.map(({ workers }) => workers);
      expect(counts).toEqual(expect.arrayContaining([1, 2]));
      expect(told.map(({ stage }) => stage)).toContain('workers');
      // Where the time was enough: those that the recommended workers have, and another number.
      const { auto, current, tried } = tuning.threads;
      expect(current).toBe(auto);
      if (tried.length > 0) expect(tried.map(({ threads }) => threads)).toEqual(expect.arrayContaining([1, 2]));
      else expect(tuning.notes).toContainEqual(expect.stringContaining('of DuckDB not tried'));
    }
  });

  it('recommends auto in place of a batch size that is far slower, as lines for the pipeline file', async () => {
    const pinned = { ...slow, model: { path: 'models/slow.onnx', batch_size: 1 } };
    const tuning = await tune(pinned, { seconds: 30, rows: 1024, workers: 1 });
    expect(tuning.batch_sizes[0]).toMatchObject({ auto: 1024, current: 1 });
    expect(tuning.verdict).toBe('change');
    const recommended = tuning.batch_sizes[0]!.recommended;
    expect(tuning.settings).toEqual({ 'model.batch_size': recommended });
    expect(tuning.yaml).toBe(`model:\n  batch_size: ${recommended}\n`);
    expect(tuning.workers).toMatchObject({ current: 1, tried: [] });
  });

  it('does not try another batch size for a model that fixes its own, and says so', async () => {
    const tuning = await tune({ ...slow, model: { path: 'models/fixed.onnx' } }, { workers: 1 });
    expect(tuning.batch_sizes).toEqual([{ auto: 32, current: 32, recommended: 'auto', tried: [] }]);
    expect(tuning.settings).not.toHaveProperty('model.batch_size');
    expect(tuning.notes).toContain('the model takes batches of exactly 32 rows: no other batch size is tried');
  });

  it('tries the sizes of each of several models, and names the model', async () => {
    const models = {
      net: { path: 'models/slow.onnx', outputs: { a: 'score' } },
      line: { path: 'models/linear.onnx', outputs: { b: 'score' }, batch_size: 512 },
      stiff: { path: 'models/fixed.onnx', outputs: { c: 'score' } },
    };
    const tuning = await tune({ features: ['x'], models }, { seconds: 30, rows: 2048, workers: 1 });
    expect(tuning.batch_sizes.map(({ model, auto, current }) => [model, auto, current])).toEqual([
      ['net', 1024, 1024],
      ['line', 2048, 512],
      ['stiff', 32, 32],
    ]);
    expect(sizesOf(tuning, 0)).toEqual(expect.arrayContaining([512, 1024, 2048]));
    expect(sizesOf(tuning, 1)).toEqual(expect.arrayContaining([512, 1024]));
    expect(sizesOf(tuning, 2)).toEqual([]);
    expect(tuning.notes).toContain('model stiff takes batches of exactly 32 rows: no other batch size is tried');
    expect(Object.keys(tuning.settings).every((key) => /^models\.(net|line)\.batch_size$/.test(key))).toBe(true);
  });

  it('works for every sink, and touches an output that is there as little as one that is not', async () => {
    await bench.write('taken/notes.txt', 'mine');
    for (const sink of [
      { mode: 'append', path: 'taken' },
      { mode: 'partition', path: 'parts', partition_by: ['region'] },
      { mode: 'predictions', path: 'narrow' },
    ]) {
      const tuning = await tune({ ...slow, source: { key: 'id' }, sink }, { seconds: 2, rows: 1024, workers: 1 });
      expect(['keep', 'change']).toContain(tuning.verdict);
    }
  });

  it('scores past invalid rows that would end a run, and says that they would', async () => {
    const tuning = await tune({ ...slow, validate: { on_invalid: 'fail' } }, { seconds: 2, workers: 1 });
    expect(tuning.sample!.scored).toBeLessThan(tuning.sample!.rows);
    expect(tuning.notes).toContainEqual(expect.stringContaining('on_invalid: fail'));
  });

  it('of few rows says that it is worth nothing, and what there is without it', async () => {
    await bench.parquet('few/a.parquet', 'SELECT i::FLOAT AS x FROM range(500) t(i)');
    const few = await tune({ ...slow, source: { path: 'few' }, model: { path: 'models/linear.onnx' } }, {});
    expect(few).toMatchObject({
      verdict: 'small',
      rows: 500,
      sample: { rows: 500, scored: 500 },
      batch_sizes: [{ auto: 2048, recommended: 'auto', tried: [] }],
      workers: { auto: 1, current: 1, recommended: 'auto', tried: [] },
      settings: {},
      yaml: '',
    });
    await bench.parquet('none/a.parquet', 'SELECT i::FLOAT AS x FROM range(0) t(i)');
    const none = await tune({ ...slow, source: { path: 'none' } });
    expect(none).toMatchObject({ verdict: 'small', rows: 0, notes: ['there is no row to score'] });
    expect(none).not.toHaveProperty('sample');
  });

  it('begins where there are rows to score, and says where there are none', async () => {
    // The whole first file is filtered out.
    const second = await tune({ ...slow, source: { where: 'id >= 100000' } }, { seconds: 2, workers: 1 });
    expect(second.sample!.scored).toBeGreaterThan(3600);
    const none = await tune({ ...slow, source: { where: 'id < 0' } }, { seconds: 2, workers: 1 });
    expect(none).toMatchObject({ verdict: 'unscored', sample: { scored: 0 }, settings: {} });
    expect(none.notes[0]).toContain('none goes to the model');
  });

  it('is ended by its signal in the middle, with its reason and nothing left', async () => {
    const plan = await bench.plan(slow);
    const before = await bench.files('.');
    const stop = new AbortController();
    const reason = new ColonnadeError('INTERRUPTED', 'enough', { phase: 'run' });
    const stages: string[] = [];
    const tuning = tunePlan(plan, {
      signal: stop.signal,
      onProgress: ({ stage }) => {
        stages.push(stage);
        // While a worker is at work.
        if (stage === 'batch_size') setTimeout(() => stop.abort(reason), 400);
      },
    });
    await expect(tuning).rejects.toBe(reason);
    expect(stages).toContain('batch_size');
    expect(stages).not.toContain('workers');
    expect(await bench.files('.')).toEqual(before);
    expect(await readdir(bench.path('tmp'))).toEqual([]);
    await expect(tunePlan(plan, { signal: stop.signal })).rejects.toBe(reason);
  });

  it('fails as a run would where the pipeline as it is fails, and leaves nothing', async () => {
    const plan = await bench.plan(slow);
    const gone = { ...plan, models: plan.models.map((model) => ({ ...model, path: bench.path('gone.onnx') })) };
    await expect(tunePlan(gone)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await readdir(bench.path('tmp'))).toEqual([]);
  });

  it('raises run.memory until it suffices, where that of the pipeline does not', async () => {
    const plan = await bench.plan(slow);
    const starved = { ...plan, run: { ...plan.run, memory: 10_000 } };
    const tuning = await tunePlan(starved, { seconds: 2, rows: 1024, workers: 1 });
    expect(tuning.memory).toBeGreaterThan(10_000);
    expect(tuning.verdict).toBe('change');
    expect(tuning.settings['run.memory']).toBe(`${Math.ceil(tuning.memory / 1e6)}MB`);
    expect(tuning.yaml).toContain(`run:\n  memory: ${tuning.settings['run.memory']}\n`);
    expect(await readdir(bench.path('tmp'))).toEqual([]);
  });

  it('refuses options that make no sense', async () => {
    const plan = await bench.plan(slow);
    for (const options of [{ rows: 0 }, { rows: 1.5 }, { seconds: 0 }, { seconds: NaN }, { workers: 0 }, { rows: '9' }])
      await expect(tunePlan(plan, options as TuneOptions), JSON.stringify(options)).rejects.toMatchObject({
        code: 'USAGE',
      });
  });
});

describe('a sample', () => {
  it('has as many rows as are wanted, or all, each once, in batches that begin where those of a run do', async () => {
    const plan = await bench.plan(slow);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 250_000 }), fc.integer({ min: 0, max: 1 }), (rows, from) => {
        const sample = samplePlan(plan, [{ rows: 7 }, { rows, from }]);
        const part = sample.parts[1]!;
        expect(part.rows).toBe(Math.min(rows, 200_000));
        const shards = part.shards.map((index) => sample.plan.shards[index]!);
        expect(shards.map(({ index }) => index)).toEqual(part.shards);
        for (const { file, rows: inShard, rowGroups, firstRow } of shards) {
          const { rowGroups: groups, rows: inFile, path } = sample.plan.files[file]!;
          const whole = plan.files.find((each) => each.path === path)!.rowGroups;
          expect(groups.reduce((sum, group) => sum + group.rows, 0)).toBe(inShard);
          expect(inFile).toBe(inShard);
          expect(rowGroups).toEqual([0, groups.length]);
          // All but the last are whole: batches begin anew with each.
          expect(groups.slice(0, -1)).toEqual(whole.slice(0, groups.length - 1));
          expect(firstRow).toBe(0);
          expect(part.largestRowGroup).toBeGreaterThanOrEqual(Math.max(...groups.map((group) => group.rows)));
        }
        expect(new Set(shards.map(({ file }) => sample.plan.files[file]!.path)).size).toBe(shards.length);
        // One that needs no more than half of the rows begins where it is told.
        if (rows <= 100_000) expect(sample.plan.files[shards[0]!.file]!.path).toBe(plan.files[from]!.path);
      }),
      { numRuns: 50 },
    );
  });
});

describe('times that were taken in turn', () => {
  it('tell a factor apart from noise that meets both', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 4, maxLength: 20 }),
        fc.double({ min: 1.2, max: 4, noNaN: true }),
        (spells, factor) => {
          const found = compare(spells.map((spell) => [factor * spell, spell] as const));
          expect(found.speedup).toBeCloseTo(factor, 9);
          expect(isBetter(found, 0.05)).toBe(true);
          const back = compare(spells.map((spell) => [spell, factor * spell] as const));
          expect(isBetter(back, 0.05)).toBe(false);
        },
      ),
    );
  });

  it('tell nothing by one pair, nor where they contradict each other', () => {
    expect(compare([[2, 1]]).noise).toBe(Infinity);
    expect(isBetter(compare([[2, 1]]), 0.05)).toBe(false);
    const wild = compare([
      [2, 1],
      [1, 2],
      [3, 1],
      [1, 2],
      [2.2, 1],
    ]);
    expect(isBetter(wild, 0.05)).toBe(false);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('a recommendation', () => {
  const tried = (speeds: Readonly<Record<number, number>>, noise = 0.02) =>
    Object.entries(speeds).map(([value, speedup]) => ({ value: Number(value), speedup, noise }));

  it('is auto unless another is better by more than the noise', () => {
    const now = { current: 1024, auto: 1024 };
    expect(pick(tried({ 512: 0.9, 1024: 1, 2048: 1.04 }), now, 0.05)).toBe('auto');
    expect(pick(tried({ 512: 0.9, 1024: 1, 2048: 1.3 }, 0.4), now, 0.05)).toBe('auto');
    expect(pick(tried({ 512: 0.9, 1024: 1, 2048: 1.3 }), now, 0.05)).toBe(2048);
    expect(pick([{ value: 2048, error: { code: 'OUT_OF_MEMORY', message: '' } }], now, 0.05)).toBe('auto');
  });

  it('goes back to auto from a number only where auto is better, and prefers it to one that is hardly faster', () => {
    const now = { current: 512, auto: 1024 };
    expect(pick(tried({ 512: 1, 1024: 1.03, 2048: 1.04 }), now, 0.05)).toBe(512);
    expect(pick(tried({ 512: 1, 1024: 1.5, 2048: 1.53 }), now, 0.05)).toBe('auto');
    expect(pick(tried({ 512: 1, 1024: 1.5, 2048: 2 }), now, 0.05)).toBe(2048);
  });

  it('of workers needs half a second and a tenth of the time less', () => {
    const trials = (one: number, two: number) =>
      [one, two].map((all_s, i) => ({
        workers: i + 1,
        threads: 1,
        rows_per_s: 1,
        speedup: 1,
        noise: 0.02,
        peak_memory: 1,
        all_s,
      }));
    const now = { current: 1, auto: 1 };
    expect(pickWorkers(trials(0.8, 0.5), now)).toBe('auto');
    expect(pickWorkers(trials(20, 19), now)).toBe('auto');
    expect(pickWorkers(trials(20, 12), now)).toBe(2);
    expect(pickWorkers(trials(20, 12), { current: 1, auto: 2 })).toBe('auto');
    const failed = { workers: 2, threads: 1, error: { code: 'OUT_OF_MEMORY', message: '' } };
    expect(pickWorkers([trials(20, 1)[0]!, failed], now)).toBe('auto');
  });

  it('of workers counts the shards that each has to take, and the start of all but one', () => {
    expect(secondsForAll([100, 100, 100], 1, 100, 5)).toBe(3);
    // Two take 100 each, one of them another 100, at half of the common speed.
    expect(secondsForAll([100, 100, 100], 2, 200, 0.5)).toBe(2.5);
    expect(secondsForAll([300], 2, 200, 0.5)).toBe(3.5);
  });
});
