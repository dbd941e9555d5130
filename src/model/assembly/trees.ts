/**
 * Scores tree ensembles. AssemblyScript, compiled to `dist/wasm/trees.wasm`; `layout.ts` lays out the tables that are read
 * here, and says what they mean. A tree has two parts, of which either may be empty:
 *
 * - Its *top*, of at most 256 ends. Values become ranks among the thresholds of their feature, a byte each, so that 16 rows are
 *   compared with a threshold at once. Every node is asked for every row, in pre-order, without a branch: a row's end so far
 *   is the first one of the subtree that the row has reached, and a node moves it on where it is that of its own subtree and
 *   the row goes right. The cost is that of the nodes, whatever the depth, and there is nothing to wait for.
 * - What is *below* the ends of the top. Rows are led down from there, eight at once, so that the loads of one hide those of
 *   the others. Leaves lead to themselves, so that no row needs a branch.
 *
 * All work is done in blocks of {@link BLOCK} rows. Sums are made in the order of the trees, in the precision of the
 * ensemble, one after the other: the same as ONNX Runtime's with one thread.
 *
 * Memory is the caller's: nothing is allocated here, and no pointer is checked.
 */

/** Rows of a block. */
const BLOCK: i32 = 128;
/** Up to so many thresholds, all of them are compared; above, they are searched. */
const COMPARE_ALL: u32 = 24;
/** Thresholds of a group in a search of floats: as many as are compared at once. */
const GROUP: u32 = 16;

/** How weights are put together. */
const SUM: i32 = 0;
const MIN: i32 = 1;

/** A feature whose values become ranks. */
@unmanaged
class RankColumn {
  /** Values of the feature in all rows. */
  values: usize;
  /** Thresholds, ascending; behind them infinity, up to 2^bits - 1 in all. */
  thresholds: usize;
  count: u32;
  bits: u32;
  /** Where the ranks of a block go, those of NaN being the least; 0 where no node asks for them. */
  nanLeft: usize;
  /** The same, those of NaN being the greatest. */
  nanRight: usize;
}

/** A feature whose values are compared as they are. */
@unmanaged
class ValueColumn {
  values: usize;
  /** Where a block's values go, minus infinity in place of NaN; 0 where no node asks for them. */
  nanLeft: usize;
  /** The same with NaN as it is, which is not less than or equal to any threshold. */
  nanRight: usize;
}

@unmanaged
class Tree {
  /** The nodes of its top in pre-order, 8 bytes each: where the ranks are, threshold, first end, and how many are left of it. */
  top: usize;
  topCount: u32;
  /** By end of the top: the node below it to start from. 0 where the ends are leaves. */
  starts: usize;
  /** Nodes below the top. */
  below: usize;
  /** Whether these have 8 bytes. */
  compact: u32;
  /** The greatest number of steps from a start to a leaf. */
  steps: u32;
  /** By node below the top: the leaf's number. */
  leaves: usize;
  /** What it adds to: {@link Weights}. */
  weights: usize;
  targets: u32;
}

@unmanaged
class Weights {
  target: u32;
  /** By leaf. */
  values: usize;
}

/* ---- Tops ---- */

/** Ranks: how many thresholds are less than a value. Bytes, with 128 taken off, as only signed bytes are compared at once. */
// @ts-ignore: decorator
@inline
function rank<T extends number>(values: usize, column: RankColumn, nanRight: bool): void {
  const out = nanRight ? column.nanRight : column.nanLeft;
  if (column.count <= COMPARE_ALL) rankByComparing<T>(values, column, out);
  else if (sizeof<T>() == 4) rankByGroups(values, column, out);
  else rankBySearching<T>(values, column, out);
  if (!nanRight) return;
  for (let row = 0; row < BLOCK; row++) {
    const x = load<T>(values + (<usize>row << alignof<T>()));
    if (x != x) store<i8>(out + row, 127);
  }
}

// @ts-ignore: decorator
@inline
function rankByComparing<T extends number>(values: usize, column: RankColumn, out: usize): void {
  const end = column.thresholds + (<usize>column.count << alignof<T>());
  if (sizeof<T>() == 4) {
    for (let row = 0; row < BLOCK; row += 16) {
      const at = values + (<usize>row << 2);
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      const x2 = v128.load(at, 32);
      const x3 = v128.load(at, 48);
      let n0 = i32x4.splat(-128);
      let n1 = n0;
      let n2 = n0;
      let n3 = n0;
      for (let t = column.thresholds; t < end; t += 4) {
        const threshold = v128.load_splat<f32>(t);
        n0 = i32x4.sub(n0, f32x4.lt(threshold, x0));
        n1 = i32x4.sub(n1, f32x4.lt(threshold, x1));
        n2 = i32x4.sub(n2, f32x4.lt(threshold, x2));
        n3 = i32x4.sub(n3, f32x4.lt(threshold, x3));
      }
      v128.store(
        out + row,
        i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(n0, n1), i16x8.narrow_i32x4_s(n2, n3)),
      );
    }
  } else {
    for (let row = 0; row < BLOCK; row += 4) {
      const at = values + (<usize>row << 3);
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      let n0 = i64x2.splat(-128);
      let n1 = n0;
      for (let t = column.thresholds; t < end; t += 8) {
        const threshold = v128.load_splat<f64>(t);
        n0 = i64x2.sub(n0, f64x2.lt(threshold, x0));
        n1 = i64x2.sub(n1, f64x2.lt(threshold, x1));
      }
      store<i8>(out + row, <i8>i64x2.extract_lane(n0, 0));
      store<i8>(out + row, <i8>i64x2.extract_lane(n0, 1), 1);
      store<i8>(out + row, <i8>i64x2.extract_lane(n1, 0), 2);
      store<i8>(out + row, <i8>i64x2.extract_lane(n1, 1), 3);
    }
  }
}

/** How many of 16 thresholds are less than a value. */
// @ts-ignore: decorator
@inline
function countLess(thresholds: usize, value: usize): u32 {
  const x = v128.load_splat<f32>(value);
  const low = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(thresholds), x), f32x4.lt(v128.load(thresholds, 16), x));
  const high = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(thresholds, 32), x), f32x4.lt(v128.load(thresholds, 48), x));
  return popcnt(i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)));
}

/**
 * The last threshold of each group tells the group, for 16 rows at once; then a row's value is compared with all of its
 * group. Twice as fast as halving, whose steps wait for each other.
 */
// @ts-ignore: decorator
@inline
function rankByGroups(values: usize, column: RankColumn, out: usize): void {
  const thresholds = column.thresholds;
  // The last group needs no comparison: it is where what is greater than all others goes.
  const last = thresholds + (<usize>(column.count - 1) / GROUP) * (GROUP * 4) + (GROUP - 1) * 4;
  for (let row = 0; row < BLOCK; row += 16) {
    const at = values + (<usize>row << 2);
    const x0 = v128.load(at);
    const x1 = v128.load(at, 16);
    const x2 = v128.load(at, 32);
    const x3 = v128.load(at, 48);
    let g0 = i32x4.splat(0);
    let g1 = g0;
    let g2 = g0;
    let g3 = g0;
    for (let t = thresholds + (GROUP - 1) * 4; t < last; t += GROUP * 4) {
      const threshold = v128.load_splat<f32>(t);
      g0 = i32x4.sub(g0, f32x4.lt(threshold, x0));
      g1 = i32x4.sub(g1, f32x4.lt(threshold, x1));
      g2 = i32x4.sub(g2, f32x4.lt(threshold, x2));
      g3 = i32x4.sub(g3, f32x4.lt(threshold, x3));
    }
    v128.store(out + row, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(g0, g1), i16x8.narrow_i32x4_s(g2, g3)));
    for (let i = 0; i < 16; i++) {
      const group = <u32>load<u8>(out + row + i);
      const less = countLess(thresholds + (<usize>group << 6), at + (<usize>i << 2));
      store<i8>(out + row + i, <i8>((group << 4) + less - 128));
    }
  }
}

/** One step of a search: on by `step` thresholds where the last of them is less than the value. */
// @ts-ignore: decorator
@inline
function onwards<T extends number>(thresholds: usize, n: u32, shift: u32, x: T): u32 {
  const last = load<T>(thresholds + (<usize>(n + (1 << shift) - 1) << alignof<T>()));
  return n + (<u32>(last < x) << shift);
}

// @ts-ignore: decorator
@inline
function rankBySearching<T extends number>(values: usize, column: RankColumn, out: usize): void {
  const thresholds = column.thresholds;
  const bits = column.bits;
  for (let row = 0; row < BLOCK; row += 8) {
    const at = values + (<usize>row << alignof<T>());
    const size: usize = sizeof<T>();
    const x0 = load<T>(at);
    const x1 = load<T>(at + size);
    const x2 = load<T>(at + 2 * size);
    const x3 = load<T>(at + 3 * size);
    const x4 = load<T>(at + 4 * size);
    const x5 = load<T>(at + 5 * size);
    const x6 = load<T>(at + 6 * size);
    const x7 = load<T>(at + 7 * size);
    let n0: u32 = 0;
    let n1: u32 = 0;
    let n2: u32 = 0;
    let n3: u32 = 0;
    let n4: u32 = 0;
    let n5: u32 = 0;
    let n6: u32 = 0;
    let n7: u32 = 0;
    for (let shift = bits; shift > 0; ) {
      shift--;
      n0 = onwards<T>(thresholds, n0, shift, x0);
      n1 = onwards<T>(thresholds, n1, shift, x1);
      n2 = onwards<T>(thresholds, n2, shift, x2);
      n3 = onwards<T>(thresholds, n3, shift, x3);
      n4 = onwards<T>(thresholds, n4, shift, x4);
      n5 = onwards<T>(thresholds, n5, shift, x5);
      n6 = onwards<T>(thresholds, n6, shift, x6);
      n7 = onwards<T>(thresholds, n7, shift, x7);
    }
    store<i8>(out + row, <i8>(n0 - 128));
    store<i8>(out + row, <i8>(n1 - 128), 1);
    store<i8>(out + row, <i8>(n2 - 128), 2);
    store<i8>(out + row, <i8>(n3 - 128), 3);
    store<i8>(out + row, <i8>(n4 - 128), 4);
    store<i8>(out + row, <i8>(n5 - 128), 5);
    store<i8>(out + row, <i8>(n6 - 128), 6);
    store<i8>(out + row, <i8>(n7 - 128), 7);
  }
}

/** Moves 16 rows on from the first end of a node's subtree to the first right of it, where they are there and go right. */
// @ts-ignore: decorator
@inline
function move(end: v128, ranks: usize, threshold: v128, first: v128, over: v128): v128 {
  const goesRight = i8x16.gt_s(v128.load(ranks), threshold);
  return i8x16.add(end, v128.and(v128.and(goesRight, i8x16.eq(end, first)), over));
}

/** Finds the ends of a block's rows in the top of a tree: a byte each. */
function findEnds(tree: Tree, ends: usize): void {
  let e0 = i8x16.splat(0);
  let e1 = e0;
  let e2 = e0;
  let e3 = e0;
  let e4 = e0;
  let e5 = e0;
  let e6 = e0;
  let e7 = e0;
  const last = tree.top + (<usize>tree.topCount << 3);
  for (let node = tree.top; node < last; node += 8) {
    const ranks = <usize>load<u32>(node);
    const threshold = v128.load_splat<i8>(node, 4);
    const first = v128.load_splat<i8>(node, 5);
    const over = v128.load_splat<i8>(node, 6);
    e0 = move(e0, ranks, threshold, first, over);
    e1 = move(e1, ranks + 16, threshold, first, over);
    e2 = move(e2, ranks + 32, threshold, first, over);
    e3 = move(e3, ranks + 48, threshold, first, over);
    e4 = move(e4, ranks + 64, threshold, first, over);
    e5 = move(e5, ranks + 80, threshold, first, over);
    e6 = move(e6, ranks + 96, threshold, first, over);
    e7 = move(e7, ranks + 112, threshold, first, over);
  }
  v128.store(ends, e0);
  v128.store(ends, e1, 16);
  v128.store(ends, e2, 32);
  v128.store(ends, e3, 48);
  v128.store(ends, e4, 64);
  v128.store(ends, e5, 80);
  v128.store(ends, e6, 96);
  v128.store(ends, e7, 112);
}

/* ---- Weights ---- */

/** Puts the weights of rows to their scores; `L` is the type of a leaf's number. */
// @ts-ignore: decorator
@inline
function addWeights<T extends number, L extends number>(leaves: usize, weights: usize, scores: usize, how: i32): void {
  const lanes: i32 = 16 / sizeof<T>();
  for (let row = 0; row < BLOCK; row += lanes) {
    const at = leaves + (<usize>row << alignof<L>());
    const size: usize = sizeof<L>();
    let w: v128;
    if (sizeof<T>() == 4) {
      w = v128.load32_zero(weights + (<usize>load<L>(at) << 2));
      w = v128.load_lane<f32>(weights + (<usize>load<L>(at + size) << 2), w, 1);
      w = v128.load_lane<f32>(weights + (<usize>load<L>(at + 2 * size) << 2), w, 2);
      w = v128.load_lane<f32>(weights + (<usize>load<L>(at + 3 * size) << 2), w, 3);
    } else {
      w = v128.load64_zero(weights + (<usize>load<L>(at) << 3));
      w = v128.load_lane<f64>(weights + (<usize>load<L>(at + size) << 3), w, 1);
    }
    const score = scores + (<usize>row << alignof<T>());
    const before = v128.load(score);
    if (how == SUM) {
      v128.store(score, v128.add<T>(before, w));
    } else {
      // NaN stands for no weight, on either side.
      const better = how == MIN ? v128.lt<T>(w, before) : v128.gt<T>(w, before);
      v128.store(score, v128.bitselect(w, before, v128.or(better, v128.ne<T>(before, before))));
    }
  }
}

/* ---- Below ---- */

/** Nodes of 8 bytes: threshold, column of the block (a number), the second child's number; the first follows it. */
// @ts-ignore: decorator
@inline
function stepCompact(nodes: usize, n: u32, row: usize): u32 {
  const node = nodes + (<usize>n << 3);
  const x = load<f32>(row + (<usize>load<u16>(node, 4) << 9));
  return <u32>load<u16>(node, 6) + <u32>(x <= load<f32>(node));
}

/** The same with 32 bits for column (an offset) and child. */
// @ts-ignore: decorator
@inline
function stepLarge<T extends number>(nodes: usize, n: u32, row: usize): u32 {
  const node = nodes + <usize>n * (8 + sizeof<T>());
  const x = load<T>(row + <usize>load<u32>(node, sizeof<T>()));
  return load<u32>(node, sizeof<T>() + 4) + <u32>(x <= load<T>(node));
}

// @ts-ignore: decorator
@inline
function step<T extends number>(compact: bool, nodes: usize, n: u32, row: usize): u32 {
  return compact ? stepCompact(nodes, n, row) : stepLarge<T>(nodes, n, row);
}

/** Steps between looks whether all rows have arrived. */
const STRIDE: u32 = 4;

/** Leads a block's rows down from their ends of a tree's top; writes the numbers of their leaves, four bytes each. */
// @ts-ignore: decorator
@inline
function descend<T extends number>(compact: bool, tree: Tree, block: usize, ends: usize, leaves: usize): void {
  const nodes = tree.below;
  const starts = tree.starts;
  const most = tree.steps;
  const numbers = tree.leaves;
  const size: usize = sizeof<T>();
  for (let row = 0; row < BLOCK; row += 8) {
    const r0 = block + (<usize>row << alignof<T>());
    const end = ends + row;
    let n0 = load<u32>(starts + (<usize>load<u8>(end) << 2));
    let n1 = load<u32>(starts + (<usize>load<u8>(end, 1) << 2));
    let n2 = load<u32>(starts + (<usize>load<u8>(end, 2) << 2));
    let n3 = load<u32>(starts + (<usize>load<u8>(end, 3) << 2));
    let n4 = load<u32>(starts + (<usize>load<u8>(end, 4) << 2));
    let n5 = load<u32>(starts + (<usize>load<u8>(end, 5) << 2));
    let n6 = load<u32>(starts + (<usize>load<u8>(end, 6) << 2));
    let n7 = load<u32>(starts + (<usize>load<u8>(end, 7) << 2));
    for (let depth: u32 = 0; depth < most; depth += STRIDE) {
      for (let i: u32 = 1; i < STRIDE; i++) {
        n0 = step<T>(compact, nodes, n0, r0);
        n1 = step<T>(compact, nodes, n1, r0 + size);
        n2 = step<T>(compact, nodes, n2, r0 + 2 * size);
        n3 = step<T>(compact, nodes, n3, r0 + 3 * size);
        n4 = step<T>(compact, nodes, n4, r0 + 4 * size);
        n5 = step<T>(compact, nodes, n5, r0 + 5 * size);
        n6 = step<T>(compact, nodes, n6, r0 + 6 * size);
        n7 = step<T>(compact, nodes, n7, r0 + 7 * size);
      }
      // A row that stays where it is has arrived.
      let moved: u32 = n0;
      n0 = step<T>(compact, nodes, n0, r0);
      moved ^= n0;
      moved |= n1 ^ (n1 = step<T>(compact, nodes, n1, r0 + size));
      moved |= n2 ^ (n2 = step<T>(compact, nodes, n2, r0 + 2 * size));
      moved |= n3 ^ (n3 = step<T>(compact, nodes, n3, r0 + 3 * size));
      moved |= n4 ^ (n4 = step<T>(compact, nodes, n4, r0 + 4 * size));
      moved |= n5 ^ (n5 = step<T>(compact, nodes, n5, r0 + 5 * size));
      moved |= n6 ^ (n6 = step<T>(compact, nodes, n6, r0 + 6 * size));
      moved |= n7 ^ (n7 = step<T>(compact, nodes, n7, r0 + 7 * size));
      if (moved == 0) break;
    }
    const at = leaves + (<usize>row << 2);
    store<u32>(at, load<u32>(numbers + (<usize>n0 << 2)));
    store<u32>(at, load<u32>(numbers + (<usize>n1 << 2)), 4);
    store<u32>(at, load<u32>(numbers + (<usize>n2 << 2)), 8);
    store<u32>(at, load<u32>(numbers + (<usize>n3 << 2)), 12);
    store<u32>(at, load<u32>(numbers + (<usize>n4 << 2)), 16);
    store<u32>(at, load<u32>(numbers + (<usize>n5 << 2)), 20);
    store<u32>(at, load<u32>(numbers + (<usize>n6 << 2)), 24);
    store<u32>(at, load<u32>(numbers + (<usize>n7 << 2)), 28);
  }
}

/** Copies a block's values, with minus infinity in place of NaN where NaN goes left. */
// @ts-ignore: decorator
@inline
function copyValues<T extends number>(column: ValueColumn, row: i32): void {
  const values = column.values + (<usize>row << alignof<T>());
  const bytes = BLOCK << alignof<T>();
  const lowest = sizeof<T>() == 4 ? f32x4.splat(-Infinity) : f64x2.splat(-Infinity);
  for (let i = 0; i < bytes; i += 16) {
    const x = v128.load(values + i);
    if (column.nanLeft != 0) v128.store(column.nanLeft + i, v128.bitselect(lowest, x, v128.ne<T>(x, x)));
    if (column.nanRight != 0) v128.store(column.nanRight + i, x);
  }
}

/* ---- Ensembles ---- */

// @ts-ignore: decorator
@inline
function score<T extends number>(
  rows: i32,
  rankColumns: usize,
  rankColumnCount: i32,
  valueColumns: usize,
  valueColumnCount: i32,
  values: usize,
  trees: usize,
  treeCount: i32,
  scores: usize,
  targets: i32,
  how: i32,
  scratch: usize,
): void {
  const ends = scratch;
  const leaves = scratch + BLOCK;
  for (let row = 0; row < rows; row += BLOCK) {
    for (let c = 0; c < rankColumnCount; c++) {
      const column = changetype<RankColumn>(rankColumns + <usize>c * offsetof<RankColumn>());
      const from = column.values + (<usize>row << alignof<T>());
      if (column.nanLeft != 0) rank<T>(from, column, false);
      if (column.nanRight != 0) rank<T>(from, column, true);
    }
    for (let c = 0; c < valueColumnCount; c++) {
      copyValues<T>(changetype<ValueColumn>(valueColumns + <usize>c * offsetof<ValueColumn>()), row);
    }
    const block = scores + ((<usize>row * targets) << alignof<T>());
    for (let t = 0; t < treeCount; t++) {
      const tree = changetype<Tree>(trees + <usize>t * offsetof<Tree>());
      const hasBelow = tree.starts != 0;
      findEnds(tree, ends);
      if (hasBelow) {
        if (sizeof<T>() == 4 && tree.compact != 0) descend<T>(true, tree, values, ends, leaves);
        else descend<T>(false, tree, values, ends, leaves);
      }
      for (let w: u32 = 0; w < tree.targets; w++) {
        const weights = changetype<Weights>(tree.weights + <usize>w * offsetof<Weights>());
        const target = block + ((<usize>weights.target * BLOCK) << alignof<T>());
        if (hasBelow) addWeights<T, u32>(leaves, weights.values, target, how);
        else addWeights<T, u8>(ends, weights.values, target, how);
      }
    }
  }
}

/* ---- Exponentials ---- */

/**
 * e^x for x from minus infinity to 0, to within a few units in the last place of a double: far more than float32 holds.
 * x = k ln 2 + r with |r| at most ln(2)/2; e^r by its series, 2^k put together from its bits.
 */
// @ts-ignore: decorator
@inline
function expOf(x: v128): v128 {
  const inRange = f64x2.max(x, f64x2.splat(-700));
  const k = f64x2.nearest(f64x2.mul(inRange, f64x2.splat(1.4426950408889634)));
  let r = f64x2.sub(inRange, f64x2.mul(k, f64x2.splat(6.93147180369123816490e-1)));
  r = f64x2.sub(r, f64x2.mul(k, f64x2.splat(1.90821492927058770002e-10)));
  let p = f64x2.splat(1.0 / 39916800.0);
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 3628800.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 362880.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 40320.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 5040.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 720.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 120.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 24.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 6.0));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(0.5));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1));
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1));
  // Adding 2^52 + 2^51 leaves k in the low bits.
  const bits = i64x2.shl(i64x2.add(f64x2.add(k, f64x2.splat(6755399441055744)), i64x2.splat(1023)), 52);
  return f64x2.mul(p, bits);
}

/**
 * Two probabilities of each score, `[1 - p, p]` with p = 1 / (1 + e^-(sum + base)), rounded after every operation as ONNX
 * Runtime does; `count` is even.
 */
export function logistic(sums: usize, base: f32, count: i32, out: usize): void {
  const one = f32x4.splat(1);
  for (let i = 0; i < count; i += 2) {
    const score = f32x4.add(v128.load64_zero(sums + (<usize>i << 2)), f32x4.splat(base));
    const size = f64x2.promote_low_f32x4(f32x4.abs(score));
    const e = f32x4.demote_f64x2_zero(expOf(f64x2.neg(size)));
    const more = f32x4.div(one, f32x4.add(one, e));
    const less = f32x4.sub(one, more);
    const isNegative = f32x4.lt(score, f32x4.splat(0));
    // NaN is passed on.
    const isNumber = f32x4.eq(score, score);
    const p = v128.bitselect(v128.bitselect(less, more, isNegative), score, isNumber);
    const isPositive = f32x4.gt(score, f32x4.splat(0));
    const q = v128.bitselect(v128.bitselect(less, more, isPositive), score, isNumber);
    v128.store(out + (<usize>i << 3), i32x4.shuffle(q, p, 0, 4, 1, 5));
  }
}

/* ---- What the host calls ---- */

/** Adds the weights of trees to the scores of `rows` rows: `[block][target][row of the block]`. */
export function score32(
  rows: i32, rankColumns: usize, rankColumnCount: i32, valueColumns: usize, valueColumnCount: i32, values: usize,
  trees: usize, treeCount: i32, scores: usize, targets: i32, how: i32, scratch: usize,
): void {
  score<f32>(rows, rankColumns, rankColumnCount, valueColumns, valueColumnCount, values, trees, treeCount, scores, targets, how, scratch);
}

/** The same in double precision. */
export function score64(
  rows: i32, rankColumns: usize, rankColumnCount: i32, valueColumns: usize, valueColumnCount: i32, values: usize,
  trees: usize, treeCount: i32, scores: usize, targets: i32, how: i32, scratch: usize,
): void {
  score<f64>(rows, rankColumns, rankColumnCount, valueColumns, valueColumnCount, values, trees, treeCount, scores, targets, how, scratch);
}
