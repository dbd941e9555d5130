/** Describes a model file as plain data, for people and for scripts. */
import { ColonnadeError } from '../errors.js';
import type { ModelSignature } from '../plan/facts.js';
import type { PlannedInput } from '../plan/plan.js';
import type { Engine, Model, ModelBatch, Tensor } from './engine.js';
import { fixedBatchOf, nanOutputs, neutralBatch } from './probe.js';
import { openModel, openTrees } from './session.js';

/** What `inspect` shows of a model. */
export interface ModelDescription extends ModelSignature {
  readonly kind: 'model';
  /** The engine that `auto` takes where there are many rows. */
  readonly engine: Engine['name'];
  /** What the trees engine computes; or why a model that has trees is none for it. */
  readonly engineNotes: readonly string[];
  /** The extent of the first dimension where the graph fixes it: rows are padded to it. */
  readonly fixedBatch: number | null;
  /** Outputs that are NaN where all float inputs are; null where that cannot be told, or the model may hang. */
  readonly nanOutputs: readonly string[] | null;
}

/**
 * Loads a model, so that what cannot be scored is told here, and describes it.
 *
 * @param path an ONNX file, or an MLflow model folder
 * @throws ColonnadeError `MODEL_NOT_FOUND`, `MODEL_INVALID`, `MODEL_UNSUPPORTED`
 */
export async function inspectModel(path: string): Promise<ModelDescription> {
  const model = await openModel(path);
  try {
    return {
      kind: 'model',
      ...(await engineOf(model)),
      fixedBatch: fixedBatchOf(model.signature.inputs) ?? null,
      nanOutputs: nanOutputsOf(model),
      ...model.signature,
    };
  } finally {
    await model.release();
  }
}

function nanOutputsOf(model: Model): readonly string[] | null {
  const { inputs, mayHang } = model.signature;
  if (mayHang === true) return null;
  return nanOutputs(inputs, (feeds) => model.run(batchOf(feeds))) ?? null;
}

/** Whether the trees engine gives the same, as far as that can be told without data. */
async function engineOf(runtime: Model): Promise<Pick<ModelDescription, 'engine' | 'engineNotes'>> {
  const { signature } = runtime;
  const byRuntime = (...engineNotes: string[]): Pick<ModelDescription, 'engine' | 'engineNotes'> => ({
    engine: 'onnxruntime',
    engineNotes,
  });
  if (signature.trees === 0) return byRuntime();
  try {
    const trees = await openTrees(signature.path, signature);
    try {
      const [{ differenceOnMadeUp }, { graphInWords }] = await Promise.all([
        import('./trees/agreement.js'),
        import('./trees/graph-analysis.js'),
      ]);
      const shape = shapeOf(signature);
      const like = neutralBatch(shape);
      const difference = like === undefined ? undefined : differenceOnMadeUp(trees, runtime, shape, like);
      return difference === undefined
        ? { engine: 'trees', engineNotes: graphInWords(trees.graph) }
        : byRuntime(`the trees engine does not give the same (${difference})`);
    } finally {
      await trees.release();
    }
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    return byRuntime(error.message);
  }
}

/** Inputs as wide as they have to be. */
function shapeOf({ inputs }: ModelSignature): Parameters<typeof neutralBatch>[0] {
  const fixed = fixedBatchOf(inputs);
  return {
    inputs: inputs.map(({ name, type, shape, leastWidth = 1 }): PlannedInput => ({
      name,
      type,
      rank: shape.length === 1 ? 1 : 2,
      width: shape.length === 1 ? 1 : (shape[1] ?? leastWidth),
      layout: 'pack',
      columns: [],
    })),
    batchSize: fixed ?? 1,
    fixedBatch: fixed !== undefined,
  };
}

function batchOf(feeds: ReadonlyMap<string, Tensor>): ModelBatch {
  const rows = [...feeds.values()][0]?.dims[0] ?? 1;
  return { rows, paddedRows: rows, feeds };
}
