/** Finds outputs by what lies beside them. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const SUFFIX = '.colonnade';
/** Folders below the one that is searched. */
const DEPTH = 6;

/**
 * Outputs below a folder, sorted: absolute paths without the `.colonnade` of what lies beside them. Links are not followed,
 * and folders with a leading dot and `node_modules` are passed over.
 */
export async function outputsBelow(folder: string, depth = DEPTH): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    if (name.endsWith(SUFFIX)) found.push(join(folder, name.slice(0, -SUFFIX.length)));
    else if (depth > 1 && !name.startsWith('.') && name !== 'node_modules')
      found.push(...(await outputsBelow(join(folder, name), depth - 1)));
  }
  return found.sort();
}

/**
 * The output that a path names: its folder, or the `.colonnade` folder beside it; undefined where no run has been there.
 * @param path absolute.
 */
export async function outputAt(path: string): Promise<string | undefined> {
  const output = path.endsWith(SUFFIX) ? path.slice(0, -SUFFIX.length) : path;
  return (await isFolder(`${output}${SUFFIX}`)) ? output : undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}
