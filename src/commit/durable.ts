/**
 * Files and folders that outlive a power cut: data first, then the name, then the folder that holds the name
 * (POSIX: a rename is durable once the folder is synced).
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ColonnadeError } from '../errors.js';
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
    await rm(temporary, { force: true }).catch(() => undefined);
    throw systemError(error, 'commit', 'writing', path);
  }
}

/** Removes the drafts of `path` that processes have left which were killed over {@link writeWhole}. */
export async function sweepDrafts(path: string): Promise<void> {
  const folder = dirname(path);
  const name = basename(path);
  for (const entry of await readdir(folder)) {
    if (entry.startsWith(`${name}.`) && /^\d+\.tmp$/.test(entry.slice(name.length + 1)))
      await rm(join(folder, entry), { force: true });
  }
}

/** Makes a folder with its parents. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeWithParents(path);
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
async function makeWithParents(path: string): Promise<void> {
  if (await isFolder(path)) return;
  if (dirname(path) !== path) await makeWithParents(dirname(path));
  try {
    await mkdir(path);
  } catch (error) {
    // Another run may have made it in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await isFolder(path))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
