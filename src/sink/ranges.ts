/** Splits the shards of a plan into the ranges that are written each by itself. */
import type { Plan, Shard } from '../plan/plan.js';

/** Compressed bytes of the source that are worth a file of their own in every folder: about half a second of writing. */
const RANGE_BYTES = 96 * 2 ** 20;
/** Compressed bytes of the source that are worth a file: a range with more folders is as much larger. */
const FILE_BYTES = 2 * 2 ** 20;
/** Ranges at most, whatever the size of the source: each may have a file in every folder. */
const MOST_RANGES = 16;

/**
 * Ranges of shards that follow one another, over the borders of files. They depend on the source and its scores alone,
 * never on who writes them: so do the files that are written.
 * @param folders that the first shard has rows for.
 */
export function rangesOf(
  { files, shards }: Pick<Plan, 'files' | 'shards'>,
  folders: number,
): readonly (readonly Shard[])[] {
  const bytesOf = ({ file, rowGroups }: Shard): number =>
    files[file]!.rowGroups.slice(...rowGroups).reduce((sum, { bytes }) => sum + bytes, 0);
  const sizes = shards.map(bytesOf);
  const whole = Math.max(RANGE_BYTES, folders * FILE_BYTES, sizes.reduce((sum, bytes) => sum + bytes, 0) / MOST_RANGES);
  const ranges: Shard[][] = [];
  let range: Shard[] = [];
  let bytes = 0;
  for (const [i, shard] of shards.entries()) {
    range.push(shard);
    bytes += sizes[i]!;
    if (bytes < whole) continue;
    ranges.push(range);
    range = [];
    bytes = 0;
  }
  // What is left over is worth files of its own, or not.
  if (bytes >= whole / 4 || ranges.length === 0) ranges.push(range);
  else ranges.at(-1)!.push(...range);
  return ranges.filter((shards) => shards.length > 0);
}
