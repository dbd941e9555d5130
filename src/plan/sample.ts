/** A plan for some of the rows of another: what a measurement scores. Pure. */
import type { RowGroup } from './facts.js';
import type { Plan, PlannedFile, Shard } from './plan.js';

/** Some rows of a plan that are scored together. */
export interface SamplePart {
  readonly rows: number;
  /** Positions in the shards of the sample. */
  readonly shards: readonly number[];
  /** Rows of the largest row group: no batch of the part has more. */
  readonly largestRowGroup: number;
}

/** Rows that are wanted of a plan. */
export interface WantedRows {
  /** At least 1; all there are where it is more. */
  readonly rows: number;
  /** The shard to begin with, counted among those that have rows; 0 when absent. */
  readonly from?: number;
}

/**
 * A plan whose shards are parts of the shards of `plan`, and which of them make up each part that is wanted. Of a part, whole
 * shards come from places that are spread over the data; the last of them is cut off at the rows that are wanted, within a
 * row group where need be. Batches begin where they begin in a run: with every row group.
 */
export function samplePlan(
  plan: Plan,
  wanted: readonly WantedRows[],
): { readonly plan: Plan; readonly parts: readonly SamplePart[] } {
  const files: PlannedFile[] = [];
  const shards: Shard[] = [];
  const parts = wanted.map(({ rows, from = 0 }): SamplePart => {
    const part: Shard[] = [];
    let left = rows;
    for (const shard of spread(plan, rows, from)) {
      if (left === 0) break;
      const cut = cutShard(plan, shard, left);
      const file = files.length;
      const of = plan.files[shard.file]!;
      files.push({ ...of, index: file, rows: cut.rows, rowGroups: cut.rowGroups });
      part.push({
        index: shards.length + part.length,
        file,
        rowGroups: [0, cut.rowGroups.length],
        firstRow: shard.firstRow,
        rows: cut.rows,
      });
      left -= cut.rows;
    }
    shards.push(...part);
    const groups = part.flatMap(({ file }) => files[file]!.rowGroups.map((group) => group.rows));
    return {
      rows: rows - left,
      shards: part.map(({ index }) => index),
      largestRowGroup: Math.max(0, ...groups),
    };
  });
  return { plan: { ...plan, files, shards }, parts };
}

/** Shards that have rows, from the one at `from` on, as far apart as the number that `rows` takes lets them be. */
function spread(plan: Plan, rows: number, from: number): Shard[] {
  const full = plan.shards.filter((shard) => shard.rows > 0);
  const count = Math.min(full.length, Math.ceil((rows * full.length) / Math.max(1, plan.expected.rows)));
  const chosen = Array.from({ length: count }, (_, i) => (from + Math.floor((i * full.length) / count)) % full.length);
  // Those between them follow, in case they are smaller than most.
  const others = full.map((_, i) => i).filter((i) => !chosen.includes(i));
  return [...chosen, ...others].map((i) => full[i]!);
}

/** The row groups of a shard, the last one cut off, that have the first `rows` rows. */
function cutShard(plan: Plan, shard: Shard, rows: number): { readonly rows: number; readonly rowGroups: RowGroup[] } {
  const rowGroups: RowGroup[] = [];
  let left = Math.min(rows, shard.rows);
  for (const group of plan.files[shard.file]!.rowGroups.slice(...shard.rowGroups)) {
    if (left === 0) break;
    const taken = Math.min(left, group.rows);
    rowGroups.push(taken === group.rows ? group : { ...group, rows: taken });
    left -= taken;
  }
  return { rows: Math.min(rows, shard.rows), rowGroups };
}
