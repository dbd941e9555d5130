/** The scores of one row group: the new columns, and for every row what became of it. */
import { makeData, Uint8, Utf8, Vector, type Field } from 'apache-arrow';
import type { Tensor } from '../model/engine.js';
import { reallocate } from '../model/element-types.js';
import { OutputColumnBuilder } from '../model/outputs.js';
import { outputField } from '../plan/arrow-types.js';
import { REASON_COLUMN, ROW_STATUS, STATUS_COLUMN, type PlannedOutput } from '../plan/plan.js';

/** Columns of a scores file: the outputs, the status of each row, and the reason of those that are invalid. */
export function scoresFields(outputs: readonly PlannedOutput[]): Field[] {
  return [
    ...outputs.map(({ name, type, list }) => outputField(name, type, list)),
    outputField(STATUS_COLUMN, 'uint8', false),
    outputField(REASON_COLUMN, 'string', false),
  ];
}

/** Status and reasons of row groups in which every row was scored, as of the last such group. */
let clean: { readonly rows: number; readonly vectors: readonly [status: Vector, reason: Vector] } | undefined;

/** One pair of vectors for all clean row groups of a length: what is the same object is encoded once. */
function cleanColumns(rows: number): readonly [status: Vector, reason: Vector] {
  if (clean?.rows !== rows) {
    clean = { rows, vectors: [statusVector(new Uint8Array(rows)), reasonVector(rows, new Map())] };
  }
  return clean.vectors;
}

function statusVector(status: Uint8Array): Vector {
  return new Vector([makeData({ type: new Uint8(), length: status.length, nullCount: 0, data: status })]);
}

/** Reasons as text; NULL for rows without one. Rows are marked in ascending order. */
function reasonVector(rows: number, reasons: ReadonlyMap<number, string>): Vector {
  const offsets = new Int32Array(rows + 1);
  const validity = new Uint8Array(Math.ceil(rows / 8));
  let length = 0;
  let row = 0;
  for (const [marked, reason] of reasons) {
    offsets.fill(length, row + 1, marked + 1);
    length += Buffer.byteLength(reason);
    offsets[marked + 1] = length;
    validity[marked >> 3]! |= 1 << (marked & 7);
    row = marked + 1;
  }
  offsets.fill(length, row + 1);
  const data = makeData({
    type: new Utf8(),
    length: rows,
    nullCount: rows - reasons.size,
    nullBitmap: validity,
    valueOffsets: offsets,
    data: Buffer.from([...reasons.values()].join('')),
  });
  return new Vector([data]);
}

/** Rows of the row group that wait for the model, in the order in which it is given them. */
interface Waiting {
  /** Position of the first, while they follow one another. */
  first: number;
  count: number;
  /** All positions, once they do not. */
  positions: number[] | undefined;
}

function noneWaiting(): Waiting {
  return { first: 0, count: 0, positions: undefined };
}

/** Memory for the scores of one row group after another. */
export class RowGroupScores {
  readonly #columns: readonly OutputColumnBuilder[];
  #status: Uint8Array = new Uint8Array(0);
  readonly #reasons = new Map<number, string>();
  #marked = false;
  /** Rows that a model failed on. */
  readonly #rejected = new Set<number>();
  /** By model: their batches need not end at the same rows. */
  readonly #waiting: Waiting[];

  /** @param rows rows of the row group; all count as scored until they are marked. */
  constructor(outputs: readonly PlannedOutput[], rows: number) {
    this.#columns = outputs.map((output) => new OutputColumnBuilder(output, rows));
    this.#waiting = Array.from({ length: Math.max(...outputs.map(({ model }) => model)) + 1 }, noneWaiting);
    this.reset(rows);
  }

  /** Begins a row group of so many rows; what {@link finish} gave for the last one loses its memory. */
  reset(rows: number): void {
    for (const column of this.#columns) column.reset(rows);
    this.#status = reallocate('uint8', rows, this.#status);
    this.#reasons.clear();
    this.#rejected.clear();
    this.#marked = false;
    this.#waiting.forEach((_, model) => (this.#waiting[model] = noneWaiting()));
  }

  /** Says that a row is not scored: one of ROW_STATUS, and why. */
  mark(row: number, status: number, reason?: string): void {
    this.#marked = true;
    this.#status[row] = status;
    if (reason !== undefined) this.#reasons.set(row, reason);
  }

  /**
   * Says that a model fails on a row: it has no score, not of the other models either.
   * @returns whether none has failed on it before.
   */
  reject(row: number, status: number, reason: string): boolean {
    const isNew = this.#status[row] === ROW_STATUS.scored;
    const known = this.#reasons.get(row);
    this.#rejected.add(row);
    this.mark(row, status, known === undefined ? reason : `${known}; ${reason}`);
    return isNew;
  }

  /**
   * Says that rows were added to the batches that the models are given next.
   * @param start position in the row group that `keep` counts from.
   * @param keep positions of the rows, ascending; the first `count` when absent.
   */
  expect(start: number, count: number, keep: Uint32Array | undefined): void {
    const first = start + (keep?.[0] ?? 0);
    const adjacent = keep === undefined || keep[count - 1]! - keep[0]! === count - 1;
    for (const waiting of this.#waiting) {
      if (
        waiting.positions === undefined &&
        adjacent &&
        (waiting.count === 0 || waiting.first + waiting.count === first)
      ) {
        if (waiting.count === 0) waiting.first = first;
        waiting.count += count;
        continue;
      }
      waiting.positions ??= Array.from({ length: waiting.count }, (_, i) => waiting.first + i);
      for (let i = 0; i < count; i += 1) waiting.positions.push(start + (keep === undefined ? i : keep[i]!));
      waiting.count += count;
    }
  }

  /** Position in the row group of a row that waits for a model, by its place in the batch. */
  waitingRow(model: number, at: number): number {
    const { first, positions } = this.#waiting[model]!;
    return positions === undefined ? first + at : positions[at]!;
  }

  /** Takes what a model gave for the rows that waited for it. */
  write(model: number, outputs: ReadonlyMap<string, Tensor>): void {
    const { first, count, positions } = this.#waiting[model]!;
    const scattered = positions === undefined ? undefined : Uint32Array.from(positions);
    for (const column of this.#columns) {
      if (column.output.model !== model) continue;
      const tensor = outputs.get(column.output.from)!;
      if (scattered === undefined) column.write(tensor, first, count);
      else column.write(tensor, scattered);
    }
    this.#waiting[model] = noneWaiting();
  }

  /** The rows that waited for a model have no scores of it. */
  skip(model: number): void {
    this.#waiting[model] = noneWaiting();
  }

  /** All models are done with the row group: what one of them rejected keeps nothing of the others. */
  settle(): void {
    if (this.#rejected.size === 0) return;
    for (const row of this.#rejected) for (const column of this.#columns) column.clear(row);
    const reasons = [...this.#reasons].sort(([a], [b]) => a - b);
    this.#reasons.clear();
    for (const [row, reason] of reasons) this.#reasons.set(row, reason);
  }

  /** NaN predictions by column; only columns that have any. */
  nanCounts(): (readonly [column: string, count: number])[] {
    return this.#columns
      .map((column) => [column.output.name, column.nanCount] as const)
      .filter(([, count]) => count > 0);
  }

  /** The columns in the order of {@link scoresFields}. They hold until the next {@link reset}; until then nothing may be added. */
  finish(): Vector[] {
    const columns = this.#columns.map((column) => new Vector([column.finish()]));
    if (!this.#marked) return [...columns, ...cleanColumns(this.#status.length)];
    return [...columns, statusVector(this.#status), reasonVector(this.#status.length, this.#reasons)];
  }
}
