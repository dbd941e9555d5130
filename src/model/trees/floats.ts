/**
 * Floats in their order, as whole numbers: ranks of neighbours differ by one; -0 and 0 are neighbours. Numbers for float32,
 * as there are many thresholds, and bigints for float64, whose ranks have 64 bits.
 */

/** Precisions that trees compare in. */
export type Precision = 'float32' | 'float64';

const view = new DataView(new ArrayBuffer(8));

/** The position of a float32. */
export function rank32(x: number): number {
  view.setFloat32(0, x);
  const bits = view.getInt32(0);
  // Negative floats have the sign bit, and larger bits the smaller they are.
  return bits >= 0 ? bits : -(bits & 0x7fffffff) - 1;
}

/** The float32 at a position. */
export function float32At(rank: number): number {
  view.setInt32(0, rank >= 0 ? rank : (-rank - 1) | 0x80000000);
  return view.getFloat32(0);
}

const SIGN_64 = 1n << 63n;

/** The position of a float64. */
export function rank64(x: number): bigint {
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  return bits < SIGN_64 ? bits : SIGN_64 - bits - 1n;
}

/** The float64 at a position. */
export function float64At(rank: bigint): number {
  view.setBigUint64(0, rank >= 0n ? rank : SIGN_64 - rank - 1n);
  return view.getFloat64(0);
}

/** The next float below in a precision; NaN below -∞. */
export function floatBelow(x: number, precision: Precision): number {
  return precision === 'float32' ? float32At(rank32(x) - 1) : float64At(rank64(x) - 1n);
}

/** The next float above in a precision; NaN above ∞. */
export function floatAbove(x: number, precision: Precision): number {
  return precision === 'float32' ? float32At(rank32(x) + 1) : float64At(rank64(x) + 1n);
}
