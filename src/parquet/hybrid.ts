/**
 * The RLE / bit-packing hybrid of definition levels and dictionary indices.
 *
 *     encodeHybrid(values, from, to, width): Buffer
 *     encodeRun(value, length, width): Buffer                 of one value all along
 *
 * @see https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
 */

import { MOST_VARINT_BYTES, writeVarint } from './varint.js';

/** Values of a bit-packed group; a run is worth its header from as many on. */
const GROUP = 8;

/**
 * `values[from..to)`, each below `2^width`: runs of equal values by length and value, all else packed in groups of eight.
 * @param width bits of a value, 1 to 16.
 */
export function encodeHybrid(values: Uint8Array | Uint16Array, from: number, to: number, width: number): Buffer {
  const worst = (Math.ceil((to - from) / GROUP) + 1) * (width + 6);
  const output = Buffer.alloc(worst);
  let at = 0;
  for (let start = from; start < to;) {
    let end = runEnd(values, start, to);
    if (end - start >= GROUP || end === to) {
      at = writeRun(output, at, values[start]!, end - start, width);
      start = end;
      continue;
    }
    // Whole groups up to the next that would be a run.
    end = start + GROUP;
    while (end < to && runEnd(values, end, Math.min(to, end + GROUP)) - end < Math.min(GROUP, to - end)) end += GROUP;
    const groups = (end - start) / GROUP;
    at = writeVarint(output, at, 2 * groups + 1);
    at = pack(values, start, Math.min(end, to), width, output, at);
    // The last group is filled up with zeros.
    at += groups * width - Math.ceil(((Math.min(end, to) - start) * width) / 8);
    start = end;
  }
  return output.subarray(0, at);
}

/** `length` times the same value, below `2^width`: what {@link encodeHybrid} makes of them. */
export function encodeRun(value: number, length: number, width: number): Buffer {
  const output = Buffer.alloc(MOST_VARINT_BYTES + 2);
  return output.subarray(0, writeRun(output, 0, value, length, width));
}

/** @returns where the next byte goes. */
function writeRun(output: Buffer, start: number, value: number, length: number, width: number): number {
  let at = writeVarint(output, start, 2 * length);
  for (let bits = 0; bits < width; bits += 8) output[at++] = (value >>> bits) & 0xff;
  return at;
}

/** One past the last of the values from `start` on that are equal to the first. */
function runEnd(values: Uint8Array | Uint16Array, start: number, to: number): number {
  const value = values[start];
  let end = start + 1;
  while (end < to && values[end] === value) end += 1;
  return end;
}

/** Least significant bit first. @returns where the next byte goes. */
function pack(
  values: Uint8Array | Uint16Array,
  from: number,
  to: number,
  width: number,
  output: Buffer,
  start: number,
): number {
  let at = start;
  let bits = 0;
  let filled = 0;
  for (let i = from; i < to; i += 1) {
    bits |= values[i]! << filled;
    filled += width;
    for (; filled >= 8; filled -= 8) {
      output[at++] = bits & 0xff;
      bits >>>= 8;
    }
  }
  if (filled > 0) output[at++] = bits & 0xff;
  return at;
}

/** Bits that tell `count` values apart; 1 for a single one, as some readers do not take 0. */
export function bitWidth(count: number): number {
  return Math.max(1, 32 - Math.clz32(count - 1));
}
