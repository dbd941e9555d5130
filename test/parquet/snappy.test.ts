import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compressSnappy, snappyBound } from '../../src/parquet/snappy.js';

/** What the elements of a compressed text are. */
interface Elements {
  readonly bytes: Buffer;
  readonly literals: number;
  readonly copies: readonly { readonly offset: number; readonly length: number; readonly tag: 1 | 2 | 3 }[];
}

/**
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 * @throws Error where it is not Snappy's format, or is longer or shorter than it says.
 */
function decompress(input: Uint8Array): Elements {
  let at = 0;
  const little = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i += 1) {
      const byte = input[at++];
      if (byte === undefined) throw new Error('it ends within an element');
      value += byte * 2 ** (8 * i);
    }
    return value;
  };
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = little(1);
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  const bytes = Buffer.alloc(length);
  let filled = 0;
  let literals = 0;
  const copies: Elements['copies'][number][] = [];
  while (at < input.length) {
    const tag = little(1);
    const kind = tag & 3;
    if (kind === 0) {
      const short = tag >> 2;
      const size = (short < 60 ? short : little(short - 59)) + 1;
      if (at + size > input.length || filled + size > length) throw new Error('a literal is too long');
      bytes.set(input.subarray(at, at + size), filled);
      at += size;
      filled += size;
      literals += 1;
      continue;
    }
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = kind === 1 ? ((tag >> 5) << 8) + little(1) : little(kind === 2 ? 2 : 4);
    if (offset === 0 || offset > filled) throw new Error(`a copy from ${offset} bytes before byte ${filled}`);
    if (filled + size > length) throw new Error('a copy is too long');
    for (let i = 0; i < size; i += 1, filled += 1) bytes[filled] = bytes[filled - offset]!;
    copies.push({ offset, length: size, tag: kind as 1 | 2 | 3 });
  }
  if (filled !== length) throw new Error(`${filled} bytes instead of ${length}`);
  return { bytes, literals, copies };
}

/** Bytes in which no four come twice, as far as that matters. */
function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed | 1;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

function roundTrip(input: Uint8Array): Elements & { readonly size: number } {
  const compressed = compressSnappy(input);
  expect(compressed.length).toBeLessThanOrEqual(snappyBound(input.length));
  const elements = decompress(compressed);
  expect(elements.bytes.equals(input)).toBe(true);
  return { ...elements, size: compressed.length };
}

const BLOCK = 65_536;

/** Noise, runs, and what stood some way before, one after the other. */
const mixed = fc
  .array(
    fc.oneof(
      fc.record({ kind: fc.constant('noise' as const), length: fc.nat({ max: 3000 }), seed: fc.nat() }),
      fc.record({ kind: fc.constant('run' as const), length: fc.nat({ max: 300 }), byte: fc.nat({ max: 255 }) }),
      fc.record({
        kind: fc.constant('again' as const),
        length: fc.oneof(
          fc.integer({ min: 1, max: 150 }),
          fc.constantFrom(4, 11, 12, 63, 64, 65, 67, 68, 69, 128, 132),
        ),
        back: fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.constantFrom(1, 4, 2047, 2048, 2049, 65_535, 65_536)),
      }),
      fc.record({ kind: fc.constant('long' as const), length: fc.integer({ min: 60_000, max: 66_000 }) }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => {
    const bytes: number[] = [];
    for (const part of parts) {
      if (part.kind === 'noise') bytes.push(...noise(part.length, part.seed));
      else if (part.kind === 'run') bytes.push(...Array<number>(part.length).fill(part.byte));
      else if (part.kind === 'long') bytes.push(...noise(part.length));
      else for (let i = 0; i < part.length; i += 1) bytes.push(bytes[bytes.length - part.back] ?? 0);
    }
    return Uint8Array.from(bytes);
  });

describe('what Snappy compresses', () => {
  it('is given back, of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (input) => void roundTrip(input)),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 1, 255), { maxLength: 400 }),
        (input) => void roundTrip(Uint8Array.from(input)),
      ),
      { numRuns: 1000 },
    );
  });

  it('is given back, of noise, runs and what comes again after a while', () => {
    fc.assert(
      fc.property(mixed, (input) => void roundTrip(input)),
      { numRuns: 150 },
    );
  });

  it('is given back around the borders of blocks', () => {
    for (const border of [BLOCK, 2 * BLOCK])
      for (const beside of [-16, -15, -1, 0, 1, 4, 14, 15, 16, 17]) {
        roundTrip(noise(border + beside));
        roundTrip(Buffer.alloc(border + beside, 'ab'));
      }
  });

  it('is its length alone for no bytes', () => {
    expect([...compressSnappy(new Uint8Array(0))]).toEqual([0]);
  });

  it('is little for what repeats, in copies of up to 64 bytes', () => {
    for (const length of [20, 67, 68, 69, 100, 129, 1000, BLOCK]) {
      const { size, copies } = roundTrip(Buffer.alloc(length, 'a'));
      expect(size).toBeLessThanOrEqual(24 + length / 20);
      expect(Math.max(...copies.map((copy) => copy.length))).toBeLessThanOrEqual(64);
    }
    expect(roundTrip(Buffer.alloc(1000, 'a')).copies.some(({ length }) => length === 64)).toBe(true);
  });

  it('is hardly longer than noise', () => {
    for (const length of [1, 59, 60, 61, 255, 256, 257, 20_000, BLOCK, 200_000])
      expect(roundTrip(noise(length)).size).toBeLessThanOrEqual(length + 8 + 4 * Math.ceil(length / BLOCK));
  });

  it('finds what comes again at once or after a while, from less and from more than 2 KB back', () => {
    const again = noise(10, 7);
    for (const [between, tag] of [
      [20, 1],
      [2037, 1],
      [2038, 2],
      [5000, 2],
      [60_000, 2],
    ] as const) {
      // Long enough to be looked at, byte by byte, when the second one comes.
      const input = Buffer.concat([Buffer.of(0), again, Buffer.alloc(between, 1), again, Buffer.alloc(20, 2)]);
      const found = roundTrip(input).copies.find(({ offset }) => offset === between + again.length);
      expect(found, `${between} bytes between`).toMatchObject({ length: again.length, tag });
    }
  });

  it('is the same in memory that was used before, and a view on it', () => {
    const memory = Buffer.alloc(snappyBound(200_000));
    for (const input of [
      noise(200_000),
      Buffer.alloc(100_000, 'abc'),
      noise(10),
      new Uint8Array(0),
      noise(70_000, 5),
    ]) {
      const compressed = compressSnappy(input, memory);
      expect(compressed.buffer).toBe(memory.buffer);
      expect(compressed.equals(compressSnappy(input))).toBe(true);
      expect(decompress(compressed).bytes.equals(input)).toBe(true);
    }
  });
});
