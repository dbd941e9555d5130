/**
 * Whether a spliced file still holds the old columns as they were.
 *
 *     sameColumnChunks(source, destination): Promise<readonly string[]>      what differs, in words; nothing when all is well
 */
import { BLOCK_BYTES, openForReading, readExactly } from '../../src/parquet/blocks.js';
import { CHUNK } from '../../src/parquet/format.js';
import { readFooter, type ColumnChunk } from '../../src/parquet/footer.js';
import { serializeThrift } from '../../src/parquet/thrift-compact.js';

/** Compares every column chunk of `source`, pages byte for byte and metadata, with the one in its place in `destination`. */
export async function sameColumnChunks(source: string, destination: string): Promise<readonly string[]> {
  const [before, after] = [await readFooter(source), await readFooter(destination)];
  const handles = [await openForReading(source), await openForReading(destination)] as const;
  const differences: string[] = [];
  const same = async (a: ColumnChunk, b: ColumnChunk): Promise<boolean> => {
    if (a.pages.length !== b.pages.length || a.path.join('\0') !== b.path.join('\0')) return false;
    const [x, y] = [a, b].map((chunk) => serializeThrift(chunk.tree.struct(CHUNK.metadata) ?? chunk.tree)) as [
      Buffer,
      Buffer,
    ];
    if (!x.equals(y)) return false;
    for (let done = 0; done < a.pages.length; done += BLOCK_BYTES) {
      const length = Math.min(BLOCK_BYTES, a.pages.length - done);
      const left = await readExactly(handles[0], source, a.pages.offset + done, length);
      const right = await readExactly(handles[1], destination, b.pages.offset + done, length);
      if (!left.equals(right)) return false;
    }
    return true;
  };
  try {
    if (before.rowGroups.length !== after.rowGroups.length) {
      differences.push(`${after.rowGroups.length} row groups instead of ${before.rowGroups.length}`);
    }
    for (const [index, group] of before.rowGroups.entries()) {
      for (const [leaf, chunk] of group.chunks.entries()) {
        const other = after.rowGroups[index]?.chunks[leaf];
        if (other === undefined || !(await same(chunk, other))) {
          differences.push(`column "${chunk.path.join('.')}" of row group ${index} differs`);
        }
      }
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
  return differences;
}
