/**
 * Scoring with ONNX Runtime: the only module that loads it. The library is loaded when the first model is, because that
 * alone takes longer than the start of the whole program.
 */
import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import type { OnnxValue, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-node';
import type * as OrtBinding from 'onnxruntime-node/dist/binding.js';
import { ColonnadeError } from '../errors.js';
import type { ElementType, EngineName, ModelSignature, OutputSpec, TensorSpec } from '../plan/facts.js';
import type { Model, ModelBatch, Tensor } from './engine.js';
import { firstValues } from './element-types.js';
import { readExternalFiles, type ExternalFile } from './external-data.js';
import { readGraph, type DeclaredOutput, type ModelGraph } from './graph.js';
import type { EditOptions } from './graph-edits.js';
import { locateModel } from './locate.js';
import { readModelFile } from './model-file.js';
import { probeOutputs } from './probe.js';
import { isMissingLocale, loadError, runError } from './session-errors.js';
import type { TreesGraph } from './trees/graph-analysis.js';
import type { TreesModel } from './trees/model.js';

/** How a model is opened. */
export interface OpenOptions {
  /** Threads that one run may use. More than one may change the last bits of a score. Default 1. */
  readonly threads?: number;
  /** Names of the outputs that `run` gives; all when absent. What is not asked for is not copied. */
  readonly outputs?: readonly string[];
  /**
   * The signature that an earlier `openModel` found. Opening is faster with it, as nothing is probed, and fails with
   * `MODEL_CHANGED` when the file is not the same any more.
   */
  readonly signature?: ModelSignature;
  /** What computes the outputs; `trees` only with a signature. Default ONNX Runtime. */
  readonly engine?: EngineName;
}

/**
 * Loads a model and learns its signature.
 *
 * @param path an ONNX file, or an MLflow model folder
 * @throws ColonnadeError `MODEL_NOT_FOUND`, `MODEL_INVALID`, `MODEL_UNSUPPORTED`, `MODEL_CHANGED`
 */
export async function openModel(path: string, options: OpenOptions = {}): Promise<Model> {
  const { signature, engine } = options;
  if (signature !== undefined)
    return engine === 'trees' ? openTrees(path, signature, options) : reopen(path, signature, options);
  const { graph, session } = await loadGraph(path, options);
  try {
    return new OrtModel(session, signatureOf(graph, session), options.outputs);
  } catch (error) {
    session.release();
    throw error;
  }
}

/**
 * Opens a model that is known for the trees engine. ONNX Runtime is only loaded where it computes a part of the model.
 *
 * @throws ColonnadeError as {@link openModel}; `MODEL_UNSUPPORTED` where the engine cannot score the model, with the reason
 */
export async function openTrees(
  path: string,
  signature: ModelSignature,
  options: OpenOptions = {},
): Promise<TreesModel> {
  const [{ openTreesModel }, { UnsupportedEnsemble }] = await Promise.all([
    import('./trees/model.js'),
    import('./trees/ensemble.js'),
  ]);
  // Before one takes the other's place both are run, in this process.
  if (signature.mayHang === true) throw unsupportedTrees(signature.path, NOT_COMPARED);
  const { threads = 1, outputs = signature.outputs.map(({ name }) => name) } = options;
  return withPlainLocale(async (edits) => {
    const { graph, externalFiles } = await analysedGraph(path, signature, outputs, edits);
    const data = await readExternalFiles(externalFiles);
    try {
      return await openTreesModel(graph, signature, outputs, ({ bytes }) =>
        OrtSession.create(signature.path, bytes, data, { threads }),
      );
    } catch (error) {
      throw error instanceof UnsupportedEnsemble
        ? unsupportedTrees(signature.path, `a tree ensemble ${error.message}`)
        : error;
    }
  });
}

/** A graph that the trees engine can score. */
interface AnalysedGraph {
  readonly outputs: string;
  readonly locale: string | undefined;
  readonly graph: TreesGraph;
  /** Of the parts that ONNX Runtime computes. */
  readonly externalFiles: readonly ExternalFile[];
}

/**
 * What the analysis of a model gave: the plan and the run, in one process, ask the same, and to read ten thousand nodes
 * takes a twentieth of a second.
 */
const ANALYSED = new WeakMap<ModelSignature, AnalysedGraph>();

async function analysedGraph(
  path: string,
  signature: ModelSignature,
  wanted: readonly string[],
  { locale }: EditOptions,
): Promise<AnalysedGraph> {
  const outputs = JSON.stringify(wanted);
  const known = ANALYSED.get(signature);
  if (known?.outputs === outputs && known.locale === locale) {
    const file = await readModelFile((await locateModel(path)).path);
    if (file.hash !== signature.hash) throw changed(file.path);
    return known;
  }
  const { analyseGraph } = await import('./trees/graph-analysis.js');
  const read = await readGraph(path, locale === undefined ? {} : { locale });
  if (read.hash !== signature.hash || read.size !== signature.bytes) throw changed(read.path);
  const graph = analyseGraph(read, wanted);
  if (typeof graph === 'string') throw unsupportedTrees(read.path, `the model ${graph}`);
  const usesRuntime = graph.prefix !== undefined || graph.suffix !== undefined;
  const analysed = { outputs, locale, graph, externalFiles: usesRuntime ? read.externalFiles : [] };
  ANALYSED.set(signature, analysed);
  return analysed;
}

/** Why the trees engine does not score a model that may hang. */
const NOT_COMPARED = 'it has a Loop, which may never end: the engines are not compared on it';

function unsupportedTrees(path: string, reason: string): ColonnadeError {
  return new ColonnadeError('MODEL_UNSUPPORTED', `the trees engine cannot score ${path}: ${reason}`, {
    phase: 'model',
    hint: 'leave engine out: ONNX Runtime scores it',
  });
}

/** glibc has it without any package of languages. */
const PLAIN_LOCALE = 'C.UTF-8';

interface LoadedGraph {
  readonly graph: ModelGraph;
  readonly session: OrtSession;
}

/** Makes a session from a model file. */
function loadGraph(path: string, options: OpenOptions): Promise<LoadedGraph> {
  return withPlainLocale(async (edits) => {
    const graph = await readGraph(path, edits);
    const external = await readExternalFiles(graph.externalFiles);
    return { graph, session: await OrtSession.create(graph.path, graph.bytes, external, options) };
  });
}

/**
 * ONNX Runtime lowers texts by the locale that the graph names, `en_US.UTF-8` where it names none, and containers seldom
 * have it: then {@link PLAIN_LOCALE} does the same.
 */
async function withPlainLocale<T>(load: (edits: EditOptions) => Promise<T>): Promise<T> {
  try {
    return await load({});
  } catch (error) {
    if (!isMissingLocale(error)) throw error;
    return await load({ locale: PLAIN_LOCALE }).catch(() => {
      throw error;
    });
  }
}

function changed(path: string): ColonnadeError {
  return new ColonnadeError('MODEL_CHANGED', `the model ${path} is not the one that the run was planned with`, {
    phase: 'model',
    hint: 'put the earlier model back to resume, or start over with --fresh',
  });
}

/** Opens a model that is known: its graph is parsed only where it has to be edited or has external data. */
async function reopen(path: string, signature: ModelSignature, options: OpenOptions): Promise<Model> {
  const file = await readModelFile((await locateModel(path)).path);
  if (file.hash !== signature.hash) throw changed(file.path);
  if (signature.edits.length === 0 && signature.bytes === file.bytes.length)
    return new OrtModel(await OrtSession.create(file.path, file.bytes, [], options), signature, options.outputs);
  const { graph, session } = await loadGraph(path, options);
  if (graph.size !== signature.bytes) {
    session.release();
    throw changed(file.path);
  }
  return new OrtModel(session, signature, options.outputs);
}

function signatureOf(graph: ModelGraph, session: OrtSession): ModelSignature {
  const names = graph.outputs.map(({ name }) => name);
  // One that may hang is not run here: what the file declares, or ONNX Runtime infers, has to do.
  const probed = graph.mayHang
    ? new Map<string, never>()
    : probeOutputs(graph.inputs, (feeds) => session.run(feeds, names));
  return {
    path: graph.path,
    hash: graph.hash,
    bytes: graph.size,
    producer: graph.producer,
    irVersion: graph.irVersion,
    opsets: graph.opsets,
    // An input without a declared shape takes whatever the graph can work with; a matrix is what tables give.
    inputs: graph.inputs.map(({ shape = [null, null], ...input }): TensorSpec => ({ ...input, shape })),
    ...(graph.columns === undefined ? {} : { columns: graph.columns }),
    outputs: graph.outputs.map((output) => outputSpec(output, probed.get(output.name) ?? session.inferred(output))),
    unusable: graph.unusable,
    zipMaps: graph.zipMaps,
    edits: graph.edits,
    operators: graph.operators,
    parameters: graph.parameters,
    trees: graph.trees,
    ...(graph.mayHang ? { mayHang: true } : {}),
    widestLayer: graph.widestLayer,
  };
}

function outputSpec(
  { name, classes }: DeclaredOutput,
  { type, shape, perRow = true }: Pick<TensorSpec, 'type' | 'shape'> & { readonly perRow?: boolean },
): OutputSpec {
  const width = shape.length === 2 ? shape[1] : undefined;
  // Labels that do not go with the columns one by one (a single score for two classes) would name the wrong thing.
  const fits = classes !== undefined && (width === null || width === classes.length);
  return { name, type, shape, ...(fits ? { classes } : {}), ...(perRow ? {} : { perRow }) };
}

/**
 * ONNX Runtime's own session, in which `run` is synchronous. The session that the package hands out puts every run behind
 * a `setImmediate`, and the memory of a batch does not wait for that (see `Engine`).
 */
type NativeSession = InstanceType<typeof OrtBinding.binding.InferenceSession>;

const here = createRequire(import.meta.url);

/**
 * Official builds of ONNX Runtime collect usage data: they keep a database in the user's home, log to the temporary folder
 * and send it to their maker. A run does what its pipeline says and nothing else. The library looks at this variable once,
 * when it starts; whoever has set it keeps what they have set.
 */
function withoutTelemetry(initialize: () => void): void {
  const name = 'ORT_DISABLE_TELEMETRY';
  // Not read as an option of ours: it is handed on to the library.
  // eslint-disable-next-line no-restricted-properties
  const { env } = process;
  if (env[name] !== undefined) {
    initialize();
    return;
  }
  env[name] = '1';
  try {
    initialize();
  } finally {
    Reflect.deleteProperty(env, name);
  }
}

/** An ONNX Runtime session on one model, in the program's own terms. */
class OrtSession {
  readonly #path: string;
  readonly #session: NativeSession;
  readonly #Tensor: TensorConstructor;
  readonly #outputs: readonly OrtBinding.Binding.ValueMetadata[];
  /** External weights: the session may point into them as long as it lives, so they must not be collected. */
  readonly external: unknown;

  private constructor(path: string, session: NativeSession, tensor: TensorConstructor, external: unknown) {
    this.#path = path;
    this.#session = session;
    this.#Tensor = tensor;
    this.#outputs = session.outputMetadata;
    this.external = external;
  }

  static async create(
    path: string,
    bytes: Uint8Array,
    externalData: readonly { path: string; data: Uint8Array }[],
    { threads = 1, outputs }: OpenOptions,
  ): Promise<OrtSession> {
    const ort = here('onnxruntime-node') as typeof Ort;
    // Every failure is thrown as well; its log would only disturb the program's own lines on stderr.
    ort.env.logLevel = 'fatal';
    const { binding, initOrt } = here('onnxruntime-node/dist/binding.js') as typeof OrtBinding;
    withoutTelemetry(initOrt);
    const native = new binding.InferenceSession();
    try {
      native.loadModel(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength, {
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 4,
        ...(externalData.length === 0 ? {} : { externalData }),
      });
    } catch (error) {
      throw loadError(path, error);
    }
    const session = new OrtSession(path, native, ort.Tensor, externalData);
    const names = session.#outputs.map(({ name }) => name);
    const missing = outputs?.find((name) => !names.includes(name));
    if (missing !== undefined) {
      session.release();
      throw new ColonnadeError('MODEL_MISMATCH', `${path} has no output ${missing}; it has ${names.join(', ')}`, {
        phase: 'model',
        hint: 'take one of the outputs that the model has',
      });
    }
    return session;
  }

  /** Runs the graph on the feeds, for these outputs or all. Throws what ONNX Runtime throws. */
  run(feeds: ReadonlyMap<string, Tensor>, fetches?: readonly string[]): ReadonlyMap<string, Tensor> {
    const given: Record<string, OrtTensor> = {};
    for (const [name, { type, data, dims }] of feeds) {
      given[name] = new this.#Tensor(type, data, dims);
    }
    const names = fetches ?? this.#outputs.map(({ name }) => name);
    const wanted = Object.fromEntries(names.map((name): [string, OnnxValue | null] => [name, null]));
    const results = this.#session.run(given, wanted, {});
    const outputs = new Map<string, Tensor>();
    for (const name of names) {
      const value = results[name];
      if (value === undefined) throw new Error(`the output ${name} is missing from the result`);
      outputs.set(name, { type: value.type as ElementType, dims: value.dims, data: value.data });
    }
    return outputs;
  }

  /** The declared type and shape of an output, or the shape that ONNX Runtime inferred where none is declared. */
  inferred({ name, type, shape }: DeclaredOutput): Pick<TensorSpec, 'type' | 'shape'> {
    if (shape !== undefined) return { type, shape };
    const metadata = this.#outputs.find((output) => output.name === name);
    const dims = metadata?.isTensor === true ? metadata.shape : [];
    // ONNX Runtime has -1 for an extent that is not known.
    return { type, shape: dims.length === 0 ? [null] : dims.map((extent) => (extent < 0 ? null : extent)) };
  }

  release(): void {
    this.#session.dispose();
  }

  get path(): string {
    return this.#path;
  }
}

/** A model that ONNX Runtime scores. */
class OrtModel implements Model {
  readonly name = 'onnxruntime';
  readonly isNative = true;
  readonly signature: ModelSignature;
  readonly #fetches: readonly string[];
  #session: OrtSession | undefined;

  constructor(session: OrtSession, signature: ModelSignature, outputs?: readonly string[]) {
    this.#session = session;
    this.signature = signature;
    this.#fetches = outputs ?? signature.outputs.map(({ name }) => name);
  }

  run(batch: ModelBatch): ReadonlyMap<string, Tensor> {
    const session = this.#session;
    if (session === undefined) {
      throw new ColonnadeError('INTERNAL', `the model ${this.signature.path} was used after its release`, {
        phase: 'model',
      });
    }
    try {
      const outputs = session.run(batch.feeds, this.#fetches);
      return batch.paddedRows === batch.rows ? outputs : withoutPadding(outputs, batch);
    } catch (error) {
      throw runError(session.path, batch.rows, error);
    }
  }

  release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    session?.release();
    return Promise.resolve();
  }
}

/** Cuts the rows of the padding off every output that has them. */
function withoutPadding(
  outputs: ReadonlyMap<string, Tensor>,
  { rows, paddedRows }: ModelBatch,
): ReadonlyMap<string, Tensor> {
  const cut = new Map<string, Tensor>();
  for (const [name, output] of outputs) {
    if (output.dims[0] !== paddedRows) {
      cut.set(name, output);
      continue;
    }
    const dims = [rows, ...output.dims.slice(1)];
    cut.set(name, {
      type: output.type,
      dims,
      data: firstValues(output.data, (output.data.length / paddedRows) * rows),
    });
  }
  return cut;
}
