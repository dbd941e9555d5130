import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlannedFile, Shard } from '../../src/plan/plan.js';
import { planShards } from '../../src/plan/shards.js';
import { rangesOf } from '../../src/sink/ranges.js';

const MB = 2 ** 20;

/** Files whose row groups have so many bytes, each a shard of its own. */
function sourceOf(files: readonly (readonly number[])[]): { files: PlannedFile[]; shards: Shard[] } {
  const planned = files.map((sizes) => ({ rowGroups: sizes.map((bytes) => ({ rows: 1, bytes })) }));
  return { files: planned as unknown as PlannedFile[], shards: planShards(planned, 1) };
}

const numbers = (ranges: readonly (readonly Shard[])[]): number[][] =>
  ranges.map((shards) => shards.map(({ index }) => index));

describe('ranges', () => {
  it('are one where the source is small', () => {
    expect(numbers(rangesOf(sourceOf([[30 * MB], [40 * MB, 20 * MB]]), 1))).toEqual([[0, 1, 2]]);
    expect(numbers(rangesOf(sourceOf([[]]), 0))).toEqual([[0]]);
  });

  it('end with the shard that makes them large enough, over the borders of files, and have no small one behind them', () => {
    expect(numbers(rangesOf(sourceOf([[50 * MB], [50 * MB, 50 * MB], [50 * MB]]), 4))).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(numbers(rangesOf(sourceOf([[100 * MB, 30 * MB], [100 * MB], [20 * MB]]), 4))).toEqual([[0], [1, 2, 3]]);
    expect(numbers(rangesOf(sourceOf([[100 * MB, 100 * MB, 30 * MB]]), 4))).toEqual([[0], [1], [2]]);
  });

  it('are the larger the more folders there are, so that the files do not become small', () => {
    const source = sourceOf([Array.from({ length: 20 }, () => 50 * MB)]);
    expect(rangesOf(source, 10)).toHaveLength(10);
    expect(rangesOf(source, 100)).toHaveLength(5);
    expect(rangesOf(source, 1000)).toHaveLength(1);
  });

  it('hold each shard once, in order, and are 16 at most', () => {
    const sizes = fc.array(fc.array(fc.integer({ min: 0, max: 900 * MB }), { maxLength: 20 }), { minLength: 1 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 5000 }), (files, folders) => {
        const source = sourceOf(files);
        const ranges = rangesOf(source, folders);
        expect(numbers(ranges).flat()).toEqual(source.shards.map(({ index }) => index));
        expect(ranges.length).toBeLessThanOrEqual(16);
        for (const shards of ranges) expect(shards.length).toBeGreaterThan(0);
      }),
    );
  });
});
