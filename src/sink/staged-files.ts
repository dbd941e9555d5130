/** Files that DuckDB has written, and what is to be known of them. */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { hashFile } from '../file-hash.js';
import { readFooter } from '../parquet/footer.js';
import { systemError } from '../system-errors.js';
import type { StagedFile } from './sink.js';

/** Paths of all files below `folder`, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw systemError(error, 'sink', 'listing', folder);
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/**
 * A file in `folder`, with rows, size and hash. The rows are those of the footer, read by other code than wrote it.
 * @param signal ends it, with its reason.
 */
export async function stagedFile(folder: string, path: string, signal: AbortSignal): Promise<StagedFile> {
  const { rows, size } = await readFooter(path);
  const sha256 = await hashFile(path, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw systemError(error, 'sink', 'reading', path);
  });
  return { path: relative(folder, path).split(sep).join('/'), rows, bytes: size, sha256 };
}
