/** Splits files into shards: ranges of row groups, large enough to be worth a hand-over, alike for any number of workers. */
import type { RowGroup } from './facts.js';
import type { Shard } from './plan.js';

/** A shard takes row groups until it has this many rows: about a tenth of a second of scoring at least. */
export const SHARD_ROWS = 491_520;

/** Shards of all files, in the order of files and rows. A file without row groups has one without rows. */
export function planShards(
  files: readonly { readonly rowGroups: readonly RowGroup[] }[],
  shardRows = SHARD_ROWS,
): Shard[] {
  const shards: Shard[] = [];
  files.forEach(({ rowGroups }, file) => {
    let from = 0;
    let firstRow = 0;
    let rows = 0;
    if (rowGroups.length === 0) shards.push({ index: shards.length, file, rowGroups: [0, 0], firstRow: 0, rows: 0 });
    rowGroups.forEach((rowGroup, i) => {
      rows += rowGroup.rows;
      if (rows < shardRows && i < rowGroups.length - 1) return;
      shards.push({ index: shards.length, file, rowGroups: [from, i + 1], firstRow, rows });
      from = i + 1;
      firstRow += rows;
      rows = 0;
    });
  });
  return shards;
}
