/** What a column is for its encoder: the values that are there, and which rows have them. */
import type { PhysicalType } from './format.js';

/** Least and greatest of some values, as PLAIN bytes. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
  /** False where they were shortened: then they are still not above, and not below, any value. */
  readonly minExact: boolean;
  readonly maxExact: boolean;
}

/** Values that are there, one after the other. Positions count those alone. */
export interface StoredValues {
  readonly physical: PhysicalType;
  readonly length: number;
  /** PLAIN encoding of `[from, to)`; a view where it can be. */
  plain(from: number, to: number): Uint8Array;
  /** Undefined where none of the values is one that can be compared: NaN is not. */
  bounds(from: number, to: number): Bounds | undefined;
  /** For each value the index of its kind, and where each kind stands first. Undefined for more than `limit` kinds. */
  indices(limit: number): { readonly indices: Uint16Array; readonly firsts: readonly number[] } | undefined;
  /** PLAIN encoding of the values at these positions. */
  pick(positions: readonly number[]): Uint8Array;
}

/** A column: its rows, which of them are there, and their values. */
export interface StoredColumn {
  readonly rows: number;
  /** 1 for rows that hold a value, by row; undefined where all do. */
  readonly present: Uint8Array | undefined;
  readonly values: StoredValues;
}

/** Values among the rows `[from, to)` of {@link StoredColumn.present}. */
export function countPresent(present: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let row = from; row < to; row += 1) count += present[row]!;
  return count;
}
