/** YAML text → a tree of located values, or what is wrong with it. Only what a pipeline needs of YAML is let through. */
import { isAlias, isMap, isScalar, isSeq, parseDocument, Scalar, type Document, type Node } from 'yaml';
import { DEEPEST, outOfBounds } from './bounds.js';
import { coreScalar, inexactInteger } from './core-scalar.js';
import type { Segment } from './key-path.js';
import type { ProblemList } from './problems.js';
import { syntaxFindings } from './syntax.js';
import type { MappingEntry, TreeNode } from './tree.js';

/** Uses of aliases; what they expand to counts, so a file cannot grow by referring to itself. */
const MOST_ALIASES = 100;
/** Nodes of the tree once aliases are expanded. */
const MOST_NODES = 50_000;
/** Keys that mean something to JavaScript objects and never to a pipeline. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** Thrown inside this module to leave the walk where going on would only cost time. */
class Abandoned extends Error {}

/**
 * Reads a YAML 1.2 document (core schema) whose root is a mapping. What is wrong is added to `problems`; undefined is
 * returned where there is no tree to go on with.
 */
export function readDocument(text: string, problems: ProblemList): TreeNode | undefined {
  const refusal = outOfBounds(text);
  if (refusal !== undefined) {
    problems.add(refusal);
    return undefined;
  }
  const document = parse(text);
  if (document.errors.length > 0) {
    for (const finding of syntaxFindings(document.errors, problems.lines)) problems.add(finding);
    return undefined;
  }
  if (document.directives.yaml.version !== '1.2') {
    problems.add({ message: 'a pipeline is YAML 1.2', hint: 'remove the line `%YAML …`', offset: 0 });
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    problems.add({ message: 'the file is empty', hint: 'a pipeline begins with `version: 1`', offset: 0 });
    return undefined;
  }
  try {
    const tree = new TreeBuilder(problems).build(root, [], root.range[0]);
    if (tree.kind === 'mapping') return tree;
    problems.add({
      message: `the file holds ${tree.kind === 'list' ? 'a list' : 'a single value'}; a pipeline is a mapping of keys`,
      hint: 'a pipeline begins with `version: 1`',
      offset: tree.offset,
    });
    return undefined;
  } catch (error) {
    if (error instanceof Abandoned) return undefined;
    throw error;
  }
}

function parse(text: string): Document.Parsed {
  // Duplicate keys are found by the walk below: the parser compares each key with every other.
  // A stack trace for each of thousands of syntax errors is what would take the time.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return parseDocument(text, {
      version: '1.2',
      schema: 'core',
      uniqueKeys: false,
      prettyErrors: false,
      merge: false,
    });
  } finally {
    Error.stackTraceLimit = limit;
  }
}

class TreeBuilder {
  private readonly problems: ProblemList;
  /** Anchors met so far: an alias means the last one before it. */
  private readonly anchors = new Map<string, Node>();
  private aliases = 0;
  private nodes = 0;

  constructor(problems: ProblemList) {
    this.problems = problems;
  }

  /** `fallback` is where the node is said to be when YAML gives it no place of its own, as for a value left out. */
  build(node: Node | null, path: readonly Segment[], fallback: number): TreeNode {
    const offset = node?.range?.[0] ?? fallback;
    if (++this.nodes > MOST_NODES) this.abandon(`the file unfolds to more than ${MOST_NODES} values`, path, offset);
    if (path.length > DEEPEST) this.abandon(`nested deeper than ${DEEPEST} levels`, path, offset);
    if (node === null) return { kind: 'scalar', value: null, text: '', plain: true, offset: fallback };
    if (isAlias(node)) return this.alias(node.source, path, offset);
    this.refuseTag(node, path, offset);
    if ('anchor' in node && typeof node.anchor === 'string') this.anchors.set(node.anchor, node);
    if (isMap<Node | null, Node | null>(node)) {
      return { kind: 'mapping', entries: this.entries(node.items, path), offset };
    }
    if (isSeq<Node | null>(node)) {
      // An item left out (`- ` and nothing) has no place of its own.
      return {
        kind: 'list',
        items: node.items.map((item, index) => this.build(item, [...path, index], offset)),
        offset,
      };
    }
    return this.scalar(node as Scalar, path, offset, fallback);
  }

  private entries(
    pairs: readonly { key: Node | null; value: Node | null }[],
    path: readonly Segment[],
  ): MappingEntry[] {
    const entries = new Map<string, MappingEntry>();
    for (const pair of pairs) {
      const keyOffset = pair.key?.range?.[0] ?? 0;
      const key = this.key(pair.key, path, keyOffset);
      if (key === undefined) continue;
      const first = entries.get(key);
      const inner = [...path, key];
      if (first !== undefined) {
        const { line } = this.problems.lines.position(first.keyOffset);
        this.problems.add({
          message: `the key \`${key}\` is given twice; the first is on line ${line}`,
          hint: 'remove one of them',
          path: inner,
          offset: keyOffset,
        });
      }
      const value = this.build(pair.value, inner, keyOffset);
      if (first === undefined) entries.set(key, { key, keyOffset, value });
    }
    return [...entries.values()];
  }

  /** The text of a key; undefined where the entry is refused, which has been told then. */
  private key(node: Node | null, path: readonly Segment[], offset: number): string | undefined {
    if (!isScalar(node) || node.value === null) {
      this.problems.add({ message: 'a key must be a text', hint: 'put it in quotes', path, offset });
      return undefined;
    }
    this.refuseTag(node, path, offset);
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    const plain = node.type === Scalar.PLAIN;
    // `2020: …` means the column named 2020, as it is written.
    const key = plain ? (node.source ?? '') : (node.value as string);
    if (FORBIDDEN_KEYS.has(key)) {
      this.problems.add({
        message: `the key \`${key}\` is not allowed`,
        hint: 'give it another name',
        path: [...path, key],
        offset,
      });
      return undefined;
    }
    if (plain && key === '<<') {
      this.problems.add({
        message: 'merge keys (`<<`) are not allowed',
        hint: 'write the keys out: YAML 1.2 has no merge keys',
        path: [...path, key],
        offset,
      });
      return undefined;
    }
    if (key.includes('${')) {
      this.problems.add({
        message: `the key \`${key}\` holds an interpolation, which is filled in only in values`,
        hint: 'write the name out',
        path: [...path, key],
        offset,
      });
    }
    return key;
  }

  private scalar(node: Scalar, path: readonly Segment[], offset: number, fallback: number): TreeNode {
    const plain = node.type === Scalar.PLAIN || node.type === undefined;
    const text = plain ? (node.source ?? '') : String(node.value);
    const value = plain ? coreScalar(text) : text;
    const place = value === null && text === '' ? fallback : offset;
    const broken = plain && this.refuseInexact(text, path, offset);
    return { kind: 'scalar', value, text, plain, offset: place, ...(broken ? { broken: true as const } : {}) };
  }

  private alias(name: string, path: readonly Segment[], offset: number): TreeNode {
    if (++this.aliases > MOST_ALIASES) this.abandon(`more than ${MOST_ALIASES} aliases`, path, offset);
    const target = this.anchors.get(name);
    if (target === undefined) {
      this.problems.add({
        message: `the alias \`*${name}\` names no anchor above it`,
        hint: 'put a value that begins with `*` in quotes',
        path,
        offset,
      });
      return { kind: 'scalar', value: null, text: '', plain: true, offset, broken: true };
    }
    return { ...this.build(target, path, offset), offset };
  }

  private refuseTag(node: Node, path: readonly Segment[], offset: number): void {
    if (node.tag === undefined) return;
    this.problems.add({
      message: `tags are not allowed: \`${node.tag.replace('tag:yaml.org,2002:', '!!')}\``,
      hint: 'put a value in quotes to make it a text; a value that begins with `!` needs quotes, too',
      path,
      offset,
    });
  }

  private refuseInexact(text: string, path: readonly Segment[], offset: number): boolean {
    const finding = inexactInteger(text);
    if (finding !== undefined) this.problems.add({ ...finding, path, offset });
    return finding !== undefined;
  }

  private abandon(message: string, path: readonly Segment[], offset: number): never {
    this.problems.add({
      message,
      hint: 'a pipeline needs no such thing: write the values out',
      path: path.slice(0, 8),
      offset,
    });
    throw new Abandoned();
  }
}
