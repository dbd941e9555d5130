/** Booleans as Parquet stores them. */
import type { Data } from 'apache-arrow';
import { isSet } from '../plan/validity.js';
import type { Bounds, StoredValues } from './stored-values.js';

/** The values of a column of booleans. @param present as in `StoredColumn`. */
export function boolValues(parts: readonly Data[], present: Uint8Array | undefined): StoredValues {
  const flags: number[] = [];
  let row = 0;
  for (const { values, offset, length } of parts) {
    for (let i = 0; i < length; i += 1, row += 1) {
      if (present !== undefined && present[row] === 0) continue;
      flags.push(isSet(values as Uint8Array, offset + i) ? 1 : 0);
    }
  }
  return new BoolValues(Uint8Array.from(flags));
}

/** A bit each, least significant first. */
class BoolValues implements StoredValues {
  readonly physical = 'BOOLEAN';
  readonly length: number;
  readonly #flags: Uint8Array;

  constructor(flags: Uint8Array) {
    this.#flags = flags;
    this.length = flags.length;
  }

  plain(from: number, to: number): Uint8Array {
    const bits = new Uint8Array(Math.ceil((to - from) / 8));
    for (let i = from; i < to; i += 1) bits[(i - from) >> 3]! |= this.#flags[i]! << ((i - from) & 7);
    return bits;
  }

  bounds(from: number, to: number): Bounds | undefined {
    if (from === to) return undefined;
    const some = this.#flags.subarray(from, to);
    return {
      min: Uint8Array.of(some.includes(0) ? 0 : 1),
      max: Uint8Array.of(some.includes(1) ? 1 : 0),
      minExact: true,
      maxExact: true,
    };
  }

  /** A dictionary of two bits would only add to them. */
  indices(): undefined {
    return undefined;
  }

  pick(positions: readonly number[]): Uint8Array {
    return new BoolValues(Uint8Array.from(positions, (position) => this.#flags[position]!)).plain(0, positions.length);
  }
}
