/**
 * Splits files into shards: ranges of row groups, alike for any number of workers. A small file is a shard by itself; for the
 * hand-over small ones are put together.
 */
import type { RowGroup } from './facts.js';
import type { PlannedFile, Shard } from './plan.js';

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

/** What a file takes beside the work for its rows, in rows: it is opened, and a scores file is made for it. */
const FILE_ROWS = 4096;
/** Groups that each worker is given at least, so that all are done at about the same time. */
const GROUPS_A_WORKER = 4;

/**
 * Groups of shards that follow one another: what a worker is given at once. Shards that are all of a small file are put
 * together until there is enough to do for a hand-over; every other shard is a group by itself.
 *
 * Groups may depend on the number of workers and on what is left to do: shard by shard, the scores are the same.
 */
export function groupShards(
  shards: readonly Shard[],
  files: readonly Pick<PlannedFile, 'rowGroups'>[],
  workers: number,
): Shard[][] {
  const cost = ({ rows }: Shard): number => rows + FILE_ROWS;
  const isSmall = (shard: Shard): boolean => {
    const [from, to] = shard.rowGroups;
    return from === 0 && to === files[shard.file]!.rowGroups.length && cost(shard) < SHARD_ROWS;
  };
  const total = shards.filter(isSmall).reduce((sum, shard) => sum + cost(shard), 0);
  const enough = workers === 1 ? SHARD_ROWS : Math.min(SHARD_ROWS, total / (workers * GROUPS_A_WORKER));
  const groups: Shard[][] = [];
  let group: Shard[] = [];
  let sum = 0;
  const close = (): void => {
    if (group.length > 0) groups.push(group);
    group = [];
    sum = 0;
  };
  for (const shard of shards) {
    if (!isSmall(shard) || cost(shard) >= enough) {
      close();
      groups.push([shard]);
      continue;
    }
    group.push(shard);
    sum += cost(shard);
    if (sum >= enough) close();
  }
  close();
  return groups;
}

/** The shards of a file, in their order. @param shards of all files, as {@link planShards} gives them */
export function shardsOfFile(shards: readonly Shard[], file: number): Shard[] {
  // There may be tens of thousands, and as many files that ask.
  let [from, to] = [0, shards.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (shards[middle]!.file < file) from = middle + 1;
    else to = middle;
  }
  while (shards[to]?.file === file) to += 1;
  return shards.slice(from, to);
}
