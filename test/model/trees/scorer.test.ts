/**
 * The tree kernel against ONNX Runtime, one thread: scores within 1e-6, labels equal, on ensembles that no library would train
 * and rows that lie on thresholds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Tensor } from '../../../src/model/engine.js';
import { openModel } from '../../../src/model/session.js';
import { UnsupportedEnsemble, type Ensemble } from '../../../src/model/trees/ensemble.js';
import { layOut, type Chunk } from '../../../src/model/trees/layout.js';
import { readEnsemble } from '../../../src/model/trees/read.js';
import { TreeScorer, type TreeScores } from '../../../src/model/trees/scorer.js';
import { ARRAYS } from '../../../src/plan/elements.js';
import { floatTensor, makeEnsemble, makeRows, writeModel, type EnsembleSpec } from './random-ensembles.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colonnade-trees-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PLAIN: EnsembleSpec = {
  seed: 1,
  operator: 'TreeEnsembleRegressor',
  inputType: 'float32',
  trees: 10,
  features: 4,
  leaves: 20,
  thresholds: 12,
  targets: 1,
  modes: [0],
  missing: true,
  base: false,
  aggregate: 'SUM',
  postTransform: 'NONE',
};

/** What the kernel makes of rows. */
function byKernel(ensemble: Ensemble, features: number, rows: Float64Array, batch = 1000): TreeScores {
  const scorer = TreeScorer.create(ensemble, batch);
  const count = rows.length / features;
  const scores: number[] = [];
  const labels: (bigint | string)[] = [];
  for (let from = 0; from < count; from += batch) {
    const to = Math.min(count, from + batch);
    for (const feature of scorer.features) {
      const column = scorer.column(feature);
      for (let row = from; row < to; row += 1) column[row - from] = rows[row * features + feature]!;
    }
    const part = scorer.score(to - from);
    scores.push(...part.scores);
    labels.push(...(part.labels ?? []));
  }
  return {
    scores: Float32Array.from(scores),
    ...(ensemble.labels === undefined
      ? {}
      : { labels: ensemble.labels.type === 'string' ? (labels as string[]) : BigInt64Array.from(labels as bigint[]) }),
  };
}

/** What ONNX Runtime makes of them. */
async function byOnnxRuntime(
  path: string,
  spec: EnsembleSpec,
  rows: Float64Array,
): Promise<ReadonlyMap<string, Tensor>> {
  const model = await openModel(path);
  const count = rows.length / spec.features;
  const data =
    spec.inputType === 'int64'
      ? BigInt64Array.from([...rows], BigInt)
      : ARRAYS[spec.inputType].from(rows as unknown as number[]);
  const dims = [count, spec.features];
  const outputs = model.run({
    rows: count,
    paddedRows: count,
    feeds: new Map([['X', { type: spec.inputType, dims, data }]]),
  });
  await model.release();
  return outputs;
}

/** Holds the kernel against ONNX Runtime. @returns the chunks that the ensemble was laid out in. */
async function compare(spec: EnsembleSpec, rowCount = 300): Promise<readonly Chunk[]> {
  const made = makeEnsemble(spec);
  const rows = makeRows(spec, made, rowCount);
  const path = join(folder, 'model.onnx');
  writeModel(path, made.node, spec);
  const ensemble = readEnsemble(made.node, spec.inputType);
  const ours = byKernel(ensemble, spec.features, rows, 257);
  const theirs = await byOnnxRuntime(path, spec, rows);
  const scores = theirs.get('scores')!;
  expect(ours.scores.length).toBe(scores.data.length);
  for (const [i, score] of ours.scores.entries()) {
    const expected = (scores.data as Float32Array)[i]!;
    if (Number.isNaN(expected)) expect(score).toBeNaN();
    else if (score !== expected)
      expect(Math.abs(score - expected), `score ${i}: ${score}, ${expected}`).toBeLessThan(1e-6);
  }
  if (spec.operator === 'TreeEnsembleClassifier') expect(ours.labels).toEqual(theirs.get('label')!.data);
  return layOut(ensemble, 1).chunks;
}

const seed = fc.integer({ min: 0, max: 2 ** 31 });
/** Any one comparison in all nodes, or all of them. */
const modes = fc.oneof(fc.constantFrom([0], [1], [2], [3]), fc.constant([0, 1, 2, 3]), fc.constant([0, 4, 5, 1]));
const shape = {
  seed,
  trees: fc.integer({ min: 1, max: 12 }),
  features: fc.integer({ min: 1, max: 6 }),
  leaves: fc.constantFrom(1, 2, 8, 63, 300),
  thresholds: fc.constantFrom(1, 5, 30, 400),
  modes,
  missing: fc.boolean(),
  unbalanced: fc.boolean(),
};

describe('the kernel gives what ONNX Runtime gives', () => {
  test('regressors: any comparison, aggregate and number of targets, in both precisions', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ...shape,
          operator: fc.constantFrom('TreeEnsembleRegressor' as const),
          inputType: fc.constantFrom('float32' as const, 'float64' as const),
          targets: fc.integer({ min: 1, max: 4 }),
          base: fc.boolean(),
          aggregate: fc.constantFrom('SUM' as const, 'AVERAGE' as const, 'MIN' as const, 'MAX' as const),
          postTransform: fc.constantFrom(
            'NONE' as const,
            'LOGISTIC' as const,
            'SOFTMAX' as const,
            'SOFTMAX_ZERO' as const,
          ),
        }),
        async (spec) => {
          await compare(spec.targets === 1 ? { ...spec, postTransform: 'NONE' } : spec);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('classifiers: one score or one for each class, labels that are numbers or texts, any type of input', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ...shape,
          operator: fc.constant('TreeEnsembleClassifier' as const),
          inputType: fc.constantFrom('float32' as const, 'float64' as const, 'int64' as const, 'int32' as const),
          targets: fc.integer({ min: 2, max: 5 }),
          base: fc.boolean(),
          oneScore: fc.boolean(),
          textLabels: fc.boolean(),
          aggregate: fc.constant('SUM' as const),
          postTransform: fc.constantFrom(
            'NONE' as const,
            'LOGISTIC' as const,
            'SOFTMAX' as const,
            'SOFTMAX_ZERO' as const,
          ),
        }),
        async (drawn) => {
          const oneScore = drawn.oneScore && drawn.targets === 2;
          await compare({ ...drawn, oneScore, base: drawn.base && (oneScore || drawn.targets > 2) });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('the newer TreeEnsemble', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ...shape,
          operator: fc.constant('TreeEnsemble' as const),
          inputType: fc.constant('float32' as const),
          targets: fc.integer({ min: 1, max: 3 }),
          base: fc.constant(false),
          aggregate: fc.constantFrom('SUM' as const, 'AVERAGE' as const, 'MIN' as const, 'MAX' as const),
          postTransform: fc.constantFrom('NONE' as const, 'SOFTMAX_ZERO' as const),
        }),
        async (spec) => {
          await compare(spec.targets === 1 ? { ...spec, postTransform: 'NONE' } : spec);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('probit of one target and of several', async () => {
    await compare({ ...PLAIN, postTransform: 'PROBIT' });
    await compare({ ...PLAIN, postTransform: 'PROBIT', targets: 3 });
  });

  test('thousands of trees', async () => {
    const spec = { ...PLAIN, trees: 3000, leaves: 31, thresholds: 4000 };
    const chunks = await compare(spec);
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks.reduce((sum, { treeCount }) => sum + treeCount, 0)).toBe(3000);
  });

  test('trees of more than 65,536 nodes, one of which is a chain', async () => {
    const large = { ...PLAIN, seed: 5, trees: 2, leaves: 90_000, thresholds: 70_000 };
    await compare(large, 600);
    await compare({ ...PLAIN, trees: 1, leaves: 3000, thresholds: 2000, unbalanced: true });
  });

  test('small and deep trees in turns', async () => {
    const spec = { ...PLAIN, seed: 9, trees: 60, leaves: 600, thresholds: 300, targets: 2 };
    await compare(spec);
    await compare({ ...spec, inputType: 'float64' });
  });

  test('nodes that ask whether a value is one of many', async () => {
    const spec: EnsembleSpec = { ...PLAIN, operator: 'TreeEnsemble', features: 2, thresholds: 6 };
    const made = makeEnsemble(spec);
    const of = (name: string): { ints: bigint[]; t?: { int32Data: number[]; floatData: number[] } } =>
      made.node.attribute.find((each) => each.name === name)! as never;
    // The first question of each tree becomes one after 1, 3 and 5, or after 2.5 alone.
    const roots = of('tree_roots').ints.map(Number);
    for (const root of roots) of('nodes_modes').t!.int32Data[root] = 6;
    made.node.attribute.push(
      floatTensor(
        'membership_values',
        roots.flatMap((_, i) => (i % 2 === 0 ? [1, 3, 5, NaN] : [2.5, NaN])),
      ),
    );
    const rows = Float64Array.from(
      { length: 600 },
      (_, i) => [0, 1, 2, 2.5, 3, 5, NaN, -1, 30][(i * 7 + (i >> 3)) % 9]!,
    );
    const path = join(folder, 'members.onnx');
    writeModel(path, made.node, spec);
    const theirs = (await byOnnxRuntime(path, spec, rows)).get('scores')!.data;
    expect(byKernel(readEnsemble(made.node, 'float32'), 2, rows).scores).toEqual(theirs);
  });

  test('trees without a question', async () => {
    await compare({ ...PLAIN, leaves: 1 });
    await compare({ ...PLAIN, leaves: 1, inputType: 'float64', targets: 2 });
  });

  test('forests of deep trees, in both precisions', async () => {
    const deep = { ...PLAIN, seed: 3, leaves: 2000, thresholds: 500 };
    for (const inputType of ['float32', 'float64'] as const) {
      const chunks = await compare({ ...deep, inputType });
      expect(chunks.some(({ valueColumnCount }) => valueColumnCount > 0)).toBe(true);
    }
  });

  test('two classes of which one is scored by positive weights alone', async () => {
    const spec: EnsembleSpec = {
      ...PLAIN,
      operator: 'TreeEnsembleClassifier',
      targets: 2,
      oneScore: true,
      positive: true,
      trees: 3,
    };
    for (const postTransform of ['NONE', 'LOGISTIC', 'SOFTMAX'] as const)
      for (const base of [false, true]) await compare({ ...spec, postTransform, base });
  });

  test('long chains of categories, whose ends are shared', async () => {
    await compare({ ...PLAIN, trees: 3, leaves: 400, thresholds: 200, modes: [4], unbalanced: true });
    await compare({ ...PLAIN, trees: 3, leaves: 400, thresholds: 200, modes: [4, 5], inputType: 'float64' });
  });
});

describe('an ensemble', () => {
  test('gives a row the same scores in any batch', () => {
    const made = makeEnsemble(PLAIN);
    const ensemble = readEnsemble(made.node, 'float32');
    const rows = makeRows(PLAIN, made, 400);
    const whole = byKernel(ensemble, 4, rows, 400).scores;
    for (const batch of [1, 7, 127, 128, 129, 256]) expect(byKernel(ensemble, 4, rows, batch).scores).toEqual(whole);
  });

  test('asks for the features of its trees only', () => {
    const made = makeEnsemble({ ...PLAIN, features: 50, leaves: 3, trees: 2 });
    const ensemble = readEnsemble(made.node, 'float32');
    const asked = new Set([...ensemble.nodes.feature].filter((_, node) => ensemble.nodes.mode[node] !== 0));
    expect(TreeScorer.create(ensemble, 10).features).toEqual([...asked].sort((a, b) => a - b));
  });

  test.each<[string, Partial<EnsembleSpec>, string]>([
    [
      'a post transform that ONNX Runtime leaves out',
      { postTransform: 'LOGISTIC' },
      'has the post transform LOGISTIC for one target',
    ],
    [
      'base values for two scores of two classes',
      { operator: 'TreeEnsembleClassifier', targets: 2, base: true },
      'has 2 base values for 2 classes',
    ],
    [
      'a post transform that ONNX Runtime takes for another',
      { operator: 'TreeEnsemble', targets: 2, postTransform: 'SOFTMAX' },
      'has the post transform SOFTMAX, which ONNX Runtime takes for another',
    ],
    ['double scores', { operator: 'TreeEnsemble', inputType: 'float64' }, 'gives float64 scores'],
  ])('is refused with %s', (_, change, reason) => {
    const spec = { ...PLAIN, ...change };
    expect(() => readEnsemble(makeEnsemble(spec).node, spec.inputType)).toThrow(new UnsupportedEnsemble(reason));
  });

  test('is refused when a node leads back to itself', () => {
    const { node } = makeEnsemble({ ...PLAIN, trees: 1 });
    const children = node.attribute.find(({ name }) => name === 'nodes_truenodeids')!;
    const [root] = children.ints;
    children.ints = children.ints.map((child, i) => (i > 0 && child !== 0n && child !== root ? 0n : child));
    expect(() => readEnsemble(node, 'float32')).toThrow(
      new UnsupportedEnsemble('has a node that leads back to itself'),
    );
  });
});
