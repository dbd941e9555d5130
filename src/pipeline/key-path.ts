/** How a place in a pipeline file is written: `features[2].sql`, `validate.rules["odd name"].min`. */

/** A step into a mapping (its key) or a list (its index, from 0). */
export type Segment = string | number;

const SIMPLE = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** The written form of a path; keys that are not plain words are quoted in brackets. The root is the empty text. */
export function keyPath(path: readonly Segment[]): string {
  let written = '';
  for (const segment of path) {
    if (typeof segment === 'number') written += `[${segment}]`;
    else if (SIMPLE.test(segment)) written += written === '' ? segment : `.${segment}`;
    else written += `[${JSON.stringify(segment)}]`;
  }
  return written;
}

const LAST_SEGMENT = /(?:^|\.)[A-Za-z_][A-Za-z0-9_-]*$|\[\d+\]$|\["(?:[^"\\]|\\.)*"\]$/;

/** The written path of what holds `key`: `features[2]` for `features[2].sql`; undefined for the root. */
export function parentKey(key: string): string | undefined {
  if (key === '') return undefined;
  const parent = key.replace(LAST_SEGMENT, '');
  return parent === key ? '' : parent;
}
