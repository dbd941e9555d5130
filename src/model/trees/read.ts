/**
 * Reads the tree ensembles of a graph: the three operators of `ai.onnx.ml`, into the one form of `ensemble.ts`. What the
 * specification leaves open is read as ONNX Runtime reads it.
 */
import type { ElementType } from '../../plan/facts.js';
import { onnxTypeName } from '../element-types.js';
import { TREE_OPERATORS } from '../feature-ids.js';
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
    return this.bytes(name).map((bytes) => Buffer.from(bytes).toString('utf8'));
  }

  bytes(name: string): readonly Uint8Array[] {
    return this.#byName.get(name)?.strings ?? [];
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

/** The mode that a name stands for: files have a name for every node, so they are told apart by their bytes. */
function modeOf(name: Uint8Array): Mode {
  if (name.length === 4) return MODE.leaf;
  // Behind `BRANCH_`.
  switch (String.fromCharCode(name[7]!, name[8]!, name[9] ?? 32)) {
    case 'LEQ':
      return MODE.leq;
    case 'LT ':
      return MODE.lt;
    case 'GTE':
      return MODE.gte;
    case 'GT ':
      return MODE.gt;
    case 'EQ ':
      return MODE.eq;
    case 'NEQ':
      return MODE.neq;
    default:
      throw new UnsupportedEnsemble(`has nodes of mode ${Buffer.from(name).toString('utf8')}`);
  }
}

/** Nodes to be filled in. */
function emptyNodes(count: number): TreeNodes {
  return {
    mode: new Uint8Array(count),
    feature: new Int32Array(count),
    threshold: new Float64Array(count),
    missingTrue: new Uint8Array(count),
    trueChild: new Int32Array(count).fill(-1),
    falseChild: new Int32Array(count).fill(-1),
    firstWeight: new Int32Array(count + 1),
  };
}

function widthOf({ feature, mode }: TreeNodes): number {
  let width = 0;
  for (let node = 0; node < feature.length; node += 1)
    if (mode[node] !== MODE.leaf && feature[node]! >= width) width = feature[node]! + 1;
  return width;
}

/** Names a node of a tree in one number; both are far below 2^26 in any file that fits into memory. */
const nodeKey = (tree: number, node: number): number => tree * 2 ** 26 + node;

/** `TreeEnsembleClassifier` and `TreeEnsembleRegressor`: nodes and weights in lists side by side. */
function readOlder(attributes: Attributes, operator: string): WithoutPrecision {
  const isClassifier = operator === 'TreeEnsembleClassifier';
  const trees = attributes.ints('nodes_treeids');
  const ids = attributes.ints('nodes_nodeids');
  const modes = attributes.bytes('nodes_modes');
  const features = attributes.ints('nodes_featureids');
  const values = attributes.numbers('nodes_values');
  const missing = attributes.ints('nodes_missing_value_tracks_true');
  const trueIds = attributes.ints('nodes_truenodeids');
  const falseIds = attributes.ints('nodes_falsenodeids');
  for (const list of [ids, modes, features, values, trueIds, falseIds])
    if (list.length !== trees.length) throw new UnsupportedEnsemble('has lists of nodes that differ in length');

  const count = trees.length;
  const nodes = emptyNodes(count);
  const positions = new Map<number, number>();
  const roots: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = nodeKey(trees[i]!, ids[i]!);
    if (positions.has(key)) throw new UnsupportedEnsemble(`has node ${ids[i]!} of tree ${trees[i]!} twice`);
    positions.set(key, i);
    // A tree's first node is its root, whatever its number (so in ONNX Runtime).
    if (i === 0 || trees[i - 1] !== trees[i]) roots.push(i);
    const mode = modeOf(modes[i]!);
    nodes.mode[i] = mode;
    if (mode === MODE.leaf) continue;
    nodes.feature[i] = features[i]!;
    nodes.threshold[i] = values[i]!;
    nodes.missingTrue[i] = missing[i] === 1 ? 1 : 0;
  }
  for (let i = 0; i < count; i += 1) {
    if (nodes.mode[i] === MODE.leaf) continue;
    const trueChild = positions.get(nodeKey(trees[i]!, trueIds[i]!));
    const falseChild = positions.get(nodeKey(trees[i]!, falseIds[i]!));
    if (trueChild === undefined || falseChild === undefined)
      throw new UnsupportedEnsemble(`has a node without children: ${ids[i]!} of tree ${trees[i]!}`);
    nodes.trueChild[i] = trueChild;
    nodes.falseChild[i] = falseChild;
  }

  const labels = isClassifier ? labelsOf(attributes) : undefined;
  const aggregate = isClassifier ? 'SUM' : attributes.text('aggregate_function', 'SUM');
  const postTransform = attributes.text('post_transform', 'NONE');
  if (!AGGREGATES.has(aggregate)) throw new UnsupportedEnsemble(`aggregates by ${aggregate}`);
  if (!TRANSFORMS.has(postTransform)) throw new UnsupportedEnsemble(`has the post transform ${postTransform}`);
  return {
    nodes,
    ...readWeights(attributes, isClassifier ? 'class' : 'target', nodes, positions),
    width: widthOf(nodes),
    roots: Int32Array.from(roots),
    targets: labels?.values.length ?? attributes.int('n_targets', 0),
    base: Float64Array.from(attributes.numbers('base_values')),
    aggregate: aggregate as Aggregate,
    postTransform: postTransform as PostTransform,
    ...(labels === undefined ? {} : { labels }),
  };
}

/** The weights by leaf, in the order of the file; those of inner nodes, which old exporters write, are left out. */
function readWeights(
  attributes: Attributes,
  prefix: string,
  { mode, firstWeight }: TreeNodes,
  positions: ReadonlyMap<number, number>,
): Pick<Ensemble, 'weightTarget' | 'weight'> {
  const trees = attributes.ints(`${prefix}_treeids`);
  const ids = attributes.ints(`${prefix}_nodeids`);
  const targets = attributes.ints(`${prefix}_ids`);
  const weights = attributes.numbers(`${prefix}_weights`);
  for (const list of [ids, targets, weights])
    if (list.length !== trees.length) throw new UnsupportedEnsemble('has lists of weights that differ in length');
  const nodes = Int32Array.from(trees, (tree, i) => {
    const node = positions.get(nodeKey(tree, ids[i]!)) ?? -1;
    return node >= 0 && mode[node] === MODE.leaf ? node : -1;
  });
  for (const node of nodes) if (node >= 0) firstWeight[node + 1]! += 1;
  for (let node = 0; node < mode.length; node += 1) firstWeight[node + 1]! += firstWeight[node]!;
  const next = firstWeight.slice();
  const weightTarget = new Int32Array(firstWeight[mode.length]!);
  const weight = new Float64Array(weightTarget.length);
  for (let i = 0; i < nodes.length; i += 1) {
    const node = nodes[i]!;
    if (node < 0) continue;
    const at = next[node]!;
    next[node] = at + 1;
    weightTarget[at] = targets[i]!;
    weight[at] = weights[i]!;
  }
  return { weightTarget, weight };
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

  /** By node: what it asks, one question after the other. */
  const asked = modes.map((code, node): readonly (readonly [Mode, number])[] => {
    const mode = MODES_5[code];
    const questions: readonly (readonly [Mode, number])[] =
      code === MEMBER_5
        ? (members[next++] ?? []).map((value) => [MODE.eq, value] as const)
        : mode === undefined
          ? []
          : [[mode, splits[node]!]];
    if (questions.length === 0) throw new UnsupportedEnsemble(`has a node of mode ${code} that asks nothing`);
    return questions;
  });
  // Leaves first, then the questions.
  const firstOf: number[] = [];
  let count = leafTargets.length;
  for (const questions of asked) {
    firstOf.push(count);
    count += questions.length;
  }
  const nodes = emptyNodes(count);
  nodes.firstWeight.forEach((_, node) => (nodes.firstWeight[node] = Math.min(node, leafTargets.length)));
  const child = (id: number, isLeaf: number): number => {
    const position = isLeaf === 0 ? firstOf[id] : id;
    if (position === undefined || position < 0 || (isLeaf !== 0 && id >= leafTargets.length))
      throw new UnsupportedEnsemble(`has a node that leads to ${id}, which is not there`);
    return position;
  };
  asked.forEach((questions, node) => {
    const trueChild = child(trueIds[node]!, trueLeafs[node]!);
    const falseChild = child(falseIds[node]!, falseLeafs[node]!);
    questions.forEach(([mode, threshold], i) => {
      const at = firstOf[node]! + i;
      nodes.mode[at] = mode;
      nodes.feature[at] = features[node]!;
      nodes.threshold[at] = threshold;
      nodes.missingTrue[at] = missing[node] === 1 ? 1 : 0;
      nodes.trueChild[at] = trueChild;
      nodes.falseChild[at] = i + 1 < questions.length ? at + 1 : falseChild;
    });
  });
  const aggregate = AGGREGATES_5[attributes.int('aggregate_function', 1)];
  const postTransform = TRANSFORMS_5[attributes.int('post_transform', 0)];
  if (aggregate === undefined || postTransform === undefined)
    throw new UnsupportedEnsemble('aggregates or transforms in a way that is not known');
  // Its own numbers for these two are the other way round: scores would not be those of either.
  if (postTransform === 'SOFTMAX' || postTransform === 'LOGISTIC')
    throw new UnsupportedEnsemble(`has the post transform ${postTransform}, which ONNX Runtime takes for another`);
  return {
    nodes,
    weightTarget: Int32Array.from(leafTargets),
    weight: Float64Array.from(leafWeights),
    width: widthOf(nodes),
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
  /** By target: the last leaf that gave it a weight. */
  const givenBy = new Int32Array(targets).fill(-1);
  for (let node = 0; node < nodes.mode.length; node += 1) {
    if (nodes.mode[node] === MODE.leaf) {
      const [from, to] = [nodes.firstWeight[node]!, nodes.firstWeight[node + 1]!];
      if (from === to) throw new UnsupportedEnsemble('has a leaf without a weight');
      for (let i = from; i < to; i += 1) {
        const target = weightTarget[i]!;
        if (givenBy[target] === node) throw new UnsupportedEnsemble('has a leaf that gives two weights to one target');
        givenBy[target] = node;
      }
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
  // Exporters write children behind their parents; then there is nothing to look for.
  if (mode.every((each, node) => each === MODE.leaf || (trueChild[node]! > node && falseChild[node]! > node))) return;
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
