/** "Did you mean": the name that a mistaken one was most likely meant to be. */
import { distance } from 'fastest-levenshtein';

/** Names longer than this are not typing mistakes of a short one, and would make the distance slow. */
const LONGEST = 128;

/** Case and the marks between words are what people get wrong most: `batchSize`, `batch-size`, `Batch_Size`. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[_\-\s]/g, '');
}

/**
 * The candidate nearest to `name` by edit distance, or undefined where none is near enough to be meant: more than a
 * third of the letters differ, and neither begins with the other. Case, `_`, `-` and spaces do not count. Of equally near
 * candidates the first one wins.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  if (name.length > LONGEST) return undefined;
  const wanted = folded(name);
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of candidates) {
    if (candidate.length > LONGEST) continue;
    const other = folded(candidate);
    const edits = wanted === other ? 0 : isSwap(wanted, other) ? 1 : distance(wanted, other);
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, other.length) / 3));
    // One letter has nothing in common with another letter.
    const related = edits === 0 || (edits <= allowed && edits < Math.max(wanted.length, other.length));
    if (related && edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best ?? beginningAlike(wanted, candidates);
}

/** True where two neighbouring letters are exchanged, the commonest slip: `form` for `from`. */
function isSwap(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return a[at] === b[at + 1] && a[at + 1] === b[at] && a.slice(at + 2) === b.slice(at + 2);
}

/** The first candidate that begins with the name or that the name begins with: `onnx` for `onnxruntime`. */
function beginningAlike(wanted: string, candidates: readonly string[]): string | undefined {
  for (const candidate of candidates) {
    const other = folded(candidate);
    if (Math.min(wanted.length, other.length) >= 3 && (other.startsWith(wanted) || wanted.startsWith(other)))
      return candidate;
  }
  return undefined;
}

/** The sentence that offers the nearest candidate, in backquotes; undefined where none is near. */
export function didYouMean(name: string, candidates: readonly string[]): string | undefined {
  const candidate = nearest(name, candidates);
  return candidate === undefined ? undefined : `did you mean \`${candidate}\`?`;
}
