/** A YAML document as a tree of values that know where they stand. What the rest of this folder works on. */
import type { Position } from '../errors.js';
import type { LineIndex } from './excerpt.js';
import { keyPath, type Segment } from './key-path.js';

export type ScalarValue = string | number | boolean | null;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: ScalarValue;
  /** As written, for a plain scalar: `1.10` where the value is 1.1; the value of a quoted one. */
  readonly text: string;
  /** Written without quotes, so that YAML gives it a type by its looks. */
  readonly plain: boolean;
  readonly offset: number;
  /** The text before interpolation, where there was any. */
  readonly template?: string;
  /** A problem was told about this value already: nothing more is to be said about it. */
  readonly broken?: true;
}

export interface MappingNode {
  readonly kind: 'mapping';
  readonly entries: readonly MappingEntry[];
  readonly offset: number;
}

export interface MappingEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: TreeNode;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly TreeNode[];
  readonly offset: number;
}

export type TreeNode = ScalarNode | MappingNode | ListNode;

/** The entry of a mapping, or undefined where the node is no mapping or has no such key. */
export function entry(node: TreeNode | undefined, key: string): MappingEntry | undefined {
  return node?.kind === 'mapping' ? node.entries.find((candidate) => candidate.key === key) : undefined;
}

/** The node at a path, or undefined where there is none. */
export function nodeAt(root: TreeNode, path: readonly Segment[]): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const segment of path) {
    if (node === undefined) return undefined;
    if (typeof segment === 'string') node = entry(node, segment)?.value;
    else node = node.kind === 'list' ? node.items[segment] : undefined;
  }
  return node;
}

/** The items of a list, with their paths; none where the node is no list. */
export function itemsOf(node: TreeNode | undefined): readonly TreeNode[] {
  return node?.kind === 'list' ? node.items : [];
}

/** The entries of a mapping; none where the node is no mapping. */
export function entriesOf(node: TreeNode | undefined): readonly MappingEntry[] {
  return node?.kind === 'mapping' ? node.entries : [];
}

/** The text of a sound text scalar; undefined for anything else. */
export function textOf(node: TreeNode | undefined): string | undefined {
  return node?.kind === 'scalar' && node.broken === undefined && typeof node.value === 'string'
    ? node.value
    : undefined;
}

/** Plain data without prototypes, so that a key such as `toString` is a key like any other. */
export function toData(node: TreeNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toData);
  const data = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of node.entries) data[key] = toData(value);
  return data;
}

/** The tree with the value at a path of mappings taken for the word `null`, where that is what is written there. */
export function nullAsWord(root: TreeNode, path: readonly string[]): TreeNode {
  const [key, ...rest] = path;
  if (root.kind === 'scalar')
    return root.value === null && root.text === 'null' && key === undefined ? { ...root, value: 'null' } : root;
  if (root.kind === 'list' || key === undefined) return root;
  const entries = root.entries.map((item) =>
    item.key === key ? { ...item, value: nullAsWord(item.value, rest) } : item,
  );
  return { ...root, entries };
}

/**
 * Where each key stands: the value where it is on the line of its key, else the key, which is what a person looks for.
 * List items stand where they begin.
 */
export function positionsOf(root: TreeNode, lines: LineIndex): Record<string, Position> {
  const positions = Object.create(null) as Record<string, Position>;
  const visit = (node: TreeNode, path: readonly Segment[]): void => {
    if (node.kind === 'mapping') {
      for (const { key, keyOffset, value } of node.entries) {
        const inner = [...path, key];
        positions[keyPath(inner)] = lines.position(placeOf(lines, keyOffset, value));
        visit(value, inner);
      }
    } else if (node.kind === 'list') {
      node.items.forEach((item, index) => {
        const inner = [...path, index];
        positions[keyPath(inner)] = lines.position(item.offset);
        visit(item, inner);
      });
    }
  };
  visit(root, []);
  return positions;
}

/** Where a finding about the value of a key points to; see {@link positionsOf}. */
function placeOf(lines: LineIndex, keyOffset: number, value: TreeNode): number {
  return lines.position(keyOffset).line === lines.position(value.offset).line ? value.offset : keyOffset;
}

/** The offset that a finding about `path` points to: that of the nearest node that is there. */
export function offsetAt(root: TreeNode, path: readonly Segment[], lines: LineIndex): number {
  for (let length = path.length; length > 0; length--) {
    const last = path[length - 1];
    const parent = nodeAt(root, path.slice(0, length - 1));
    if (typeof last === 'string') {
      const found = entry(parent, last);
      // A key that lacks something inside is pointed at by its name, whatever line its value begins on.
      if (found !== undefined)
        return length < path.length ? found.keyOffset : placeOf(lines, found.keyOffset, found.value);
    } else if (last !== undefined && parent?.kind === 'list') {
      const item = parent.items[last];
      if (item !== undefined) return item.offset;
    }
  }
  return root.offset;
}
