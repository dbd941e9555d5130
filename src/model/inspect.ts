/** Describes a model file as plain data, for people and for scripts. */
import type { ModelSignature } from '../plan/facts.js';
import type { Engine, ModelBatch, Tensor } from './engine.js';
import { fixedBatchOf, nanOutputs } from './probe.js';
import { openModel } from './session.js';

/** What `inspect` shows of a model. */
export interface ModelDescription extends ModelSignature {
  readonly kind: 'model';
  /** The engine that would score it. */
  readonly engine: Engine['name'];
  /** The extent of the first dimension where the graph fixes it: rows are padded to it. */
  readonly fixedBatch: number | null;
  /** Outputs that are NaN where all float inputs are; null where that cannot be told. */
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
      engine: model.name,
      fixedBatch: fixedBatchOf(model.signature.inputs) ?? null,
      nanOutputs: nanOutputs(model.signature.inputs, (feeds) => model.run(batchOf(feeds))) ?? null,
      ...model.signature,
    };
  } finally {
    await model.release();
  }
}

function batchOf(feeds: ReadonlyMap<string, Tensor>): ModelBatch {
  const rows = [...feeds.values()][0]?.dims[0] ?? 1;
  return { rows, paddedRows: rows, feeds };
}
