/** Bitmaps that say which values are there: a bit each, least significant first, 0 for NULL, as Arrow and DuckDB have them. */
import type { Data } from 'apache-arrow';

/** True unless the value of a vector at `row` is NULL. */
export function isValid({ nullBitmap, offset }: Pick<Data, 'nullBitmap' | 'offset'>, row: number): boolean {
  return nullBitmap.length === 0 || isSet(nullBitmap, offset + row);
}

/** Whether a bit is set; without a bitmap all are. */
export function isSet(bitmap: Uint8Array | undefined, at: number): boolean {
  return bitmap === undefined || ((bitmap[at >> 3]! >> (at & 7)) & 1) === 1;
}
