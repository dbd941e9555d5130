/** Gathers the rows of one model input from Arrow columns: one class a layout. */
import { DataType, type Data } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import { ARRAYS, type NumericData } from '../plan/elements.js';
import type { ElementType } from '../plan/facts.js';
import type { PlannedInput, ProjectedColumn } from '../plan/plan.js';
import { isValid } from '../plan/validity.js';
import { allocate, firstValues } from './element-types.js';
import type { Tensor, TensorData } from './engine.js';
import {
  blockRows,
  gatherNumbers,
  gatherStrings,
  missingValue,
  numbersOf,
  replaceMissing,
  wrongType,
  type Replacement,
  type Target,
} from './gather.js';
import { Packer } from './packing.js';

/** A column of the record batches, and what its rule puts in place of missing values. */
export interface SourceColumn {
  readonly position: number;
  readonly name: string;
  readonly replacement: Replacement;
}

/** What a filler needs to know of the column at `position` of the projection. */
export function sourceColumn(projection: readonly ProjectedColumn[], position: number): SourceColumn {
  const column = projection[position];
  if (column === undefined) {
    throw new ColonnadeError('INTERNAL', `an input takes column ${position} of ${projection.length}`, {
      phase: 'model',
    });
  }
  const { missing } = column.rule;
  const replacement = missing === 'invalid' ? undefined : missing === 'nan' ? Number.NaN : missing.value;
  return { position, name: column.name, replacement };
}

/** Gathers the rows of one model input. */
export abstract class InputFiller {
  protected readonly input: PlannedInput;
  readonly #capacity: number;
  /** Allocated when the first copy is needed. */
  #buffer: TensorData | undefined;
  /** Values of the first rows, where they could be taken as they are. */
  #view: NumericData | undefined;

  constructor(input: PlannedInput, batchSize: number) {
    this.input = input;
    this.#capacity = batchSize * input.width;
  }

  get name(): string {
    return this.input.name;
  }

  /** Adds `count` rows after the first `at`. */
  add(columns: readonly Data[], keep: Uint32Array | undefined, count: number, at: number): void {
    if (at === 0) {
      this.#view = keep === undefined ? this.viewOf(columns, count) : undefined;
      if (this.#view !== undefined) return;
    }
    this.copy(this.#writable(), columns, keep, count, at);
  }

  /** Copies the rows that were only looked at until now. */
  own(): void {
    if (this.#view !== undefined) this.#writable();
  }

  /** The rows as a tensor, the last one repeated up to `paddedRows`. */
  tensor(rows: number, paddedRows: number): Tensor {
    const { type, rank, width } = this.input;
    const dims = rank === 1 ? [paddedRows] : [paddedRows, width];
    if (this.#view !== undefined && paddedRows === rows) return { type, dims, data: this.#view };
    const buffer = this.#writable();
    for (let at = rows * width; at < paddedRows * width; at++) {
      (buffer as unknown[])[at] = (buffer as unknown[])[at - width];
    }
    return { type, dims, data: firstValues(buffer, paddedRows * width) };
  }

  /** The buffer, with the rows in it that were only looked at until now. */
  #writable(): TensorData {
    this.#buffer ??= this.allocate(this.#capacity);
    if (this.#view !== undefined) {
      (this.#buffer as Float64Array).set(this.#view as Float64Array);
      this.#view = undefined;
    }
    return this.#buffer;
  }

  /** Memory for so many values. */
  protected allocate(values: number): TensorData {
    return allocate(this.input.type, values);
  }

  /** The values of all `count` rows where they lie one after the other as the tensor wants them. */
  protected abstract viewOf(columns: readonly Data[], count: number): NumericData | undefined;

  protected abstract copy(
    buffer: TensorData,
    columns: readonly Data[],
    keep: Uint32Array | undefined,
    count: number,
    at: number,
  ): void;
}

/** Fills an input from scalar columns: one as it is, or several side by side. */
export class ScalarFiller extends InputFiller {
  readonly #columns: readonly SourceColumn[];
  /** Where the buffer is its matrix. */
  #packer: Packer | undefined;

  constructor(input: PlannedInput, columns: readonly SourceColumn[], batchSize: number) {
    super(input, batchSize);
    if (columns.length !== input.width) throw wrongColumns(input, columns.length);
    this.#columns = columns;
  }

  protected override allocate(values: number): TensorData {
    const { type, width } = this.input;
    this.#packer = type === 'string' || width === 1 ? undefined : Packer.create(type, width, values / width);
    return this.#packer?.matrix ?? super.allocate(values);
  }

  protected override viewOf(columns: readonly Data[], count: number): NumericData | undefined {
    const { type } = this.input;
    const [only, another] = this.#columns;
    if (type === 'string' || only === undefined || another !== undefined) return undefined;
    const column = dataOf(columns, only);
    if (column.nullCount > 0 || replacesNaN(only.replacement, type)) return undefined;
    return numbersOf(column, type, only.name).subarray(0, count);
  }

  protected override copy(
    buffer: TensorData,
    columns: readonly Data[],
    keep: Uint32Array | undefined,
    count: number,
    at: number,
  ): void {
    const { type, width } = this.input;
    const sources = this.#columns.map((column) => dataOf(columns, column));
    const target = (k: number): Target => ({ data: buffer, start: at * width + k, stride: width });
    if (type === 'string') {
      sources.forEach((data, k) => gatherStrings(target(k), data, keep, count, this.#columns[k]!.name));
    } else {
      const values = sources.map((data, k) => numbersOf(data, type, this.#columns[k]!.name));
      if (keep === undefined && width === 1) {
        (buffer as Float64Array).set((values[0] as Float64Array).subarray(0, count), at);
      } else if (this.#packer !== undefined && keep === undefined) {
        this.#packer.pack(values, count, at);
      } else {
        const block = blockRows(width, ARRAYS[type].BYTES_PER_ELEMENT);
        for (let from = 0; from < count; from += block) {
          const to = Math.min(from + block, count);
          for (const [k, column] of values.entries()) gatherNumbers(target(k), column, keep, from, to);
        }
      }
    }
    sources.forEach((data, k) => {
      const { replacement, name } = this.#columns[k]!;
      if (data.nullCount > 0 || replacesNaN(replacement, type))
        replaceMissing(target(k), data, keep, count, replacement, name);
    });
  }
}

/**
 * Gathers the columns of an input each by itself, as an engine wants them that reads one column after the other; only those
 * that it reads.
 */
export class ColumnsFiller {
  readonly name: string;
  readonly #width: number;
  /** By position in the row. */
  readonly #fillers: ReadonlyMap<number, ScalarFiller>;

  constructor(input: PlannedInput, columns: readonly SourceColumn[], batchSize: number) {
    const { name, width, reads = [] } = input;
    // Texts are no numbers that trees could compare.
    if (columns.length !== width || input.type === 'string') throw wrongColumns(input, columns.length);
    this.name = name;
    this.#width = width;
    const single: PlannedInput = { ...input, rank: 1, width: 1, layout: 'column' };
    this.#fillers = new Map(
      reads.map((at) => {
        const column = columns[at];
        if (column === undefined) throw wrongColumns(input, at);
        return [at, new ScalarFiller(single, [column], batchSize)];
      }),
    );
  }

  /** Adds `count` rows after the first `at`. */
  add(columns: readonly Data[], keep: Uint32Array | undefined, count: number, at: number): void {
    for (const filler of this.#fillers.values()) filler.add(columns, keep, count, at);
  }

  /** Copies the rows that were only looked at until now. */
  own(): void {
    for (const filler of this.#fillers.values()) filler.own();
  }

  /** The rows of each column by its position in the row, the last one repeated up to `paddedRows`. */
  columns(rows: number, paddedRows: number): readonly (NumericData | undefined)[] {
    const columns = new Array<NumericData | undefined>(this.#width).fill(undefined);
    for (const [at, filler] of this.#fillers) columns[at] = filler.tensor(rows, paddedRows).data as NumericData;
    return columns;
  }
}

/** Fills an input of numbers from one column of lists, each of the input's width. */
export class ListFiller extends InputFiller {
  readonly #column: SourceColumn;
  readonly #type: Exclude<ElementType, 'string'>;

  constructor(input: PlannedInput, columns: readonly SourceColumn[], batchSize: number) {
    super(input, batchSize);
    const [column, another] = columns;
    // Lists of texts are refused in the plan.
    if (column === undefined || another !== undefined || input.type === 'string')
      throw wrongColumns(input, columns.length);
    this.#column = column;
    this.#type = input.type;
  }

  protected override viewOf(columns: readonly Data[], count: number): NumericData | undefined {
    const { width } = this.input;
    const { replacement, name } = this.#column;
    const list = dataOf(columns, this.#column);
    const values = listValues(list, name);
    if (list.nullCount > 0 || values.nullCount > 0 || replacesNaN(replacement, this.#type)) return undefined;
    const startOf = listStarts(list, width, name);
    const start = startOf(0);
    for (let row = 1; row < count; row++) if (startOf(row) !== start + row * width) return undefined;
    return numbersOf(values, this.#type, name).subarray(start, start + count * width);
  }

  protected override copy(
    buffer: TensorData,
    columns: readonly Data[],
    keep: Uint32Array | undefined,
    count: number,
    at: number,
  ): void {
    const { width } = this.input;
    const { replacement, name } = this.#column;
    const list = dataOf(columns, this.#column);
    const values = listValues(list, name);
    const startOf = listStarts(list, width, name);
    // Where each value of the tensor comes from in the child column: from then on it is a column like any other.
    const positions = new Uint32Array(count * width);
    for (let i = 0; i < count; i++) {
      const row = keep === undefined ? i : (keep[i] as number);
      if (!isValid(list, row)) throw missingValue(name);
      const start = startOf(row);
      for (let k = 0; k < width; k++) positions[i * width + k] = start + k;
    }
    const target = { data: buffer, start: at * width, stride: 1 };
    gatherNumbers(target, numbersOf(values, this.#type, name), positions, 0, positions.length);
    replaceMissing(target, values, positions, positions.length, replacement, name);
  }
}

function listValues(list: Data, name: string): Data {
  const values = list.children[0];
  if (values === undefined || !DataType.isList(list.type)) throw wrongType(list, 'lists', name);
  return values;
}

/** Position of a list's first value in the child column; throws where the list has another length than `width`. */
function listStarts(list: Data, width: number, name: string): (row: number) => number {
  const offsets = list.valueOffsets as Int32Array;
  return (row) => {
    const start = offsets[row] as number;
    const length = (offsets[row + 1] as number) - start;
    if (length !== width) {
      throw new ColonnadeError('INTERNAL', `row ${row} of a batch has ${length} values in ${name}, not ${width}`, {
        phase: 'model',
      });
    }
    return start;
  };
}

function replacesNaN(replacement: Replacement, type: PlannedInput['type']): boolean {
  return typeof replacement === 'number' && !Number.isNaN(replacement) && (type === 'float32' || type === 'float64');
}

function dataOf(columns: readonly Data[], { position, name }: SourceColumn): Data {
  const column = columns[position];
  if (column === undefined) {
    throw new ColonnadeError('INTERNAL', `the column ${name} is missing from a batch`, { phase: 'model' });
  }
  return column;
}

function wrongColumns({ name, width, layout }: PlannedInput, count: number): ColonnadeError {
  return new ColonnadeError('INTERNAL', `the input ${name} (${layout}, width ${width}) takes ${count} columns`, {
    phase: 'model',
  });
}
