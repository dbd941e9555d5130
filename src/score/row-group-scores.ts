/** The scores of one row group: the new columns, and for every row what became of it. */
import { makeData, Uint8, Utf8, Vector, type Data, type Field } from 'apache-arrow';
import type { Tensor } from '../model/engine.js';
import { OutputColumnBuilder } from '../model/outputs.js';
import { outputField } from '../plan/arrow-types.js';
import { REASON_COLUMN, STATUS_COLUMN, type PlannedOutput } from '../plan/plan.js';

/** Columns of a scores file: the outputs, the status of each row, and the reason of those that are invalid. */
export function scoresFields(outputs: readonly PlannedOutput[]): Field[] {
  return [
    ...outputs.map(({ name, type, list }) => outputField(name, type, list)),
    outputField(STATUS_COLUMN, 'uint8', false),
    outputField(REASON_COLUMN, 'string', false),
  ];
}

/** Rows of the row group that wait for the model, in the order in which it is given them. */
interface Waiting {
  /** Position of the first, while they follow one another. */
  first: number;
  count: number;
  /** All positions, once they do not. */
  positions: number[] | undefined;
}

export class RowGroupScores {
  readonly #columns: readonly OutputColumnBuilder[];
  readonly #status: Uint8Array;
  readonly #reasons = new Map<number, string>();
  #waiting: Waiting = { first: 0, count: 0, positions: undefined };

  /** @param rows rows of the row group; all count as scored until they are marked. */
  constructor(outputs: readonly PlannedOutput[], rows: number) {
    this.#columns = outputs.map((output) => new OutputColumnBuilder(output, rows));
    this.#status = new Uint8Array(rows);
  }

  /** Says that a row is not scored: one of ROW_STATUS, and why. */
  mark(row: number, status: number, reason?: string): void {
    this.#status[row] = status;
    if (reason !== undefined) this.#reasons.set(row, reason);
  }

  /**
   * Says that rows were added to the batch that the model is given next.
   * @param start position in the row group that `keep` counts from.
   * @param keep positions of the rows, ascending; the first `count` when absent.
   */
  expect(start: number, count: number, keep: Uint32Array | undefined): void {
    const waiting = this.#waiting;
    const first = start + (keep?.[0] ?? 0);
    const adjacent = keep === undefined || keep[count - 1]! - keep[0]! === count - 1;
    if (waiting.positions === undefined && adjacent && (waiting.count === 0 || waiting.first + waiting.count === first)) {
      if (waiting.count === 0) waiting.first = first;
      waiting.count += count;
      return;
    }
    waiting.positions ??= Array.from({ length: waiting.count }, (_, i) => waiting.first + i);
    for (let i = 0; i < count; i += 1) waiting.positions.push(start + (keep === undefined ? i : keep[i]!));
    waiting.count += count;
  }

  /** Takes what the model gave for the rows that waited. */
  write(outputs: ReadonlyMap<string, Tensor>): void {
    const { first, count, positions } = this.#waiting;
    const scattered = positions === undefined ? undefined : Uint32Array.from(positions);
    for (const column of this.#columns) {
      const tensor = outputs.get(column.output.from)!;
      if (scattered === undefined) column.write(tensor, first, count);
      else column.write(tensor, scattered);
    }
    this.#waiting = { first: 0, count: 0, positions: undefined };
  }

  /** NaN predictions by column; only columns that have any. */
  nanCounts(): (readonly [column: string, count: number])[] {
    return this.#columns.map((column) => [column.output.name, column.nanCount] as const).filter(([, count]) => count > 0);
  }

  /** The columns in the order of {@link scoresFields}. Nothing may be added any more. */
  finish(): Vector[] {
    const rows = this.#status.length;
    const status = makeData({ type: new Uint8(), length: rows, nullCount: 0, data: this.#status });
    return [...this.#columns.map((column) => column.finish()), status, this.#reasonData(rows)].map((data) => new Vector([data]));
  }

  /** Reasons as text; NULL for rows without one. */
  #reasonData(rows: number): Data {
    const offsets = new Int32Array(rows + 1);
    const validity = new Uint8Array(Math.ceil(rows / 8));
    const texts: string[] = [];
    let length = 0;
    let row = 0;
    // Rows are marked in ascending order.
    for (const [marked, reason] of this.#reasons) {
      offsets.fill(length, row + 1, marked + 1);
      texts.push(reason);
      length += Buffer.byteLength(reason);
      offsets[marked + 1] = length;
      validity[marked >> 3]! |= 1 << (marked & 7);
      row = marked + 1;
    }
    offsets.fill(length, row + 1);
    return makeData({
      type: new Utf8(),
      length: rows,
      nullCount: rows - this.#reasons.size,
      nullBitmap: validity,
      valueOffsets: offsets,
      data: Buffer.from(texts.join('')),
    });
  }
}
