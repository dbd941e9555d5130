/** Turns model outputs into the new columns of a row group. */
import type { Data } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import { arrowElement, arrowList } from '../plan/arrow-types.js';
import type { NumericData } from '../plan/elements.js';
import type { PlannedOutput } from '../plan/plan.js';
import { ALL_VALID, countBits, elementData, listData } from './arrow-data.js';
import { allocate, reallocate } from './element-types.js';
import type { Tensor, TensorData } from './engine.js';
import { REDUCERS } from './reduce.js';

/**
 * Collects one new column of a row group. Rows that are never written are NULL. Memory for all rows is taken at once
 * (for lists, with the first write, which tells their length), and used again for the next row group.
 */
export class OutputColumnBuilder {
  readonly output: PlannedOutput;
  #rows = 0;
  /** Values of a row; undefined for lists until the first write. */
  #width: number | undefined;
  /** Values of all rows, zero (or empty) until they are written. */
  #values: TensorData;
  /** Validity, one bit a row, least significant first, as Arrow has it. */
  #validity: Uint8Array = new Uint8Array(0);

  /** @param rows rows of the row group */
  constructor(output: PlannedOutput, rows: number) {
    this.output = output;
    this.#values = allocate(output.type, 0);
    this.reset(rows);
  }

  /** Begins a row group of so many rows. What {@link finish} gave for the last one loses its memory. */
  reset(rows: number): void {
    this.#rows = rows;
    this.#width = this.output.list ? undefined : 1;
    // Lists take their memory when their length is known; until then none of the values before counts.
    this.#values = reallocate(this.output.type, this.output.list ? 0 : rows, this.#values);
    this.#validity = reallocate('uint8', Math.ceil(rows / 8), this.#validity);
  }

  get rows(): number {
    return this.#rows;
  }

  /**
   * Takes the column's values out of a model output. A row that was written before is overwritten.
   *
   * @param tensor the output that the column is made from
   * @param positions where in the row group each row of the tensor belongs; or the first of `rows` rows that follow one
   *   another
   * @throws ColonnadeError `MODEL_FAILED` when the output has another type or shape than planned, or not that many rows
   */
  write(tensor: Tensor, positions: Uint32Array): void;
  write(tensor: Tensor, start: number, rows: number): void;
  write(tensor: Tensor, positions: Uint32Array | number, rows = 0): void {
    const count = typeof positions === 'number' ? rows : positions.length;
    const { take } = this.output;
    this.#checkPositions(positions, count);
    const width = this.#widthOf(tensor, count);
    if (take.kind === 'list') this.#writeLists(tensor.data, width, count, positions);
    else if (take.kind === 'reduce') this.#reduce(tensor, width, count, positions);
    else this.#pick(tensor.data, width, take.kind === 'index' ? take.index : 0, count, positions);
    this.#markValid(positions, count);
  }

  /** Makes a row NULL, whatever was written for it. */
  clear(row: number): void {
    const width = this.#width ?? 0;
    const values = this.#values as unknown[];
    const nothing = allocate(this.output.type, 1)[0];
    for (let at = row * width; at < (row + 1) * width; at++) values[at] = nothing;
    this.#validity[row >> 3] = (this.#validity[row >> 3] as number) & ~(1 << (row & 7));
  }

  /** NaN among the values of float columns so far, those in lists included. */
  get nanCount(): number {
    const values = this.#values;
    if (!(values instanceof Float32Array || values instanceof Float64Array)) return 0;
    // Rows that were not written, or cleared, hold zeros.
    let count = 0;
    for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) count++;
    return count;
  }

  /** The column, `rows` long. It holds until the builder is used again: the memory is the same. */
  finish(): Data {
    const { rows, output } = this;
    const nullCount = rows - countBits(this.#validity);
    const validity = { nullCount, nullBitmap: nullCount === 0 ? new Uint8Array(0) : this.#validity };
    if (!output.list) return elementData(output.type, this.#values, rows, validity);
    const width = this.#width ?? 0;
    const offsets = new Int32Array(rows + 1);
    for (let row = 0; row < rows; row++) {
      offsets[row + 1] = (offsets[row] as number) + (this.#isWritten(row) ? width : 0);
    }
    const length = offsets[rows] as number;
    const values = elementData(output.type, this.#writtenLists(width, length), length, ALL_VALID);
    return listData(arrowList(arrowElement(output.type)), values, offsets, rows, validity);
  }

  #widthOf(tensor: Tensor, count: number): number {
    const { output } = this;
    const width = tensor.dims.slice(1).reduce((product, extent) => product * extent, 1);
    const wants = output.take.kind === 'reduce' ? tensor.type : output.type;
    const fits =
      output.take.kind === 'whole' ? width === 1 : output.take.kind === 'index' ? output.take.index < width : width > 0;
    const sameLists = !output.list || this.#width === undefined || this.#width === width;
    const reducible = output.take.kind !== 'reduce' || (tensor.type !== 'string' && tensor.type !== 'bool');
    if (tensor.dims[0] === count && tensor.type === wants && fits && sameLists && reducible) return width;
    throw new ColonnadeError(
      'MODEL_FAILED',
      `the model gave ${tensor.type}[${tensor.dims.join(', ')}] as ${output.from} for ${count} rows, ` +
        `which does not make the column ${output.name} (${output.type}${output.list ? ' list' : ''})`,
      {
        phase: 'model',
        hint:
          tensor.dims[0] === count
            ? 'the shape of an output must not change from batch to batch: export the model so that it does not'
            : 'an output needs one entry for each row that the model is given: export the model so that it has',
      },
    );
  }

  /** One value of each row. */
  #pick(data: TensorData, width: number, index: number, count: number, positions: Uint32Array | number): void {
    if (width === 1 && typeof positions === 'number' && !Array.isArray(data)) {
      (this.#values as Float64Array).set(data as Float64Array, positions);
      return;
    }
    const values = this.#values as unknown[];
    if (typeof positions === 'number') {
      for (let i = 0, at = index; i < count; i++, at += width) values[positions + i] = data[at];
    } else {
      for (let i = 0, at = index; i < count; i++, at += width) values[positions[i] as number] = data[at];
    }
  }

  #reduce(tensor: Tensor, width: number, count: number, positions: Uint32Array | number): void {
    const { take, type } = this.output;
    if (take.kind !== 'reduce') return;
    const reduce = REDUCERS[take.reduce];
    const data = tensor.data as NumericData;
    const convert = type === 'int64' || type === 'uint64' ? BigInt : Number;
    const values = this.#values as unknown[];
    for (let i = 0; i < count; i++) {
      values[typeof positions === 'number' ? positions + i : (positions[i] as number)] = convert(
        reduce(data, i * width, width),
      );
    }
  }

  #writeLists(data: TensorData, width: number, count: number, positions: Uint32Array | number): void {
    if (this.#width === undefined) {
      this.#width = width;
      this.#values = reallocate(this.output.type, this.rows * width, this.#values);
    }
    const values = this.#values;
    for (let i = 0; i < count; i++) {
      const to = (typeof positions === 'number' ? positions + i : (positions[i] as number)) * width;
      for (let k = 0; k < width; k++) (values as unknown[])[to + k] = data[i * width + k];
    }
  }

  /** The values of the rows that were written, without gaps: a NULL list should be empty as well. */
  #writtenLists(width: number, length: number): TensorData {
    if (length === this.#values.length) return this.#values;
    const compact = allocate(this.output.type, length);
    for (let row = 0, to = 0; row < this.rows; row++) {
      if (!this.#isWritten(row)) continue;
      for (let k = 0; k < width; k++) (compact as unknown[])[to++] = this.#values[row * width + k];
    }
    return compact;
  }

  #isWritten(row: number): boolean {
    return (((this.#validity[row >> 3] as number) >> (row & 7)) & 1) === 1;
  }

  #markValid(positions: Uint32Array | number, count: number): void {
    const bits = this.#validity;
    const mark = (row: number): void => {
      bits[row >> 3] = (bits[row >> 3] as number) | (1 << (row & 7));
    };
    if (typeof positions !== 'number') {
      for (let i = 0; i < count; i++) mark(positions[i] as number);
      return;
    }
    // Whole bytes at once: rows mostly follow one another.
    const end = positions + count;
    let row = positions;
    while (row < end && (row & 7) !== 0) mark(row++);
    const whole = row + ((end - row) & ~7);
    bits.fill(0xff, row >> 3, whole >> 3);
    for (row = whole; row < end; row++) mark(row);
  }

  /** A position past the end would be dropped without a word by a typed array. */
  #checkPositions(positions: Uint32Array | number, count: number): void {
    let last = typeof positions === 'number' ? positions + count - 1 : -1;
    if (typeof positions !== 'number') for (const row of positions) if (row > last) last = row;
    if (last < this.rows) return;
    throw new ColonnadeError(
      'INTERNAL',
      `row ${last} of ${this.output.name} lies outside a row group of ${this.rows} rows`,
      {
        phase: 'model',
      },
    );
  }
}
