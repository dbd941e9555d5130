/**
 * Finds the labels of the classes that the columns of a score output stand for. ONNX has no place for them beside the
 * output; they are attributes of the classifier node, or a constant that the label is picked from.
 */
import { TensorProto_DataType as OnnxType, type GraphProto, type NodeProto, type TensorProto } from './onnx_pb.js';

/** Labels in the order of the columns. Integers beyond 2^53 are given as text. */
export type ClassLabels = readonly (string | number)[];

/** Operators of `ai.onnx.ml` whose second output has a column for each label. */
const CLASSIFIERS: ReadonlySet<string> = new Set(['LinearClassifier', 'SVMClassifier', 'TreeEnsembleClassifier']);

/** Operators that give a matrix of the same columns in the same order. */
const KEEPS_COLUMNS: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'Normalizer',
  'Softmax',
  'Sigmoid',
  'Reshape',
  'Flatten',
  'Clip',
]);

/** Operators that compute or put together columns, as exporters do to make two classes out of one score. */
const COMBINES: ReadonlySet<string> = new Set(['Concat', 'Add', 'Sub', 'Mul', 'Div']);

/** How many nodes a search passes at most. */
const MAX_STEPS = 1000;

/** Answers {@link ClassLabelFinder.of} for the outputs of one graph. */
export class ClassLabelFinder {
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, NodeProto[]>();
  readonly #constants = new Map<string, TensorProto>();

  constructor(graph: GraphProto) {
    for (const node of graph.node) {
      for (const name of node.output) this.#producers.set(name, node);
      for (const name of node.input) {
        const others = this.#consumers.get(name);
        if (others === undefined) this.#consumers.set(name, [node]);
        else others.push(node);
      }
    }
    for (const tensor of graph.initializer) this.#constants.set(tensor.name, tensor);
  }

  /** Labels for the columns of a tensor, or undefined where the graph does not tell or tells two things. */
  of(tensor: string): ClassLabels | undefined {
    return this.#pickedFrom(tensor) ?? this.#ofClassifier(tensor);
  }

  /**
   * The constant in `label = classes[argmax(scores)]`: how scikit-learn's exporter ends every classifier that has no
   * operator of its own. The scores may be renamed or cast on the way to either side.
   */
  #pickedFrom(tensor: string): ClassLabels | undefined {
    for (const name of this.#aliases(tensor)) {
      for (const argmax of this.#consumers.get(name) ?? []) {
        if (argmax.opType !== 'ArgMax') continue;
        for (const index of this.#descendants(argmax.output[0] ?? '', 100)) {
          for (const pick of this.#consumers.get(index) ?? []) {
            if (pick.opType !== 'ArrayFeatureExtractor' && pick.opType !== 'Gather') continue;
            const classes = this.#constants.get(pick.input[0] ?? '');
            const labels = pick.input[1] === index && classes !== undefined ? labelsOfTensor(classes) : undefined;
            if (labels !== undefined) return labels;
          }
        }
      }
    }
    return undefined;
  }

  /** The tensor and those that it is a renamed or cast copy of. */
  *#aliases(tensor: string): Generator<string> {
    let name: string | undefined = tensor;
    for (let step = 0; name !== undefined && step < MAX_STEPS; step++) {
      yield name;
      const node: NodeProto | undefined = this.#producers.get(name);
      name = node?.opType === 'Identity' || node?.opType === 'Cast' ? node.input[0] : undefined;
    }
  }

  /** The tensor and its renamed, cast or reshaped copies. */
  #descendants(tensor: string, limit: number): string[] {
    const found = [tensor];
    for (let i = 0; i < found.length && found.length < limit; i++) {
      for (const node of this.#consumers.get(found[i] ?? '') ?? []) {
        if (node.opType === 'Identity' || node.opType === 'Cast' || node.opType === 'Reshape')
          found.push(...node.output);
      }
    }
    return found;
  }

  #ofClassifier(tensor: string): ClassLabels | undefined {
    const classifiers = new Set<NodeProto>();
    const queue = [tensor];
    const seen = new Set(queue);
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const node = this.#producers.get(name);
      if (node === undefined || seen.size > MAX_STEPS) continue;
      if (CLASSIFIERS.has(node.opType)) {
        if (node.output[1] !== name) return undefined;
        classifiers.add(node);
      } else if (KEEPS_COLUMNS.has(node.opType) || COMBINES.has(node.opType)) {
        const inputs = COMBINES.has(node.opType) ? node.input : node.input.slice(0, 1);
        for (const input of inputs) {
          if (seen.has(input)) continue;
          seen.add(input);
          queue.push(input);
        }
      } else if (node.opType !== 'Constant') {
        return undefined;
      }
    }
    const [classifier, another] = classifiers;
    return classifier === undefined || another !== undefined ? undefined : labelsOfNode(classifier);
  }
}

/** The `classlabels_*` of a classifier or ZipMap node, if it has any. */
export function labelsOfNode(node: NodeProto): ClassLabels | undefined {
  for (const attribute of node.attribute) {
    if (attribute.name === 'classlabels_strings' && attribute.strings.length > 0) {
      return attribute.strings.map((bytes) => Buffer.from(bytes).toString('utf8'));
    }
    if (
      (attribute.name === 'classlabels_ints' || attribute.name === 'classlabels_int64s') &&
      attribute.ints.length > 0
    ) {
      return attribute.ints.map(labelOfInteger);
    }
  }
  return undefined;
}

function labelsOfTensor(tensor: TensorProto): ClassLabels | undefined {
  const raw = tensor.rawData;
  // ONNX stores raw values little-endian whatever the machine: a DataView says so.
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  switch (tensor.dataType) {
    case OnnxType.STRING:
      return tensor.stringData.map((bytes) => Buffer.from(bytes).toString('utf8'));
    case OnnxType.INT64:
      return raw.length === 0
        ? tensor.int64Data.map(labelOfInteger)
        : Array.from({ length: Math.floor(raw.length / 8) }, (_, i) => labelOfInteger(view.getBigInt64(i * 8, true)));
    case OnnxType.INT32:
      return raw.length === 0
        ? [...tensor.int32Data]
        : Array.from({ length: Math.floor(raw.length / 4) }, (_, i) => view.getInt32(i * 4, true));
    default:
      return undefined;
  }
}

function labelOfInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
