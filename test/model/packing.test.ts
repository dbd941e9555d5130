import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Packer } from '../../src/model/packing.js';
import { ARRAYS } from '../../src/plan/elements.js';

const TYPES = ['float32', 'int32', 'uint32', 'float64', 'int64', 'uint64'] as const;

/** Bytes that are no pattern: NaN of any payload among them. */
function noise(bytes: number, seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length: bytes }, () => (state = (state * 48_271) % 2_147_483_647));
}

describe('columns side by side', () => {
  it('are the rows of the matrix, bit for bit, whatever their type, number and place', () => {
    const shape = fc.record({
      type: fc.constantFrom(...TYPES),
      width: fc.oneof(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 10, max: 300 })),
      // One after the other, as vectors of a scan come: also longer than a copy at once, and none.
      counts: fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(2048, 2500)), { maxLength: 4 }),
      seed: fc.nat(1e6),
    });
    fc.assert(
      fc.property(shape, ({ type, width, counts, seed }) => {
        const rows = counts.reduce((sum, count) => sum + count, 0);
        const packer = Packer.create(type, width, rows + 1)!;
        const bytes = ARRAYS[type].BYTES_PER_ELEMENT;
        const expected = new Uint8Array((rows + 1) * width * bytes);
        let at = 0;
        for (const count of counts) {
          // A column may have more values than are asked for.
          const columns = Array.from({ length: width }, (_, k) => noise((count + 3) * bytes, seed + k));
          packer.pack(
            columns.map(({ buffer }) => new ARRAYS[type](buffer as ArrayBuffer)),
            count,
            at,
          );
          for (const [k, column] of columns.entries())
            for (let row = 0; row < count; row += 1)
              expected.set(column.subarray(row * bytes, (row + 1) * bytes), ((at + row) * width + k) * bytes);
          at += count;
        }
        // The row behind the last one is as it was.
        const { buffer, byteOffset, byteLength } = packer.matrix;
        expect(Buffer.compare(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength), expected)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('are left to others where their values are not of 32 or 64 bits, or more than can be addressed', () => {
    expect(Packer.create('int8', 4, 100)).toBeUndefined();
    expect(Packer.create('int16', 4, 100)).toBeUndefined();
    expect(Packer.create('float64', 4000, 100_000)).toBeUndefined();
  });
});
