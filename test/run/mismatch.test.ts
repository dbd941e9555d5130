/** Models that do not fit the columns, models of a fixed batch size, models that give NaN. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import { ModelProtoSchema } from '../../src/model/onnx_pb.js';
import { identityModel, linearModel, onnx, rootModel, type ValueSpec } from './onnx.js';
import { openWorkbench, sampleModel, type Parts } from './workbench.js';

const bench = await openWorkbench();

beforeEach(async () => {
  await bench.clear();
  await bench.parquet(
    'data/a.parquet',
    "SELECT i AS id, i::FLOAT AS a, (i % 7)::FLOAT AS b, 1::FLOAT AS c, 't' AS t, [1, 2, 3]::FLOAT[] AS v FROM range(5000) t(i)",
  );
});

async function partsFor(model: Uint8Array, change: Partial<Parts> = {}): Promise<Parts> {
  return {
    features: ['a', 'b'],
    model: { path: await bench.write('models/m.onnx', model) },
    outputs: { y: 'score' },
    ...change,
  };
}

/** A model that gives its inputs out again, the first of them as `score`. */
function passing(...inputs: ValueSpec[]): Uint8Array {
  return onnx({
    inputs,
    outputs: inputs.map((input, i) => ({ ...input, name: i === 0 ? 'score' : `out_${input.name}` })),
    nodes: inputs.map(({ name }, i) => ({
      op: 'Identity',
      inputs: [name],
      outputs: [i === 0 ? 'score' : `out_${name}`],
    })),
  });
}

describe('a model that leaves the width of its input open', () => {
  const open: ValueSpec = { name: 'X', type: 'float32', shape: ['N', 'F'] };

  it('is refused in the plan where it fails with as many features as it is fed', async () => {
    const model = onnx({
      inputs: [open],
      outputs: [{ name: 'score', type: 'float32', shape: ['N', 1] }],
      nodes: [{ op: 'MatMul', inputs: ['X', 'W'], outputs: ['score'] }],
      constants: [{ name: 'W', type: 'float32', dims: [3, 1], values: [1, 2, 3] }],
    });
    const error = await bench.failure(await partsFor(model));
    expect(error).toMatchObject({ code: 'MODEL_MISMATCH', problems: [{ key: 'features' }] });
    expect(error.message).toContain('fed X with 2 values a row, the model fails');
    const { summary } = await bench.run(await partsFor(model, { features: ['a', 'b', 'c'] }));
    expect(summary.scored).toBe(5000);
  });

  it('is refused where its trees read more values than it is fed, which no runtime would notice', async () => {
    const zoo = fileURLToPath(new URL('../zoo/cases/sklearn_tree_regressor/model.onnx', import.meta.url));
    const parsed = fromBinary(ModelProtoSchema, await readFile(zoo));
    const type = parsed.graph!.input[0]!.type!.value;
    if (type.case !== 'tensorType') throw new Error('the input is no tensor');
    const width = async (value: bigint | undefined): Promise<Parts> => {
      type.value.shape!.dim[1]!.value = value === undefined ? { case: undefined } : { case: 'dimValue', value };
      return partsFor(toBinary(ModelProtoSchema, parsed), { outputs: { y: 'variable' } });
    };
    const error = await bench.failure(await width(undefined));
    expect(error.code).toBe('MODEL_MISMATCH');
    expect(error.message).toMatch(/reads [3-6] values a row at least, it is fed 2: a, b/);
    const broken = await bench.failure(await width(2n));
    expect(broken.code).toBe('MODEL_INVALID');
    expect(broken.message).toMatch(/read value [2-5] of a row, its input X has 2/);
  });
});

describe('a model that takes lists of another length', () => {
  const model = passing({ name: 'X', type: 'float32', shape: ['N', 4] });
  const lists = async (where?: string): Promise<Parts> =>
    partsFor(model, {
      features: ['v'],
      outputs: { y: { from: 'score', as: 'list' } },
      ...(where === undefined ? {} : { source: { where } }),
    });

  it('is refused before a row is scored, with both lengths', async () => {
    const error = await bench.failure(await lists());
    expect(error.code).toBe('MODEL_MISMATCH');
    expect(error.problems).toMatchObject([
      { key: 'features', message: 'model input X (float32[N, 4]) takes 4 values a row, the first lists of v have 3' },
    ]);
  });

  it('scores those that fit where some of the first do, and of the rows that are asked for', async () => {
    await bench.parquet(
      'data/a.parquet',
      'SELECT i AS id, CASE WHEN i < 4990 THEN [1, 2, 3] ELSE [1, 2, 3, 4] END::FLOAT[] AS v FROM range(5000) t(i)',
    );
    const { summary } = await bench.run(await lists('id >= 4980'));
    expect(summary).toMatchObject({ scored: 10, quarantined: 10, filtered: 4980 });
    expect((await bench.failure({ ...(await lists()), sink: { path: 'other' } })).code).toBe('MODEL_MISMATCH');
  });
});

describe('a model that does not fit the columns', () => {
  const float = (name: string, shape: (number | string)[]): ValueSpec => ({ name, type: 'float32', shape });
  const cases: { what: string; model: () => Uint8Array; change?: Partial<Parts>; says: RegExp; hint: RegExp }[] = [
    {
      what: 'takes more values a row',
      model: () => linearModel([1, 2, 3]),
      says: /X \(float32\[N, 3\]\) takes 3 values a row, 2 features feed it: a, b/,
      hint: /add the 1 that is missing/,
    },
    {
      what: 'takes fewer values a row',
      model: () => linearModel([1]),
      says: /takes 1 value a row, 2 features feed it: a, b/,
      hint: /only the features/,
    },
    {
      what: 'takes another type',
      model: () => linearModel([1, 2]),
      change: { features: ['a', 't'] },
      says: /feature t feeds model input X \(float32\[N, 2\]\): VARCHAR/,
      hint: /TRY_CAST/,
    },
    {
      what: 'takes a tensor of rank 3',
      model: () => passing(float('X', ['N', 2, 2])),
      says: /X \(float32\[N, 2, 2\]\) has rank 3/,
      hint: /\[N, features\]/,
    },
    { what: 'takes a single value', model: () => passing(float('X', [])), says: /rank 0/, hint: /\[N, features\]/ },
    {
      what: 'takes one value a row where a list is given',
      model: () => passing(float('X', ['N'])),
      change: { features: ['v'] },
      says: /feature v is a list \(FLOAT\[\]\)/,
      hint: /pick an element/,
    },
    {
      what: 'takes a matrix where a list stands among scalars',
      model: () => linearModel([1, 2]),
      change: { features: ['a', 'v'] },
      says: /a list \(FLOAT\[\]\) where one number is needed/,
      hint: /v\[1\]/,
    },
    {
      what: 'has inputs of other names',
      model: () => passing(float('a', ['N', 1]), float('income', ['N', 1]), float('b', ['N', 1])),
      says: /model input income \(float32\[N, 1\]\) is fed by no feature; the features are a, b/,
      hint: /feature/,
    },
    {
      what: 'has inputs whose names differ from those of the features by case, in another order',
      model: () => passing(float('B', ['N', 1]), float('A', ['N', 1])),
      says: /model input B \(float32\[N, 1\]\) is fed by no feature; the features are a, b/,
      hint: /did you mean b/,
    },
    {
      what: 'has fewer inputs than features',
      model: () => passing(float('a', ['N', 1]), float('b', ['N', 1])),
      change: { features: ['a', 'b', 'c'] },
      says: /feature c feeds no input of the model; its inputs are a \(float32\[N, 1\]\), b/,
      hint: /remove it/,
    },
    {
      what: 'has no input of a stated name',
      model: () => linearModel([1, 2]),
      change: { model: { inputs: { x: ['a', 'b'] } } },
      says: /the model has no input x; its inputs are X \(float32\[N, 2\]\)/,
      hint: /did you mean X/,
    },
    {
      what: 'has an input that nothing is stated for',
      model: () => passing(float('a', ['N', 1]), float('b', ['N', 1])),
      change: { features: ['a'], model: { inputs: { a: ['a'] } } },
      says: /model input b \(float32\[N, 1\]\) is fed by nothing/,
      hint: /b: \[/,
    },
    {
      what: 'fixes another batch size than asked for',
      model: () => linearModel([1, 2], 0, { batch: 32 }),
      change: { model: { batch_size: 64 } },
      says: /batches of exactly 32 rows, batch_size is 64/,
      hint: /32/,
    },
    {
      what: 'fixes two batch sizes',
      model: () => passing(float('a', [4, 1]), float('b', [8, 1])),
      says: /different batch sizes: 4, 8/,
      hint: /one batch size/,
    },
  ];
  for (const { what, model, change = {}, says, hint } of cases) {
    it(`is refused in the plan where it ${what}`, async () => {
      const parts = await partsFor(model());
      const error = await bench.failure({ ...parts, ...change, model: { ...parts.model, ...change.model } });
      expect(error).toMatchObject({ code: 'MODEL_MISMATCH', exitCode: 78 });
      const problem = error.problems.find(({ message }) => says.test(message));
      expect(error.problems.map(({ message }) => message).join('\n')).toMatch(says);
      expect(problem!.hint).toMatch(hint);
      expect(problem!.position).toBeDefined();
      expect(await bench.isVisible()).toBe(false);
    });
  }

  it('is refused in the plan where an output has another first dimension than the rows', async () => {
    const input: ValueSpec = { name: 'X', type: 'float32', shape: ['N', 2] };
    const transposed = onnx({
      inputs: [input],
      outputs: [{ name: 'score', type: 'float32', shape: [2, 'N'] }],
      nodes: [{ op: 'Transpose', inputs: ['X'], outputs: ['score'] }],
    });
    const total = onnx({
      inputs: [input],
      outputs: [{ name: 'score', type: 'float32', shape: [] }],
      nodes: [{ op: 'ReduceSum', inputs: ['X'], outputs: ['score'], attributes: { keepdims: 0 } }],
    });
    const constants = [
      { name: 'from', type: 'int64', dims: [1], values: [0] },
      { name: 'to', type: 'int64', dims: [1], values: [-1] },
    ] as const;
    const oneLess = onnx({
      inputs: [input],
      outputs: [{ name: 'score', type: 'float32', shape: ['M', 2] }],
      nodes: [{ op: 'Slice', inputs: ['X', 'from', 'to'], outputs: ['score'] }],
      constants,
    });
    const sum = onnx({
      inputs: [input],
      outputs: [{ name: 'score', type: 'float32', shape: ['N', 1] }],
      nodes: [{ op: 'ReduceSum', inputs: ['X'], outputs: ['score'], attributes: { keepdims: 1 } }],
    });
    const fixed = onnx({
      inputs: [{ ...input, shape: [4, 2] }],
      outputs: [{ name: 'score', type: 'float32', shape: ['M', 2] }],
      nodes: [{ op: 'Slice', inputs: ['X', 'from', 'to'], outputs: ['score'] }],
      constants,
    });
    for (const [model, shape] of [
      [transposed, 'float32[2, ?]'],
      [total, 'float32[]'],
      [oneLess, 'float32[?, 2]'],
      [sum, 'float32[1, 1]'],
      [fixed, 'float32[3, 2]'],
    ] as const) {
      const error = await bench.failure(await partsFor(model, { outputs: { y: { from: 'score', index: 0 } } }));
      expect(error).toMatchObject({ code: 'MODEL_MISMATCH', exitCode: 78 });
      expect(error.message).toBe(
        `score (${shape}) does not have one entry a row: the model gave another number of them than it was given rows`,
      );
      expect(error.problems[0]!.position).toBeDefined();
      expect(await bench.isVisible()).toBe(false);
    }
  });

  it('is refused where an output is asked for that it does not give', async () => {
    const cases: [outputs: Record<string, unknown>, says: RegExp, hint: RegExp][] = [
      [
        { y: 'scores' },
        /no output scores; its outputs are label \(int64\[N\]\), probabilities \(float32\[N, 2\]\)/,
        /name one of them/,
      ],
      [{ y: 'probability' }, /no output probability/, /did you mean probabilities/],
      [{ y: 'probabilities' }, /probabilities \(float32\[N, 2\]\) has 2 values a row/, /class: 1/],
      [{ y: { from: 'probabilities', class: 2 } }, /no class 2; its classes are 0, 1/, /name one of them/],
      [{ y: { from: 'probabilities', index: 2 } }, /index 2 is beyond its end/, /0 to 1/],
      [{ y: { from: 'label', reduce: 'max' } }, /one value a row/, /y: label/],
      [{ y: { from: 'label', as: 'list' } }, /one value a row/, /y: label/],
      [{ y: { from: 'label', class: 1 } }, /classes|does not tell/, /index/],
    ];
    await bench.parquet(
      'data/a.parquet',
      'SELECT i::FLOAT AS a, i::FLOAT AS b, i::FLOAT AS c, i::FLOAT AS d, i::FLOAT AS e, i::FLOAT AS f FROM range(10) t(i)',
    );
    for (const [outputs, says, hint] of cases) {
      const error = await bench.failure({
        features: ['a', 'b', 'c', 'd', 'e', 'f'],
        model: { path: sampleModel('churn_forest.onnx') },
        outputs,
      });
      expect({ outputs, code: error.code }).toEqual({ outputs, code: 'MODEL_MISMATCH' });
      expect(error.message).toMatch(says);
      expect(error.hint).toMatch(hint);
    }
  });

  it('is told together with all else that does not fit', async () => {
    const error = await bench.failure(await partsFor(linearModel([1, 2, 3]), { outputs: { y: 'scor', a: 'score' } }));
    expect(error.problems).toHaveLength(3);
    expect(error.message).toMatch(/3 things do not fit/);
  });
});

describe('a model that fails on a batch', () => {
  it('is told with the file and the row where no row may be invalid', async () => {
    await bench.parquet(
      'data/b.parquet',
      'SELECT (CASE WHEN i = 3500 THEN 9 ELSE i % 2 END)::BIGINT AS i FROM range(5000) t(i)',
    );
    const lookup = onnx({
      inputs: [{ name: 'X', type: 'int64', shape: ['N'] }],
      outputs: [{ name: 'Y', type: 'float32', shape: ['N'] }],
      nodes: [{ op: 'Gather', inputs: ['W', 'X'], outputs: ['Y'] }],
      constants: [{ name: 'W', type: 'float32', dims: [2], values: [10, 20] }],
    });
    const error = await bench.failure({
      source: { path: 'data/b.parquet' },
      features: ['i'],
      model: { path: await bench.write('models/lookup.onnx', lookup), batch_size: 1000 },
      outputs: { y: 'Y' },
      validate: { on_invalid: 'fail' },
    });
    expect(error).toMatchObject({ code: 'MODEL_FAILED', phase: 'model', exitCode: 1 });
    expect(error.message).toContain(`${bench.path('data/b.parquet')}: row 3500: model: Gather: `);
    expect(error.hint).toMatch(/rule/);
  });
});

describe('a model of a fixed batch size', () => {
  const features = ['age', 'income', 'num_transactions', 'tenure_months', 'days_since_login', 'support_calls'];
  const outputs = { p: { from: 'probabilities', class: 1 }, l: 'label' };

  it('gives the predictions of the same model with a dynamic one, at whatever number of rows', async () => {
    for (const rows of [1, 31, 32, 33, 1000]) {
      await bench.parquet(
        'data/a.parquet',
        `SELECT (18 + i % 60)::INTEGER AS age, (1000 + 37 * i)::DOUBLE AS income, i % 50 AS num_transactions, i % 90 AS tenure_months, i % 300 AS days_since_login, i % 8 AS support_calls FROM range(${rows}) t(i)`,
      );
      const validate = { rules: { age: { min: 20 } } };
      const fixed = await bench.run({
        features,
        model: { path: sampleModel('churn_fixed_batch.onnx') },
        outputs,
        validate,
        sink: { path: `fixed-${rows}` },
      });
      expect(fixed.summary.models).toEqual([{ engine: 'onnxruntime', batch_size: 32 }]);
      const dynamic = { p: { from: 'output_probability', class: 1 }, l: 'output_label' };
      await bench.run({
        features,
        model: { path: sampleModel('churn_logistic.onnx'), batch_size: 32 },
        outputs: dynamic,
        validate,
        sink: { path: `dynamic-${rows}` },
      });
      const read = (name: string): Promise<Record<string, unknown>[]> =>
        bench.rows(`SELECT p, l FROM '${bench.path(`${name}-${rows}/a.parquet`)}'`);
      const [ours, theirs] = [await read('fixed'), await read('dynamic')];
      expect(ours.length).toBe(rows);
      expect(ours.map(({ l }) => l)).toEqual(theirs.map(({ l }) => l));
      // The number of rows of a batch may change the last bits of a product of matrices.
      ours.forEach(({ p }, row) =>
        p === null ? expect(theirs[row]!.p).toBeNull() : expect(p).toBeCloseTo(theirs[row]!.p as number, 6),
      );
      expect(ours.filter(({ p }) => p === null).length).toBe(fixed.summary.quarantined);
    }
  });

  it('is cut exactly where the arithmetic is exact', async () => {
    await bench.run(await partsFor(linearModel([2, 0.5], 1, { batch: 32 })));
    expect(
      await bench.rows(`SELECT count(*) AS n FROM '${bench.path('out/a.parquet')}' WHERE y = 2 * a + 0.5 * b + 1`),
    ).toEqual([{ n: 5000n }]);
  });
});

describe('predictions that are NaN', () => {
  it('are counted by column and told in the summary and the manifest', async () => {
    await bench.parquet('data/a.parquet', 'SELECT (i - 10)::FLOAT AS x FROM range(100) t(i)');
    const { summary, manifest } = await bench.run({
      features: ['x'],
      model: { path: await bench.write('models/root.onnx', rootModel()) },
      outputs: { root: 'Y' },
    });
    expect(summary).toMatchObject({ scored: 100, quarantined: 0 });
    expect(summary.nan).toEqual({ root: 10 });
    expect(manifest.nan).toEqual({ root: 10 });
    expect(await bench.rows(`SELECT count(*) AS n FROM '${bench.path('out/a.parquet')}' WHERE isnan(root)`)).toEqual([
      { n: 10n },
    ]);
  });

  it('are counted in lists, and not where the row was not scored', async () => {
    await bench.parquet(
      'data/a.parquet',
      "SELECT unnest([['1', '2'], [NULL, '1'], ['nan', 'nan'], ['nan', '3']])::FLOAT[] AS v",
    );
    const model = await bench.write('models/wide.onnx', identityModel('float32', 2));
    const { summary } = await bench.run({
      features: ['v'],
      model: { path: model },
      outputs: { y: { from: 'Y', as: 'list' } },
      validate: { rules: { v: { missing: 'nan' } } },
    });
    expect(summary).toMatchObject({ scored: 3, quarantined: 1, nan: { y: 3 } });
  });

  it('do not stand in the statistics, where they would hide rows from a reader', async () => {
    await bench.parquet('data/a.parquet', 'SELECT (i - 10)::FLOAT AS x FROM range(100) t(i)');
    await bench.run({
      features: ['x'],
      model: { path: await bench.write('models/root.onnx', rootModel()) },
      outputs: { y: 'Y' },
    });
    const [statistics] = await bench.rows(
      `SELECT stats_min_value AS min, stats_max_value AS max FROM parquet_metadata('${bench.path('out/a.parquet')}') WHERE path_in_schema = 'y'`,
    );
    expect(`${String(statistics!.min)} ${String(statistics!.max)}`.toLowerCase()).not.toContain('nan');
    expect(await bench.rows(`SELECT count(*) AS n FROM '${bench.path('out/a.parquet')}' WHERE y >= 0`)).toEqual([
      { n: 100n },
    ]);
    expect((await readFile(bench.path('out/a.parquet'))).length).toBeGreaterThan(0);
  });
});
