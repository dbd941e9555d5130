/**
 * Rows given to the model at once, and the memory that follows from them.
 * The figures behind the constants are in bench/README.md.
 */
import type { ElementType, EngineFact, ModelSignature } from './facts.js';
import type { PlannedInput, PlannedModel, PlannedOutput } from './plan.js';

/** Rows of a DuckDB vector (`STANDARD_VECTOR_SIZE`): a batch of at most this many is fed without a copy. */
export const VECTOR_ROWS = 2048;
/** Rows of a batch whose matrix must be packed: large enough that a call of the model costs nothing beside its work. */
const PACKED_ROWS = 16_384;
/** A batch is not made smaller than this: below, the calls of the model cost more than what its cache saves. */
const LEAST_ROWS = 512;
/** A packed matrix, or what a layer makes of a batch, falls out of the processor's cache where it is larger than this. */
const CACHE_BYTES = 2 * 2 ** 20;
/** Bytes of a value between two layers. */
const LAYER_VALUE_BYTES = 4;
/** Resident bytes of a process with Node, DuckDB and ONNX Runtime at work, beside what the data asks for. */
const BASE_MEMORY = 170 * 2 ** 20;
/** Row groups that are under way at once in a worker. */
const OPEN_ROW_GROUPS = 2;

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
  // DuckDB's string_t and the text of a typical category.
  string: 32,
};

/**
 * The batch size that `auto` stands for. Depends on the model alone, never on data or machine, so that a repeated run
 * gives the same bits.
 */
export function autoBatchSize(
  inputs: readonly PlannedInput[],
  { widestLayer }: Pick<ModelSignature, 'widestLayer'>,
  { engine, usesRuntime = false }: Pick<EngineFact, 'engine' | 'usesRuntime'>,
): number {
  // The kernel is fed from DuckDB's vectors; what ONNX Runtime does before or behind it is called less often.
  if (engine === 'trees' && !usesRuntime) return VECTOR_ROWS;
  const packed = inputs.some(({ layout }) => layout === 'pack' || layout === 'columns');
  // What is fed without a copy is in the cache already, or never will be.
  const packedBytes = packed ? inputs.reduce((sum, { width, type }) => sum + width * ELEMENT_BYTES[type], 0) : 0;
  const rowBytes = Math.max(packedBytes, widestLayer * LAYER_VALUE_BYTES);
  let rows = packed ? PACKED_ROWS : VECTOR_ROWS;
  while (rows > LEAST_ROWS && rows * rowBytes > CACHE_BYTES) rows /= 2;
  return rows;
}

/**
 * Expected peak memory of a worker, bytes. Margin: a quarter more or less; for text columns, whose length no footer
 * tells, a half.
 */
export function expectedMemory(plan: {
  readonly outputs: readonly PlannedOutput[];
  readonly models: readonly PlannedModel[];
  readonly largestRowGroup: number;
  readonly compressedRowGroup: number;
}): number {
  const batch = plan.models
    .flatMap(({ inputs, batchSize }) => inputs.map(({ width, type }) => batchSize * width * ELEMENT_BYTES[type]))
    .reduce((sum, bytes) => sum + bytes, 0);
  const modelBytes = plan.models.reduce((sum, { signature }) => sum + signature.bytes, 0);
  const outputs = plan.outputs.reduce((sum, { type, list }) => sum + ELEMENT_BYTES[type] * (list ? 16 : 1) + 1, 5);
  // The outputs of a row group are there twice while they are encoded.
  const rowGroup = 2 * plan.largestRowGroup * outputs + plan.compressedRowGroup + batch;
  return Math.round(BASE_MEMORY + OPEN_ROW_GROUPS * rowGroup + 2 * modelBytes);
}
