/**
 * Edits that turn what a graph takes and gives into tensors that columns can be fed from and made into, without a change to
 * what it computes:
 *
 * - a ZipMap output becomes the matrix of scores that it was made from;
 * - an output that is a sequence of tensors becomes one output for each (`probabilities.0`, `probabilities.1`, …), and so does
 *   one that stacks a matrix for each target;
 * - inputs and outputs of 16-bit floats become float32, with a Cast behind or before them;
 * - texts are lowered by the locale that every Linux has, where the one that the graph names is not installed.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ColonnadeError } from '../errors.js';
import type { Half } from '../plan/facts.js';
import { labelsOfNode, type ClassLabels } from './class-labels.js';
import type { ParsedModel } from './model-file.js';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
  TensorProto_DataType as OnnxType,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type NodeProto,
  type TypeProto,
  type ValueInfoProto,
} from './onnx_pb.js';

/** What was done to a graph. */
export interface GraphEdits {
  /** Labels of the columns by the outputs whose ZipMap was taken out. */
  readonly zipMaps: ReadonlyMap<string, ClassLabels | undefined>;
  /** Inputs that are of 16 bits inside. */
  readonly halves: ReadonlyMap<string, Half>;
  /** All of it, in words. */
  readonly words: readonly string[];
}

/** Options of {@link editGraph}. */
export interface EditOptions {
  /** Put in place of the locale of every StringNormalizer. */
  readonly locale?: string;
}

/**
 * Edits a parsed model in place.
 *
 * @param path for messages
 * @throws ColonnadeError `MODEL_UNSUPPORTED` where an output is a ZipMap that other nodes read
 */
export function editGraph(path: string, model: ParsedModel, { locale }: EditOptions = {}): GraphEdits {
  const words: string[] = [];
  const zipMaps = removeZipMaps(path, model.graph);
  for (const name of zipMaps.keys()) words.push(`ZipMap taken out of ${name}: it is a matrix`);
  const free = freeNames(model.graph);
  words.push(...unrollSequences(model.graph, free), ...unstack(model.graph, free));
  const halves = new Map<string, Half>();
  words.push(...widenBorders(model.graph, free, halves));
  if (locale !== undefined) words.push(...replaceLocales(model.graph, locale));
  // The nodes that were put in belong to ONNX's own domain, which a graph of ai.onnx.ml nodes only need not import. They
  // are in opset 1 already, but runtimes drop support for the oldest ones.
  if (words.length > 0 && !model.opsetImport.some(({ domain }) => domain === '' || domain === 'ai.onnx'))
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: '', version: 13n }));
  return { zipMaps, halves, words };
}

/** Gives a name that nothing in the graph has yet: the wanted one, or that with a number behind it. */
type FreeName = (wanted: string) => string;

function freeNames(graph: GraphProto): FreeName {
  const taken = new Set<string>();
  const take = ({ input, output, initializer, node }: GraphProto): void => {
    for (const { name } of [...input, ...output, ...initializer]) taken.add(name);
    for (const each of node) {
      for (const name of each.output) taken.add(name);
      subgraphs(each).forEach(take);
    }
  };
  take(graph);
  return (wanted) => {
    let name = wanted;
    for (let i = 2; taken.has(name); i += 1) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
}

/** Replaces each ZipMap that makes a graph output by an Identity, so that the output keeps its name. */
function removeZipMaps(path: string, graph: GraphProto): Map<string, ClassLabels | undefined> {
  const found = new Map<string, ClassLabels | undefined>();
  for (const node of graph.node) {
    if (node.opType !== 'ZipMap' || node.domain !== 'ai.onnx.ml') continue;
    const output = graph.output.find(({ name }) => name === node.output[0]);
    if (output === undefined) continue;
    if (isRead(graph, output.name)) {
      throw new ColonnadeError(
        'MODEL_UNSUPPORTED',
        `the output ${output.name} of ${path} is a ZipMap that other nodes of the graph read`,
        { phase: 'model', hint: 'export the model without ZipMap: options={"zipmap": False}' },
      );
    }
    const classes = labelsOfNode(node);
    found.set(output.name, classes);
    node.opType = 'Identity';
    node.domain = '';
    node.attribute = [];
    output.type = matrixType(OnnxType.FLOAT, classes?.length);
  }
  return found;
}

/** scikit-learn's exporter gives the probabilities of several targets as a sequence of matrices, one for each. */
function unrollSequences(graph: GraphProto, free: FreeName): string[] {
  const words: string[] = [];
  graph.output = graph.output.flatMap((output): ValueInfoProto[] => {
    const node = graph.node.find((each) => each.output[0] === output.name);
    const sequence = output.type?.value.case === 'sequenceType' ? output.type.value.value : undefined;
    const element = sequence?.elemType?.value;
    if (node?.opType !== 'SequenceConstruct' || element?.case !== 'tensorType') return [output];
    const parts = node.input.map((input, i) => {
      const name = free(`${output.name}.${i}`);
      graph.node.push(create(NodeProtoSchema, { opType: 'Identity', input: [input], output: [name] }));
      return create(ValueInfoProtoSchema, { name, type: tensorType({ elemType: element.value.elemType }) });
    });
    if (!isRead(graph, output.name)) graph.node = graph.node.filter((each) => each !== node);
    words.push(`sequence ${output.name} taken apart: ${parts.map(({ name }) => name).join(', ')}`);
    return parts;
  });
  return words;
}

/** More matrices than this in one output are no targets. */
const MOST_TARGETS = 64;

/**
 * scikit-learn's forests for several labels stack their probabilities as `[targets, N, classes]`, with the rows in the
 * second dimension: each target becomes an output of its own.
 */
function unstack(graph: GraphProto, free: FreeName): string[] {
  const words: string[] = [];
  const extents = ({ type }: ValueInfoProto): (number | null)[] =>
    (type?.value.case === 'tensorType' ? (type.value.value.shape?.dim ?? []) : []).map(({ value }) =>
      value.case === 'dimValue' && value.value > 0n ? Number(value.value) : null,
    );
  // Where an input fixes its first dimension, that is the batch, and may be that of an output as well. Old files name their
  // weights among the inputs.
  const initialized = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !initialized.has(name));
  if (inputs.some((input) => typeof extents(input)[0] === 'number')) return words;
  graph.output = graph.output.flatMap((output): ValueInfoProto[] => {
    const [targets, rows, classes, ...others] = extents(output);
    const tensor = output.type?.value.case === 'tensorType' ? output.type.value.value : undefined;
    const isStack = typeof targets === 'number' && targets <= MOST_TARGETS && rows === null && others.length === 0;
    if (tensor === undefined || !isStack || classes === undefined) return [output];
    const type = matrixType(tensor.elemType, classes ?? undefined);
    const parts = Array.from({ length: targets }, (_, i) => {
      const name = free(`${output.name}.${i}`);
      const index = free(`${name}/index`);
      graph.initializer.push(
        create(TensorProtoSchema, { name: index, dataType: OnnxType.INT64, int64Data: [BigInt(i)] }),
      );
      graph.node.push(create(NodeProtoSchema, { opType: 'Gather', input: [output.name, index], output: [name] }));
      return create(ValueInfoProtoSchema, { name, type });
    });
    words.push(`stack ${output.name} taken apart: ${parts.map(({ name }) => name).join(', ')}`);
    return parts;
  });
  return words;
}

/** Float types of 16 bits, which neither columns nor JavaScript's arrays have. */
const HALVES: ReadonlyMap<number, Half> = new Map([
  [OnnxType.FLOAT16, 'float16'],
  [OnnxType.BFLOAT16, 'bfloat16'],
]);

/** Puts a Cast between the graph and its inputs and outputs of 16 bits; the inputs are added to `halves`. */
function widenBorders(graph: GraphProto, free: FreeName, halves: Map<string, Half>): string[] {
  const words: string[] = [];
  const initialized = new Set(graph.initializer.map(({ name }) => name));
  const produced = new Set(graph.node.flatMap(({ output }) => output));
  for (const [side, values] of [
    ['input', graph.input],
    ['output', graph.output],
  ] as const) {
    for (const value of values) {
      const tensor = value.type?.value.case === 'tensorType' ? value.type.value.value : undefined;
      const half = HALVES.get(tensor?.elemType ?? 0);
      if (tensor === undefined || half === undefined) continue;
      if (side === 'input' ? initialized.has(value.name) : !produced.has(value.name)) continue;
      const inside = free(`${value.name}/${half}`);
      rename(graph, value.name, inside);
      if (side === 'input') {
        halves.set(value.name, half);
        graph.node.unshift(castNode(value.name, inside, tensor.elemType));
      } else graph.node.push(castNode(inside, value.name, OnnxType.FLOAT));
      graph.valueInfo = graph.valueInfo.filter(({ name }) => name !== value.name);
      tensor.elemType = OnnxType.FLOAT;
      words.push(`${side} ${value.name} is ${half} inside the model`);
    }
  }
  return words;
}

function castNode(from: string, to: string, type: number): NodeProto {
  const attribute = create(AttributeProtoSchema, {
    name: 'to',
    type: AttributeProto_AttributeType.INT,
    i: BigInt(type),
  });
  return create(NodeProtoSchema, { opType: 'Cast', input: [from], output: [to], attribute: [attribute] });
}

/** Renames a value wherever it is read or made; subgraphs see the names of the graphs around them. */
function rename(graph: GraphProto, from: string, to: string): void {
  const renamed = (names: string[]): string[] => names.map((name) => (name === from ? to : name));
  for (const node of graph.node) {
    node.input = renamed(node.input);
    node.output = renamed(node.output);
    for (const inner of subgraphs(node)) {
      rename(inner, from, to);
      for (const output of inner.output) if (output.name === from) output.name = to;
    }
  }
}

function replaceLocales(graph: GraphProto, locale: string): string[] {
  const words: string[] = [];
  for (const node of graph.node) {
    if (node.opType === 'StringNormalizer') {
      node.attribute = [
        ...node.attribute.filter(({ name }) => name !== 'locale'),
        create(AttributeProtoSchema, {
          name: 'locale',
          type: AttributeProto_AttributeType.STRING,
          s: Buffer.from(locale),
        }),
      ];
      words.push(`texts are put into one case by the locale ${locale}: the model's own is not installed here`);
    }
    for (const inner of subgraphs(node)) words.push(...replaceLocales(inner, locale));
  }
  return words;
}

function isRead(graph: GraphProto, value: string): boolean {
  return graph.node.some((node) => node.input.includes(value) || subgraphs(node).some((inner) => isRead(inner, value)));
}

/** The branches and bodies of a node. */
export function subgraphs({ attribute }: NodeProto): GraphProto[] {
  return attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** A matrix with a row for each row of the batch. */
function matrixType(elemType: number, width: number | undefined): TypeProto {
  const columns = width === undefined ? {} : { value: { case: 'dimValue' as const, value: BigInt(width) } };
  return tensorType({ elemType, shape: { dim: [{}, columns] } });
}

function tensorType(tensor: MessageInitShape<typeof TypeProto_TensorSchema>): TypeProto {
  return create(TypeProtoSchema, { value: { case: 'tensorType', value: create(TypeProto_TensorSchema, tensor) } });
}
