/** Completes a staged output: the mark of success, and everything on disk before it gets its name. */
import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemError } from '../system-errors.js';

/** Readers that look for `_SUCCESS` (Hadoop's convention) find it in the folder from its first moment on. */
export async function writeSuccess(folder: string): Promise<void> {
  const path = join(folder, '_SUCCESS');
  try {
    await writeFile(path, '');
  } catch (error) {
    throw systemError(error, 'commit', 'writing', path);
  }
}

/**
 * Syncs all files and folders below `folder`, and itself. A sync that fails is final: what was written may be gone
 * from the cache though the next sync says nothing (fsync(2), "Errors").
 */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw systemError(error, 'commit', 'syncing', folder);
  });
  const files = entries.filter((entry) => !entry.isDirectory());
  let next = 0;
  const syncFiles = async (): Promise<void> => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) await sync(join(folder, file.name));
  };
  // Several at once: the file system writes what they have in common once.
  await Promise.all(Array.from({ length: Math.min(SYNCS_AT_ONCE, files.length) }, syncFiles));
  for (const entry of entries) if (entry.isDirectory()) await syncTree(join(folder, entry.name));
  await sync(folder);
}

/** As many threads as Node has for such things. */
const SYNCS_AT_ONCE = 4;

async function sync(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw systemError(error, 'commit', 'syncing', path);
  }
}
