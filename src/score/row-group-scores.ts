/** The scores of one row group: the new columns, and for every row what became of it. */
import { Dictionary, Field, Int32, makeData, Uint8, Utf8, vectorFromArray, type Data } from 'apache-arrow';
import type { Tensor } from '../model/engine.js';
import { arrowTypeOf, OutputColumnBuilder } from '../model/outputs.js';
import { REASON_COLUMN, STATUS_COLUMN, type PlannedOutput } from '../plan/plan.js';

const REASON_TYPE = new Dictionary(new Utf8(), new Int32());

/** Columns of a scores file: the outputs, the status of each row, and the reason of those that are invalid. */
export function scoresFields(outputs: readonly PlannedOutput[]): Field[] {
  return [
    ...outputs.map((output) => new Field(output.name, arrowTypeOf(output), true)),
    new Field(STATUS_COLUMN, new Uint8(), false),
    new Field(REASON_COLUMN, REASON_TYPE, true),
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
    const where = positions === undefined ? first : Uint32Array.from(positions);
    for (const column of this.#columns) column.write(outputs.get(column.output.from)!, where, count);
    this.#waiting = { first: 0, count: 0, positions: undefined };
  }

  /** NaN predictions by column; only columns that have any. */
  nanCounts(): (readonly [column: string, count: number])[] {
    return this.#columns.map((column) => [column.output.name, column.nanCount] as const).filter(([, count]) => count > 0);
  }

  /** The columns in the order of {@link scoresFields}. Nothing may be added any more. */
  finish(): Data[] {
    const rows = this.#status.length;
    return [
      ...this.#columns.map((column) => column.finish()),
      makeData({ type: new Uint8(), length: rows, nullCount: 0, data: this.#status }),
      this.#reasonData(rows),
    ];
  }

  #reasonData(rows: number): Data {
    const texts: string[] = [];
    const codes = new Map<string, number>();
    const indices = new Int32Array(rows);
    const validity = new Uint8Array(Math.ceil(rows / 8));
    for (const [row, reason] of this.#reasons) {
      let code = codes.get(reason);
      if (code === undefined) {
        code = texts.push(reason) - 1;
        codes.set(reason, code);
      }
      indices[row] = code;
      validity[row >> 3]! |= 1 << (row & 7);
    }
    return makeData({
      type: REASON_TYPE,
      length: rows,
      nullCount: rows - this.#reasons.size,
      nullBitmap: validity,
      data: indices,
      dictionary: vectorFromArray(texts, new Utf8()),
    });
  }
}
