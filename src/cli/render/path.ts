/** Paths as people name them. */
import { isAbsolute, relative, sep } from 'node:path';

/** The path relative to `cwd` where it lies below it, otherwise as it is. */
export function shownPath(path: string, cwd: string): string {
  if (!isAbsolute(path)) return path;
  const short = relative(cwd, path);
  return short === '' || short === '..' || short.startsWith(`..${sep}`) || isAbsolute(short) ? path : short;
}
