/**
 * Snappy's raw format, as Parquet's codec SNAPPY has it: the length, then literals and copies of what came before.
 * Matches are looked for in blocks of 64 KB, ever more sparsely where none is found, so that values that do not compress,
 * as scores mostly do not, cost little more than being copied.
 *
 *     compressSnappy(input, output?): Buffer
 *
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 */

import { writeVarint } from './varint.js';

const BLOCK = 1 << 16;
const TABLE_BITS = 14;
/** Matches are looked for up to so many bytes before the end: none of them reads past it. */
const MARGIN = 15;
/** Offsets of a block by the hash of the four bytes there. */
const table = new Uint16Array(1 << TABLE_BITS);

/** Bytes that so many take at most. */
export function snappyBound(length: number): number {
  return 32 + length + Math.ceil(length / 6);
}

/**
 * The input in Snappy's format.
 * @param output where it is written to, of at least {@link snappyBound} bytes; the result is a view on it.
 */
export function compressSnappy(input: Uint8Array, output = Buffer.allocUnsafe(snappyBound(input.length))): Buffer {
  const writer = new Writer(input, output);
  for (let start = 0; start < input.length; start += BLOCK) writer.block(start, Math.min(input.length, start + BLOCK));
  return output.subarray(0, writer.length);
}

class Writer {
  readonly #input: Uint8Array;
  readonly #output: Buffer;
  #at = 0;

  constructor(input: Uint8Array, output: Buffer) {
    this.#input = input;
    this.#output = output;
    this.#at = writeVarint(output, 0, input.length);
  }

  get length(): number {
    return this.#at;
  }

  /** Compresses `input[start..end)`: matches never reach into another block. */
  block(start: number, end: number): void {
    const input = this.#input;
    const limit = end - MARGIN;
    let emitted = start;
    table.fill(0);
    for (let at = start + 1; at < limit;) {
      // One byte further each time, after 32 misses two, and so on.
      let misses = 32;
      let word = load(input, at);
      let candidate = lookUp(word, at, start);
      while (candidate < 0 || load(input, candidate) !== word) {
        const step = misses >>> 5;
        misses += step;
        at += step;
        if (at >= limit) break;
        word = load(input, at);
        candidate = lookUp(word, at, start);
      }
      if (at >= limit) break;
      this.#literal(emitted, at);
      let length = 4;
      while (at + length < end && input[candidate + length] === input[at + length]) length += 1;
      this.#copy(at - candidate, length);
      at += length;
      emitted = at;
    }
    this.#literal(emitted, end);
  }

  #literal(from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    const output = this.#output;
    const last = length - 1;
    if (last < 60) output[this.#at++] = last << 2;
    else if (last < 0x100) {
      output[this.#at++] = 60 << 2;
      output[this.#at++] = last;
    } else {
      output[this.#at++] = 61 << 2;
      output[this.#at++] = last & 0xff;
      output[this.#at++] = last >>> 8;
    }
    output.set(this.#input.subarray(from, to), this.#at);
    this.#at += length;
  }

  #copy(offset: number, length: number): void {
    let left = length;
    for (; left >= 68; left -= 64) this.#longCopy(offset, 64);
    if (left > 64) {
      this.#longCopy(offset, 60);
      left -= 60;
    }
    if (left < 12 && offset < 2048) {
      this.#output[this.#at++] = ((offset >>> 8) << 5) | ((left - 4) << 2) | 1;
      this.#output[this.#at++] = offset & 0xff;
    } else this.#longCopy(offset, left);
  }

  /** At most 64 bytes, from at most 64 KB back. */
  #longCopy(offset: number, length: number): void {
    this.#output[this.#at++] = ((length - 1) << 2) | 2;
    this.#output[this.#at++] = offset & 0xff;
    this.#output[this.#at++] = offset >>> 8;
  }
}

function load(input: Uint8Array, at: number): number {
  return input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24);
}

/** Where four bytes of the same hash stood last, and notes that they stand at `at`; the start of the block at first. */
function lookUp(word: number, at: number, start: number): number {
  const hash = Math.imul(word, 0x1e35a7bd) >>> (32 - TABLE_BITS);
  const candidate = start + table[hash]!;
  table[hash] = at - start;
  return candidate;
}
