/** Takes a part out of a graph, as a model of its own: what leads from some values to others. */
import { create, toBinary } from '@bufbuild/protobuf';
import { subgraphs } from '../graph-edits.js';
import type { ParsedModel } from '../model-file.js';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type NodeProto,
  type ValueInfoProto,
} from '../onnx_pb.js';

/** A part of a graph that ONNX Runtime runs. */
export interface GraphPart {
  /** A model file. */
  readonly bytes: Uint8Array;
  /** Values that it is fed with. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Operators of its nodes, each once. */
  readonly operators: readonly string[];
}

/** A value at which a graph is cut, that the part is fed with. */
export interface CutValue {
  readonly name: string;
  /** ONNX's code of its element type. */
  readonly onnxType: number;
  readonly rank: number;
}

/** Names of the values that a node reads, those that its branches and bodies read of the graph around them among them. */
export function valuesRead(node: NodeProto): string[] {
  const names = node.input.filter((name) => name !== '');
  for (const inner of subgraphs(node)) {
    const own = new Set([...inner.input, ...inner.initializer].map(({ name }) => name));
    for (const each of inner.node) for (const name of each.output) own.add(name);
    const outer = [...inner.node.flatMap(valuesRead), ...inner.output.map(({ name }) => name)];
    names.push(...outer.filter((name) => !own.has(name)));
  }
  return names;
}

/** Who makes which value of a graph. */
export function producersOf(graph: GraphProto): ReadonlyMap<string, NodeProto> {
  return new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
}

/** The nodes that lead to some values, not beyond those where `ends` says so. */
export function nodesBefore(
  graph: GraphProto,
  values: Iterable<string>,
  ends: (value: string) => boolean,
): ReadonlySet<NodeProto> {
  const producers = producersOf(graph);
  const nodes = new Set<NodeProto>();
  const queue = [...values];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = ends(name) ? undefined : producers.get(name);
    if (node === undefined || nodes.has(node)) continue;
    nodes.add(node);
    queue.push(...valuesRead(node));
  }
  return nodes;
}

/**
 * The part of a graph that leads to `outputs` from the graph's inputs and from the values in `cuts`.
 *
 * @param outputs values that nodes make
 */
export function partOf(model: ParsedModel, outputs: readonly string[], cuts: readonly CutValue[]): GraphPart {
  const { graph } = model;
  const cut = new Map(cuts.map((value) => [value.name, value]));
  const nodes = nodesBefore(graph, outputs, (name) => cut.has(name));
  const read = new Set([...outputs, ...[...nodes].flatMap(valuesRead)]);
  const made = new Set([...nodes].flatMap(({ output }) => output));
  const initializer = graph.initializer.filter(({ name }) => read.has(name));
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const given = graph.input.filter(({ name }) => read.has(name) && !made.has(name));
  // Old files name their weights among the inputs as well.
  const fed = given.filter(({ name }) => !constants.has(name)).map(({ name }) => name);
  const cutsRead = cuts.filter(({ name }) => read.has(name));
  const declared = new Map([...graph.output, ...graph.valueInfo].map((value) => [value.name, value]));
  const part = create(ModelProtoSchema, {
    ...model,
    metadataProps: [],
    graph: create(GraphProtoSchema, {
      name: graph.name,
      // In their order, which is that of who reads from whom.
      node: graph.node.filter((node) => nodes.has(node)),
      initializer,
      sparseInitializer: graph.sparseInitializer.filter(({ values }) => read.has(values?.name ?? '')),
      input: [...given, ...cutsRead.map(valueInfo)],
      // Shapes may be declared wrongly: without one ONNX Runtime finds it out by itself.
      output: outputs.map((name) => withoutShape(name, declared.get(name))),
    }),
  });
  return {
    bytes: toBinary(ModelProtoSchema, part),
    inputs: [...fed, ...cutsRead.map(({ name }) => name)],
    outputs,
    operators: [...new Set([...nodes].map(({ opType }) => opType))].filter((name) => name !== 'Constant').sort(),
  };
}

function valueInfo({ name, onnxType, rank }: CutValue): ValueInfoProto {
  const type = create(TypeProtoSchema, {
    value: {
      case: 'tensorType',
      value: create(TypeProto_TensorSchema, {
        elemType: onnxType,
        shape: { dim: Array.from({ length: rank }, () => ({})) },
      }),
    },
  });
  return create(ValueInfoProtoSchema, { name, type });
}

function withoutShape(name: string, declared: ValueInfoProto | undefined): ValueInfoProto {
  const { value } = declared?.type ?? {};
  if (value?.case !== 'tensorType') return create(ValueInfoProtoSchema, { name });
  const tensor = create(TypeProto_TensorSchema, { elemType: value.value.elemType });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}
