import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sliceRanges } from '../../src/source/ranges.js';

const groups = (...rows: number[]): { rows: number }[] => rows.map((count) => ({ rows: count }));

describe('sliceRanges', () => {
  it('puts whole row groups together up to the size of a slice', () => {
    expect(sliceRanges({ rowGroups: [0, 4], firstRow: 0 }, groups(100, 100, 100, 50), 16, 200)).toEqual([
      { firstRow: 0, rows: 200 },
      { firstRow: 200, rows: 150 },
    ]);
  });

  it('cuts a larger row group at whole batches, and mixes no part of it with other row groups', () => {
    expect(sliceRanges({ rowGroups: [1, 4], firstRow: 10 }, groups(10, 5, 25, 3), 4, 10)).toEqual([
      { firstRow: 10, rows: 5 },
      { firstRow: 15, rows: 8 },
      { firstRow: 23, rows: 8 },
      { firstRow: 31, rows: 8 },
      { firstRow: 39, rows: 1 },
      { firstRow: 40, rows: 3 },
    ]);
  });

  it('is empty where there are no rows', () => {
    expect(sliceRanges({ rowGroups: [0, 2], firstRow: 7 }, groups(0, 0), 4, 10)).toEqual([]);
    expect(sliceRanges({ rowGroups: [1, 1], firstRow: 0 }, groups(5, 5), 4, 10)).toEqual([]);
  });

  it('covers every row once, in order, and never cuts a batch in two', () => {
    const shapes = fc.record({
      rows: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 8 }),
      batchSize: fc.integer({ min: 1, max: 70 }),
      sliceRows: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(shapes, ({ rows, batchSize, sliceRows }) => {
        const firstRow = 1000;
        const ranges = sliceRanges({ rowGroups: [0, rows.length], firstRow }, groups(...rows), batchSize, sliceRows);
        let next = firstRow;
        for (const range of ranges) {
          expect(range.firstRow).toBe(next);
          expect(range.rows).toBeGreaterThan(0);
          expect(range.rows).toBeLessThanOrEqual(Math.max(sliceRows, batchSize));
          next += range.rows;
        }
        expect(next - firstRow).toBe(rows.reduce((sum, count) => sum + count, 0));
        const borders = new Set<number>();
        let start = firstRow;
        for (const count of rows) {
          for (let row = 0; row < count; row += batchSize) borders.add(start + row);
          start += count;
        }
        for (const range of ranges) expect(borders.has(range.firstRow)).toBe(true);
      }),
    );
  });
});
