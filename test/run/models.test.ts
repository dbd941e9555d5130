/** Several models over the same rows in one pass. */
import { expect, it, describe } from 'vitest';
import { openWorkbench, rejection, sampleModel, type Parts } from './workbench.js';

const bench = await openWorkbench();
await bench.parquet(
  'data/customers.parquet',
  `SELECT i AS id, 20 + i % 60 AS age, CASE WHEN i % 50 = 8 THEN NULL ELSE 1000.0 * (i % 90) END AS income,
     i % 20 AS num_transactions, i % 70 AS tenure_months, i % 300 AS days_since_login, i % 5 AS support_calls,
     ['active', 'paused'][1 + i % 2] AS status
   FROM range(5000) t(i)`,
);

const FEATURES = ['age', 'income', 'num_transactions', 'tenure_months', 'days_since_login', 'support_calls'];
const CHAMPION = { path: sampleModel('churn_logistic.onnx'), batch_size: 700 };
const CHALLENGER = { path: sampleModel('churn_forest.onnx'), batch_size: 256 };
const probability = (from: string): object => ({ from, class: 1 });

const both: Parts = {
  source: { where: "status = 'active'", key: ['id'] },
  features: FEATURES,
  models: {
    champion: {
      ...CHAMPION,
      outputs: { champion: 'output_label', champion_probability: probability('output_probability') },
    },
    challenger: { ...CHALLENGER, outputs: { challenger_probability: probability('probabilities') } },
  },
};

function alone(model: object, outputs: Readonly<Record<string, unknown>>, path: string): Parts {
  const { models: _, ...rest } = both;
  return { ...rest, model: { ...model }, outputs, sink: { path } };
}

describe('several models', () => {
  it('give in one pass what each gives alone, whatever their batch sizes and the number of workers', async () => {
    await bench.run(alone(CHAMPION, { p: probability('output_probability'), l: 'output_label' }, 'first'));
    await bench.run(alone(CHALLENGER, { p: probability('probabilities') }, 'second'));
    for (const workers of [1, 2]) {
      const { summary, manifest } = await bench.run({ ...both, sink: { path: `both-${workers}` } }, { workers });
      expect(summary).toMatchObject({ rows: 5000, scored: 2400, quarantined: 100, filtered: 2500 });
      expect(summary.models).toEqual([
        { name: 'champion', engine: 'onnxruntime', batch_size: 700 },
        { name: 'challenger', engine: 'onnxruntime', batch_size: 256 },
      ]);
      expect(manifest.models.map(({ name, path }) => [name, path])).toEqual([
        ['champion', CHAMPION.path],
        ['challenger', CHALLENGER.path],
      ]);
      const file = (folder: string): string => `'${bench.path(`${folder}/customers.parquet`)}'`;
      const wrong = await bench.rows(`
        SELECT b.id FROM ${file(`both-${workers}`)} b POSITIONAL JOIN ${file('first')} f POSITIONAL JOIN ${file('second')} s
        WHERE (b.champion, b.champion_probability, b.challenger_probability) IS DISTINCT FROM (f.l, f.p, s.p)`);
      expect(wrong).toEqual([]);
      const metadata = await bench.rows(
        `SELECT decode(key) AS key FROM parquet_kv_metadata(${file(`both-${workers}`)}) WHERE decode(key) LIKE 'colonnade.model%' ORDER BY key`,
      );
      expect(metadata.map(({ key }) => key)).toEqual([
        'colonnade.model_hash.challenger',
        'colonnade.model_hash.champion',
      ]);
    }
  });

  it('read a feature that both take once, and may each be fed with some of the features', async () => {
    const small = sampleModel('income_regressor.onnx');
    const plan = await bench.plan({
      ...both,
      features: [...FEATURES, 'id'],
      models: {
        champion: { ...CHAMPION, features: FEATURES, outputs: { champion: 'output_label' } },
        backwards: { ...CHALLENGER, features: FEATURES.toReversed(), outputs: { backwards: 'label' } },
        column: { path: small, inputs: { X: Array.from({ length: 6 }, () => 'id') }, outputs: { c: 'variable' } },
      },
    });
    const names = plan.projection.filter(({ role }) => role === 'feature').map(({ name }) => name);
    expect(names).toEqual([...FEATURES, 'id']);
    const fed = plan.models.map(({ inputs }) => inputs[0]!.columns.map((at) => plan.projection[at]!.name));
    expect(fed.slice(0, 2)).toEqual([FEATURES, FEATURES.toReversed()]);
  });

  it('are refused with what does not fit, under the name of the model', async () => {
    const error = await rejection(
      bench.plan({
        ...both,
        features: [...FEATURES, 'id'],
        models: {
          champion: { ...CHAMPION, outputs: { champion: 'output_labl' } },
          challenger: { ...CHALLENGER, features: FEATURES.slice(1), outputs: { challenger: 'label' } },
        },
      }),
    );
    expect(error.code).toBe('MODEL_MISMATCH');
    expect(error.problems.map(({ key, message }) => [key, message])).toEqual([
      ['features', expect.stringContaining('input X (float32[N, 6]) of model champion takes 6 values') as string],
      ['models.challenger.features', expect.stringContaining('of model challenger') as string],
      [
        'models.champion.outputs.champion',
        expect.stringContaining('the model champion has no output output_labl') as string,
      ],
    ]);
  });

  it('are refused with a feature that none of them takes', async () => {
    const models = {
      champion: { ...CHAMPION, features: FEATURES, inputs: { X: FEATURES }, outputs: { c: 'output_label' } },
    };
    const error = await rejection(bench.plan({ ...both, features: [...FEATURES, 'id'], models }));
    expect(error.problems).toMatchObject([{ key: 'features[6]', message: expect.stringContaining('`id`') as string }]);
    const challenger = { ...CHALLENGER, features: FEATURES, outputs: { d: 'label' } };
    const by = { champion: { ...CHAMPION, features: FEATURES, outputs: { c: 'output_label' } }, challenger };
    const other = await rejection(bench.plan({ ...both, features: [...FEATURES, 'id'], models: by }));
    expect(other.problems).toMatchObject([{ key: 'features[6]' }]);
  });

  it('score nothing with another model than the one that is pinned', async () => {
    const pinned = (sha256: string): Parts => ({
      ...both,
      models: { champion: { ...CHAMPION, sha256, outputs: { champion: 'output_label' } } },
    });
    const { models } = await bench.plan(both);
    expect((await bench.plan(pinned(models[0]!.hash.toUpperCase()))).models).toHaveLength(1);
    const error = await rejection(bench.plan(pinned('0'.repeat(64))));
    expect(error).toMatchObject({ code: 'MODEL_CHANGED' });
    expect(error.problems).toMatchObject([{ key: 'models.champion.sha256' }]);
    expect(error.message).toContain(models[0]!.hash);
  });
});
