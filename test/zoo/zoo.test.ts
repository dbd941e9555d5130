/** Models as data teams export them: what Colonnade makes of each is what Python's onnxruntime and its library make of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/session.js';
import type { Plan } from '../../src/plan/plan.js';
import { openWorkbench, type Parts } from '../run/workbench.js';

const zoo = import.meta.dirname;
const bench = await openWorkbench();

interface Case {
  /** Of the model in the folder of the case. */
  readonly path?: string;
  readonly features: readonly unknown[];
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly batch_size: number;
  readonly rules?: Readonly<Record<string, unknown>>;
  /** How far scores may be from Python's onnxruntime, relative to their size; by default they are the same bits. */
  readonly python?: number;
  /** How far scores may be from the library's, relative to their size; by default 1e-5. */
  readonly tolerance?: number;
}

function caseOf(name: string): Case {
  return JSON.parse(readFileSync(join(zoo, 'cases', name, 'case.json'), 'utf8')) as Case;
}

const plain = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'items' in value
    ? (value as { items: unknown[] }).items.map(plain)
    : typeof value === 'bigint'
      ? Number(value)
      : value;

function far(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length ? Math.max(...a.map((each, i) => far(each, b[i]))) : Infinity;
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) / Math.max(1, Math.abs(b));
  return String(a) === String(b) ? 0 : Infinity;
}

/** Runs a case, and tells how far the scores are from Python's onnxruntime and from the library, by output. */
async function score(
  name: string,
  engine: 'onnxruntime' | 'trees',
): Promise<{ plan: Plan; far: Map<string, Distance> }> {
  const { path = 'model.onnx', features, inputs, outputs, rules, batch_size } = caseOf(name);
  const out = `out/${engine}/${name}`;
  const parts: Parts = {
    source: { path: join(zoo, 'table.parquet') },
    features,
    model: { path: join(zoo, 'cases', name, path), batch_size, engine, ...(inputs ? { inputs } : {}) },
    outputs,
    ...(rules ? { validate: { rules } } : {}),
    sink: { path: out },
  };
  const plan = await bench.plan(parts);
  const { summary } = await bench.run(parts);
  expect(summary).toMatchObject({ rows: 320, scored: 320, models: [{ engine }] });
  const distances = new Map<string, Distance>();
  for (const output of Object.keys(outputs)) {
    const rows = await bench.rows(`
      SELECT o."${output}" AS found, e."${output}" AS python, e."library.${output}" AS library
      FROM '${join(bench.path(out), 'table.parquet')}' o
      POSITIONAL JOIN '${join(zoo, 'cases', name, 'expected.parquet')}' e`);
    const worst = (side: 'python' | 'library'): number =>
      Math.max(...rows.map((row) => far(plain(row['found']), plain(row[side]))));
    distances.set(output, { python: worst('python'), library: worst('library') });
  }
  return { plan, far: distances };
}

interface Distance {
  readonly python: number;
  readonly library: number;
}

const names = readdirSync(join(zoo, 'cases')).sort();

describe('a model is scored as by Python and by the library that made it', () => {
  it.each(names)('%s', async (name) => {
    const { tolerance = 1e-5, python = 0 } = caseOf(name);
    for (const [output, distance] of (await score(name, 'onnxruntime')).far) {
      expect(distance.python, output).toBeLessThanOrEqual(python);
      expect(distance.library, output).toBeLessThan(tolerance);
    }
  });
});

/** What ONNX Runtime computes beside the kernel, by model. */
const TREES: Readonly<Record<string, readonly string[]>> = {
  catboost_binary: [],
  catboost_multi_class: [],
  catboost_regression: [],
  lightgbm_binary: [],
  lightgbm_categorical_splits: [],
  lightgbm_multi_class: [],
  lightgbm_no_zipmap: [],
  lightgbm_regression: [],
  sklearn_column_types: [],
  sklearn_extra_trees: [],
  sklearn_forest_regressor: [],
  sklearn_gradient_boosting: [],
  sklearn_hist_gradient_boosting: [],
  sklearn_hist_regressor: [],
  sklearn_isolation_forest: ['behind'],
  sklearn_multi_label_forest: ['behind'],
  sklearn_random_forest: [],
  sklearn_tree_regressor: [],
  xgboost_binary: [],
  xgboost_missing: [],
  xgboost_multi_class: [],
  xgboost_ranking: [],
  xgboost_regression: [],
};

describe('trees are scored by the trees engine as by ONNX Runtime', () => {
  it.each(Object.keys(TREES))('%s', async (name) => {
    const { tolerance = 1e-5 } = caseOf(name);
    const { plan, far: distances } = await score(name, 'trees');
    const sides = plan.models[0]!.engineNotes.flatMap((note) => /^(before|behind) /.exec(note)?.[1] ?? []);
    expect(sides).toEqual(TREES[name]);
    for (const [output, distance] of distances) {
      expect(distance.python, output).toBeLessThanOrEqual(1e-6);
      expect(distance.library, output).toBeLessThan(tolerance);
    }
  });

  it('those are all models with trees', async () => {
    const found: string[] = [];
    for (const name of names) {
      const model = await openModel(join(zoo, 'cases', name, caseOf(name).path ?? 'model.onnx'));
      if (model.signature.trees > 0) found.push(name);
      await model.release();
    }
    expect(found).toEqual(Object.keys(TREES));
  });
});
