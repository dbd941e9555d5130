/** Variable-length integers (ULEB128), as Thrift, Snappy and the RLE hybrid have them: seven bits a byte, lowest first. */

/** Bytes that an integer of up to 53 bits takes at most. */
export const MOST_VARINT_BYTES = 8;

/**
 * Writes an integer from 0 to 2^53 − 1.
 * @returns where the next byte goes.
 */
export function writeVarint(output: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  // Beyond 32 bits shifting would cut it off.
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) output[next++] = (rest % 0x80) | 0x80;
  output[next++] = rest;
  return next;
}
