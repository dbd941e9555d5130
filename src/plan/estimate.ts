/**
 * Rows given to the model at once, rows read at once, and the memory that follows from them.
 * The figures behind the constants are in bench/README.md.
 */
import type { ElementType } from './facts.js';
import type { PlannedInput, PlannedOutput, ProjectedColumn } from './plan.js';

/** Rows of a DuckDB vector (`STANDARD_VECTOR_SIZE`): a batch of at most this many is fed without a copy. */
export const VECTOR_ROWS = 2048;
/** Rows of a batch whose matrix must be packed: large enough that a call of the model costs nothing beside its work. */
const PACKED_ROWS = 16_384;
/** A packed matrix larger than this falls out of the processor's cache. */
const PACKED_BYTES = 8 * 2 ** 20;
/** Rows beyond which a larger slice reads no faster: two row groups as DuckDB writes them. */
const MAX_SLICE_ROWS = 245_760;
/** Resident bytes of a process with Node, DuckDB, ONNX Runtime and the Parquet encoder loaded, before it reads a row. */
const BASE_MEMORY = 190 * 2 ** 20;

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
export function autoBatchSize(inputs: readonly PlannedInput[]): number {
  if (inputs.every(({ layout }) => layout !== 'pack')) return VECTOR_ROWS;
  const rowBytes = inputs.reduce((sum, { width, type }) => sum + width * ELEMENT_BYTES[type], 0);
  let rows = PACKED_ROWS;
  while (rows > 256 && rows * rowBytes > PACKED_BYTES) rows /= 2;
  return rows;
}

/** Bytes of one row of the projection in DuckDB's vectors. */
export function projectedRowBytes(projection: readonly ProjectedColumn[]): number {
  return projection.reduce((sum, { element, listLength }) => {
    // A list has 16 bytes of offset and length in DuckDB beside its values.
    return sum + (listLength === undefined ? ELEMENT_BYTES[element] : 16 + listLength * ELEMENT_BYTES[element]);
  }, 0);
}

/**
 * Rows of a slice: two slices are in memory at once (one is scored, the next is read) and take at most a quarter of
 * `memory`. A multiple of the batch size, so that slices never cut a batch.
 */
export function sliceRows(projection: readonly ProjectedColumn[], batchSize: number, memory: number): number {
  const affordable = memory / 4 / 2 / Math.max(1, projectedRowBytes(projection));
  const rows = Math.min(MAX_SLICE_ROWS, affordable);
  return Math.max(1, Math.floor(rows / batchSize)) * batchSize;
}

/**
 * Expected peak memory of a worker, bytes. Margin: a quarter more or less; for text columns, whose length no footer
 * tells, a half.
 */
export function expectedMemory(plan: {
  readonly projection: readonly ProjectedColumn[];
  readonly outputs: readonly PlannedOutput[];
  readonly sliceRows: number;
  readonly batchSize: number;
  readonly inputs: readonly PlannedInput[];
  readonly modelBytes: number;
  readonly largestRowGroup: number;
  readonly compressedRowGroup: number;
}): number {
  const slices = 2 * plan.sliceRows * projectedRowBytes(plan.projection);
  const batch = plan.inputs.reduce((sum, { width, type }) => sum + plan.batchSize * width * ELEMENT_BYTES[type], 0);
  const outputs = plan.outputs.reduce((sum, { type, list }) => sum + ELEMENT_BYTES[type] * (list ? 16 : 1) + 1, 5);
  // Outputs of a row group exist three times while they are encoded: as vectors, as Arrow IPC, in the encoder.
  const scores = 3 * plan.largestRowGroup * outputs;
  return Math.round(BASE_MEMORY + slices + batch + scores + 2 * plan.modelBytes + 2 * plan.compressedRowGroup);
}
