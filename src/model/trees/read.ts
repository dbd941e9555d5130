/**
 * Reads the tree ensembles of a graph: the three operators of `ai.onnx.ml`, into the one form of `ensemble.ts`. What the
 * specification leaves open is read as ONNX Runtime reads it.
 */
import type { ElementType } from '../../plan/facts.js';
import { onnxTypeName } from '../element-types.js';
import { TensorProto_DataType as OnnxType, type AttributeProto, type NodeProto, type TensorProto } from '../onnx_pb.js';
import {
  MODE,
  UnsupportedEnsemble,
  type Aggregate,
  type Ensemble,
  type Labels,
  type Mode,
  type PostTransform,
  type TreeNodes,
} from './ensemble.js';
import { checkFinish } from './finish.js';

/** The operators, all of domain `ai.onnx.ml`. */
export const TREE_OPERATORS: ReadonlySet<string> = new Set([
  'TreeEnsembleClassifier',
  'TreeEnsembleRegressor',
  'TreeEnsemble',
]);

const MODES: Readonly<Record<string, Mode>> = {
  LEAF: MODE.leaf,
  BRANCH_LEQ: MODE.leq,
  BRANCH_LT: MODE.lt,
  BRANCH_GTE: MODE.gte,
  BRANCH_GT: MODE.gt,
  BRANCH_EQ: MODE.eq,
  BRANCH_NEQ: MODE.neq,
};
/** `nodes_modes` of `TreeEnsemble`. */
const MODES_5: readonly Mode[] = [MODE.leq, MODE.lt, MODE.gte, MODE.gt, MODE.eq, MODE.neq];
const MEMBER_5 = 6;
/** `aggregate_function` and `post_transform` of `TreeEnsemble`. */
const AGGREGATES_5: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];
const TRANSFORMS_5: readonly PostTransform[] = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'];

const AGGREGATES: ReadonlySet<string> = new Set(AGGREGATES_5);
const TRANSFORMS: ReadonlySet<string> = new Set(TRANSFORMS_5);

/**
 * Reads a tree ensemble.
 *
 * @param inputType element type of its input X
 * @throws UnsupportedEnsemble where the kernel cannot score it, or the node is not whole
 */
export function readEnsemble(node: NodeProto, inputType: ElementType): Ensemble {
  if (node.domain !== 'ai.onnx.ml' || !TREE_OPERATORS.has(node.opType))
    throw new UnsupportedEnsemble(`is a ${node.opType}`);
  const attributes = new Attributes(node);
  const precision = inputType === 'float64' ? 'float64' : 'float32';
  // The older operators give float32 whatever they take.
  if (node.opType === 'TreeEnsemble' && precision === 'float64') throw new UnsupportedEnsemble('gives float64 scores');
  const ensemble = node.opType === 'TreeEnsemble' ? readTreeEnsemble(attributes) : readOlder(attributes, node.opType);
  const complete = { precision, ...ensemble } as const;
  check(complete);
  return complete;
}

type WithoutPrecision = Omit<Ensemble, 'precision'>;

/** The attributes of a node. A number that is not there is an empty list, as protobuf has it. */
class Attributes {
  readonly #byName: ReadonlyMap<string, AttributeProto>;

  constructor({ attribute }: NodeProto) {
    this.#byName = new Map(attribute.map((each) => [each.name, each]));
  }

  ints(name: string): readonly number[] {
    return (this.#byName.get(name)?.ints ?? []).map(Number);
  }

  bigints(name: string): readonly bigint[] {
    return this.#byName.get(name)?.ints ?? [];
  }

  int(name: string, otherwise: number): number {
    const attribute = this.#byName.get(name);
    return attribute === undefined ? otherwise : Number(attribute.i);
  }

  texts(name: string): readonly string[] {
    return (this.#byName.get(name)?.strings ?? []).map((bytes) => Buffer.from(bytes).toString('utf8'));
  }

  text(name: string, otherwise: string): string {
    const bytes = this.#byName.get(name)?.s;
    return bytes === undefined || bytes.length === 0 ? otherwise : Buffer.from(bytes).toString('utf8');
  }

  /** The numbers of an attribute, or of the tensor of the same name with `_as_tensor` behind it: that is how doubles come. */
  numbers(name: string): readonly number[] {
    const floats = this.#byName.get(name)?.floats ?? [];
    const tensor = this.#byName.get(`${name}_as_tensor`)?.t;
    return floats.length > 0 || tensor === undefined ? floats : numbersOf(tensor);
  }

  tensor(name: string): readonly number[] {
    const tensor = this.#byName.get(name)?.t;
    return tensor === undefined ? [] : numbersOf(tensor);
  }
}

/** The numbers of a tensor of floats, doubles or bytes. */
function numbersOf(tensor: TensorProto): readonly number[] {
  const { rawData, dataType } = tensor;
  switch (dataType) {
    case OnnxType.FLOAT:
      return rawData.length === 0 ? tensor.floatData : [...new Float32Array(aligned(rawData))];
    case OnnxType.DOUBLE:
      return rawData.length === 0 ? tensor.doubleData : [...new Float64Array(aligned(rawData))];
    case OnnxType.UINT8:
      return rawData.length === 0 ? tensor.int32Data : [...rawData];
    default:
      throw new UnsupportedEnsemble(`has numbers of type ${onnxTypeName(dataType)}`);
  }
}

/** A copy that begins at 0: typed arrays ask for that. The format's numbers are little-endian. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer;
}

/** Collects nodes one by one. */
class NodesBuilder {
  readonly mode: number[] = [];
  readonly feature: number[] = [];
  readonly threshold: number[] = [];
  readonly missingTrue: number[] = [];
  readonly trueChild: number[] = [];
  readonly falseChild: number[] = [];
  /** By node. */
  readonly weights: (readonly (readonly [target: number, weight: number])[])[] = [];

  /** @returns the node's position; its children are set afterwards. */
  inner(mode: Mode, feature: number, threshold: number, missingTrue: number): number {
    return this.#push(mode, feature, threshold, missingTrue, []);
  }

  leaf(weights: readonly (readonly [target: number, weight: number])[]): number {
    return this.#push(MODE.leaf, 0, 0, 0, weights);
  }

  lead(node: number, trueChild: number, falseChild: number): void {
    this.trueChild[node] = trueChild;
    this.falseChild[node] = falseChild;
  }

  #push(
    mode: Mode,
    feature: number,
    threshold: number,
    missingTrue: number,
    weights: readonly (readonly [target: number, weight: number])[],
  ): number {
    this.mode.push(mode);
    this.feature.push(feature);
    this.threshold.push(threshold);
    this.missingTrue.push(missingTrue);
    this.trueChild.push(-1);
    this.falseChild.push(-1);
    this.weights.push(weights);
    return this.mode.length - 1;
  }

  finish(): Pick<Ensemble, 'nodes' | 'weightTarget' | 'weight' | 'width'> {
    const firstWeight = new Int32Array(this.mode.length + 1);
    for (const [node, weights] of this.weights.entries()) firstWeight[node + 1] = firstWeight[node]! + weights.length;
    const weights = this.weights.flat();
    const nodes: TreeNodes = {
      mode: Uint8Array.from(this.mode),
      feature: Int32Array.from(this.feature),
      threshold: Float64Array.from(this.threshold),
      missingTrue: Uint8Array.from(this.missingTrue),
      trueChild: Int32Array.from(this.trueChild),
      falseChild: Int32Array.from(this.falseChild),
      firstWeight,
    };
    return {
      nodes,
      weightTarget: Int32Array.from(weights, ([target]) => target),
      weight: Float64Array.from(weights, ([, weight]) => weight),
      width: this.feature.reduce((most, feature) => Math.max(most, feature + 1), 0),
    };
  }
}

/** Names a node of a tree in one number; both are far below 2^26 in any file that fits into memory. */
const nodeKey = (tree: number, node: number): number => tree * 2 ** 26 + node;

/** `TreeEnsembleClassifier` and `TreeEnsembleRegressor`: nodes and weights in lists side by side. */
function readOlder(attributes: Attributes, operator: string): WithoutPrecision {
  const isClassifier = operator === 'TreeEnsembleClassifier';
  const prefix = isClassifier ? 'class' : 'target';
  const trees = attributes.ints('nodes_treeids');
  const ids = attributes.ints('nodes_nodeids');
  const modes = attributes.texts('nodes_modes');
  const features = attributes.ints('nodes_featureids');
  const values = attributes.numbers('nodes_values');
  const missing = attributes.ints('nodes_missing_value_tracks_true');
  const trueIds = attributes.ints('nodes_truenodeids');
  const falseIds = attributes.ints('nodes_falsenodeids');
  for (const list of [ids, modes, features, values, trueIds, falseIds])
    if (list.length !== trees.length) throw new UnsupportedEnsemble('has lists of nodes that differ in length');

  const weightsOf = new Map<number, [target: number, weight: number][]>();
  const weightTrees = attributes.ints(`${prefix}_treeids`);
  const weightNodes = attributes.ints(`${prefix}_nodeids`);
  const targetIds = attributes.ints(`${prefix}_ids`);
  const weights = attributes.numbers(`${prefix}_weights`);
  for (const list of [weightNodes, targetIds, weights])
    if (list.length !== weightTrees.length) throw new UnsupportedEnsemble('has lists of weights that differ in length');
  weightTrees.forEach((tree, i) => {
    const key = nodeKey(tree, weightNodes[i]!);
    const others = weightsOf.get(key);
    const weight: [number, number] = [targetIds[i]!, weights[i]!];
    if (others === undefined) weightsOf.set(key, [weight]);
    else others.push(weight);
  });

  const builder = new NodesBuilder();
  const positions = new Map<number, number>();
  const roots: number[] = [];
  trees.forEach((tree, i) => {
    const key = nodeKey(tree, ids[i]!);
    const mode = MODES[modes[i]!];
    if (mode === undefined) throw new UnsupportedEnsemble(`has nodes of mode ${modes[i]!}`);
    if (positions.has(key)) throw new UnsupportedEnsemble(`has node ${ids[i]!} of tree ${tree} twice`);
    // A tree's first node is its root, whatever its number (so in ONNX Runtime).
    if (i === 0 || trees[i - 1] !== tree) roots.push(i);
    positions.set(
      key,
      mode === MODE.leaf
        ? builder.leaf(weightsOf.get(key) ?? [])
        : builder.inner(mode, features[i]!, values[i]!, missing[i] === 1 ? 1 : 0),
    );
  });
  trees.forEach((tree, i) => {
    if (builder.mode[i] === MODE.leaf) return;
    const trueChild = positions.get(nodeKey(tree, trueIds[i]!));
    const falseChild = positions.get(nodeKey(tree, falseIds[i]!));
    if (trueChild === undefined || falseChild === undefined)
      throw new UnsupportedEnsemble(`has a node without children: ${ids[i]!} of tree ${tree}`);
    builder.lead(i, trueChild, falseChild);
  });

  const labels = isClassifier ? labelsOf(attributes) : undefined;
  const aggregate = isClassifier ? 'SUM' : attributes.text('aggregate_function', 'SUM');
  const postTransform = attributes.text('post_transform', 'NONE');
  if (!AGGREGATES.has(aggregate)) throw new UnsupportedEnsemble(`aggregates by ${aggregate}`);
  if (!TRANSFORMS.has(postTransform)) throw new UnsupportedEnsemble(`has the post transform ${postTransform}`);
  return {
    ...builder.finish(),
    roots: Int32Array.from(roots),
    targets: labels?.values.length ?? attributes.int('n_targets', 0),
    base: Float64Array.from(attributes.numbers('base_values')),
    aggregate: aggregate as Aggregate,
    postTransform: postTransform as PostTransform,
    ...(labels === undefined ? {} : { labels }),
  };
}

function labelsOf(attributes: Attributes): Labels {
  const texts = attributes.texts('classlabels_strings');
  return texts.length > 0
    ? { type: 'string', values: texts }
    : { type: 'int64', values: attributes.bigints('classlabels_int64s') };
}

/** `TreeEnsemble`: nodes and leaves in lists of their own. A node that is asked whether a value is one of many becomes a chain. */
function readTreeEnsemble(attributes: Attributes): WithoutPrecision {
  const modes = attributes.tensor('nodes_modes');
  const features = attributes.ints('nodes_featureids');
  const splits = attributes.tensor('nodes_splits');
  const missing = attributes.ints('nodes_missing_value_tracks_true');
  const trueIds = attributes.ints('nodes_truenodeids');
  const falseIds = attributes.ints('nodes_falsenodeids');
  const trueLeafs = attributes.ints('nodes_trueleafs');
  const falseLeafs = attributes.ints('nodes_falseleafs');
  const leafTargets = attributes.ints('leaf_targetids');
  const leafWeights = attributes.tensor('leaf_weights');
  const treeRoots = attributes.ints('tree_roots');
  for (const list of [features, splits, trueIds, falseIds, trueLeafs, falseLeafs])
    if (list.length !== modes.length) throw new UnsupportedEnsemble('has lists of nodes that differ in length');
  if (leafTargets.length !== leafWeights.length)
    throw new UnsupportedEnsemble('has lists of leaves that differ in length');

  // The members of one node after the other's, with a NaN behind each.
  const members: number[][] = [[]];
  for (const value of attributes.tensor('membership_values')) {
    if (Number.isNaN(value)) members.push([]);
    else members.at(-1)!.push(value);
  }
  let next = 0;

  const builder = new NodesBuilder();
  const leaves = leafTargets.map((target, i) => builder.leaf([[target, leafWeights[i]!]]));
  /** By node: what is asked first. */
  const first: number[] = [];
  /** By node: all that was made of it. */
  const made = modes.map((code, node) => {
    const missingTrue = missing[node] === 1 ? 1 : 0;
    const feature = features[node]!;
    const mode = MODES_5[code];
    const asked: readonly (readonly [Mode, number])[] =
      code === MEMBER_5
        ? (members[next++] ?? []).map((value) => [MODE.eq, value] as const)
        : mode === undefined
          ? []
          : [[mode, splits[node]!]];
    if (asked.length === 0) throw new UnsupportedEnsemble(`has a node of mode ${code} that asks nothing`);
    const chain = asked.map(([each, value]) => builder.inner(each, feature, value, missingTrue));
    first.push(chain[0]!);
    return chain;
  });
  const child = (id: number, isLeaf: number): number => {
    const position = isLeaf === 0 ? first[id] : leaves[id];
    if (position === undefined) throw new UnsupportedEnsemble(`has a node that leads to ${id}, which is not there`);
    return position;
  };
  made.forEach((chain, node) => {
    const trueChild = child(trueIds[node]!, trueLeafs[node]!);
    const falseChild = child(falseIds[node]!, falseLeafs[node]!);
    chain.forEach((position, i) => builder.lead(position, trueChild, chain[i + 1] ?? falseChild));
  });
  const aggregate = AGGREGATES_5[attributes.int('aggregate_function', 1)];
  const postTransform = TRANSFORMS_5[attributes.int('post_transform', 0)];
  if (aggregate === undefined || postTransform === undefined)
    throw new UnsupportedEnsemble('aggregates or transforms in a way that is not known');
  // Its own numbers for these two are the other way round: scores would not be those of either.
  if (postTransform === 'SOFTMAX' || postTransform === 'LOGISTIC')
    throw new UnsupportedEnsemble(`has the post transform ${postTransform}, which ONNX Runtime takes for another`);
  return {
    ...builder.finish(),
    roots: Int32Array.from(treeRoots, (root) => child(root, 0)),
    targets: attributes.int('n_targets', 0),
    base: new Float64Array(),
    aggregate,
    postTransform,
  };
}

/** Throws what the kernel does not take. */
function check(ensemble: Ensemble): void {
  const { nodes, roots, weight, weightTarget, targets, base } = ensemble;
  if (targets < 1) throw new UnsupportedEnsemble('has no targets');
  if (roots.length === 0) throw new UnsupportedEnsemble('has no trees');
  if (weightTarget.some((target) => target < 0 || target >= targets))
    throw new UnsupportedEnsemble('gives weights to targets that it does not have');
  if (!weight.every(Number.isFinite) || !base.every(Number.isFinite))
    throw new UnsupportedEnsemble('has weights that are not finite');
  for (let node = 0; node < nodes.mode.length; node += 1) {
    if (nodes.mode[node] === MODE.leaf) {
      const targetsOf = [...weightTarget.subarray(nodes.firstWeight[node], nodes.firstWeight[node + 1])];
      if (targetsOf.length === 0) throw new UnsupportedEnsemble('has a leaf without a weight');
      if (new Set(targetsOf).size < targetsOf.length)
        throw new UnsupportedEnsemble('has a leaf that gives two weights to one target');
      continue;
    }
    if (Number.isNaN(nodes.threshold[node])) throw new UnsupportedEnsemble('compares with NaN');
    if (nodes.feature[node]! < 0) throw new UnsupportedEnsemble('compares a column before the first');
  }
  refuseCycles(nodes, roots);
  checkFinish(ensemble);
}

/** A file can name any node as a child: one that leads back to itself would never end. */
function refuseCycles({ mode, trueChild, falseChild }: TreeNodes, roots: Int32Array): void {
  /** 1: on the way down to it; 2: all below it is known. */
  const state = new Uint8Array(mode.length);
  for (const root of roots) {
    const path = [root];
    while (path.length > 0) {
      const node = path.at(-1)!;
      if (state[node] === 2 || mode[node] === MODE.leaf) {
        state[node] = 2;
        path.pop();
        continue;
      }
      const children = [trueChild[node]!, falseChild[node]!];
      if (state[node] === 1) {
        const open = children.find((child) => state[child] !== 2);
        if (open === undefined) {
          state[node] = 2;
          path.pop();
        } else if (state[open] === 1) throw new UnsupportedEnsemble('has a node that leads back to itself');
        else path.push(open);
        continue;
      }
      state[node] = 1;
    }
  }
}
