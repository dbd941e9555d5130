/** Which shards are handed over together. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupShards, planShards, SHARD_ROWS, shardsOfFile } from '../../src/plan/shards.js';

/** Files by the rows of their row groups. */
const FILES = fc.array(
  fc.array(fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 900_000 })), { maxLength: 5 }),
  { maxLength: 60 },
);
const filesOf = (files: readonly (readonly number[])[]) =>
  files.map((rowGroups) => ({ rowGroups: rowGroups.map((rows) => ({ rows, bytes: 0 })) }));

describe('groups of shards', () => {
  it('hold every shard once, in order, and put only whole small files together, none of them more than is worth a hand-over', () => {
    fc.assert(
      fc.property(FILES, fc.integer({ min: 1, max: 8 }), (rowGroups, workers) => {
        const files = filesOf(rowGroups);
        const shards = planShards(files);
        const groups = groupShards(shards, files, workers);
        expect(groups.flat()).toEqual(shards);
        for (const group of groups.filter(({ length }) => length > 1)) {
          for (const { file, rowGroups: range } of group) expect(range).toEqual([0, files[file]!.rowGroups.length]);
          expect(group.slice(0, -1).reduce((sum, { rows }) => sum + rows, 0)).toBeLessThan(SHARD_ROWS);
        }
      }),
    );
  });

  it('are few where files are small, and enough for all workers to be done at about the same time', () => {
    const files = filesOf(Array.from({ length: 1000 }, () => [1000]));
    const shards = planShards(files);
    expect(groupShards(shards, files, 1)).toHaveLength(11);
    for (const workers of [2, 3, 8]) {
      const groups = groupShards(shards, files, workers);
      expect(groups.length).toBeGreaterThanOrEqual(4 * workers - 1);
      const sizes = groups.slice(0, -1).map(({ length }) => length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });
});

describe('the shards of a file', () => {
  it('are those that are of it, whatever the others are', () => {
    fc.assert(
      fc.property(FILES, (rowGroups) => {
        const shards = planShards(filesOf(rowGroups));
        for (const file of rowGroups.keys())
          expect(shardsOfFile(shards, file)).toEqual(shards.filter((shard) => shard.file === file));
      }),
    );
  });
});
