/**
 * Weights that a model keeps in other files ("external data"). A model must not make the program read files from
 * elsewhere, so only files inside the model's own folder are taken.
 * https://onnx.ai/onnx/repo-docs/ExternalData.html
 */
import { stat } from 'node:fs/promises';
import { constants } from 'node:buffer';
import { dirname } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { insideFolder } from './locate.js';
import { readBytes } from './model-file.js';
import {
  TensorProto_DataLocation,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from './onnx_pb.js';

/** A file that tensors of a model lie in. */
export interface ExternalFile {
  /** As the model spells it, relative to its folder. */
  readonly location: string;
  /** Absolute. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * The external files of a model, each once, after checking that every tensor lies within its file.
 *
 * @throws ColonnadeError `MODEL_INVALID` for a file outside the model's folder, a missing one, or one that is too short
 */
export async function findExternalFiles(modelPath: string, model: ModelProto): Promise<readonly ExternalFile[]> {
  const files = new Map<string, ExternalFile>();
  for (const tensor of tensorsOf(model)) {
    if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) continue;
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
    const location = entries.get('location') ?? '';
    let file = files.get(location);
    if (file === undefined) {
      file = await resolveFile(modelPath, tensor.name, location);
      files.set(location, file);
    }
    const end = Number(entries.get('offset') ?? 0) + Number(entries.get('length') ?? 0);
    if (!(end <= file.bytes)) {
      throw invalid(
        `the weights ${tensor.name} of ${modelPath} end at byte ${end} of ${file.path}, which has ${file.bytes} bytes`,
        'the external data file is cut off or belongs to another model: export or download both again',
      );
    }
  }
  return [...files.values()];
}

/** The contents of the external files, in the form that ONNX Runtime takes them. */
export async function readExternalFiles(files: readonly ExternalFile[]): Promise<{ path: string; data: Uint8Array }[]> {
  const read = [];
  for (const { location, path } of files)
    read.push({ path: location, data: await readBytes(path, constants.MAX_LENGTH) });
  return read;
}

async function resolveFile(modelPath: string, tensor: string, location: string): Promise<ExternalFile> {
  const path = await insideFolder(dirname(modelPath), location);
  if (path === undefined) {
    throw invalid(
      `the weights ${tensor} of ${modelPath} lie in ${JSON.stringify(location)}, outside the folder of the model`,
      'only files inside the folder of the model are read: put the external data beside the model and save it again',
    );
  }
  try {
    const stats = await stat(path);
    if (stats.isFile()) return { location, path, bytes: stats.size };
  } catch (cause) {
    throw invalid(`${modelPath} keeps weights in ${path}, which cannot be read`, MISSING_HINT, cause);
  }
  throw invalid(`${modelPath} keeps weights in ${path}, which is not a file`, MISSING_HINT);
}

const MISSING_HINT = 'put the external data file beside the model, under the name that it was exported with';

function invalid(message: string, hint: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('MODEL_INVALID', message, { phase: 'model', hint, cause });
}

/** Every tensor of a model: initializers and attributes, in the graph, its subgraphs and functions. */
function* tensorsOf(model: ModelProto): Generator<TensorProto> {
  if (model.graph !== undefined) yield* tensorsOfGraph(model.graph);
  for (const fn of model.functions) {
    yield* tensorsOfNodes(fn.node);
    yield* tensorsOfAttributes(fn.attributeProto);
  }
  for (const { initialization, algorithm } of model.trainingInfo) {
    if (initialization !== undefined) yield* tensorsOfGraph(initialization);
    if (algorithm !== undefined) yield* tensorsOfGraph(algorithm);
  }
}

function* tensorsOfGraph(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const sparse of graph.sparseInitializer) {
    if (sparse.values !== undefined) yield sparse.values;
    if (sparse.indices !== undefined) yield sparse.indices;
  }
  yield* tensorsOfNodes(graph.node);
}

function* tensorsOfNodes(nodes: readonly NodeProto[]): Generator<TensorProto> {
  for (const node of nodes) yield* tensorsOfAttributes(node.attribute);
}

function* tensorsOfAttributes(attributes: readonly AttributeProto[]): Generator<TensorProto> {
  for (const attribute of attributes) {
    if (attribute.t !== undefined) yield attribute.t;
    yield* attribute.tensors;
    for (const sparse of [
      ...(attribute.sparseTensor === undefined ? [] : [attribute.sparseTensor]),
      ...attribute.sparseTensors,
    ]) {
      if (sparse.values !== undefined) yield sparse.values;
      if (sparse.indices !== undefined) yield sparse.indices;
    }
    if (attribute.g !== undefined) yield* tensorsOfGraph(attribute.g);
    for (const graph of attribute.graphs) yield* tensorsOfGraph(graph);
  }
}
