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
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await sync(path);
  }
  await sync(folder);
}

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
