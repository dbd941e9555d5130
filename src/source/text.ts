/**
 * Text columns: DuckDB's strings copied into Arrow's layout, without a JavaScript string for each.
 * Source: DuckDB `src/include/duckdb/common/types/string_type.hpp`: 16 bytes, the length in the first four; up to 12
 * bytes of text follow in place, longer text as four bytes of prefix and a pointer.
 */
import { ColonnadeError } from '../errors.js';
import { isSet } from '../plan/validity.js';
import { bytesAt } from './binding.js';

const STRING_BYTES = 16;
const INLINE_BYTES = 12;
/**
 * DuckDB lays the texts of a vector one after the other, in the order of the rows, in a few arenas. Texts that lie at
 * most this far apart are read in one call; the bytes between them are never looked at.
 */
const NEAR_BYTES = 64;
/** Below this, copying byte by byte is faster than a call. */
const SHORT = 24;

/** Offsets of Arrow's Utf8 are 32-bit. */
const MOST_BYTES = 2 ** 31 - 1;

/** Arrow's Utf8 layout. */
export interface Utf8Values {
  /** One more than values. */
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
}

/**
 * @param strings DuckDB's vector of strings.
 * @param rows number of strings in it.
 * @param valid Arrow's bitmap of the rows that hold a value; undefined where all do. What stands in others is garbage.
 * @throws ColonnadeError `COLUMN_TYPE` for more bytes than the offsets can tell.
 */
export function utf8Values(strings: DataView, rows: number, valid: Uint8Array | undefined): Utf8Values {
  const offsets = new Int32Array(rows + 1);
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    if (isSet(valid, row)) total += strings.getUint32(row * STRING_BYTES, true);
    offsets[row + 1] = total;
  }
  if (total > MOST_BYTES) {
    throw new ColonnadeError('COLUMN_TYPE', `the texts of ${rows} rows of a column take ${total} bytes`, {
      phase: 'source',
      hint: 'text of more than 2 GB in 2,048 rows cannot be read: shorten it in the source, or by sql',
    });
  }
  const bytes = new Uint8Array(total);
  const inline = new Uint8Array(strings.buffer, strings.byteOffset, strings.byteLength);
  const long: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    const length = offsets[row + 1]! - offsets[row]!;
    if (length > INLINE_BYTES) long.push(row);
    else copy(inline, row * STRING_BYTES + 4, bytes, offsets[row]!, length);
  }
  copyLong(strings, long, offsets, bytes);
  return { offsets, bytes };
}

function copyLong(strings: DataView, rows: readonly number[], offsets: Int32Array, bytes: Uint8Array): void {
  for (let from = 0; from < rows.length;) {
    const start = addressOf(strings, rows[from]!);
    let end = start + lengthOf(offsets, rows[from]!);
    let to = from + 1;
    for (; to < rows.length; to += 1) {
      const next = addressOf(strings, rows[to]!);
      if (next < end || next - end > NEAR_BYTES) break;
      end = next + lengthOf(offsets, rows[to]!);
    }
    const read = bytesAt(strings.buffer, strings.byteOffset + rows[from]! * STRING_BYTES + 8, end - start);
    for (let i = from; i < to; i += 1) {
      const row = rows[i]!;
      copy(read, addressOf(strings, row) - start, bytes, offsets[row]!, lengthOf(offsets, row));
    }
    from = to;
  }
}

function lengthOf(offsets: Int32Array, row: number): number {
  return offsets[row + 1]! - offsets[row]!;
}

/** The pointer as a number: addresses of user space have at most 57 bits, and those that Linux gives out 47. */
function addressOf(strings: DataView, row: number): number {
  const at = row * STRING_BYTES + 8;
  return strings.getUint32(at, true) + strings.getUint32(at + 4, true) * 2 ** 32;
}

function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length > SHORT) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i += 1) to[at + i] = from[start + i]!;
}
