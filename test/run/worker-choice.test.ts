/** Who scores: the main process, worker processes, or both. */
import { availableParallelism } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.js';
import { chooseWorkers, scanThreads } from '../../src/run/workers.js';
import { openWorkbench, sampleModel, type Parts } from './workbench.js';

const bench = await openWorkbench();

const FEATURES = 'age income num_transactions tenure_months days_since_login support_calls discount_rate email_opens';

const parts = (engine: string): Parts => ({
  features: FEATURES.split(' '),
  model: { path: sampleModel('churn_xgb.onnx'), engine },
  outputs: { chance: { from: 'probabilities', class: 1 } },
});

beforeAll(async () => {
  const columns = FEATURES.split(' ').map((name, i) => `(hash(i * 8 + ${i}) % 100)::FLOAT AS ${name}`);
  await bench.parquet('data/a.parquet', `SELECT ${columns.join(', ')} FROM range(3000) t(i)`);
});

/** The plan as it would be for so many rows in so many shards. */
function scaled(plan: Plan, rows: number, shards: number): Plan {
  return {
    ...plan,
    expected: { ...plan.expected, rows },
    shards: Array.from({ length: shards }, (_, index) => ({ ...plan.shards[0]!, index })),
  };
}

async function chosen(plan: Plan, requested?: number): Promise<{ workers: number; mainScores: boolean; open: number }> {
  const { workers, mainScores, models = [] } = await chooseWorkers(plan, requested);
  for (const model of models) await model.release();
  return { workers, mainScores, open: models.length };
}

const cores = availableParallelism();

describe.skipIf(cores === 1)('workers: auto', () => {
  it('is the main process alone where there is little to do', async () => {
    for (const engine of ['trees', 'onnxruntime']) {
      const plan = await bench.plan(parts(engine));
      expect(await chosen(scaled(plan, 3000, 50))).toEqual({ workers: 1, mainScores: true, open: 1 });
    }
  });

  it('is as many processes as cores for a slow model, none of which is the main one where native code scores', async () => {
    const plan = await bench.plan(parts('onnxruntime'));
    expect(await chosen(scaled(plan, 1e9, 50))).toEqual({ workers: cores, mainScores: false, open: 0 });
  });

  it('has the main process score beside the others where only the kernel of the trees engine scores', async () => {
    const plan = await bench.plan(parts('trees'));
    expect(await chosen(scaled(plan, 1e9, 50))).toEqual({ workers: cores, mainScores: true, open: 1 });
  });

  it('is no more than there are shards', async () => {
    const plan = await bench.plan(parts('onnxruntime'));
    expect(await chosen(scaled(plan, 1e9, 1))).toMatchObject({ workers: 1, mainScores: true });
  });
});

describe('the threads of a worker', () => {
  it('are as the pipeline says, else as many as the processors allow, and one where rows are to be read in their order', () => {
    expect(scanThreads({ onInvalid: 'quarantine', run: { threads: 7 } }, 3)).toBe(7);
    expect(scanThreads({ onInvalid: 'fail', run: {} }, 1)).toBe(1);
    expect(scanThreads({ onInvalid: 'null', run: {} }, 1)).toBe(Math.min(4, cores));
    expect(scanThreads({ onInvalid: 'null', run: {} }, 1000)).toBe(1);
  });
});

describe('a number of workers', () => {
  it('is a number of processes beside the main one, which scores only where it is to be the only one', async () => {
    const plan = scaled(await bench.plan(parts('trees')), 3000, 50);
    expect(await chosen(plan, 1)).toEqual({ workers: 1, mainScores: true, open: 0 });
    expect(await chosen(plan, 3)).toEqual({ workers: 3, mainScores: false, open: 0 });
  });
});
