/**
 * Reads an ONNX file without running it: what goes in, what comes out, what it is made of. What no column could be fed from
 * or made into is edited on the way (`graph-edits.ts`).
 */
import { toBinary } from '@bufbuild/protobuf';
import { ColonnadeError } from '../errors.js';
import type { Dimension, ElementType, Half, LoggedColumn, UnusableOutput } from '../plan/facts.js';
import { ClassLabelFinder, type ClassLabels } from './class-labels.js';
import { elementTypeOf, onnxTypeName } from './element-types.js';
import { findExternalFiles, type ExternalFile } from './external-data.js';
import { countTrees, leastWidths } from './feature-ids.js';
import { editGraph, subgraphs, type EditOptions } from './graph-edits.js';
import { widestLayer } from './layers.js';
import { locateModel } from './locate.js';
import { parseModel, readModelFile, type ParsedModel } from './model-file.js';
import { ModelProtoSchema, type GraphProto, type NodeProto, type TypeProto, type TypeProto_Tensor } from './onnx_pb.js';

/** A graph input or output as the file declares it. */
export interface DeclaredTensor {
  readonly name: string;
  readonly type: ElementType;
  /** Absent where the file does not declare a shape: then even the rank is open. */
  readonly shape?: readonly Dimension[];
  /** Of an input that is of 16 bits inside. */
  readonly half?: Half;
  /** Values of a row that its trees read at least. */
  readonly leastWidth?: number;
}

export interface DeclaredOutput extends DeclaredTensor {
  readonly classes?: ClassLabels;
}

/** A model file, read and ready to be loaded. */
export interface ModelGraph {
  /** Absolute path of the ONNX file, inside the folder where the pipeline names an MLflow folder. */
  readonly path: string;
  /** What a session is made from: the file's bytes, or those of the edited graph. */
  readonly bytes: Uint8Array;
  /** sha256, hex, of the file as it is on disk. */
  readonly hash: string;
  /** Bytes of the file and of its external data. */
  readonly size: number;
  readonly externalFiles: readonly ExternalFile[];
  readonly producer: string;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly operators: Readonly<Record<string, number>>;
  /** Numbers in the initializers and in the float attributes of `ai.onnx.ml` nodes (coefficients, tree values). */
  readonly parameters: number;
  /** Trees of the ensembles. */
  readonly trees: number;
  /** As in `ModelSignature.mayHang`. */
  readonly mayHang: boolean;
  /** The graph after the edits. */
  readonly proto: ParsedModel;
  /** Values of a row after the widest layer; see {@link widestLayer}. */
  readonly widestLayer: number;
  readonly inputs: readonly DeclaredTensor[];
  /** The columns that it was logged with, where MLflow tells. */
  readonly columns?: readonly LoggedColumn[];
  readonly outputs: readonly DeclaredOutput[];
  /** Outputs that no column can be made of. */
  readonly unusable: readonly UnusableOutput[];
  /** Outputs whose ZipMap was taken out. */
  readonly zipMaps: readonly string[];
  /** What was changed at the graph's borders, in words. */
  readonly edits: readonly string[];
}

/**
 * Reads a model file.
 *
 * @param path an ONNX file, or an MLflow model folder
 * @throws ColonnadeError `MODEL_NOT_FOUND`; `MODEL_INVALID` when it is not a whole ONNX model or points outside its
 *   folder; `MODEL_UNSUPPORTED` when an input or output is nothing that a column can hold
 */
export async function readGraph(path: string, options: EditOptions = {}): Promise<ModelGraph> {
  const located = await locateModel(path);
  const file = await readModelFile(located.path);
  const model = parseModel(file);
  const { graph } = model;
  const externalFiles = await findExternalFiles(file.path, model);
  const opsets = opsetsOf(model);
  const operators = countOperators(graph);
  const parameters = countParameters(graph);
  const trees = countTrees(graph);
  const widest = widestLayer(graph);
  const { zipMaps, halves, words } = editGraph(file.path, model, options);
  const labels = new ClassLabelFinder(graph);
  const least = leastWidths(graph);
  const initialized = new Set(graph.initializer.map(({ name }) => name));
  const outputs: DeclaredOutput[] = [];
  const unusable: UnusableOutput[] = [];
  for (const { name, type } of graph.output) {
    const output = declared(name, type);
    if ('reason' in output) {
      unusable.push({ name, reason: output.reason, hint: outputHint(name, output) });
      continue;
    }
    const isScore = output.type === 'float32' || output.type === 'float64';
    const classes = zipMaps.get(name) ?? (isScore ? labels.of(name) : undefined);
    outputs.push(classes === undefined ? output : { ...output, classes });
  }
  const [first] = unusable;
  if (outputs.length === 0 && first !== undefined)
    throw unsupported(`the output ${first.name} of ${file.path} ${first.reason}`, first.hint);
  return {
    path: file.path,
    bytes: words.length === 0 ? file.bytes : toBinary(ModelProtoSchema, model),
    hash: file.hash,
    size: externalFiles.reduce((sum, { bytes }) => sum + bytes, file.bytes.length),
    externalFiles,
    producer: producerOf(model),
    irVersion: Number(model.irVersion),
    opsets,
    operators,
    parameters,
    trees,
    mayHang: operators['Loop'] !== undefined || model.functions.some(({ node }) => hasLoop(node)),
    proto: model,
    widestLayer: widest,
    inputs: graph.input
      .filter(({ name }) => !initialized.has(name))
      .map(({ name, type }) => {
        const input = declaredInput(file.path, name, type);
        const half = halves.get(name);
        const leastWidth = least.get(name);
        checkWidth(file.path, input, leastWidth);
        return {
          ...input,
          ...(half === undefined ? {} : { half }),
          ...(leastWidth === undefined ? {} : { leastWidth }),
        };
      }),
    ...(located.columns === undefined ? {} : { columns: located.columns }),
    outputs,
    unusable,
    zipMaps: [...zipMaps.keys()],
    edits: words,
  };
}

/** Trees that read beyond the rows that the graph declares would read memory that is not theirs. */
function checkWidth(path: string, { name, shape }: DeclaredTensor, least: number | undefined): void {
  const width = shape?.length === 2 ? shape[1] : undefined;
  if (least === undefined || typeof width !== 'number' || width >= least) return;
  throw new ColonnadeError(
    'MODEL_INVALID',
    `the trees of ${path} read value ${least - 1} of a row, its input ${name} has ${width} (0 to ${width - 1})`,
    { phase: 'model', hint: 'export the model again, with the number of features that it was trained with' },
  );
}

/** What a value is instead of a tensor that a column can hold. */
interface NoColumn {
  /** Goes on from "the input X of model.onnx …". */
  readonly reason: string;
  readonly kind: string;
}

function declared(name: string, type: TypeProto | undefined): DeclaredTensor | NoColumn {
  if (type?.value.case !== 'tensorType') {
    const kind = type?.value.case?.replace('Type', '') ?? 'value without a type';
    return { kind, reason: `is a ${kind}; only tensors can be columns` };
  }
  const tensor = type.value.value;
  const element = elementTypeOf(tensor.elemType);
  if (element === undefined) {
    const kind = onnxTypeName(tensor.elemType);
    return { kind, reason: `holds ${kind} values, which no column can hold` };
  }
  return tensor.shape === undefined ? { name, type: element } : { name, type: element, shape: dimensions(tensor) };
}

function outputHint(name: string, { kind }: NoColumn): string {
  return kind === 'sequence' || kind === 'map'
    ? 'export the model with tensor outputs (of scikit-learn and LightGBM without ZipMap: options={"zipmap": False} or zipmap=False)'
    : `export the model with a float32 tensor (or another plain type) in place of ${name}`;
}

function declaredInput(path: string, name: string, type: TypeProto | undefined): DeclaredTensor {
  const input = declared(name, type);
  if (!('reason' in input)) return input;
  throw unsupported(
    `the input ${name} of ${path} ${input.reason}`,
    `export the model with a float32 tensor (or another plain type) in place of ${name}`,
  );
}

/** Symbolic, absent and negative extents are open; converters write all three. */
function dimensions(tensor: TypeProto_Tensor): Dimension[] {
  return (tensor.shape?.dim ?? []).map(({ value }) =>
    value.case === 'dimValue' && value.value >= 0n ? Number(value.value) : null,
  );
}

function isOnnxDomain(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

/** Versions by domain. Exporters repeat a domain now and then; the highest one holds. */
function opsetsOf(model: ParsedModel): Record<string, number> {
  const opsets: Record<string, number> = {};
  for (const { domain, version } of model.opsetImport) {
    const name = isOnnxDomain(domain) ? 'ai.onnx' : domain;
    opsets[name] = Math.max(opsets[name] ?? 0, Number(version));
  }
  return opsets;
}

/** In one line: CatBoost has the log of its build for a version, which names the version somewhere. */
function producerOf({ producerName, producerVersion }: ParsedModel): string {
  const version = producerVersion.trim();
  const [first] = version.includes('\n') ? (/\d+(\.\d+)+/.exec(version) ?? ['']) : [version];
  return [producerName.trim(), first].filter((text) => text !== '').join(' ');
}

/** Nodes by operator, subgraphs included; the domain is told where it is not ONNX's own. */
function countOperators(graph: GraphProto, counts: Record<string, number> = {}): Record<string, number> {
  for (const node of graph.node) {
    const name = isOnnxDomain(node.domain) ? node.opType : `${node.domain}.${node.opType}`;
    counts[name] = (counts[name] ?? 0) + 1;
    for (const inner of subgraphs(node)) countOperators(inner, counts);
  }
  return counts;
}

/**
 * Whether one of the nodes, or of their branches and bodies, is a Loop: the one operator that need not end. What Scan repeats
 * it repeats as often as an axis is long, If does not repeat, and neither functions nor graphs can contain themselves.
 */
function hasLoop(nodes: readonly NodeProto[]): boolean {
  return nodes.some(
    (node) =>
      (node.opType === 'Loop' && isOnnxDomain(node.domain)) || subgraphs(node).some((inner) => hasLoop(inner.node)),
  );
}

function countParameters(graph: GraphProto): number {
  let count = 0;
  for (const { dims } of graph.initializer) count += dims.reduce((product, extent) => product * Number(extent), 1);
  for (const { domain, attribute } of graph.node) {
    if (domain !== 'ai.onnx.ml') continue;
    for (const { floats } of attribute) count += floats.length;
  }
  return count;
}

function unsupported(message: string, hint: string): ColonnadeError {
  return new ColonnadeError('MODEL_UNSUPPORTED', message, { phase: 'model', hint });
}
