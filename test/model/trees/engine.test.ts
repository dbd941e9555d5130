/** The trees engine on graphs with something before and behind their trees: what it gives is what ONNX Runtime gives. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Model, ModelBatch, Tensor } from '../../../src/model/engine.js';
import { openModel, openTrees } from '../../../src/model/session.js';
import { differenceOn, differenceOnMadeUp, madeUpRows } from '../../../src/model/trees/agreement.js';
import { graphInWords } from '../../../src/model/trees/graph-analysis.js';
import { inputReads, type TreesModel } from '../../../src/model/trees/model.js';
import type { NumericData } from '../../../src/plan/elements.js';
import type { ElementType } from '../../../src/plan/facts.js';
import type { PlannedInput } from '../../../src/plan/plan.js';
import { onnx, type ConstantSpec, type GraphSpec, type NodeSpec, type ValueSpec } from '../../run/onnx.js';
import { someTrees, treeClassifier, treeRegressor } from '../../support/tree-nodes.js';
import { batchOf, rejection } from '../fixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-trees-'));
});
afterAll(() => rm(folder, { recursive: true }));

const ONNX = { FLOAT: 1, INT64: 7, DOUBLE: 11 } as const;
let written = 0;

interface Engines {
  readonly trees: TreesModel;
  readonly runtime: Model;
  readonly release: () => Promise<void>;
}

async function open(graph: GraphSpec, outputs = graph.outputs.map(({ name }) => name)): Promise<Engines> {
  const path = join(folder, `${(written += 1)}.onnx`);
  await writeFile(path, onnx(graph));
  const runtime = await openModel(path);
  const trees = await openTrees(path, runtime.signature, { outputs });
  return {
    trees,
    runtime,
    release: async () => {
      await trees.release();
      await runtime.release();
    },
  };
}

/** Rows for the inputs: texts of a few kinds, numbers around zero. */
function rowsFor(inputs: readonly ValueSpec[], rows: number): ModelBatch {
  let state = 7;
  const chance = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return batchOf(
    new Map(
      inputs.map(({ name, type, shape }): [string, Tensor] => {
        const dims = shape.map((extent) => (typeof extent === 'number' ? extent : rows));
        dims[0] = rows;
        const values = Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => (chance() - 0.5) * 8);
        if (type === 'string')
          return [name, { type, dims, data: values.map((x) => ['a', 'b', 'c'][Math.floor(x + 4) % 3]!) }];
        // Far beyond what a float32 holds, and even a float64, where they are negative.
        const whole = values.map((x) => BigInt(Math.round(x * 2 ** 54)) >> (x > 0 ? 54n : 0n));
        const data = {
          int64: () => BigInt64Array.from(whole),
          bool: () => Uint8Array.from(values, (x) => (x > 0 ? 1 : 0)),
          float64: () => Float64Array.from(values),
          float32: () => Float32Array.from(values),
        }[type as 'int64' | 'bool' | 'float64' | 'float32']();
        return [name, { type: type as ElementType, dims, data }];
      }),
    ),
  );
}

function planned(inputs: readonly ValueSpec[]): PlannedInput[] {
  return inputs.map(({ name, type, shape }) => ({
    name,
    type: type as ElementType,
    rank: shape.length as 1 | 2,
    width: Number(shape[1] ?? 1),
    layout: 'pack',
    columns: [],
  }));
}

/** The batch with every input that may be given by columns given so. */
function byColumns(batch: ModelBatch, { graph }: TreesModel): ModelBatch {
  const { columns } = inputReads(graph, [...batch.feeds.keys()]);
  const feeds = new Map(batch.feeds);
  const given = new Map<string, (NumericData | undefined)[]>();
  for (const [name, reads] of columns) {
    const { data, dims } = batch.feeds.get(name)!;
    const width = dims[1] ?? 1;
    given.set(
      name,
      Array.from({ length: width }, (_, column) =>
        reads.includes(column) ? (data as Float32Array).filter((__, at) => at % width === column) : undefined,
      ),
    );
    feeds.delete(name);
  }
  return { ...batch, feeds, columns: given };
}

/** Holds the engines against each other on rows by chance and on made-up ones; gives what is computed where. */
async function compare(graph: GraphSpec): Promise<{ words: string[]; reads: Record<string, readonly number[]> }> {
  const { trees, runtime, release } = await open(graph);
  try {
    // More than one block of the kernel, and the last one not full.
    for (const rows of [1, 5000]) {
      const batch = rowsFor(graph.inputs, rows);
      expect(differenceOn(batch, trees, runtime)).toBeUndefined();
      const columns = byColumns(batch, trees);
      expect(trees.run(columns)).toEqual(trees.run(batch));
      const shape = { inputs: planned(graph.inputs), fixedBatch: false };
      expect(differenceOn(madeUpRows(trees, shape, batch), trees, runtime)).toBeUndefined();
    }
    const reads = inputReads(
      trees.graph,
      graph.inputs.map(({ name }) => name),
    );
    return { words: graphInWords(trees.graph).slice(1), reads: Object.fromEntries(reads.columns) };
  } finally {
    await release();
  }
}

const X = (width: number, type: ValueSpec['type'] = 'float32', name = 'X'): ValueSpec => ({
  name,
  type,
  shape: ['N', width],
});
const Y: ValueSpec = { name: 'Y', type: 'float32', shape: ['N', 1] };
const floats = (name: string, values: readonly number[], dims = [values.length]): ConstantSpec => ({
  name,
  type: 'float32',
  dims,
  values,
});
const ints = (name: string, values: readonly number[]): ConstantSpec => ({
  name,
  type: 'int64',
  dims: [values.length],
  values,
});
const spread = (_: number, chance: number): number => (chance - 0.5) * 6;
const regressor = (width: number, from = 'M', to = 'Y'): NodeSpec =>
  treeRegressor(someTrees(12, 5, width, spread), from, to);
const SCALER: NodeSpec = {
  op: 'Scaler',
  domain: 'ai.onnx.ml',
  inputs: ['X'],
  outputs: ['S'],
  floats: { offset: [0.1, -2.3, 1 / 3], scale: [1.7, 0.3, -0.9] },
};
const IMPUTER: NodeSpec = {
  op: 'Imputer',
  domain: 'ai.onnx.ml',
  inputs: ['X'],
  outputs: ['I'],
  floats: { imputed_value_floats: [0.5, -1, 2], replaced_value_float: NaN },
};

describe('what works on each column by itself is folded into the trees', () => {
  it('a scaler, one scale of which is negative', async () => {
    expect(
      await compare({ inputs: [X(3)], outputs: [Y], nodes: [SCALER, { ...regressor(3), inputs: ['S'] }] }),
    ).toEqual({ words: ['folded into the trees: Scaler'], reads: { X: [0, 1, 2] } });
  });

  it('an imputer, and a scaler behind it', async () => {
    const nodes = [IMPUTER, { ...SCALER, inputs: ['I'] }, regressor(3, 'S')];
    expect(await compare({ inputs: [X(3)], outputs: [Y], nodes })).toMatchObject({
      words: ['folded into the trees: Imputer, Scaler'],
    });
  });

  it('inputs of several types side by side', async () => {
    const cast = (from: string, to: string): NodeSpec => ({
      op: 'Cast',
      inputs: [from],
      outputs: [to],
      attributes: { to: ONNX.FLOAT },
    });
    const graph: GraphSpec = {
      inputs: [
        X(1, 'float32', 'a'),
        X(1, 'int64', 'b'),
        X(1, 'bool', 'c'),
        X(2, 'float64', 'd'),
        { name: 'e', type: 'float32', shape: ['N'] },
      ],
      outputs: [Y],
      nodes: [
        cast('b', 'b32'),
        cast('c', 'c32'),
        cast('d', 'd32'),
        { op: 'Reshape', inputs: ['e', 'shape'], outputs: ['e1'] },
        { op: 'Concat', inputs: ['a', 'b32', 'c32', 'd32', 'e1'], outputs: ['M'], attributes: { axis: 1 } },
        treeRegressor(
          someTrees(20, 5, 6, (feature, chance) => (feature === 1 ? (chance - 1) * 2 ** 56 : (chance - 0.5) * 6)),
          'M',
          'Y',
        ),
      ],
      constants: [ints('shape', [-1, 1])],
    };
    expect(await compare(graph)).toEqual({
      words: ['folded into the trees: Cast, Concat, Reshape'],
      reads: { a: [0], b: [0], c: [0], d: [0, 1], e: [0] },
    });
  });

  it('arithmetic with constants, whichever side they are on', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Sub', inputs: ['X', 'a'], outputs: ['1'] },
      { op: 'Div', inputs: ['1', 'b'], outputs: ['2'] },
      { op: 'Mul', inputs: ['c', '2'], outputs: ['3'] },
      { op: 'Sub', inputs: ['a', '3'], outputs: ['4'] },
      { op: 'Add', inputs: ['4', 'c'], outputs: ['M'] },
      regressor(3),
    ];
    const constants = [floats('a', [1 / 7, 2, -3], [1, 3]), floats('b', [3, -0.7, 1e-3]), floats('c', [0.3], [])];
    expect(await compare({ inputs: [X(3)], outputs: [Y], nodes, constants })).toMatchObject({
      words: ['folded into the trees: Add, Div, Mul, Sub'],
    });
  });

  it('a choice of columns: only those that the trees read are asked for', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Gather', inputs: ['X', 'first'], outputs: ['G'], attributes: { axis: 1 } },
      { op: 'ArrayFeatureExtractor', domain: 'ai.onnx.ml', inputs: ['G', 'second'], outputs: ['M'] },
      regressor(2),
    ];
    const constants = [ints('first', [6, 1, 4]), ints('second', [2, 0])];
    expect(await compare({ inputs: [X(7)], outputs: [Y], nodes, constants })).toEqual({
      words: ['folded into the trees: ArrayFeatureExtractor, Gather'],
      reads: { X: [4, 6] },
    });
  });

  it('categories that are compared as they are', async () => {
    const trees = someTrees(8, 4, 2, (_, chance) => Math.round(chance * 8 - 4)).map(
      function categories(tree): typeof tree {
        return 'weight' in tree
          ? tree
          : {
              ...tree,
              mode: tree.feature === 0 ? 'BRANCH_EQ' : 'BRANCH_GTE',
              yes: categories(tree.yes),
              no: categories(tree.no),
            };
      },
    );
    expect(await compare({ inputs: [X(2)], outputs: [Y], nodes: [treeRegressor(trees, 'X', 'Y')] })).toEqual({
      words: [],
      reads: { X: [0, 1] },
    });
  });
});

describe('what is before the trees and no matter of single columns is computed by ONNX Runtime', () => {
  it('a norm of rows', async () => {
    const normalizer: NodeSpec = {
      op: 'Normalizer',
      domain: 'ai.onnx.ml',
      inputs: ['X'],
      outputs: ['M'],
      texts: { norm: 'L2' },
    };
    const nodes = [
      normalizer,
      treeRegressor(
        someTrees(8, 4, 3, (_, chance) => chance - 0.5),
        'M',
        'Y',
      ),
    ];
    expect(await compare({ inputs: [X(3)], outputs: [Y], nodes })).toEqual({
      words: ['before them by ONNX Runtime: Normalizer (Normalizer makes other columns)'],
      reads: {},
    });
  });

  it('texts that become columns, beside a scaler', async () => {
    const nodes: NodeSpec[] = [
      {
        op: 'OneHotEncoder',
        domain: 'ai.onnx.ml',
        inputs: ['T'],
        outputs: ['H'],
        attributes: { zeros: 1 },
        texts: { cats_strings: ['a', 'c'] },
      },
      { op: 'Reshape', inputs: ['H', 'shape'], outputs: ['H2'] },
      SCALER,
      { op: 'Concat', inputs: ['S', 'H2'], outputs: ['M'], attributes: { axis: 1 } },
      regressor(5),
    ];
    const { words, reads } = await compare({
      inputs: [X(3), X(1, 'string', 'T')],
      outputs: [Y],
      nodes,
      constants: [ints('shape', [-1, 2])],
    });
    expect(words).toEqual([
      expect.stringMatching(/^before them by ONNX Runtime: Concat, OneHotEncoder, Reshape, Scaler/),
    ]);
    expect(reads).toEqual({});
  });

  it('a column that is multiplied by zero', async () => {
    const nodes: NodeSpec[] = [{ op: 'Mul', inputs: ['X', 'c'], outputs: ['M'] }, regressor(2)];
    const { words } = await compare({ inputs: [X(2)], outputs: [Y], nodes, constants: [floats('c', [1, 0])] });
    expect(words).toEqual(['before them by ONNX Runtime: Mul (a column is multiplied or divided by 0)']);
  });
});

describe('what is behind the trees', () => {
  const classes = ['no', 'maybe', 'yes'];
  const classifier = treeClassifier(someTrees(9, 4, 3, spread), 'X', ['L', 'P'], classes);
  const label: ValueSpec = { name: 'label', type: 'string', shape: ['N'] };

  it('is left out where it changes nothing', async () => {
    const nodes: NodeSpec[] = [
      classifier,
      { op: 'Identity', inputs: ['L'], outputs: ['label'] },
      { op: 'Cast', inputs: ['P'], outputs: ['P1'], attributes: { to: ONNX.FLOAT } },
      { op: 'Mul', inputs: ['P1', 'one'], outputs: ['scores'] },
    ];
    const scores: ValueSpec = { name: 'scores', type: 'float32', shape: ['N', 3] };
    expect(
      await compare({ inputs: [X(3)], outputs: [label, scores], nodes, constants: [floats('one', [1])] }),
    ).toMatchObject({ words: [] });
  });

  it('is computed by ONNX Runtime from labels and scores, and from inputs where it reads them', async () => {
    const nodes: NodeSpec[] = [
      classifier,
      {
        op: 'LabelEncoder',
        domain: 'ai.onnx.ml',
        inputs: ['L'],
        outputs: ['number'],
        attributes: { values_int64s: [10, 20, 30] },
        texts: { keys_strings: classes },
      },
      { op: 'Add', inputs: ['P', 'X'], outputs: ['sum'] },
      { op: 'Identity', inputs: ['L'], outputs: ['label'] },
    ];
    const outputs: ValueSpec[] = [
      label,
      { name: 'number', type: 'int64', shape: ['N'] },
      { name: 'sum', type: 'float32', shape: ['N', 3] },
    ];
    expect(await compare({ inputs: [X(3)], outputs, nodes })).toEqual({
      words: ['behind them by ONNX Runtime: Add, LabelEncoder'],
      reads: {},
    });
  });

  it('is not computed for outputs that nobody wants', async () => {
    const nodes: NodeSpec[] = [classifier, { op: 'ArgMax', inputs: ['P'], outputs: ['best'], attributes: { axis: 1 } }];
    const graph: GraphSpec = {
      inputs: [X(3)],
      outputs: [
        { name: 'P', type: 'float32', shape: ['N', 3] },
        { name: 'best', type: 'int64', shape: ['N', 1] },
      ],
      nodes,
    };
    const { trees, release } = await open(graph, ['P']);
    expect(trees.graph.suffix).toBeUndefined();
    expect([...trees.run(rowsFor(graph.inputs, 3)).keys()]).toEqual(['P']);
    await release();
  });

  it('may put several ensembles together, and have trees of its own', async () => {
    const nodes: NodeSpec[] = [
      regressor(3, 'X', 'A'),
      treeRegressor(someTrees(6, 3, 3, spread, 99), 'S', 'B'),
      SCALER,
      { op: 'Concat', inputs: ['A', 'B'], outputs: ['AB'], attributes: { axis: 1 } },
      treeRegressor(someTrees(3, 2, 2, spread, 5), 'AB', 'Y'),
    ].sort((a, b) => Number(b === SCALER) - Number(a === SCALER));
    expect(await compare({ inputs: [X(3)], outputs: [Y], nodes })).toEqual({
      words: ['folded into the trees: Scaler', 'behind them by ONNX Runtime: Concat, TreeEnsembleRegressor'],
      reads: { X: [0, 1, 2] },
    });
  });
});

it('a batch that is filled up to a fixed size gives the rows that count', async () => {
  const input: ValueSpec = { name: 'X', type: 'float32', shape: [8, 3] };
  const nodes: NodeSpec[] = [
    SCALER,
    { ...regressor(3, 'S'), outputs: ['R'] },
    { op: 'Neg', inputs: ['R'], outputs: ['Y'] },
  ];
  const { trees, runtime, release } = await open({ inputs: [input], outputs: [{ ...Y, shape: [8, 1] }], nodes });
  const { feeds } = rowsFor([input], 8);
  const batch = { rows: 5, paddedRows: 8, feeds };
  expect(trees.run(batch).get('Y')!.dims).toEqual([5, 1]);
  expect(differenceOn(batch, trees, runtime)).toBeUndefined();
  await release();
});

describe('made-up rows', () => {
  it('are held against each other without NaN and infinities where ONNX Runtime fails on those', async () => {
    const binarizer: NodeSpec = {
      op: 'Binarizer',
      domain: 'ai.onnx.ml',
      inputs: ['X'],
      outputs: ['B'],
      floats: { threshold: 0 },
    };
    const graph: GraphSpec = {
      inputs: [X(2)],
      outputs: [Y, { name: 'B', type: 'float32', shape: ['N', 2] }],
      nodes: [binarizer, regressor(2, 'X')],
    };
    const { trees, runtime, release } = await open(graph);
    const other = await open({ ...graph, nodes: [binarizer, treeRegressor(someTrees(12, 5, 2, spread, 3), 'X', 'Y')] });
    const shape = { inputs: planned(graph.inputs), fixedBatch: false };
    const like = rowsFor(graph.inputs, 10);
    expect(differenceOnMadeUp(trees, runtime, shape, like)).toBeUndefined();
    expect(differenceOnMadeUp(trees, other.runtime, shape, like)).toMatch(/^Y: .*, which are made up$/);
    await other.release();
    await release();
  });

  it('are the same each time, and hold thresholds, their neighbours, NaN and infinities', async () => {
    const graph: GraphSpec = { inputs: [X(3)], outputs: [Y], nodes: [SCALER, regressor(3, 'S')] };
    const { trees, release } = await open(graph);
    const like = rowsFor(graph.inputs, 10);
    const made = (isFinite = false): Float32Array =>
      madeUpRows(trees, { inputs: planned(graph.inputs), fixedBatch: false }, like, isFinite).feeds.get('X')!
        .data as Float32Array;
    const values = made();
    expect(values).toEqual(made());
    expect(made(true).every(Number.isFinite)).toBe(true);
    const { ensemble } = trees.graph.ensembles[0]!;
    const thresholds = new Set(ensemble.nodes.threshold);
    expect(values.some((x) => thresholds.has(x))).toBe(true);
    for (const special of [NaN, Infinity, -Infinity]) expect(values.some((x) => Object.is(x, special))).toBe(true);
    await release();
  });
});

describe('a model that the engine cannot score', () => {
  it('says so', async () => {
    const nodes: NodeSpec[] = [{ op: 'Neg', inputs: ['X'], outputs: ['Y'] }];
    const error = await rejection(open({ inputs: [X(1)], outputs: [Y], nodes }));
    expect(error).toMatchObject({ code: 'MODEL_UNSUPPORTED', hint: 'leave engine out: ONNX Runtime scores it' });
    expect(error.message).toMatch(/the trees engine cannot score .*\.onnx: the model has no tree ensemble$/);
  });
});
