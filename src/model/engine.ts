/**
 * What a batch is to a model, and what a model is to the rest of the program. An engine computes the outputs of one
 * model for a batch of rows: ONNX Runtime does it for any graph (`session.ts`); for tree ensembles a kernel of our own does
 * (`trees/model.ts`).
 */
import type { NumericData } from '../plan/elements.js';
import type { ElementType, EngineName, ModelSignature } from '../plan/facts.js';

/** Values of a tensor, row-major. Bools are bytes of 0 and 1; strings are JavaScript strings. */
export type TensorData = NumericData | string[];

/** A tensor that enters or leaves a model. `data.length` is the product of `dims`. */
export interface Tensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** Rows that are given to a model at once. */
export interface ModelBatch {
  /** Rows that count, at least one. The outputs have exactly that many. */
  readonly rows: number;
  /**
   * Rows that the tensors hold: `rows`, or more where the model fixes the batch size. The ones past `rows` repeat the
   * last row and their outputs are cut off.
   */
  readonly paddedRows: number;
  /** A tensor for each model input that is not in `columns`, by name; the first dimension is `paddedRows`. */
  readonly feeds: ReadonlyMap<string, Tensor>;
  /**
   * Of inputs that are planned with the layout `columns`: `paddedRows` values of each column by its position in the row;
   * undefined for columns that the engine does not read.
   */
  readonly columns?: ReadonlyMap<string, readonly (NumericData | undefined)[]>;
}

/**
 * Computes a model's outputs.
 *
 * - `run` blocks the thread for as long as the model takes, and cannot be stopped other than by ending the process. It is
 *   synchronous because DuckDB waits meanwhile: what it would read in between, memory would have to hold.
 * - The tensors of the batch belong to the caller. The engine only reads them, and not after it has returned: the caller
 *   may overwrite them for the next batch then.
 * - The tensors of the result are the engine's gift: they are not touched again by it, not even by a later `run`.
 * - The same batch gives the same bits, whatever was run before it.
 * - After a failed `run` the engine can be used on. After `release` it cannot; `release` may be called twice.
 */
export interface Engine {
  readonly name: EngineName;
  /** Whether native code scores, which can take the process down with it; WebAssembly cannot. */
  readonly isNative: boolean;
  /**
   * The outputs by name. Each that is row-wise has `batch.rows` as its first dimension.
   *
   * @throws ColonnadeError `MODEL_FAILED` when the model cannot score the batch; `OUT_OF_MEMORY` when the machine cannot
   */
  run(batch: ModelBatch): ReadonlyMap<string, Tensor>;
  release(): Promise<void>;
}

/** A model that is loaded and ready to score. */
export interface Model extends Engine {
  readonly signature: ModelSignature;
}
