/** Where a file does not fit the schema, in words: what was found, what is allowed, the nearest right name. */
import type { z } from 'zod';
import { coreScalar } from './core-scalar.js';
import { keyPath, type Segment } from './key-path.js';
import { didYouMean, nearest } from './nearest.js';
import { MOST_PROBLEMS, type Finding, type ProblemList } from './problems.js';
import { confusedMissing, keysIn, SECTION_KEYS } from './schema.js';
import { entriesOf, entry, nodeAt, offsetAt, type ScalarNode, type TreeNode } from './tree.js';
import { DURATION, SIZE } from './units.js';

/** An issue of zod once the branch of a union that was meant is chosen. */
interface Violation {
  readonly path: readonly Segment[];
  /** What is allowed; see `schema.ts`. */
  readonly phrase: string;
  readonly unknownKeys?: readonly string[];
  readonly badKey?: true;
  /** Words that would be right here. */
  readonly words: readonly string[];
  /** Types of scalars that would be right here. */
  readonly types: ReadonlySet<string>;
}

/** Adds a problem for each issue, except about values that a problem was told about already. */
export function tellViolations(root: TreeNode, issues: readonly z.core.$ZodIssue[], problems: ProblemList): void {
  const violations = issues.flatMap((issue) => unfold(issue, []));
  const mistaken = mistakenKeys(violations);
  const told = new Set<string>();
  for (const violation of violations) {
    const finding =
      violation.unknownKeys === undefined ? [valueFinding(root, violation, mistaken)] : keyFindings(root, violation);
    for (const item of finding) {
      const key = keyPath(item?.path ?? []);
      if (item === undefined || told.has(key)) continue;
      told.add(key);
      problems.add({ ...item, offset: item.offset ?? offsetAt(root, item.path ?? [], problems.lines) });
    }
  }
}

/** Of a union the branch that the value was meant for is told: one that failed inside the value, not at its type. */
function unfold(issue: z.core.$ZodIssue, prefix: readonly Segment[]): Violation[] {
  const path = [...prefix, ...(issue.path as Segment[])];
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.find((branch) =>
      branch.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
    );
    if (meant !== undefined) return meant.flatMap((inner) => unfold(inner, path));
    const parts = issue.errors.flat().flatMap((inner) => unfold(inner, path));
    return [
      {
        path,
        phrase: issue.message,
        words: parts.flatMap((part) => part.words),
        types: new Set(parts.flatMap((part) => [...part.types])),
      },
    ];
  }
  const words = issue.code === 'invalid_value' ? issue.values.map(String) : [];
  const types = new Set(issue.code === 'invalid_type' ? [issue.expected] : []);
  if (issue.code === 'unrecognized_keys')
    return [{ path, phrase: issue.message, unknownKeys: issue.keys, words, types }];
  if (issue.code === 'invalid_key') {
    return [{ path, phrase: issue.issues[0]?.message ?? issue.message, badKey: true, words, types }];
  }
  return [{ path, phrase: issue.message, words, types }];
}

/** Keys that are not missing but misspelt: the unknown key beside them is told, and offers them. */
function mistakenKeys(violations: readonly Violation[]): Set<string> {
  const meant = new Set<string>();
  for (const { path, phrase, unknownKeys } of violations) {
    for (const key of (unknownKeys ?? []).slice(0, MOST_PROBLEMS)) {
      const near = nearest(key, keysIn(phrase));
      if (near !== undefined) meant.add(keyPath([...path, near]));
    }
  }
  return meant;
}

function keyFindings(root: TreeNode, { path, phrase, unknownKeys }: Violation): Finding[] {
  const allowed = keysIn(phrase);
  const offsets = new Map(entriesOf(nodeAt(root, path)).map(({ key, keyOffset }) => [key, keyOffset]));
  const free = allowed.filter((name) => !offsets.has(name));
  const where = path.length === 0 ? '' : ` in \`${keyPath(path)}\``;
  return (unknownKeys ?? []).map((key, index) => ({
    message: `unknown key \`${key}\`${where}; allowed: ${allowed.join(', ')}`,
    // Looking for what was meant takes time, and beyond this number nobody is told.
    hint: index >= MOST_PROBLEMS ? undefined : (didYouMean(key, free) ?? didYouMean(key, allowed) ?? home(key, path)),
    path: [...path, key],
    offset: offsets.get(key),
  }));
}

/** The section that a key belongs to, if it stands in the wrong one. */
function home(key: string, path: readonly Segment[]): string | undefined {
  const sections = Object.entries(SECTION_KEYS).filter(([section, keys]) => section !== path[0] && keys.includes(key));
  return sections.length === 0
    ? undefined
    : `\`${key}\` belongs in ${sections.map(([section]) => `\`${section}\``).join(' or ')}`;
}

function valueFinding(root: TreeNode, violation: Violation, mistaken: ReadonlySet<string>): Finding | undefined {
  const { path, phrase } = violation;
  const key = keyPath(path);
  const node = nodeAt(root, path);
  if (violation.badKey) {
    const parent = path.slice(0, -1);
    const name = String(path.at(-1));
    const message = `${JSON.stringify(name)} cannot be a key of \`${keyPath(parent)}\`; allowed: ${phrase}`;
    return { message, path, offset: entry(nodeAt(root, parent), name)?.keyOffset };
  }
  if (node === undefined) {
    if (mistaken.has(key)) return undefined;
    const near = wrongPlace(root, path);
    return { message: `\`${key}\` is missing; allowed: ${phrase}`, hint: near, path };
  }
  if (node.kind === 'scalar' && node.broken) return undefined;
  return { message: `\`${key}\` is ${found(node)}; allowed: ${phrase}`, hint: hintFor(path, node, violation), path };
}

/** A required key that stands at the top of the file instead of in its section. */
function wrongPlace(root: TreeNode, path: readonly Segment[]): string | undefined {
  const name = String(path.at(-1));
  return path.length > 1 && entry(root, name) !== undefined
    ? `move \`${name}\` into \`${keyPath(path.slice(0, -1))}\``
    : undefined;
}

/** What was found, short enough for a line. */
function found(node: TreeNode): string {
  if (node.kind === 'mapping') return node.entries.length === 0 ? 'an empty mapping' : 'a mapping';
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  const from = node.template === undefined ? '' : ` (from \`${cut(node.template)}\`)`;
  if (node.value === null) return `empty${from}`;
  return (typeof node.value === 'string' ? JSON.stringify(cut(node.value)) : cut(node.text)) + from;
}

function cut(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

function hintFor(path: readonly Segment[], node: TreeNode, { words, types }: Violation): string | undefined {
  if (node.kind === 'mapping') return undefined;
  if (node.kind === 'list')
    return node.items.length === 0
      ? undefined
      : ['array', 'object', 'record'].some((type) => types.has(type))
        ? undefined
        : 'give one value, not a list';
  if (node.value === null) return 'give it a value, or remove the key';
  return special(path, node) ?? general(node, words, types);
}

/** Slips that a key invites. */
function special(path: readonly Segment[], node: ScalarNode): string | undefined {
  const key = path.join('.');
  const { value } = node;
  if (
    (key === 'validate.max_invalid' || key === 'validate.max_nan') &&
    typeof value === 'number' &&
    value > 0 &&
    value < 1
  ) {
    return `a share is written in percent: \`${Number((value * 100).toPrecision(12))}%\``;
  }
  if (key === 'run.memory') {
    if (typeof value === 'number') return 'write the unit: `512MB`';
    if (typeof value === 'string' && !SIZE.test(value)) return 'units: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB';
  }
  if (key === 'run.timeout') {
    if (typeof value === 'number') return `write the unit: \`${value}s\``;
    if (typeof value === 'string' && !DURATION.test(value)) return 'units: ms, s, min, h';
  }
  if (path[0] === 'validate' && path.includes('missing') && typeof value === 'boolean') {
    return 'a bool feature takes 1 for true and 0 for false';
  }
  if (path[0] === 'validate' && path.at(-1) === 'missing' && typeof value === 'string') {
    const near = confusedMissing(value);
    if (near !== undefined)
      return `did you mean \`${near}\`? The text itself is written \`{ value: ${JSON.stringify(value)} }\``;
  }
  return undefined;
}

function general(node: ScalarNode, words: readonly string[], types: ReadonlySet<string>): string | undefined {
  const { value } = node;
  if (typeof value === 'string') {
    const typed = (types.has('number') || types.has('int')) && typeof coreScalar(value) === 'number';
    if (!node.plain && (typed || words.includes(value))) {
      return node.template === undefined
        ? 'remove the quotes: in quotes it is a text'
        : 'an interpolation in quotes stays a text: remove the quotes';
    }
    const near = didYouMean(value, words);
    if (near !== undefined) return near;
    if (types.has('array') && !types.has('string')) return `write a list: \`[${cut(value)}]\``;
    return undefined;
  }
  return types.has('string') ? `put it in quotes: \`"${cut(node.text)}"\`` : undefined;
}
