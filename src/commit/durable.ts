/**
 * Files and folders that outlive a power cut: data first, then the name, then the folder that holds the name
 * (POSIX: a rename is durable once the folder is synced).
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemError } from '../system-errors.js';

/** Syncs the entries of a folder. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file whole: a reader sees the old content or the new, never a part.
 * @param sync false for what may be missing or damaged after a power cut, as its reader would notice.
 */
export async function writeWhole(path: string, text: string, { sync = true } = {}): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(text);
      if (sync) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    if (sync) await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw systemError(error, 'commit', 'writing', path);
  }
}

/** Makes a folder with its parents. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw systemError(error, 'commit', 'making the folder', path);
  }
}
