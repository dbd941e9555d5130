/** Reads slices of a file: the columns of a projection, computed by DuckDB, as Arrow batches on DuckDB's memory. */
import type { DuckDBConnection, DuckDBMaterializedResult } from '@duckdb/node-api';
import type { RecordBatch } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { ElementType } from '../plan/facts.js';
import type { ProjectedColumn } from '../plan/plan.js';
import { BatchReader } from './arrow-batch.js';
import type { Database } from './database.js';
import { duckdbError, isValueFault, readFault } from './duckdb-errors.js';
import { blame } from './blame.js';
import type { SliceRange } from './ranges.js';
import { Reclaimer } from './reclaim.js';
import { ROW_NUMBER, scanSql, type ScannedFile } from './scan.js';

export { sliceRanges, type SliceRange } from './ranges.js';

export interface SliceRequest {
  readonly file: ScannedFile;
  /** Hive columns that the file does not have itself, with their types. */
  readonly hiveTypes: Readonly<Record<string, string>>;
  readonly projection: readonly ProjectedColumn[];
  /** In the order in which they are to be read. */
  readonly ranges: readonly SliceRange[];
  /** Stops the query that runs, and ends the reading with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Some rows of a slice. */
export interface SliceBatch {
  /** Position of the first row in its file. */
  readonly firstRow: number;
  /** One column for each of the projection, by position. At most 2,048 rows, in the order of the file. */
  readonly batch: RecordBatch;
}

/** Rows of a file that are in memory; valid until the next slice is asked for. Its batches stay valid on their own. */
export interface Slice extends SliceRange {
  /** All rows of the slice, in the order of the file. Batches are made as they are asked for. */
  readonly batches: Iterable<SliceBatch>;
}

/**
 * Reads ranges one after the other. While a slice is worked on, DuckDB computes the next one, and no more than that:
 * two slices are in memory at most.
 *
 * A slice is a query of its own that is materialised whole, because a streamed result ends early and without an error
 * when a page is corrupt. The range of row numbers makes DuckDB pass over row groups outside of it; inside a row group
 * it decodes from the group's start.
 *
 * Rows come in the order of the file (`preserve_insertion_order`): checked by the row numbers at both ends of every
 * batch, which costs less than can be measured.
 *
 * @throws ColonnadeError `BAD_PARQUET` (with the rows; also where the file has fewer rows than its footer says),
 * `INPUT_GONE`, `SQL_FAILED` naming the expression and the row, `OUT_OF_MEMORY`, `DISK_FULL`; the signal's reason.
 */
export async function* readSlices(database: Database, request: SliceRequest): AsyncGenerator<Slice, void, void> {
  const { file, projection, ranges, signal } = request;
  signal?.throwIfAborted();
  const reader = new BatchReader(projection);
  const reclaimer = new Reclaimer();
  const rowBytes = projection.reduce((sum, { element, listLength }) => sum + BYTES[element] * (listLength ?? 1), 8);
  const connection = await database.connect();
  const interrupt = (): void => {
    connection.interrupt();
  };
  signal?.addEventListener('abort', interrupt);
  let ahead: Promise<DuckDBMaterializedResult> | undefined;
  try {
    for (const [i, range] of ranges.entries()) {
      const result: DuckDBMaterializedResult = await (ahead ?? query(connection, request, range)).catch(
        async (error: unknown) => {
          ahead = undefined;
          signal?.throwIfAborted();
          throw await explain(connection, request, range, error);
        },
      );
      signal?.throwIfAborted();
      const next = ranges[i + 1];
      ahead = next === undefined ? undefined : query(connection, request, next);
      // Its failure is told when its turn comes; until then it must not count as unhandled.
      ahead?.catch(() => undefined);
      if (result.rowCount !== range.rows) throw wrongRows(file.path, range, result.rowCount);
      const slice = new MaterializedSlice(range, result, reader, file.path);
      yield slice;
      slice.release();
      await reclaimer.reclaim(range.rows * rowBytes);
    }
  } finally {
    signal?.removeEventListener('abort', interrupt);
    if (ahead !== undefined) {
      connection.interrupt();
      await ahead.catch(() => undefined);
    }
    connection.closeSync();
  }
}

/** Bytes of a value, and of a text on average, for the measure of what a slice holds. */
const BYTES: Readonly<Record<ElementType, number>> = {
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
  string: 32,
};

function query(
  connection: DuckDBConnection,
  { file, hiveTypes, projection }: SliceRequest,
  range: SliceRange,
): Promise<DuckDBMaterializedResult> {
  const columns = [...projection.map(({ sql }, i) => `${sql} AS c${i}`), ROW_NUMBER];
  const last = range.firstRow + range.rows - 1;
  return connection.run(
    `SELECT ${columns.join(', ')} FROM ${scanSql(file, hiveTypes)} WHERE ${ROW_NUMBER} BETWEEN ${range.firstRow} AND ${last}`,
  );
}

/** An error of DuckDB with the file, the rows and, where a value is to blame, the expression and the row. */
async function explain(
  connection: DuckDBConnection,
  request: SliceRequest,
  range: SliceRange,
  error: unknown,
): Promise<ColonnadeError> {
  const { file, hiveTypes, projection } = request;
  const to = range.firstRow + range.rows;
  const context = { file: file.path, rows: [range.firstRow, to] as const };
  if (!isValueFault(readFault(error))) return duckdbError(error, context);
  const blamed = await blame(
    connection,
    scanSql(file, hiveTypes),
    projection.map(({ sql }) => sql),
    range,
  );
  if (blamed === undefined) return duckdbError(error, context);
  const { name, role } = projection[blamed.column]!;
  const words = role === 'where' ? 'source.where' : `${role === 'rule' ? 'column' : 'feature'} ${name}`;
  return duckdbError(blamed.error, { file: file.path, rows: [blamed.row, blamed.row + 1], expression: words });
}

/** A slice whose rows DuckDB holds until it is released. */
class MaterializedSlice implements Slice {
  readonly firstRow: number;
  readonly rows: number;
  #result: DuckDBMaterializedResult | undefined;
  readonly #reader: BatchReader;
  readonly #path: string;

  constructor(range: SliceRange, result: DuckDBMaterializedResult, reader: BatchReader, path: string) {
    this.firstRow = range.firstRow;
    this.rows = range.rows;
    this.#result = result;
    this.#reader = reader;
    this.#path = path;
  }

  get batches(): Iterable<SliceBatch> {
    return { [Symbol.iterator]: () => this.#read() };
  }

  release(): void {
    this.#result = undefined;
  }

  *#read(): Generator<SliceBatch, void, void> {
    let firstRow = this.firstRow;
    const chunks = this.#result?.chunkCount ?? 0;
    for (let i = 0; i < chunks; i += 1) {
      if (this.#result === undefined) break;
      const chunk = this.#result.getChunk(i);
      const rows = chunk.rowCount;
      const numbers = (
        chunk.getColumnVector(this.#reader.schema.fields.length) as unknown as { readonly items: BigInt64Array }
      ).items;
      if (Number(numbers[0]) !== firstRow || Number(numbers[rows - 1]) !== firstRow + rows - 1) {
        throw new ColonnadeError(
          'INTERNAL',
          `${this.#path}: rows came in another order than they stand in the file, at row ${firstRow}`,
          { phase: 'source' },
        );
      }
      yield { firstRow, batch: this.#reader.read(chunk) };
      firstRow += rows;
    }
    if (firstRow !== this.firstRow + this.rows) {
      throw new ColonnadeError('INTERNAL', `${this.#path}: a slice was read after the next one had been asked for`, {
        phase: 'source',
      });
    }
  }
}

function wrongRows(path: string, range: SliceRange, found: number): ColonnadeError {
  const words = `rows ${range.firstRow} to ${range.firstRow + range.rows - 1}`;
  return new ColonnadeError(
    'BAD_PARQUET',
    `${path}: ${found} of ${range.rows} rows were found (${words} by the footer)`,
    {
      phase: 'source',
      hint: 'the file does not hold what its footer says; write it again, or take it out of source.path',
    },
  );
}
