/**
 * Gathers rows of Arrow record batches into the tensors of one model batch. A record batch wraps a chunk of DuckDB (2,048
 * rows at most); a model batch is made of as many as fill it.
 *
 * A matrix made of scalar columns takes exactly one copy, from columns into a reused row-major buffer. A model input
 * that is one column, or one list column, takes none where all of the batch is in one chunk and every row is scored;
 * else it is copied into a reused buffer.
 */
import type { RecordBatch } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { PlannedInput, ProjectedColumn } from '../plan/plan.js';
import type { ModelBatch } from './engine.js';
import {
  ColumnsFiller,
  ListFiller,
  ScalarFiller,
  sourceColumn,
  type InputFiller,
  type SourceColumn,
} from './input-filler.js';

/** What the builder needs to know of the model. */
export interface BatchShape {
  readonly inputs: readonly PlannedInput[];
  /** Rows of a model batch at most; exactly, with padding, where `fixedBatch`. */
  readonly batchSize: number;
  readonly fixedBatch: boolean;
}

/**
 * Builds model batches one after the other: `add` until enough rows are there, then `take`.
 *
 * The tensors of a batch that was taken lie in the builder's buffers or in the record batches: they are overwritten by
 * the next `add`, so the model must have run before. Memory of a record batch that goes away before the batch is full
 * is let go of with `own`.
 */
export class BatchBuilder {
  readonly #shape: BatchShape;
  /** Of inputs that are tensors. */
  readonly #fillers: readonly InputFiller[];
  /** Of inputs that are given column by column. */
  readonly #columns: readonly ColumnsFiller[];
  #rows = 0;

  /** @param projection the columns of the record batches, in their order */
  constructor(shape: BatchShape, projection: readonly ProjectedColumn[]) {
    this.#shape = shape;
    const columnsOf = ({ columns }: PlannedInput): SourceColumn[] =>
      columns.map((position) => sourceColumn(projection, position));
    const { inputs, batchSize } = shape;
    this.#fillers = inputs
      .filter(({ layout }) => layout !== 'columns')
      .map((input) =>
        input.layout === 'list'
          ? new ListFiller(input, columnsOf(input), batchSize)
          : new ScalarFiller(input, columnsOf(input), batchSize),
      );
    this.#columns = inputs
      .filter(({ layout }) => layout === 'columns')
      .map((input) => new ColumnsFiller(input, columnsOf(input), batchSize));
  }

  /** Rows added since the last `take`. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Adds rows, already validated. NULL (and NaN in a float column) becomes what the column's rule puts in its place.
   *
   * @param batch columns as the projection lists them
   * @param keep positions of the rows to add, ascending; all when absent
   * @throws ColonnadeError `INTERNAL` when more rows come than fit, a column has another type than planned, a list
   *   another length, or a NULL has no replacement
   */
  add(batch: RecordBatch, keep?: Uint32Array): void {
    const count = keep?.length ?? batch.numRows;
    if (count === 0) return;
    const room = this.#shape.batchSize - this.#rows;
    if (count > room) {
      throw new ColonnadeError('INTERNAL', `${count} rows do not fit into a batch with room for ${room}`, {
        phase: 'model',
      });
    }
    // A selection of everything is no selection: positions are distinct.
    const selection = count === batch.numRows ? undefined : keep;
    for (const filler of this.#fillers) filler.add(batch.data.children, selection, count, this.#rows);
    for (const filler of this.#columns) filler.add(batch.data.children, selection, count, this.#rows);
    this.#rows += count;
  }

  /**
   * The rows added so far, as a batch for the model; the builder starts on the next one.
   *
   * @throws ColonnadeError `INTERNAL` when there are none
   */
  take(): ModelBatch {
    const rows = this.#rows;
    if (rows === 0) throw new ColonnadeError('INTERNAL', 'a batch without rows was asked for', { phase: 'model' });
    const paddedRows = this.#shape.fixedBatch ? this.#shape.batchSize : rows;
    const feeds = new Map(this.#fillers.map((filler) => [filler.name, filler.tensor(rows, paddedRows)]));
    this.#rows = 0;
    if (this.#columns.length === 0) return { rows, paddedRows, feeds };
    const columns = new Map(this.#columns.map((filler) => [filler.name, filler.columns(rows, paddedRows)]));
    return { rows, paddedRows, feeds, columns };
  }

  /** Copies what was only looked at until now: the record batches that were added may lose their memory afterwards. */
  own(): void {
    if (this.#rows === 0) return;
    for (const filler of this.#fillers) filler.own();
    for (const filler of this.#columns) filler.own();
  }
}
