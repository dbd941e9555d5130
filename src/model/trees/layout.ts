/**
 * Lays an ensemble out as the tables that the kernel reads (`model/assembly/trees.ts`), in WebAssembly's memory.
 *
 * Of each tree, the nodes next to its root are its top, all of which are asked for every row; rows are led down the others
 * one by one. Trees that are small enough are all top. Trees go to the kernel in chunks, in their order: in a chunk, tops have
 * at most 255 thresholds of any feature, so that ranks fit into a byte, and tables that stay in the second cache while a
 * batch's rows pass.
 */
import { canonicalTree, type CanonicalNode, type CanonicalTree } from './canonical.js';
import type { Ensemble } from './ensemble.js';

/** Rows that the kernel works on at once; scores lie block by block. */
export const BLOCK = 128;

/** Ends of a top at most: their numbers are bytes. */
const MOST_ENDS = 256;
/** Ends of a top with nodes below it: halving as often as it takes to have as many. */
const ENDS_BEFORE_BELOW = 64;
/** Thresholds of a feature in the tops of a chunk at most: ranks are bytes, and the greatest is NaN's. */
const MOST_THRESHOLDS = 255;
/** Bytes of the tables of a chunk's tops at most. */
const CHUNK_BYTES = 512 * 1024;

/** Sizes of the kernel's structures, bytes. */
const RANK_COLUMN = 24;
const VALUE_COLUMN = 12;
const TREE = 36;
const WEIGHTS = 8;
const TOP_NODE = 8;

/**
 * What a row costs, in trillionths of a second (measured on one core of an AMD EPYC; only their ratio counts): a node of a
 * top, and a step below it.
 */
const TOP_NODE_COST = 18;
const STEP_COST = 820;

/** Trees that the kernel takes in one call. */
export interface Chunk {
  /** Features whose ranks the tops ask for. */
  readonly rankColumns: number;
  readonly rankColumnCount: number;
  /** Features whose values are compared below the tops. */
  readonly valueColumns: number;
  readonly valueColumnCount: number;
  /** Where the values of a block go. */
  readonly values: number;
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
  /** A block's ends and leaves. */
  readonly scratch: number;
  /** Two probabilities for each row of a block. */
  readonly pairs: number;
}

/**
 * Lays an ensemble out.
 * @param maxRows rows that are scored at once at most
 */
export function layOut(ensemble: Ensemble, maxRows: number): Layout {
  const trees = Array.from(ensemble.roots, (_, i) => splitTree(canonicalTree(ensemble, i)));
  const rows = Math.ceil(maxRows / BLOCK) * BLOCK;
  const heap = new Heap();
  const elementBytes = ensemble.precision === 'float32' ? 4 : 8;
  const columns = new Map<number, number>();
  for (const feature of featuresOf(ensemble)) columns.set(feature, heap.take(rows * elementBytes));
  const scores = heap.take(rows * ensemble.targets * elementBytes);
  const scratch = heap.take(BLOCK + BLOCK * 4);
  const pairs = heap.take(BLOCK * 2 * 4);
  const context: Context = { ensemble, heap, columns, elementBytes };
  const chunks = chunksOf(trees).map((chunk) => layOutChunk(context, chunk));
  return { memory: heap.memory, chunks, columns, scores, scratch, pairs };
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

/** Ascending. */
function featuresOf({ nodes, roots }: Ensemble): number[] {
  const features = new Set<number>();
  const seen = new Uint8Array(nodes.mode.length);
  const open = [...roots];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen[node] === 1 || nodes.mode[node] === 0) continue;
    seen[node] = 1;
    features.add(nodes.feature[node]!);
    open.push(nodes.trueChild[node]!, nodes.falseChild[node]!);
  }
  return [...features].sort((a, b) => a - b);
}

/* ---- Trees in two parts ---- */

interface TopNode {
  readonly node: CanonicalNode;
  /** First end of its subtree, and how many of them lie in its left one. */
  readonly first: number;
  readonly over: number;
}

interface SplitTree {
  /** Inner nodes of the top in pre-order. */
  readonly top: readonly TopNode[];
  /** Ends of the top from left to right: leaves, all of them where there is nothing below. */
  readonly ends: readonly CanonicalNode[];
  readonly below?: Below;
  /** By leaf number: its node in the ensemble. */
  readonly leaves: readonly number[];
}

/** What is below a top. */
interface Below {
  /** The ends, then the children of each node in pairs: right, left. Leaves lead to themselves. */
  readonly nodes: readonly CanonicalNode[];
  /** By node: the position of its right child, behind which the left one lies. */
  readonly children: ReadonlyMap<CanonicalNode, number>;
  /** Most steps from an end to a leaf. */
  readonly steps: number;
}

/** Splits a tree where it costs least. A node that is shared is asked in each place, or stands below the top once. */
function splitTree({ root, leaves }: CanonicalTree): SplitTree {
  const whole = topOf(root, MOST_ENDS, () => true);
  if (whole !== undefined && whole.top.length <= ENDS_BEFORE_BELOW) return { ...whole, leaves };
  const sizes = subtrees(root);
  // The largest subtrees are opened first, so that about as many rows go to each end.
  const inTop = new Set<CanonicalNode>();
  const byLeaves: CanonicalNode[] = [root];
  while (inTop.size < ENDS_BEFORE_BELOW - 1 && byLeaves.length > 0) {
    byLeaves.sort((a, b) => sizes.get(a)!.leaves - sizes.get(b)!.leaves);
    const node = byLeaves.pop()!;
    inTop.add(node);
    // A shared node is opened once: chains of them would be opened more often than they have nodes.
    for (const child of [node.left!, node.right!])
      if (child.left !== undefined && !inTop.has(child) && !byLeaves.includes(child)) byLeaves.push(child);
  }
  const opened = topOf(root, MOST_ENDS, (node) => inTop.has(node));
  const cost = (top: readonly TopNode[], steps: number): number => top.length * TOP_NODE_COST + steps * STEP_COST;
  const stepsBelow = opened === undefined ? Infinity : stepsDown(opened.ends, sizes);
  if (whole !== undefined && cost(whole.top, 0) <= cost(opened?.top ?? [], stepsBelow)) return { ...whole, leaves };
  // Shared nodes may be in several places of a top: then everything is below it.
  const { top, ends: starts } = opened ?? { top: [], ends: [root] };
  return { top, ends: starts, below: pairUp(starts, sizes), leaves };
}

/** The nodes of a top in pre-order and its ends, unless these are too many. @param opens whether an inner node is in the top */
function topOf(
  root: CanonicalNode,
  mostEnds: number,
  opens: (node: CanonicalNode) => boolean,
): Pick<SplitTree, 'top' | 'ends'> | undefined {
  const ends: CanonicalNode[] = [];
  const top: { node: CanonicalNode; first: number; over: number }[] = [];
  /** Nodes to enter; or, of a node that was entered, its left subtree to be closed. */
  const open: (CanonicalNode | number)[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next === 'number') {
      const entered = top[next]!;
      entered.over = ends.length - entered.first;
    } else if (next.left === undefined || !opens(next)) {
      ends.push(next);
      if (ends.length > mostEnds) return undefined;
    } else {
      top.push({ node: next, first: ends.length, over: 0 });
      open.push(next.right!, top.length - 1, next.left);
    }
  }
  return { top, ends };
}

/** What is known of a subtree; shared nodes count in each place, which may be more than a number can hold. */
interface Subtree {
  readonly leaves: number;
  /** Steps to its leaves: the most of them, and all of them together. */
  readonly depth: number;
  readonly depths: number;
}

function subtrees(root: CanonicalNode): ReadonlyMap<CanonicalNode, Subtree> {
  const known = new Map<CanonicalNode, Subtree>();
  const open = [root];
  while (open.length > 0) {
    const node = open.at(-1)!;
    const { left, right } = node;
    const [a, b] = [left && known.get(left), right && known.get(right)];
    if (left === undefined) known.set(node, { leaves: 1, depth: 0, depths: 0 });
    else if (a !== undefined && b !== undefined) {
      known.set(node, {
        leaves: a.leaves + b.leaves,
        depth: 1 + Math.max(a.depth, b.depth),
        depths: a.depths + a.leaves + b.depths + b.leaves,
      });
    } else {
      if (a === undefined) open.push(left);
      if (b === undefined) open.push(right!);
      continue;
    }
    open.pop();
  }
  return known;
}

/** Steps below the ends that all but a few rows arrive after, for which the kernel waits: the mean, and a few more. */
function stepsDown(ends: readonly CanonicalNode[], sizes: ReadonlyMap<CanonicalNode, Subtree>): number {
  const below = ends.map((end) => sizes.get(end)!);
  const most = Math.max(...below.map(({ depth }) => depth));
  const leaves = below.reduce((sum, each) => sum + each.leaves, 0);
  const mean = below.reduce((sum, each) => sum + each.depths, 0) / leaves;
  return Math.min(most, 1.5 * mean + 1);
}

function pairUp(ends: readonly CanonicalNode[], sizes: ReadonlyMap<CanonicalNode, Subtree>): Below {
  const nodes = [...ends];
  const children = new Map<CanonicalNode, number>();
  // The list grows as it is walked.
  for (const node of nodes) {
    if (node.left === undefined || children.has(node)) continue;
    children.set(node, nodes.length);
    nodes.push(node.right!, node.left);
  }
  return { nodes, children, steps: Math.max(...ends.map((end) => sizes.get(end)!.depth)) };
}

/* ---- Chunks ---- */

interface TreeChunk {
  readonly trees: SplitTree[];
  /** Of the tops, by feature. */
  readonly thresholds: Map<number, Set<number>>;
}

/** Chunks of trees that follow one another. */
function chunksOf(trees: readonly SplitTree[]): TreeChunk[] {
  const chunks: TreeChunk[] = [];
  let current: TreeChunk | undefined;
  let bytes = 0;
  for (const tree of trees) {
    const size = tree.top.length * TOP_NODE + tree.ends.length * 4;
    if (current === undefined || bytes + size > CHUNK_BYTES || !fits(current, tree)) {
      current = { trees: [], thresholds: new Map() };
      chunks.push(current);
      bytes = 0;
    }
    bytes += size;
    current.trees.push(tree);
    for (const { node } of tree.top) {
      const known = current.thresholds.get(node.feature);
      // -0 and 0 are the same threshold.
      if (known === undefined) current.thresholds.set(node.feature, new Set([node.threshold + 0]));
      else known.add(node.threshold + 0);
    }
  }
  return chunks;
}

function fits({ thresholds }: TreeChunk, { top }: SplitTree): boolean {
  const more = new Map<number, Set<number>>();
  for (const { node } of top) {
    const threshold = node.threshold + 0;
    const known = thresholds.get(node.feature);
    if (known?.has(threshold) === true) continue;
    let added = more.get(node.feature);
    if (added === undefined) more.set(node.feature, (added = new Set()));
    added.add(threshold);
    if ((known?.size ?? 0) + added.size > MOST_THRESHOLDS) return false;
  }
  return true;
}

/** A feature with a way for NaN: each is a column of its own to the kernel, as the nodes do not know NaN. */
const variant = ({ feature, nanLeft }: CanonicalNode): number => feature * 2 + (nanLeft ? 1 : 0);

function layOutChunk(context: Context, { trees, thresholds }: TreeChunk): Chunk {
  const { heap } = context;
  const ranks = layOutRanks(context, trees, thresholds);
  const values = layOutValues(context, trees);
  const records = trees.map((tree) => [
    ...layOutTop(heap, tree, ranks),
    ...layOutBelow(context, tree, values),
    ...layOutWeights(context, tree),
  ]);
  const address = heap.take(records.length * TREE);
  const view = heap.view;
  records.forEach((fields, i) => writeFields(view, address + i * TREE, fields));
  return {
    rankColumns: ranks.records,
    rankColumnCount: thresholds.size,
    valueColumns: values.records,
    valueColumnCount: values.count,
    values: values.block,
    trees: address,
    treeCount: trees.length,
  };
}

function writeFields(view: DataView, address: number, fields: readonly number[]): void {
  fields.forEach((value, field) => view.setUint32(address + field * 4, value, true));
}

/* ---- Tops ---- */

interface Ranks {
  readonly records: number;
  /** Where a block's ranks are, `BLOCK` bytes, by {@link variant}. */
  readonly places: ReadonlyMap<number, number>;
  /** By feature: the rank of each threshold. */
  readonly order: ReadonlyMap<number, ReadonlyMap<number, number>>;
}

function layOutRanks(
  { heap, columns, elementBytes }: Context,
  trees: readonly SplitTree[],
  thresholds: ReadonlyMap<number, ReadonlySet<number>>,
): Ranks {
  const used = new Set<number>();
  for (const { top } of trees) for (const { node } of top) used.add(variant(node));
  const places = new Map([...used].map((each) => [each, heap.take(BLOCK)]));
  const order = new Map<number, Map<number, number>>();
  const records = heap.take(thresholds.size * RANK_COLUMN);
  [...thresholds].forEach(([feature, set], i) => {
    const sorted = Float64Array.from(set).sort();
    const ranks = new Map<number, number>();
    sorted.forEach((threshold, rank) => ranks.set(threshold, rank));
    order.set(feature, ranks);
    const bits = Math.ceil(Math.log2(sorted.length + 1));
    const table = heap.take(2 ** bits * elementBytes);
    const Numbers = elementBytes === 4 ? Float32Array : Float64Array;
    const numbers = new Numbers(heap.memory.buffer, table, 2 ** bits).fill(Infinity);
    numbers.set(sorted);
    const [left, right] = [places.get(feature * 2 + 1) ?? 0, places.get(feature * 2) ?? 0];
    writeFields(heap.view, records + i * RANK_COLUMN, [columns.get(feature)!, table, sorted.length, bits, left, right]);
  });
  return { records, places, order };
}

/** @returns fields of the tree: the top's nodes and their number. */
function layOutTop(heap: Heap, { top }: SplitTree, { places, order }: Ranks): number[] {
  const address = heap.take(top.length * TOP_NODE);
  const view = heap.view;
  top.forEach(({ node, first, over }, i) => {
    const at = address + i * TOP_NODE;
    view.setUint32(at, places.get(variant(node))!, true);
    view.setInt8(at + 4, order.get(node.feature)!.get(node.threshold + 0)! - 128);
    view.setUint8(at + 5, first);
    view.setUint8(at + 6, over);
  });
  return [address, top.length];
}

/* ---- Below ---- */

interface Values {
  readonly records: number;
  readonly count: number;
  readonly block: number;
  /** Column of the block by {@link variant}. */
  readonly places: ReadonlyMap<number, number>;
}

function layOutValues({ heap, columns, elementBytes }: Context, trees: readonly SplitTree[]): Values {
  const used = new Set<number>();
  for (const { below } of trees)
    for (const node of below?.nodes ?? []) if (node.left !== undefined) used.add(variant(node));
  const variants = [...used].sort((a, b) => a - b);
  // Column 0 of a block stays zero: leaves ask whether it is at most minus infinity, and it is not.
  const columnBytes = BLOCK * elementBytes;
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
    writeFields(heap.view, records + i * VALUE_COLUMN, fields);
  });
  return { records, count: features.length, block, places };
}

/** Nodes and columns that the compact form can number. */
const COMPACT_NODES = 0x1_00_00;
const COMPACT_COLUMNS = 0x1_00_00;

/** @returns fields of the tree: starts, nodes, whether they are compact, steps and the numbers of leaves. */
function layOutBelow({ heap, elementBytes }: Context, { ends, below }: SplitTree, values: Values): number[] {
  if (below === undefined) return [0, 0, 0, 0, 0];
  const { nodes, children, steps } = below;
  const isCompact = elementBytes === 4 && values.places.size < COMPACT_COLUMNS && nodes.length <= COMPACT_NODES;
  const nodeBytes = isCompact ? 8 : 8 + elementBytes;
  const starts = heap.take(ends.length * 4);
  const address = heap.take(nodes.length * nodeBytes);
  const numbers = heap.take(nodes.length * 4);
  const view = heap.view;
  // The ends are the first of the nodes.
  for (let end = 0; end < ends.length; end += 1) view.setUint32(starts + end * 4, end, true);
  nodes.forEach((node, i) => {
    const isLeaf = node.left === undefined;
    const threshold = isLeaf ? -Infinity : node.threshold;
    const place = isLeaf ? 0 : values.places.get(variant(node))!;
    const child = isLeaf ? i : children.get(node)!;
    const record = address + i * nodeBytes;
    if (elementBytes === 4) view.setFloat32(record, threshold, true);
    else view.setFloat64(record, threshold, true);
    if (isCompact) {
      view.setUint16(record + 4, place, true);
      view.setUint16(record + 6, child, true);
    } else {
      view.setUint32(record + elementBytes, place * BLOCK * elementBytes, true);
      view.setUint32(record + elementBytes + 4, child, true);
    }
    view.setUint32(numbers + i * 4, isLeaf ? node.leaf : 0, true);
  });
  return [starts, address, isCompact ? 1 : 0, steps, numbers];
}

/* ---- Weights ---- */

/**
 * The weights of a tree's leaves: for each target that any of them gives a weight to, a table. By end where there is nothing
 * below the top, else by leaf number. A leaf that gives a target none has what changes nothing: -0 in a sum (so that a sum of
 * nothing is -0, and told from one of zero), else NaN.
 *
 * @returns fields of the tree: the tables and their number
 */
function layOutWeights({ ensemble, heap, elementBytes }: Context, { ends, below, leaves }: SplitTree): number[] {
  const { nodes, weight, weightTarget, aggregate } = ensemble;
  const order = below === undefined ? ends.map(({ leaf }) => leaves[leaf]!) : leaves;
  const tables = new Map<number, Float64Array>();
  const nothing = aggregate === 'SUM' || aggregate === 'AVERAGE' ? -0 : NaN;
  order.forEach((node, leaf) => {
    for (let i = nodes.firstWeight[node]!; i < nodes.firstWeight[node + 1]!; i += 1) {
      const target = weightTarget[i]!;
      let table = tables.get(target);
      if (table === undefined) tables.set(target, (table = new Float64Array(order.length).fill(nothing)));
      table[leaf] = weight[i]! + 0;
    }
  });
  const address = heap.take(tables.size * WEIGHTS);
  const Numbers = elementBytes === 4 ? Float32Array : Float64Array;
  [...tables].forEach(([target, table], i) => {
    const values = heap.take(table.length * elementBytes);
    new Numbers(heap.memory.buffer, values, table.length).set(table);
    writeFields(heap.view, address + i * WEIGHTS, [target, values]);
  });
  return [address, tables.size];
}
