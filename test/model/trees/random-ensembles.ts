/** Makes tree ensembles and rows for them, out of a number: the same ones each time. */
import { create, toBinary } from '@bufbuild/protobuf';
import { writeFileSync } from 'node:fs';
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as OnnxType,
  TensorProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type NodeProto,
} from '../../../src/model/onnx_pb.js';

/** Numbers in [0, 1) from a seed: mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ'] as const;

/** What an ensemble is to be like. */
export interface EnsembleSpec {
  readonly seed: number;
  readonly operator: 'TreeEnsembleClassifier' | 'TreeEnsembleRegressor' | 'TreeEnsemble';
  readonly inputType: 'float32' | 'float64' | 'int64' | 'int32';
  readonly trees: number;
  readonly features: number;
  /** Leaves of a tree at most; 1: trees without a question. */
  readonly leaves: number;
  /** Thresholds to choose from, by feature. */
  readonly thresholds: number;
  readonly targets: number;
  /** Positions in the modes of the specification, of which each tree's nodes take one or any. */
  readonly modes: readonly number[];
  readonly missing: boolean;
  readonly base: boolean;
  readonly aggregate: 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';
  readonly postTransform: 'NONE' | 'LOGISTIC' | 'SOFTMAX' | 'SOFTMAX_ZERO' | 'PROBIT';
  /** Classifiers: one score for two classes. */
  readonly oneScore?: boolean;
  readonly textLabels?: boolean;
  readonly positive?: boolean;
  /** Trees that go one way again and again, instead of any way. */
  readonly unbalanced?: boolean;
}

const strings = (name: string, values: readonly string[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: Kind.STRINGS, strings: values.map((value) => Buffer.from(value)) });
const ints = (name: string, values: readonly number[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: Kind.INTS, ints: values.map(BigInt) });
const floats = (name: string, values: readonly number[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...values] });
const text = (name: string, value: string): AttributeProto =>
  create(AttributeProtoSchema, { name, type: Kind.STRING, s: Buffer.from(value) });
const int = (name: string, value: number): AttributeProto =>
  create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
const tensor = (name: string, dataType: OnnxType, values: readonly number[]): AttributeProto =>
  create(AttributeProtoSchema, {
    name,
    type: Kind.TENSOR,
    t: create(TensorProtoSchema, {
      dims: [BigInt(values.length)],
      dataType,
      ...(dataType === OnnxType.FLOAT
        ? { floatData: [...values] }
        : dataType === OnnxType.DOUBLE
          ? { doubleData: [...values] }
          : { int32Data: [...values] }),
    }),
  });

/** An attribute that is a tensor of floats. */
export function floatTensor(name: string, values: readonly number[]): AttributeProto {
  return tensor(name, OnnxType.FLOAT, values);
}

interface MadeNode {
  readonly mode: string;
  readonly feature: number;
  readonly value: number;
  readonly missing: number;
  yes: number;
  no: number;
  readonly weights: readonly (readonly [number, number])[];
}

/** A model of one node, and the thresholds of its features, for rows that lie on them. */
export interface MadeEnsemble {
  readonly node: NodeProto;
  readonly thresholds: readonly (readonly number[])[];
}

/** Makes an ensemble. */
export function makeEnsemble(spec: EnsembleSpec): MadeEnsemble {
  const next = random(spec.seed);
  const below = (n: number): number => Math.floor(next() * n);
  const isDouble = spec.inputType === 'float64';
  const isInteger = spec.inputType.startsWith('int');
  const number = (): number => {
    const value = isInteger ? below(20) - 10 : next() * 4 - 2;
    return isDouble ? value : Math.fround(value);
  };
  const thresholds = Array.from({ length: spec.features }, () => Array.from({ length: spec.thresholds }, number));
  const weight = (): number => {
    const positive =
      spec.postTransform === 'PROBIT' ? (0.1 + 0.8 * next()) / spec.trees : next() - (spec.positive === true ? 0 : 0.5);
    return isDouble ? positive : Math.fround(positive);
  };
  const weightsOf = (tree: number): [number, number][] => {
    if (spec.oneScore === true) return [[0, weight()]];
    if (spec.operator === 'TreeEnsemble') return [[tree % spec.targets, weight()]];
    // Some trees score one target, as boosting does, others all of them, as forests do.
    if (tree % 2 === 1) return [[tree % spec.targets, weight()]];
    return Array.from({ length: spec.targets }, (_, target) => [target, weight()]);
  };
  const trees = Array.from({ length: spec.trees }, (_, tree) => {
    const nodes: MadeNode[] = [];
    const leaf = (): MadeNode => ({
      mode: 'LEAF',
      feature: 0,
      value: 0,
      missing: 0,
      yes: 0,
      no: 0,
      weights: weightsOf(tree),
    });
    nodes.push(leaf());
    const leaves = [0];
    const wanted = spec.leaves === 1 ? 1 : 1 + below(spec.leaves);
    while (leaves.length < wanted) {
      const [at] = leaves.splice(spec.unbalanced === true ? leaves.length - 1 : below(leaves.length), 1);
      const feature = below(spec.features);
      nodes[at!] = {
        mode: MODES[spec.modes[below(spec.modes.length)]!]!,
        feature,
        value: thresholds[feature]![below(spec.thresholds)]!,
        missing: spec.missing ? below(2) : 0,
        yes: nodes.length,
        no: nodes.length + 1,
        weights: [],
      };
      leaves.push(nodes.length, nodes.length + 1);
      nodes.push(leaf(), leaf());
    }
    return nodes;
  });
  const attribute = spec.operator === 'TreeEnsemble' ? newer(spec, trees) : older(spec, trees, next);
  const output = spec.operator === 'TreeEnsembleClassifier' ? ['label', 'scores'] : ['scores'];
  const node = create(NodeProtoSchema, {
    opType: spec.operator,
    domain: 'ai.onnx.ml',
    name: 'trees',
    input: ['X'],
    output,
    attribute,
  });
  return { node, thresholds };
}

function older(spec: EnsembleSpec, trees: readonly (readonly MadeNode[])[], next: () => number): AttributeProto[] {
  const isClassifier = spec.operator === 'TreeEnsembleClassifier';
  const isDouble = spec.inputType === 'float64';
  const prefix = isClassifier ? 'class' : 'target';
  const all = trees.flatMap((nodes, tree) => nodes.map((node, id) => ({ ...node, tree, id })));
  const weights = all.flatMap(({ tree, id, weights: each }) =>
    each.map(([target, weight]) => ({ tree, id, target, weight })),
  );
  const numbers = (name: string, values: readonly number[]): AttributeProto =>
    isDouble ? tensor(`${name}_as_tensor`, OnnxType.DOUBLE, values) : floats(name, values);
  const targets = spec.oneScore === true ? 1 : spec.targets;
  return [
    ints(
      'nodes_treeids',
      all.map(({ tree }) => tree),
    ),
    ints(
      'nodes_nodeids',
      all.map(({ id }) => id),
    ),
    ints(
      'nodes_featureids',
      all.map(({ feature }) => feature),
    ),
    strings(
      'nodes_modes',
      all.map(({ mode }) => mode),
    ),
    numbers(
      'nodes_values',
      all.map(({ value }) => value),
    ),
    ints(
      'nodes_truenodeids',
      all.map(({ yes }) => yes),
    ),
    ints(
      'nodes_falsenodeids',
      all.map(({ no }) => no),
    ),
    ...(spec.missing
      ? [
          ints(
            'nodes_missing_value_tracks_true',
            all.map(({ missing }) => missing),
          ),
        ]
      : []),
    ints(
      `${prefix}_treeids`,
      weights.map(({ tree }) => tree),
    ),
    ints(
      `${prefix}_nodeids`,
      weights.map(({ id }) => id),
    ),
    ints(
      `${prefix}_ids`,
      weights.map(({ target }) => target),
    ),
    numbers(
      `${prefix}_weights`,
      weights.map(({ weight }) => weight),
    ),
    ...(spec.base
      ? [
          numbers(
            'base_values',
            Array.from({ length: targets }, () => Math.fround(next() / 4)),
          ),
        ]
      : []),
    text('post_transform', spec.postTransform),
    ...(isClassifier
      ? [
          spec.textLabels === true
            ? strings(
                'classlabels_strings',
                Array.from({ length: spec.targets }, (_, i) => `class ${i}`),
              )
            : ints(
                'classlabels_int64s',
                Array.from({ length: spec.targets }, (_, i) => (spec.targets > 2 ? i * 3 - 1 : i)),
              ),
        ]
      : [int('n_targets', spec.targets), text('aggregate_function', spec.aggregate)]),
  ];
}

/** A tree without a question has one all the same, both answers to which lead to one leaf. */
function newer(spec: EnsembleSpec, trees: readonly (readonly MadeNode[])[]): AttributeProto[] {
  const inner: {
    mode: number;
    feature: number;
    value: number;
    missing: number;
    yes: [number, boolean];
    no: [number, boolean];
  }[] = [];
  const leaves: (readonly [number, number])[] = [];
  const roots: number[] = [];
  for (const nodes of trees) {
    const places = new Map<number, [number, boolean]>();
    let count = inner.length;
    for (const [id, node] of nodes.entries()) {
      if (node.mode === 'LEAF') {
        places.set(id, [leaves.length, true]);
        leaves.push(node.weights[0]!);
      } else {
        places.set(id, [count, false]);
        count += 1;
      }
    }
    roots.push(inner.length);
    if (nodes.length === 1) {
      const leaf = places.get(0)!;
      inner.push({ mode: 0, feature: 0, value: 0, missing: 0, yes: leaf, no: leaf });
      continue;
    }
    for (const node of nodes) {
      if (node.mode === 'LEAF') continue;
      inner.push({
        mode: MODES.indexOf(node.mode as (typeof MODES)[number]),
        feature: node.feature,
        value: node.value,
        missing: node.missing,
        yes: places.get(node.yes)!,
        no: places.get(node.no)!,
      });
    }
  }
  return [
    ints('tree_roots', roots),
    tensor(
      'nodes_modes',
      OnnxType.UINT8,
      inner.map(({ mode }) => mode),
    ),
    ints(
      'nodes_featureids',
      inner.map(({ feature }) => feature),
    ),
    tensor(
      'nodes_splits',
      OnnxType.FLOAT,
      inner.map(({ value }) => value),
    ),
    ...(spec.missing
      ? [
          ints(
            'nodes_missing_value_tracks_true',
            inner.map(({ missing }) => missing),
          ),
        ]
      : []),
    ints(
      'nodes_truenodeids',
      inner.map(({ yes }) => yes[0]),
    ),
    ints(
      'nodes_trueleafs',
      inner.map(({ yes }) => (yes[1] ? 1 : 0)),
    ),
    ints(
      'nodes_falsenodeids',
      inner.map(({ no }) => no[0]),
    ),
    ints(
      'nodes_falseleafs',
      inner.map(({ no }) => (no[1] ? 1 : 0)),
    ),
    ints(
      'leaf_targetids',
      leaves.map(([target]) => target),
    ),
    tensor(
      'leaf_weights',
      OnnxType.FLOAT,
      leaves.map(([, weight]) => weight),
    ),
    int('n_targets', spec.targets),
    int('aggregate_function', ['AVERAGE', 'SUM', 'MIN', 'MAX'].indexOf(spec.aggregate)),
    int('post_transform', ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'].indexOf(spec.postTransform)),
  ];
}

const ELEMENTS = {
  float32: OnnxType.FLOAT,
  float64: OnnxType.DOUBLE,
  int64: OnnxType.INT64,
  int32: OnnxType.INT32,
} as const;

/** Writes a model of an ensemble alone. */
export function writeModel(path: string, node: NodeProto, spec: EnsembleSpec): void {
  const value = (name: string, elemType: OnnxType): ReturnType<typeof create<typeof ValueInfoProtoSchema>> =>
    create(ValueInfoProtoSchema, {
      name,
      type: create(TypeProtoSchema, {
        value: {
          case: 'tensorType',
          value: {
            elemType,
            shape: {
              dim: [
                { value: { case: 'dimParam', value: 'N' } },
                ...(name === 'label' ? [] : [{ value: { case: undefined } }]),
              ],
            },
          },
        },
      }),
    });
  const labels = spec.textLabels === true ? OnnxType.STRING : OnnxType.INT64;
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'colonnade-tests',
    opsetImport: [
      { domain: '', version: 15n },
      { domain: 'ai.onnx.ml', version: spec.operator === 'TreeEnsemble' ? 5n : 3n },
    ],
    graph: {
      name: 'trees',
      node: [node],
      input: [
        create(ValueInfoProtoSchema, {
          name: 'X',
          type: create(TypeProtoSchema, {
            value: {
              case: 'tensorType',
              value: {
                elemType: ELEMENTS[spec.inputType],
                shape: {
                  dim: [
                    { value: { case: 'dimParam', value: 'N' } },
                    { value: { case: 'dimValue', value: BigInt(spec.features) } },
                  ],
                },
              },
            },
          }),
        }),
      ],
      output: node.output.map((name) => value(name, name === 'label' ? labels : OnnxType.FLOAT)),
    },
  });
  writeFileSync(path, toBinary(ModelProtoSchema, model));
}

/** Rows, row-major, many of whose values are thresholds, the numbers next to them, NaN or infinite. */
export function makeRows(spec: EnsembleSpec, { thresholds }: MadeEnsemble, rows: number): Float64Array {
  const next = random(spec.seed ^ 0x5e_ed);
  const isInteger = spec.inputType.startsWith('int');
  const values = new Float64Array(rows * spec.features);
  for (let i = 0; i < values.length; i += 1) {
    const known = thresholds[i % spec.features]!;
    const threshold = known[Math.floor(next() * known.length)]!;
    const kind = next();
    if (isInteger) values[i] = kind < 0.7 ? threshold : Math.round(next() * 30 - 15);
    else if (kind < 0.3) values[i] = threshold;
    else if (kind < 0.36) values[i] = NaN;
    else if (kind < 0.39) values[i] = Infinity;
    else if (kind < 0.42) values[i] = -Infinity;
    else if (kind < 0.45) values[i] = next() < 0.5 ? -0 : 0;
    else if (kind < 0.6) values[i] = Math.fround(threshold * (next() < 0.5 ? 1 + 2 ** -23 : 1 - 2 ** -23));
    else values[i] = Math.fround(next() * 5 - 2.5);
  }
  return values;
}
