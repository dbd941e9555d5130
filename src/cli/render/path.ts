/** Paths as people name them. */
import { isAbsolute, relative, sep } from 'node:path';

/** The path relative to `cwd` where it lies below it, otherwise as it is. */
export function shownPath(path: string, cwd: string): string {
  if (!isAbsolute(path)) return path;
  const short = relative(cwd, path);
  return short === '' || short === '..' || short.startsWith(`..${sep}`) || isAbsolute(short) ? path : short;
}

/** The text with paths below `cwd` made relative to it; `/mnt/data/a` has no `/data/` to take out. */
export function shortenPaths(text: string, cwd: string): string {
  if (cwd.endsWith(sep)) return text;
  const parts = text.split(`${cwd}${sep}`);
  return parts.reduce((done, part) => done + (/(^|[\s"'`(:])$/.test(done) ? '' : `${cwd}${sep}`) + part);
}
