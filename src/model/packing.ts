/**
 * Puts columns side by side: the rows of a matrix, one after the other, in memory of WebAssembly.
 *
 * That reads its own memory alone, so that values are copied there first, some rows of all columns at a time; the matrix stays
 * where it comes about. Copying included, it takes a fifth of the time of a loop in JavaScript (`bench/packing.mjs`).
 */
import { ARRAYS, type NumericData } from '../plan/elements.js';
import type { ElementType } from '../plan/facts.js';
import { instantiate } from './wasm.js';

type Pack = (columns: number, stride: number, width: number, rows: number, target: number) => void;

/** Copied at a time at most, of all columns together: it stays in the cache until it is packed. */
const COPY_BYTES = 512 * 1024;
/** The vectors of DuckDB have so many rows. */
const MOST_ROWS = 2048;
const LEAST_ROWS = 64;
const PAGE_BYTES = 65_536;
/** More than this is not asked for: addresses have 32 bits. */
const MOST_BYTES = 2 ** 31;

export class Packer {
  /** Row-major, zeroed at first. */
  readonly matrix: NumericData;
  readonly #width: number;
  readonly #pack: Pack;
  /** Where some rows of each column go. */
  readonly #copies: readonly NumericData[];
  readonly #rowsAtOnce: number;

  private constructor(type: Exclude<ElementType, 'string'>, width: number, rows: number) {
    const { BYTES_PER_ELEMENT: bytes } = ARRAYS[type];
    const rowsAtOnce = Math.max(LEAST_ROWS, Math.min(MOST_ROWS, Math.floor(COPY_BYTES / (width * bytes)) & ~3));
    const copyBytes = rowsAtOnce * width * bytes;
    const total = copyBytes + rows * width * bytes;
    if (total > MOST_BYTES) throw new RangeError(`${total} bytes are more than WebAssembly can address`);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(total / PAGE_BYTES) });
    const kernel = instantiate('pack', memory) as { readonly pack32: Pack; readonly pack64: Pack };
    this.#pack = bytes === 4 ? kernel.pack32 : kernel.pack64;
    this.#copies = Array.from(
      { length: width },
      (_, k) => new ARRAYS[type](memory.buffer, k * rowsAtOnce * bytes, rowsAtOnce),
    );
    this.#rowsAtOnce = rowsAtOnce;
    this.#width = width;
    this.matrix = new ARRAYS[type](memory.buffer, copyBytes, rows * width);
  }

  /**
   * Memory for `rows` rows of `width` values.
   * @returns undefined for types that are not of 32 or 64 bits, and where the system gives no such memory.
   */
  static create(type: Exclude<ElementType, 'string'>, width: number, rows: number): Packer | undefined {
    const { BYTES_PER_ELEMENT: bytes } = ARRAYS[type];
    if (bytes !== 4 && bytes !== 8) return undefined;
    try {
      return new Packer(type, width, rows);
    } catch (error) {
      // It reserves addresses for all that 32 bits can name, which a limit may forbid.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /** Writes the first `count` values of each column as rows of the matrix, from row `at` on; bit for bit. */
  pack(columns: readonly NumericData[], count: number, at: number): void {
    const { matrix } = this;
    const { byteOffset, BYTES_PER_ELEMENT: bytes } = matrix;
    for (let from = 0; from < count; from += this.#rowsAtOnce) {
      const to = Math.min(from + this.#rowsAtOnce, count);
      for (const [k, column] of columns.entries())
        (this.#copies[k] as Float64Array).set(column.subarray(from, to) as Float64Array);
      const target = byteOffset + (at + from) * this.#width * bytes;
      this.#pack(this.#copies[0]!.byteOffset, this.#rowsAtOnce, this.#width, to - from, target);
    }
  }
}
