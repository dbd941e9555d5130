/** Which engine scores: chosen in the plan, from the model and the first rows; the scores are the same. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { explainPlan } from '../../src/plan/explain.js';
import type { Plan } from '../../src/plan/plan.js';
import { planHash } from '../../src/run/plan-hash.js';
import { previewRows } from '../../src/run/preview.js';
import { startRun } from '../../src/run/run.js';
import { built } from '../built.js';
import { someTrees, treeRegressor } from '../support/tree-nodes.js';
import { linearModel, onnx, type GraphSpec } from './onnx.js';
import { openWorkbench, sampleModel, type Parts } from './workbench.js';

const bench = await openWorkbench();

/** The features of `churn_xgb`, with a NULL here and there, and rows that are not valid or not asked for. */
const churn = (from: number, to: number): string => `
  SELECT i AS id,
    CASE WHEN i % 997 = 0 THEN 999 ELSE 20 + hash(i) % 60 END::INTEGER AS age,
    CASE WHEN i % 50 = 8 THEN NULL ELSE hash(i + 1) % 90000 END::DOUBLE AS income,
    (hash(i + 2) % 20)::SMALLINT AS num_transactions,
    (hash(i + 3) % 70)::INTEGER AS tenure_months,
    (hash(i + 4) % 300)::FLOAT AS days_since_login,
    (hash(i + 5) % 5)::INTEGER AS support_calls,
    CASE WHEN i % 60 = 1 THEN NULL ELSE (hash(i + 6) % 100) / 200 END::FLOAT AS discount_rate,
    (hash(i + 7) % 30)::INTEGER AS email_opens,
    ['active', 'paused'][1 + i % 7 // 6] AS status
  FROM range(${from}, ${to}) t(i)`;

const FEATURES = [
  'age',
  'income',
  'num_transactions',
  'tenure_months',
  'days_since_login',
  'support_calls',
  'discount_rate',
  'email_opens',
];

const parts = (engine: string, path = 'out', model = sampleModel('churn_xgb.onnx')): Parts => ({
  source: { where: "status = 'active'", key: ['id'] },
  features: FEATURES,
  model: { path: model, engine },
  outputs: { churn: 'label', chance: { from: 'probabilities', class: 1 } },
  validate: { rules: { age: { max: 120 }, income: { missing: 'nan' }, discount_rate: { missing: 'nan' } } },
  sink: { path },
});

const clearOutput = async (): Promise<void> => {
  for (const name of ['out', 'other'])
    for (const end of ['', '.colonnade']) await rm(bench.path(`${name}${end}`), { recursive: true, force: true });
};

beforeAll(async () => {
  // Row groups that are read at the same time, and one that ends in the middle of a batch.
  await bench.parquet('data/a.parquet', churn(0, 40_000), 'row_group_size 10240');
  await bench.parquet('data/b.parquet', churn(40_000, 70_000), 'row_group_size 4096');
  await bench.parquet('few/a.parquet', churn(0, 5000));
});
beforeEach(clearOutput);

/** Trees whose scores get something added that is another number each time: no engine gives the same as another. */
function restless(): Uint8Array {
  const graph: GraphSpec = {
    inputs: [{ name: 'X', type: 'float32', shape: ['N', 2] }],
    outputs: [{ name: 'Y', type: 'float32', shape: ['N', 1] }],
    nodes: [
      treeRegressor(
        someTrees(100, 4, 2, (_, chance) => chance * 50),
        'X',
        'A',
      ),
      { op: 'RandomUniformLike', inputs: ['A'], outputs: ['R'] },
      { op: 'Add', inputs: ['A', 'R'], outputs: ['Y'] },
    ],
  };
  return onnx(graph);
}

describe('auto', () => {
  it('takes the trees engine where there are many rows, and gives the same scores', async () => {
    const { summary, manifest } = await bench.run(parts('auto'));
    expect(summary.models).toEqual([{ engine: 'trees', batch_size: 2048 }]);
    expect(manifest.models).toMatchObject([{ engine: 'trees', batch_size: 2048 }]);
    const other = await bench.run(parts('onnxruntime', 'other'));
    expect(other.summary.models).toEqual([{ engine: 'onnxruntime', batch_size: 16_384 }]);
    const { scored, quarantined, filtered } = summary;
    expect(other.summary).toMatchObject({ scored, quarantined, filtered });
    expect(Math.min(scored, quarantined, filtered)).toBeGreaterThan(0);
    const [difference] = await bench.rows(`
      SELECT count(*) AS rows, count(*) FILTER (a.churn IS DISTINCT FROM b.churn) AS labels,
        max(abs(a.chance - b.chance)) AS chances, count(*) FILTER ((a.chance IS NULL) <> (b.chance IS NULL)) AS nulls
      FROM '${bench.path('out')}/*.parquet' a JOIN '${bench.path('other')}/*.parquet' b USING (id)`);
    expect(difference).toMatchObject({ rows: 70_000n, labels: 0n, nulls: 0n });
    expect(difference!['chances']).toBeLessThan(1e-6);
  });

  it('leaves few rows to ONNX Runtime, and says so', async () => {
    const plan = await bench.plan({ ...parts('auto'), source: { path: 'few' } });
    expect(plan.models[0]).toMatchObject({
      engine: 'onnxruntime',
      engineNotes: ['5,000 rows and 100 trees are too few for the trees engine to pay'],
    });
    expect(plan.warnings).toEqual([]);
  });

  it('says nothing of a model without trees', async () => {
    const path = await bench.write('models/linear.onnx', linearModel([1, 1, 1, 1, 1, 1, 1, 1]));
    const { models } = await bench.plan({ ...parts('auto', 'out', path), outputs: { score: 'score' } });
    expect(models[0]).toMatchObject({ engine: 'onnxruntime', engineNotes: [] });
  });

  it('falls back with a warning where the engines do not give the same', async () => {
    const path = await bench.write('models/restless.onnx', restless());
    const { summary, events } = await bench.run({
      ...parts('auto', 'out', path),
      features: ['age', 'tenure_months'],
      outputs: { score: 'Y' },
      validate: { rules: { age: { max: 120 } } },
    });
    expect(summary.models).toMatchObject([{ engine: 'onnxruntime' }]);
    const warnings = events.flatMap((event) => (event.type === 'warning' ? event.message : []));
    expect(warnings).toEqual([
      expect.stringMatching(
        /^ONNX Runtime scores: the trees engine does not give the same \(Y: .*, not .*, in row 0 of/,
      ),
    ]);
  });
});

describe('trees', () => {
  it('is taken for few rows where it is asked for', async () => {
    const { summary } = await bench.run({ ...parts('trees'), source: { path: 'few' } });
    expect(summary).toMatchObject({ rows: 5000, models: [{ engine: 'trees', batch_size: 2048 }] });
  });

  it('is refused for a model without trees', async () => {
    const path = await bench.write('models/linear.onnx', linearModel([1, 1, 1, 1, 1, 1, 1, 1]));
    const error = await bench.failure({ ...parts('trees', 'out', path), outputs: { score: 'score' } });
    expect(error.code).toBe('MODEL_UNSUPPORTED');
    expect(error.message).toMatch(/^the trees engine cannot score .*linear\.onnx: the model has no tree ensemble$/);
    expect(error.problems).toMatchObject([{ key: 'model.engine', hint: 'leave engine out: ONNX Runtime scores it' }]);
    expect(error.problems[0]?.position).toBeDefined();
  });

  it('is refused where it does not give the same', async () => {
    const path = await bench.write('models/restless.onnx', restless());
    const error = await bench.failure({
      ...parts('trees', 'out', path),
      features: ['age', 'tenure_months'],
      outputs: { score: 'Y' },
      validate: { rules: { age: { max: 120 } } },
    });
    expect(error).toMatchObject({ code: 'MODEL_MISMATCH', problems: [{ key: 'model.engine' }] });
  });

  it('gives each of several models its own engine', async () => {
    const { model, outputs: __, ...others } = parts('auto');
    const { summary } = await bench.run({
      ...others,
      models: {
        first: { ...model, engine: 'trees', outputs: { chance: { from: 'probabilities', class: 1 } } },
        second: {
          ...model,
          engine: 'onnxruntime',
          batch_size: 700,
          outputs: { other: { from: 'probabilities', class: 1 } },
        },
      },
    });
    expect(summary.models).toEqual([
      { name: 'first', engine: 'trees', batch_size: 2048 },
      { name: 'second', engine: 'onnxruntime', batch_size: 700 },
    ]);
    const [difference] = await bench.rows(
      `SELECT count(chance) AS scored, max(abs(chance - other)) AS most FROM '${bench.path('out')}/*.parquet'`,
    );
    expect(difference!['scored']).toBe(BigInt(summary.scored));
    expect(difference!['most']).toBeLessThan(1e-6);
  });
});

describe('the choice', () => {
  it('is the same each time, and a part of what resume looks at', async () => {
    const [first, second] = [await bench.plan(parts('auto')), await bench.plan(parts('auto'))];
    expect(second).toEqual(first);
    expect(planHash(second)).toBe(planHash(first));
    expect(planHash(await bench.plan(parts('onnxruntime')))).not.toBe(planHash(first));
  });

  it('is kept by a run that goes on where another was stopped, to the same bytes; and by worker processes', async () => {
    const whole = await bench.run(parts('auto', 'other'));
    const stop = new AbortController();
    const run = startRun(await bench.plan(parts('auto')), { signal: stop.signal });
    for await (const event of run)
      if (event.type === 'progress' && event.rowsDone >= 40_000) stop.abort(new Error('enough'));
    await expect(run.result).rejects.toThrow();
    const { summary, events } = await bench.run(parts('auto'), { workers: 2 });
    expect(events.some(({ type }) => type === 'resumed')).toBe(true);
    expect(summary.models).toEqual([{ engine: 'trees', batch_size: 2048 }]);
    const [difference] = await bench.rows(`
      SELECT count(*) FILTER (a.chance IS DISTINCT FROM b.chance OR a.churn IS DISTINCT FROM b.churn) AS others
      FROM '${bench.path('out')}/*.parquet' a JOIN '${bench.path('other')}/*.parquet' b USING (id)`);
    expect(difference).toEqual({ others: 0n });
    expect(summary.scored).toBe(whole.summary.scored);
  });

  it('shows in the plan', async () => {
    const text = explainPlan(await bench.plan(parts('auto')));
    expect(text).toMatch(/^ {2}engine +trees\n +100 trees with 2,852 nodes$/m);
    expect(text).toMatch(/^ {2}batch +2,048 rows$/m);
    expect(text).toMatch(/^ {2}input +X float32\[N, 8\] ← age, .* \(column by column\)$/m);
  });

  it('holds for a preview, which has few rows', async () => {
    const of = async (engine: string): Promise<unknown[]> => {
      const { columns, rows } = await previewRows(await bench.load(parts(engine)), 30);
      const at = columns.findIndex(({ name }) => name === 'chance');
      return rows.map((row) => row[at]);
    };
    const [trees, runtime] = [await of('trees'), await of('onnxruntime')];
    expect(trees.length).toBe(30);
    trees.forEach((chance, i) => {
      if (runtime[i] === null) expect(chance).toBeNull();
      else expect(chance).toBeCloseTo(Number(runtime[i]), 6);
    });
  });
});

it('a process that scores trees alone does not load ONNX Runtime', async () => {
  const plan: Plan = await bench.plan(parts('trees'));
  const { path, signature } = plan.models[0]!;
  const session = pathToFileURL(built('model/session.js')).href;
  const code = `
    const { openModel } = await import(${JSON.stringify(session)});
    const loaded = () => require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('onnxruntime');
    const model = await openModel(${JSON.stringify(path)}, { signature: ${JSON.stringify(signature)}, engine: process.argv[1], outputs: ['probabilities'] });
    const feeds = new Map([['X', { type: 'float32', dims: [1, 8], data: new Float32Array(8) }]]);
    const { data } = model.run({ rows: 1, paddedRows: 1, feeds }).get('probabilities');
    console.log(JSON.stringify({ loaded: loaded(), scores: data.length }));`;
  const outcomes = [];
  for (const engine of ['trees', 'onnxruntime']) {
    const source = `import { createRequire } from 'node:module'; const require = createRequire('/'); ${code}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source, engine]);
    outcomes.push(JSON.parse(stdout));
  }
  expect(outcomes).toEqual([
    { loaded: false, scores: 2 },
    { loaded: true, scores: 2 },
  ]);
});
