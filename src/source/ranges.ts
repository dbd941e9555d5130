/** Cuts a shard into slices, the rows that DuckDB materialises at once. */

/** Rows of a file that follow one another. */
export interface SliceRange {
  /** Position of the first row in its file, counted from 0. */
  readonly firstRow: number;
  readonly rows: number;
}

/**
 * Whole row groups are put together as long as they have at most `sliceRows` rows; a row group with more is cut at
 * multiples of `batchSize` that are counted from its own start. So a slice holds either whole row groups or a part of
 * one, and no batch of rows for the model (they, too, start anew with every row group) lies in two slices.
 * Each cut makes DuckDB decode the pages of the columns before it once more: see the note at `readSlices`.
 *
 * @param shard row groups `[from, to)` and the position of its first row.
 * @param rowGroups of the file.
 */
export function sliceRanges(
  shard: { readonly rowGroups: readonly [from: number, to: number]; readonly firstRow: number },
  rowGroups: readonly { readonly rows: number }[],
  batchSize: number,
  sliceRows: number,
): SliceRange[] {
  const step = Math.max(1, Math.floor(sliceRows / batchSize)) * batchSize;
  const ranges: SliceRange[] = [];
  let firstRow = shard.firstRow;
  let rows = 0;
  const close = (): void => {
    if (rows > 0) ranges.push({ firstRow, rows });
    firstRow += rows;
    rows = 0;
  };
  for (const group of rowGroups.slice(...shard.rowGroups)) {
    if (rows + group.rows > sliceRows) close();
    if (group.rows <= sliceRows) {
      rows += group.rows;
      continue;
    }
    for (let left = group.rows; left > 0; left -= rows) {
      close();
      rows = Math.min(step, left);
    }
    close();
  }
  close();
  return ranges;
}
