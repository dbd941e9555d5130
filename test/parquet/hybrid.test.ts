import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitWidth, encodeHybrid } from '../../src/parquet/hybrid.js';

/**
 * The first `count` values of a hybrid stream.
 * @see https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
 * @throws Error where the stream ends before, or goes on behind what they need.
 */
function decodeHybrid(bytes: Uint8Array, width: number, count: number): number[] {
  const values: number[] = [];
  let at = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error(`the stream ends at byte ${bytes.length}`);
    return byte;
  };
  while (values.length < count) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = next();
      header |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if ((header & 1) === 0) {
      if (header === 0) throw new Error('a run of no values');
      let value = 0;
      for (let byte = 0; byte < Math.ceil(width / 8); byte += 1) value |= next() << (8 * byte);
      for (let i = 0; i < header >> 1; i += 1) values.push(value);
      if (values.length > count) throw new Error('a run of more values than there are');
      continue;
    }
    const groups = header >> 1;
    const bits = Array.from({ length: groups * width }, next).flatMap((byte) =>
      Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1),
    );
    for (let i = 0; i < groups * 8; i += 1)
      values.push(bits.slice(i * width, (i + 1) * width).reduce((value, bit, place) => value + bit * 2 ** place, 0));
    if (values.length >= count + 8) throw new Error('a group of no values');
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left over`);
  return values.slice(0, count);
}

/** Runs of one value and stretches of noise, one after the other: their lengths lie around the borders of groups. */
function stretches(width: number): fc.Arbitrary<number[]> {
  const value = fc.oneof(fc.integer({ min: 0, max: 2 ** width - 1 }), fc.constantFrom(0, 2 ** width - 1));
  const length = fc.oneof(fc.integer({ min: 1, max: 26 }), fc.constantFrom(7, 8, 9, 15, 16, 17, 63, 64, 65, 600));
  const run = fc.tuple(value, length).map(([one, times]) => Array<number>(times).fill(one));
  const noise = length.chain((times) => fc.array(value, { minLength: times, maxLength: times }));
  return fc.array(fc.oneof(run, noise), { maxLength: 8 }).map((parts) => parts.flat());
}

describe('the hybrid of runs and packed groups', () => {
  it.each(Array.from({ length: 16 }, (_, i) => i + 1))(
    'gives back what it was made of, at %i bits a value',
    (width) => {
      fc.assert(
        fc.property(
          stretches(width),
          fc.boolean(),
          fc.nat({ max: 40 }),
          fc.nat({ max: 40 }),
          (list, wide, before, behind) => {
            const values = wide || width > 8 ? Uint16Array.from(list) : Uint8Array.from(list);
            const from = Math.min(before, values.length);
            const to = Math.max(from, values.length - behind);
            expect(decodeHybrid(encodeHybrid(values, from, to, width), width, to - from)).toEqual(list.slice(from, to));
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  it('takes a few bytes for a run of any length', () => {
    for (const length of [8, 63, 64, 8191, 8192, 100_000])
      expect(encodeHybrid(new Uint16Array(length).fill(513), 0, length, 10).length).toBeLessThanOrEqual(5);
  });

  it('takes about as many bits as the values have where no two neighbours are equal', () => {
    for (const width of [1, 3, 7, 12, 16]) {
      const values = Uint16Array.from({ length: 8000 }, (_, i) => (i % 2 === 0 ? 0 : 2 ** width - 1));
      expect(encodeHybrid(values, 0, 8000, width).length).toBeLessThanOrEqual(1000 * width + 2);
    }
  });

  it('tells as many values apart as there are, in no more bits than that takes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 16 }), (count) => {
        expect(2 ** bitWidth(count)).toBeGreaterThanOrEqual(count);
        expect(2 ** (bitWidth(count) - 1)).toBeLessThan(count);
      }),
    );
    expect([1, 2, 3, 4, 5, 256, 257, 65_536].map(bitWidth)).toEqual([1, 1, 2, 2, 3, 8, 9, 16]);
  });
});
