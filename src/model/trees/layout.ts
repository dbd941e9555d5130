/**
 * Lays an ensemble out as the tables that the kernel reads (`assembly/kernel.ts`), in WebAssembly's memory.
 *
 * Trees go to the kernel in chunks, in their order. A chunk of wide trees has at most 255 thresholds of any feature, so that
 * ranks fit into a byte, and tables that stay in the second cache while a batch's rows pass.
 */
import { canonicalTree, type CanonicalNode, type CanonicalTree } from './canonical.js';
import type { Ensemble } from './ensemble.js';

/** Rows that the kernel works on at once; scores lie block by block. */
export const BLOCK = 128;
const DEEP_BLOCK = 64;

/** Leaves of a wide tree at most: their numbers are bytes. */
const WIDE_LEAVES = 256;
/** Thresholds of a feature in a chunk of wide trees at most: ranks are bytes, and the greatest is NaN's. */
const WIDE_THRESHOLDS = 255;
/** Bytes of a wide chunk's tables at most. */
const CHUNK_BYTES = 512 * 1024;

/** Sizes of the kernel's structures, bytes. */
const RANK_COLUMN = 24;
const VALUE_COLUMN = 12;
const TREE = 20;
const WEIGHTS = 8;
const WIDE_NODE = 8;

/**
 * What a row costs, in trillionths of a second (measured on one core of an AMD EPYC; only their ratios count): a node of a
 * wide tree, a step down a deep one, and the rank of one value.
 */
const WIDE_NODE_COST = 18;
const DEEP_STEP_COST = 820;
const RANK_COST = 1800;

/** Trees that the kernel takes in one call. */
export interface Chunk {
  readonly kind: 'wide' | 'compact' | 'large';
  readonly columns: number;
  readonly columnCount: number;
  /** Deep: where the values of a block go. */
  readonly block: number;
  readonly trees: number;
  readonly treeCount: number;
}

/** Where everything lies. */
export interface Layout {
  readonly memory: WebAssembly.Memory;
  readonly chunks: readonly Chunk[];
  /** By feature that the trees ask for: its values, one row after the other. */
  readonly columns: ReadonlyMap<number, number>;
  /** `[block][target][row of the block]`. */
  readonly scores: number;
  /** Leaves of a block. */
  readonly leaves: number;
  /** Two probabilities for each row of a block. */
  readonly pairs: number;
}

/**
 * Lays an ensemble out.
 * @param maxRows rows that are scored at once at most
 */
export function layOut(ensemble: Ensemble, maxRows: number): Layout {
  const trees = Array.from(ensemble.roots, (_, i) => canonicalTree(ensemble, i));
  const rows = Math.ceil(maxRows / BLOCK) * BLOCK;
  const heap = new Heap();
  const elementBytes = ensemble.precision === 'float32' ? 4 : 8;
  const columns = new Map<number, number>();
  for (const feature of featuresOf(trees)) columns.set(feature, heap.take(rows * elementBytes));
  const scores = heap.take(rows * ensemble.targets * elementBytes);
  const leaves = heap.take(BLOCK * 4);
  const pairs = heap.take(BLOCK * 2 * 4);
  const context: Context = { ensemble, heap, columns, elementBytes };
  const chunks = runsOf(trees).flatMap((run) =>
    'wide' in run ? chunksOf(run.wide).map((each) => layOutWide(context, each)) : layOutDeep(context, run.deep),
  );
  return { memory: heap.memory, chunks, columns, scores, leaves, pairs };
}

interface Context {
  readonly ensemble: Ensemble;
  readonly heap: Heap;
  readonly columns: ReadonlyMap<number, number>;
  readonly elementBytes: 4 | 8;
}

/** Hands out WebAssembly's memory, piece by piece. */
class Heap {
  readonly memory = new WebAssembly.Memory({ initial: 1 });
  // Address 0 stands for "not there".
  #top = 64;

  /** @returns the address of a piece of zeros, for any load. */
  take(bytes: number): number {
    const address = this.#top;
    this.#top = Math.ceil((address + bytes) / 64) * 64;
    const size = this.memory.buffer.byteLength;
    // By a half at least: every growth takes the buffer away that there was.
    if (this.#top > size) this.memory.grow(Math.ceil(Math.max(this.#top - size, size / 2) / 65_536));
    return address;
  }

  /** Memory as it is now: not to be kept beyond the next `take`. */
  get view(): DataView {
    return new DataView(this.memory.buffer);
  }
}

/** All nodes that can be reached, each once. */
function* reachable(root: CanonicalNode): Generator<CanonicalNode> {
  const seen = new Set<CanonicalNode>();
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    yield node;
    if (node.left !== undefined) open.push(node.right!, node.left);
  }
}

function featuresOf(trees: readonly CanonicalTree[]): number[] {
  const features = new Set<number>();
  for (const { root } of trees)
    for (const { left, feature } of reachable(root)) if (left !== undefined) features.add(feature);
  return [...features].sort((a, b) => a - b);
}

/* ---- Wide ---- */

interface WideNode {
  readonly node: CanonicalNode;
  /** First leaf of its subtree, and how many of them lie in its left one. */
  readonly first: number;
  readonly over: number;
}

interface WideTree {
  /** Inner nodes in pre-order. */
  readonly nodes: readonly WideNode[];
  /** Leaves from left to right: their nodes in the ensemble. */
  readonly leaves: readonly number[];
}

/** Trees that follow one another and are scored in the same way. */
type Run = { readonly wide: WideTree[] } | { readonly deep: CanonicalTree[] };

/**
 * Decides on the way for each tree. The order of trees is kept, as sums depend on it; so a few wide trees between deep ones are
 * deep as well where making ranks for them would cost more than they save.
 */
function runsOf(trees: readonly CanonicalTree[]): Run[] {
  const ways = trees.map((tree) => {
    const wide = unfold(tree);
    const saved = wide === undefined ? -1 : stepsDown(tree.root) * DEEP_STEP_COST - wide.nodes.length * WIDE_NODE_COST;
    return { tree, wide, saved };
  });
  const isWide = ways.map(({ saved }) => saved >= 0);
  for (let from = 0; from < ways.length;) {
    let to = from + 1;
    while (to < ways.length && isWide[to] === isWide[from]) to += 1;
    const run = ways.slice(from, to);
    const ranks =
      RANK_COST * new Set(run.flatMap(({ wide }) => wide?.nodes.map(({ node }) => node.feature) ?? [])).size;
    if (isWide[from] === true && run.reduce((sum, { saved }) => sum + saved, 0) < ranks) isWide.fill(false, from, to);
    from = to;
  }
  const runs: Run[] = [];
  ways.forEach(({ tree, wide }, i) => {
    const last = runs.at(-1);
    if (isWide[i] === true && wide !== undefined) {
      if (last !== undefined && 'wide' in last) last.wide.push(wide);
      else runs.push({ wide: [wide] });
    } else if (last !== undefined && 'deep' in last) last.deep.push(tree);
    else runs.push({ deep: [tree] });
  });
  return runs;
}

/** Steps that all but a few rows arrive after, for which the kernel waits: the mean depth of leaves and a few more. */
function stepsDown(root: CanonicalNode): number {
  return Math.min(depthOf(root), 1.5 * meanDepth(root) + 1);
}

function meanDepth(root: CanonicalNode): number {
  let leaves = 0;
  let sum = 0;
  const open: [CanonicalNode, number][] = [[root, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [node, depth] = next;
    if (node.left === undefined) {
      leaves += 1;
      sum += depth;
    } else open.push([node.left, depth + 1], [node.right!, depth + 1]);
  }
  return sum / leaves;
}

/** A tree with its shared nodes made several, unless it has too many leaves then. */
function unfold({ root, leaves }: CanonicalTree): WideTree | undefined {
  const order: number[] = [];
  const nodes: { node: CanonicalNode; first: number; over: number }[] = [];
  /** Nodes to enter; or, of a node that was entered, its left subtree to be closed. */
  const open: (CanonicalNode | { closes: number })[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if ('closes' in next) {
      const entered = nodes[next.closes]!;
      entered.over = order.length - entered.first;
    } else if (next.left === undefined) {
      order.push(leaves[next.leaf]!);
      if (order.length > WIDE_LEAVES) return undefined;
    } else {
      nodes.push({ node: next, first: order.length, over: 0 });
      open.push(next.right!, { closes: nodes.length - 1 }, next.left);
    }
  }
  return { nodes, leaves: order };
}

interface WideChunk {
  readonly trees: WideTree[];
  /** By feature. */
  readonly thresholds: Map<number, Set<number>>;
}

/** Chunks of trees that follow one another. */
function chunksOf(trees: readonly WideTree[]): WideChunk[] {
  const chunks: WideChunk[] = [];
  let current: WideChunk | undefined;
  let bytes = 0;
  for (const tree of trees) {
    const size = tree.nodes.length * WIDE_NODE + tree.leaves.length * 4;
    if (current === undefined || bytes + size > CHUNK_BYTES || !fits(current, tree)) {
      current = { trees: [], thresholds: new Map() };
      chunks.push(current);
      bytes = 0;
    }
    bytes += size;
    current.trees.push(tree);
    for (const { node } of tree.nodes) {
      const known = current.thresholds.get(node.feature);
      // -0 and 0 are the same threshold.
      if (known === undefined) current.thresholds.set(node.feature, new Set([node.threshold + 0]));
      else known.add(node.threshold + 0);
    }
  }
  return chunks;
}

function fits({ thresholds }: WideChunk, { nodes }: WideTree): boolean {
  const more = new Map<number, Set<number>>();
  for (const { node } of nodes) {
    const threshold = node.threshold + 0;
    const known = thresholds.get(node.feature);
    if (known?.has(threshold) === true) continue;
    let added = more.get(node.feature);
    if (added === undefined) more.set(node.feature, (added = new Set()));
    added.add(threshold);
    if ((known?.size ?? 0) + added.size > WIDE_THRESHOLDS) return false;
  }
  return true;
}

/** A feature with a way for NaN: each is a column of its own to the kernel, as the nodes do not know NaN. */
const variant = ({ feature, nanLeft }: CanonicalNode): number => feature * 2 + (nanLeft ? 1 : 0);

/** The ranks' columns, by {@link variant}: `BLOCK` bytes each. */
function layOutWide(context: Context, { trees, thresholds }: WideChunk): Chunk {
  const { heap, columns, elementBytes } = context;
  const used = new Set(trees.flatMap(({ nodes }) => nodes.map(({ node }) => variant(node))));
  const ranks = new Map<number, number>([...used].map((each) => [each, heap.take(BLOCK)]));
  /** By feature: ranks of thresholds. */
  const order = new Map<number, Map<number, number>>();
  const records = heap.take(thresholds.size * RANK_COLUMN);
  [...thresholds].forEach(([feature, set], i) => {
    const sorted = [...set].sort((a, b) => a - b);
    order.set(feature, new Map(sorted.map((threshold, rank) => [threshold, rank])));
    const bits = Math.ceil(Math.log2(sorted.length + 1));
    const table = heap.take(2 ** bits * elementBytes);
    const view = heap.view;
    for (let at = 0; at < 2 ** bits; at += 1) {
      const threshold = sorted[at] ?? Infinity;
      if (elementBytes === 4) view.setFloat32(table + at * 4, threshold, true);
      else view.setFloat64(table + at * 8, threshold, true);
    }
    const record = records + i * RANK_COLUMN;
    const fields = [
      columns.get(feature)!,
      table,
      sorted.length,
      bits,
      ranks.get(feature * 2 + 1) ?? 0,
      ranks.get(feature * 2) ?? 0,
    ];
    fields.forEach((value, field) => view.setUint32(record + field * 4, value, true));
  });
  const treeRecords = trees.map(({ nodes, leaves }) => {
    const address = heap.take(nodes.length * WIDE_NODE);
    const view = heap.view;
    nodes.forEach(({ node, first, over }, i) => {
      const at = address + i * WIDE_NODE;
      view.setUint32(at, ranks.get(variant(node))!, true);
      view.setInt8(at + 4, order.get(node.feature)!.get(node.threshold + 0)! - 128);
      view.setUint8(at + 5, first);
      view.setUint8(at + 6, over);
    });
    return { nodes: address, count: nodes.length, leaves: 0, weights: layOutWeights(context, leaves) };
  });
  return {
    kind: 'wide',
    columns: records,
    columnCount: thresholds.size,
    block: 0,
    trees: layOutTrees(context, treeRecords),
    treeCount: trees.length,
  };
}

/* ---- Deep ---- */

interface DeepTree {
  readonly root: CanonicalNode;
  /** The root, then the children of each in pairs: right, left. Leaves lead to themselves. */
  readonly nodes: readonly CanonicalNode[];
  /** By node: the position of its right child, behind which the left one lies. */
  readonly children: ReadonlyMap<CanonicalNode, number>;
  /** Leaves: their nodes in the ensemble. */
  readonly leaves: readonly number[];
}

/** Nodes in the order of their depth; of a node that is shared, what is below it is there once. */
function pairUp({ root, leaves }: CanonicalTree): DeepTree {
  const nodes = [root];
  const children = new Map<CanonicalNode, number>();
  // The list grows as it is walked.
  for (const node of nodes) {
    if (node.left === undefined || children.has(node)) continue;
    children.set(node, nodes.length);
    nodes.push(node.right!, node.left);
  }
  return { root, nodes, children, leaves };
}

/** Most steps from the root to a leaf. */
function depthOf(root: CanonicalNode): number {
  const depths = new Map<CanonicalNode, number>();
  const open = [root];
  while (open.length > 0) {
    const node = open.at(-1)!;
    const below = node.left === undefined ? [] : [node.left, node.right!];
    const missing = below.filter((child) => !depths.has(child));
    if (missing.length > 0) {
      open.push(...missing);
      continue;
    }
    depths.set(node, below.length === 0 ? 0 : 1 + Math.max(...below.map((child) => depths.get(child)!)));
    open.pop();
  }
  return depths.get(root)!;
}

/** Deep trees are one chunk. Its block has a column more than they ask for, which gives leaves something to compare. */
function layOutDeep(context: Context, trees: readonly CanonicalTree[]): Chunk {
  const { heap, columns, elementBytes } = context;
  const paired = trees.map(pairUp);
  const used = new Set<number>();
  for (const { nodes } of paired) for (const node of nodes) if (node.left !== undefined) used.add(variant(node));
  const variants = [...used].sort((a, b) => a - b);
  // Column 0 of a block stays zero: leaves ask whether it is at most minus infinity, and it is not.
  const columnBytes = DEEP_BLOCK * elementBytes;
  const block = heap.take((variants.length + 1) * columnBytes);
  const places = new Map(variants.map((each, i) => [each, i + 1]));
  const features = [...new Set(variants.map((each) => Math.floor(each / 2)))];
  const records = heap.take(features.length * VALUE_COLUMN);
  const address = (each: number): number => {
    const place = places.get(each);
    return place === undefined ? 0 : block + place * columnBytes;
  };
  features.forEach((feature, i) => {
    const fields = [columns.get(feature)!, address(feature * 2 + 1), address(feature * 2)];
    const view = heap.view;
    fields.forEach((value, field) => view.setUint32(records + i * VALUE_COLUMN + field * 4, value, true));
  });
  const isCompact =
    elementBytes === 4 && variants.length < 0xff_ff && paired.every(({ nodes }) => nodes.length <= 0x1_00_00);
  const treeRecords = paired.map(({ root, nodes, children, leaves }) => {
    const nodeBytes = isCompact ? 8 : 8 + elementBytes;
    const at = heap.take(nodes.length * nodeBytes);
    const numbers = heap.take(nodes.length * 4);
    const view = heap.view;
    nodes.forEach((node, i) => {
      const isLeaf = node.left === undefined;
      const threshold = isLeaf ? -Infinity : node.threshold;
      const place = isLeaf ? 0 : places.get(variant(node))!;
      const child = isLeaf ? i : children.get(node)!;
      const record = at + i * nodeBytes;
      if (elementBytes === 4) view.setFloat32(record, threshold, true);
      else view.setFloat64(record, threshold, true);
      if (isCompact) {
        view.setUint16(record + 4, place, true);
        view.setUint16(record + 6, child, true);
      } else {
        view.setUint32(record + elementBytes, place * columnBytes, true);
        view.setUint32(record + elementBytes + 4, child, true);
      }
      view.setUint32(numbers + i * 4, isLeaf ? node.leaf : 0, true);
    });
    return { nodes: at, count: depthOf(root), leaves: numbers, weights: layOutWeights(context, leaves) };
  });
  return {
    kind: isCompact ? 'compact' : 'large',
    columns: records,
    columnCount: features.length,
    block,
    trees: layOutTrees(context, treeRecords),
    treeCount: trees.length,
  };
}

/* ---- Both ---- */

interface TreeRecord {
  readonly nodes: number;
  readonly count: number;
  readonly leaves: number;
  readonly weights: { readonly address: number; readonly targets: number };
}

function layOutTrees({ heap }: Context, records: readonly TreeRecord[]): number {
  const address = heap.take(records.length * TREE);
  const view = heap.view;
  records.forEach(({ nodes, count, leaves, weights }, i) => {
    const fields = [nodes, count, leaves, weights.address, weights.targets];
    fields.forEach((value, field) => view.setUint32(address + i * TREE + field * 4, value, true));
  });
  return address;
}

/**
 * The weights of a tree's leaves: for each target that any of them gives a weight to, a table by leaf. A leaf that gives it
 * none has what changes nothing: -0 in a sum (so that a sum of nothing is -0, and told from one of zero), else NaN.
 * @param leaves their nodes in the ensemble
 */
function layOutWeights({ ensemble, heap, elementBytes }: Context, leaves: readonly number[]): TreeRecord['weights'] {
  const { nodes, weight, weightTarget, aggregate } = ensemble;
  const tables = new Map<number, Float64Array>();
  const nothing = aggregate === 'SUM' || aggregate === 'AVERAGE' ? -0 : NaN;
  leaves.forEach((node, leaf) => {
    for (let i = nodes.firstWeight[node]!; i < nodes.firstWeight[node + 1]!; i += 1) {
      const target = weightTarget[i]!;
      let table = tables.get(target);
      if (table === undefined) tables.set(target, (table = new Float64Array(leaves.length).fill(nothing)));
      table[leaf] = weight[i]! + 0;
    }
  });
  const address = heap.take(tables.size * WEIGHTS);
  [...tables].forEach(([target, table], i) => {
    const values = heap.take(table.length * elementBytes);
    if (elementBytes === 4) new Float32Array(heap.memory.buffer, values, table.length).set(table);
    else new Float64Array(heap.memory.buffer, values, table.length).set(table);
    const view = heap.view;
    view.setUint32(address + i * WEIGHTS, target, true);
    view.setUint32(address + i * WEIGHTS + 4, values, true);
  });
  return { address, targets: tables.size };
}
