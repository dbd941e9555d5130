/**
 * Files and folders that outlive a power cut: data first, then the name, then the folder that holds the name
 * (POSIX: a rename is durable once the folder is synced).
 */
import { dirname } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { thisSystem, type Files } from './system.js';

/** Syncs the entries of a folder. */
export async function syncFolder(path: string, files: Files = thisSystem.files): Promise<void> {
  const handle = await files.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export interface WriteOptions {
  /** Where the file lies until it is whole: on the same file system. By default beside it. */
  readonly draft?: string;
  /** False for what may be missing or damaged after a power cut, as its reader would notice. */
  readonly sync?: boolean;
  readonly files?: Files;
}

/** Writes a file whole: a reader sees the old content or the new, never a part. */
export async function writeWhole(
  path: string,
  text: string,
  { draft = `${path}.${process.pid}.tmp`, sync = true, files = thisSystem.files }: WriteOptions = {},
): Promise<void> {
  try {
    const handle = await files.open(draft, 'w');
    try {
      await handle.writeFile(text);
      if (sync) await handle.sync();
    } finally {
      await handle.close();
    }
    await files.rename(draft, path);
    if (sync) await syncFolder(dirname(path), files);
  } catch (error) {
    // A draft whose sync failed is thrown away: a second sync might say nothing though the data is gone (fsync(2)).
    await files.rm(draft, { force: true }).catch(() => undefined);
    throw systemError(error, 'commit', 'writing', path);
  }
}

/**
 * Makes a folder with its parents.
 * @param options `durable`: what was made is there after a power cut.
 */
export async function makeFolder(
  path: string,
  { durable = false, files = thisSystem.files }: { readonly durable?: boolean; readonly files?: Files } = {},
): Promise<void> {
  try {
    await makeWithParents(path, durable, files);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ColonnadeError('OUTPUT_NOT_WRITABLE', `no folder can be made at ${path} (ENOENT)`, {
        phase: 'commit',
        hint: 'change sink.path',
        cause: error,
      });
    }
    throw systemError(error, 'commit', 'making the folder', path);
  }
}

/**
 * Node's `recursive` never returns where a folder is there and yet takes no entries, as in /proc: it takes ENOENT for a
 * missing parent, finds the parent, and tries again (Node 20.20).
 */
async function makeWithParents(path: string, durable: boolean, files: Files): Promise<void> {
  if (await isFolder(path, files)) return;
  if (dirname(path) !== path) await makeWithParents(dirname(path), durable, files);
  try {
    await files.mkdir(path);
  } catch (error) {
    // Another run may have made it in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await isFolder(path, files))) throw error;
  }
  if (durable) await syncFolder(dirname(path), files);
}

async function isFolder(path: string, files: Files): Promise<boolean> {
  try {
    return (await files.stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** False for what is not there alone: what cannot be looked at must not be taken for absent. */
export async function exists(path: string, files: Files = thisSystem.files): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw systemError(error, 'commit', 'looking for', path);
  }
}
