/**
 * Puts columns side by side. AssemblyScript, compiled to `dist/wasm/pack.wasm`; `packing.ts` lays out the memory.
 *
 * Columns lie one after the other, `stride` values each; rows come about `width` values each. In registers, blocks of four
 * columns and four rows of 32 bits are transposed, or of two and two of 64; what is left goes value by value.
 *
 * Memory is the caller's: nothing is allocated here, and no pointer is checked.
 */

/** Bytes of the rows that all columns go through before the next rows: they stay in the cache meanwhile. */
const BLOCK_BYTES: i32 = 32768;

// @ts-ignore: decorator
@inline
function blockRows(rowBytes: i32): i32 {
  return max(8, (BLOCK_BYTES / rowBytes) & ~3);
}

/** Values of 32 bits. */
export function pack32(columns: usize, stride: i32, width: i32, rows: i32, target: usize): void {
  const columnBytes = (<usize>stride) << 2;
  const rowBytes = (<usize>width) << 2;
  const block = blockRows(<i32>rowBytes);
  const four = width & ~3;
  for (let first = 0; first < rows; first += block) {
    const last = min(rows, first + block);
    const whole = first + ((last - first) & ~3);
    for (let k = 0; k < four; k += 4) {
      const a = columns + <usize>k * columnBytes;
      const b = a + columnBytes;
      const c = b + columnBytes;
      const d = c + columnBytes;
      let out = target + <usize>first * rowBytes + ((<usize>k) << 2);
      let row = first;
      for (; row < whole; row += 4) {
        const at = (<usize>row) << 2;
        const va = v128.load(a + at);
        const vb = v128.load(b + at);
        const vc = v128.load(c + at);
        const vd = v128.load(d + at);
        const ab0 = v128.shuffle<u32>(va, vb, 0, 4, 1, 5);
        const ab1 = v128.shuffle<u32>(va, vb, 2, 6, 3, 7);
        const cd0 = v128.shuffle<u32>(vc, vd, 0, 4, 1, 5);
        const cd1 = v128.shuffle<u32>(vc, vd, 2, 6, 3, 7);
        v128.store(out, v128.shuffle<u64>(ab0, cd0, 0, 2));
        v128.store(out + rowBytes, v128.shuffle<u64>(ab0, cd0, 1, 3));
        v128.store(out + 2 * rowBytes, v128.shuffle<u64>(ab1, cd1, 0, 2));
        v128.store(out + 3 * rowBytes, v128.shuffle<u64>(ab1, cd1, 1, 3));
        out += 4 * rowBytes;
      }
      for (; row < last; row += 1) {
        const at = (<usize>row) << 2;
        store<u32>(out, load<u32>(a + at));
        store<u32>(out, load<u32>(b + at), 4);
        store<u32>(out, load<u32>(c + at), 8);
        store<u32>(out, load<u32>(d + at), 12);
        out += rowBytes;
      }
    }
    for (let k = four; k < width; k += 1) {
      const a = columns + <usize>k * columnBytes;
      let out = target + <usize>first * rowBytes + ((<usize>k) << 2);
      for (let row = first; row < last; row += 1) {
        store<u32>(out, load<u32>(a + ((<usize>row) << 2)));
        out += rowBytes;
      }
    }
  }
}

/** Values of 64 bits. */
export function pack64(columns: usize, stride: i32, width: i32, rows: i32, target: usize): void {
  const columnBytes = (<usize>stride) << 3;
  const rowBytes = (<usize>width) << 3;
  const block = blockRows(<i32>rowBytes);
  const two = width & ~1;
  for (let first = 0; first < rows; first += block) {
    const last = min(rows, first + block);
    const whole = first + ((last - first) & ~1);
    for (let k = 0; k < two; k += 2) {
      const a = columns + <usize>k * columnBytes;
      const b = a + columnBytes;
      let out = target + <usize>first * rowBytes + ((<usize>k) << 3);
      let row = first;
      for (; row < whole; row += 2) {
        const at = (<usize>row) << 3;
        const va = v128.load(a + at);
        const vb = v128.load(b + at);
        v128.store(out, v128.shuffle<u64>(va, vb, 0, 2));
        v128.store(out + rowBytes, v128.shuffle<u64>(va, vb, 1, 3));
        out += 2 * rowBytes;
      }
      if (row < last) {
        store<u64>(out, load<u64>(a + ((<usize>row) << 3)));
        store<u64>(out, load<u64>(b + ((<usize>row) << 3)), 8);
      }
    }
    if (two < width) {
      const a = columns + <usize>two * columnBytes;
      let out = target + <usize>first * rowBytes + ((<usize>two) << 3);
      for (let row = first; row < last; row += 1) {
        store<u64>(out, load<u64>(a + ((<usize>row) << 3)));
        out += rowBytes;
      }
    }
  }
}
