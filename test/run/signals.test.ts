/** SIGTERM and SIGINT: the run stops, nothing is visible, and it can be gone on from. */
import { rm } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from './onnx.js';
import { errorOf, runProgram, summaryOf, untilGone, writtenBy, type Disturbance, type Told } from './program.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();
/** Of each of the files: enough for each to be handed over by itself. */
const ROWS = 490_000;
/** Rows of each of the files that DuckDB is busy with for a while. */
const MANY = 400_000;
let pipeline: string;
let undisturbed: Record<string, string>;

beforeAll(async () => {
  for (const [i, name] of ['a', 'b', 'c'].entries())
    await bench.parquet(
      `data/${name}.parquet`,
      `SELECT i AS id, (i / 7)::FLOAT AS x FROM range(${ROWS * i}, ${ROWS * (i + 1)}) t(i)`,
    );
  for (const name of ['a', 'b'])
    await bench.parquet(`many/${name}.parquet`, `SELECT (i % 977)::FLOAT AS x FROM range(${MANY}) t(i)`);
  pipeline = await bench.pipeline({
    features: ['x'],
    model: { path: await bench.write('models/linear.onnx', linearModel([0.1], 0.2)), batch_size: 500 },
    outputs: { score: 'score' },
    // Read by one thread of DuckDB: the signal is heard before the next rows are taken.
    validate: { on_invalid: 'fail' },
  });
  undisturbed = await writtenBy(bench, summaryOf(await run()).run_id);
});

beforeEach(async () => {
  for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
});

const run = (workers = 1, disturbance?: Disturbance): Promise<Told> =>
  runProgram(bench, pipeline, ['--workers', String(workers)], disturbance);

/** Where the main process makes the draft of its second shard. */
const SECOND_SHARD = { who: 'main', at: 1, when: 'after', from: '/shards/000001' } as const;

/** The shards that are left, each by its scores and its manifest; nothing else may be. */
async function shardsLeft(): Promise<string> {
  const [epoch, ...files] = await bench.beside();
  expect(epoch).toBe('epochs/1.json');
  const names = files.map((file) => /^staging\/[\w-]+\/shards\/(\d+)\.(?:json|[\d-]+\.parquet)$/.exec(file)?.[1]);
  const shards = [...new Set(names)];
  expect(names).toEqual(shards.flatMap((shard) => [shard, shard]));
  return shards.join(' ');
}

describe('a run that is asked to stop', () => {
  for (const [signal, status, code] of [
    ['SIGTERM', 143, 'TERMINATED'],
    ['SIGINT', 130, 'INTERRUPTED'],
  ] as const) {
    it(`ends with ${status} after ${signal}, shows nothing, and is gone on from by the next`, async () => {
      const told = await run(1, { ...SECOND_SHARD, signals: [signal] });
      expect(told).toMatchObject({ code: status, signal: null });
      const error = errorOf(told);
      expect(error).toMatchObject({ code, message: `${code.toLowerCase()} by ${signal}: nothing was published` });
      expect(error.hint).toContain('run it again');
      expect(await bench.isVisible()).toBe(false);

      const next = summaryOf(await run());
      expect(next.resumed_rows).toBe(ROWS);
      expect(await writtenBy(bench, next.run_id)).toEqual(undisturbed);
    });
  }

  it('leaves nothing but the scores of whole shards, and lets go of the output', async () => {
    await run(1, { ...SECOND_SHARD, signals: ['SIGTERM'] });
    expect(await shardsLeft()).toBe('000000');
    expect(await bench.rows(`SELECT released FROM '${bench.path('out.colonnade/epochs/1.json')}'`)).toEqual([
      { released: true },
    ]);
  });

  it('leaves nothing at all where no shard was done', async () => {
    const told = await run(1, { ...SECOND_SHARD, from: '/shards/000000', signals: ['SIGINT'] });
    expect(told.code).toBe(130);
    expect(await shardsLeft()).toBe('');
  });

  it('begins nothing where it is asked before it has taken the output', async () => {
    const told = await run(1, { who: 'main', at: 1, when: 'before', signals: ['SIGTERM'] });
    expect(told).toMatchObject({ code: 143, signal: null });
    expect(await bench.beside()).toEqual(['epochs/1.json']);
  });

  it('begins no shard on worker processes that are still starting', async () => {
    const told = await run(2, { who: 'worker', at: 'start', once: true, target: 'parent', signals: ['SIGTERM'] });
    expect(told).toMatchObject({ code: 143, signal: null });
    expect(told.workers.length).toBeGreaterThan(0);
    await untilGone(told.workers);
    expect(await bench.beside()).toEqual(['epochs/1.json']);
  });

  it('ends its worker processes, which a terminal has sent the signal too', async () => {
    const told = await run(2, { who: 'worker', at: 'rows', once: true, target: 'group', signals: ['SIGINT'] });
    expect(told).toMatchObject({ code: 130, signal: null });
    expect(errorOf(told).code).toBe('INTERRUPTED');
    // The other one may not have begun yet.
    expect(told.workers.length).toBeGreaterThan(0);
    await untilGone(told.workers);
    expect(await bench.isVisible()).toBe(false);
    const next = summaryOf(await run());
    expect(await writtenBy(bench, next.run_id)).toEqual(undisturbed);
  });

  it('stops at once at the second signal, with the status of that, and is gone on from all the same', async () => {
    const told = await run(1, { ...SECOND_SHARD, signals: ['SIGTERM', 'SIGINT'] });
    expect(told).toMatchObject({ code: 130, signal: null, stdout: '' });
    expect(await bench.isVisible()).toBe(false);
    const next = summaryOf(await run());
    expect(next.resumed_rows).toBe(ROWS);
    expect(await writtenBy(bench, next.run_id)).toEqual(undisturbed);
  });

  describe('while DuckDB hands rows over', () => {
    beforeAll(async () => {
      many = await bench.pipeline(
        {
          source: { path: 'many' },
          features: ['x'],
          model: { path: bench.path('models/linear.onnx'), batch_size: 64 },
          outputs: { score: 'score' },
        },
        'many.yaml',
      );
    });
    let many: string;

    /** The first scores on their way to the disk, of a shard that has many more. */
    const FIRST_ROWS = { who: 'main', at: 2, when: 'before', from: '/shards/000000' } as const;

    // More than once: DuckDB's threads wait for the main one, or are at work, as it happens.
    for (const signals of Array.from({ length: 4 }, () => [['SIGTERM'], ['SIGTERM', 'SIGINT']] as const).flat()) {
      it(`ends all the same: ${signals.join(', then ')}`, async () => {
        const told = await runProgram(bench, many, ['--workers', '1'], { ...FIRST_ROWS, signals });
        expect(told).toMatchObject({ code: signals.length === 1 ? 143 : 130, signal: null });
        expect(await bench.isVisible()).toBe(false);
      });
    }

    it('ends worker processes too, when the main process is killed', async () => {
      for (let i = 0; i < 3; i += 1) {
        const told = await runProgram(bench, many, ['--workers', '2'], {
          who: 'worker',
          at: 'rows',
          target: 'parent',
          signals: ['SIGKILL'],
        });
        expect(told.signal).toBe('SIGKILL');
        expect(told.workers.length).toBeGreaterThan(0);
        await untilGone(told.workers);
      }
    });
  });

  it('ends while DuckDB writes, and is gone on from', async () => {
    const predictions = await bench.pipeline(
      {
        source: { path: 'many', key: 'x' },
        features: ['x'],
        model: { path: bench.path('models/linear.onnx') },
        outputs: { score: 'score' },
        sink: { mode: 'predictions' },
      },
      'predictions.yaml',
    );
    const disturbance = { who: 'main', at: 'written', below: bench.path('out.colonnade'), from: '/output/a' } as const;
    const told = await runProgram(bench, predictions, [], { ...disturbance, signals: ['SIGTERM'] });
    expect(told).toMatchObject({ code: 143, signal: null });
    expect(errorOf(told).code).toBe('TERMINATED');
    expect(await bench.isVisible()).toBe(false);
    const next = summaryOf(await runProgram(bench, predictions, []));
    expect(next.resumed_rows).toBeGreaterThanOrEqual(MANY);
  });

  it('while it publishes is done first, as there is nothing half to leave', async () => {
    const told = await run(1, { who: 'main', at: 1, when: 'after', from: 'publish\\.json$', signals: ['SIGTERM'] });
    expect(await writtenBy(bench, summaryOf(told).run_id)).toEqual(undisturbed);
  });
});
