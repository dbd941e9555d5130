/** Lists what DuckDB has written below a folder. */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { hashFile } from '../file-hash.js';
import { readFooter } from '../parquet/footer.js';
import { systemError } from '../system-errors.js';
import type { StagedFile } from './sink.js';

/**
 * All files below `folder` with rows, size and hash, in the order of their paths. The rows are those of the footers, read
 * by other code than wrote them.
 * @param signal ends it, with its reason.
 */
export async function stagedFiles(folder: string, signal: AbortSignal): Promise<StagedFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files: StagedFile[] = [];
  for (const path of paths.sort()) files.push(await stagedFile(folder, path, signal));
  return files;
}

/** One file, with rows, size and hash. @param signal ends it, with its reason. */
export async function stagedFile(folder: string, path: string, signal: AbortSignal): Promise<StagedFile> {
  const { rows, size } = await readFooter(path);
  const sha256 = await hashFile(path, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw systemError(error, 'sink', 'reading', path);
  });
  return { path: relative(folder, path).split(sep).join('/'), rows, bytes: size, sha256 };
}
