/** Describes a model file as plain data, for people and for scripts. */
import type { ModelSignature } from '../plan/facts.js';
import type { Engine } from './engine.js';
import { fixedBatchOf } from './probe.js';
import { openModel } from './session.js';

/** What `inspect` shows of a model. */
export interface ModelDescription extends ModelSignature {
  readonly kind: 'model';
  /** The engine that would score it. */
  readonly engine: Engine['name'];
  /** The extent of the first dimension where the graph fixes it: rows are padded to it. */
  readonly fixedBatch: number | null;
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
      ...model.signature,
    };
  } finally {
    await model.release();
  }
}
