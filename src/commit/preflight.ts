/** What can be known to be wrong with an output before any work is done for it. */
import { access, constants, lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { ColonnadeError } from '../errors.js';
import type { Plan } from '../plan/plan.js';
import { systemError } from '../system-errors.js';
import { readManifest } from './manifest.js';
import type { Places } from './places.js';

/**
 * @throws ColonnadeError `OUTPUT_EXISTS`, `OUTPUT_OVERLAPS` or `OUTPUT_NOT_WRITABLE`.
 */
export async function checkOutput(plan: Plan, places: Places): Promise<void> {
  await refuseOverlap(plan, places);
  await refuseExisting(plan, places);
  const parent = await nearestFolder(dirname(places.output));
  try {
    await access(parent, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw systemError(error, 'commit', 'writing below', parent);
  }
}

async function refuseExisting(plan: Plan, places: Places): Promise<void> {
  const { output } = places;
  let entries: string[];
  try {
    // It is published by a rename, which would put the folder in the link's place, not where the link leads.
    if ((await lstat(output)).isSymbolicLink()) {
      throw new ColonnadeError(
        'OUTPUT_EXISTS',
        `${output} is a link to ${await readlink(output)}; the output is a folder`,
        {
          phase: 'commit',
          hint: 'write the folder that it leads to as sink.path',
        },
      );
    }
    if (!(await stat(output)).isDirectory()) {
      throw new ColonnadeError('OUTPUT_EXISTS', `${output} is a file; the output is a folder`, {
        phase: 'commit',
        hint: 'choose another sink.path',
      });
    }
    entries = await readdir(output);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return;
    throw systemError(error, 'commit', 'reading', output);
  }
  if (entries.length === 0) return;
  const manifest = await readManifest(places.manifest);
  if (plan.sink.exists === 'fail') {
    throw new ColonnadeError(
      'OUTPUT_EXISTS',
      `${output} exists already${manifest === undefined ? '' : ` (written by run ${manifest.run_id} at ${manifest.finished_at})`}`,
      {
        phase: 'commit',
        hint: 'choose another sink.path, or write sink.exists: replace (--replace on the command line)',
      },
    );
  }
  // Only what a run has written may be replaced: a mistyped path must not cost a folder of someone's data.
  const known = new Set(['_SUCCESS', ...(manifest?.outputs.map(({ path }) => path) ?? [])]);
  const foreign = (await filesBelow(output)).find((path) => !known.has(path));
  if (manifest === undefined || foreign !== undefined) {
    throw new ColonnadeError(
      'OUTPUT_EXISTS',
      `${output} holds what no run has written${foreign === undefined ? '' : ` (${foreign}, for one)`}, so it is not replaced`,
      {
        phase: 'commit',
        hint: 'remove the folder yourself, or choose another sink.path',
      },
    );
  }
}

/** Relative paths, with slashes, of everything below a folder but folders. */
async function filesBelow(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
  } catch (error) {
    throw systemError(error, 'commit', 'reading', folder);
  }
}

/**
 * Refuses an output in a folder that the source names, or whose folders a glob looks into: the next run would read it.
 * @param sources absolute files, folders and globs, as the pipeline has them.
 * @param searched absolute folders below whose folders files were found.
 * @throws ColonnadeError `OUTPUT_OVERLAPS`.
 */
export async function refuseOutputInSource(
  sources: readonly string[],
  searched: Iterable<string>,
  output: string,
): Promise<void> {
  const real = await realPath(output);
  const refuse = async (source: string, folder: string): Promise<void> => {
    if (!isInside(real, await realPath(folder))) return;
    throw new ColonnadeError('OUTPUT_OVERLAPS', `the output ${output} lies in the source ${source}`, {
      phase: 'commit',
      hint: 'choose a sink.path outside the source, or the next run would read its own output',
    });
  };
  for (const source of sources) {
    const named = await stat(source).catch(() => undefined);
    const [fixed, ...reach] = source.split('**');
    const root =
      named === undefined ? (reach.length > 0 ? fixed! : undefined) : named.isDirectory() ? source : undefined;
    if (root !== undefined) await refuse(source, resolve(root));
  }
  for (const folder of searched) await refuse(folder, folder);
}

async function refuseOverlap(plan: Plan, places: Places): Promise<void> {
  const output = await realPath(places.output);
  for (const file of plan.files) {
    const input = await realPath(file.path);
    for (const folder of [output, `${output}.colonnade`]) {
      if (!isInside(input, folder)) continue;
      throw new ColonnadeError('OUTPUT_OVERLAPS', `${file.path} is read, and lies in the output ${places.output}`, {
        phase: 'commit',
        hint: 'choose a sink.path outside the source',
      });
    }
  }
}

function isInside(path: string, folder: string): boolean {
  const from = relative(folder, path);
  // From one drive of Windows to another there is no relative path.
  return from === '' || (!from.startsWith(`..${sep}`) && from !== '..' && !isAbsolute(from));
}

/** The path with links resolved, as far as it exists. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : `${await realPath(parent)}${path.slice(parent.length === 1 ? 0 : parent.length)}`;
  }
}

async function nearestFolder(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path;
    throw new ColonnadeError('OUTPUT_NOT_WRITABLE', `${path} is a file; a folder is needed there`, {
      phase: 'commit',
      hint: 'change sink.path',
    });
  } catch (error) {
    if (error instanceof ColonnadeError) throw error;
    const parent = dirname(path);
    if (parent === path) throw systemError(error, 'commit', 'looking for', path);
    return nearestFolder(parent);
  }
}
