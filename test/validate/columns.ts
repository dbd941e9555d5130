/** Arrow columns as DuckDB's memory has them: any value may lie under a NULL, and lists need not begin at the first value. */
import * as arrow from 'apache-arrow';
import type { ElementType } from '../../src/plan/facts.js';
import type { ProjectedColumn } from '../../src/plan/plan.js';

export type Scalar = number | bigint | string | null;
export type Cell = Scalar | readonly Scalar[];

type Numeric = Exclude<ElementType, 'string' | 'bool'>;

const TYPES = {
  float32: [new arrow.Float32(), Float32Array],
  float64: [new arrow.Float64(), Float64Array],
  int8: [new arrow.Int8(), Int8Array],
  uint8: [new arrow.Uint8(), Uint8Array],
  int16: [new arrow.Int16(), Int16Array],
  uint16: [new arrow.Uint16(), Uint16Array],
  int32: [new arrow.Int32(), Int32Array],
  uint32: [new arrow.Uint32(), Uint32Array],
  int64: [new arrow.Int64(), BigInt64Array],
  uint64: [new arrow.Uint64(), BigUint64Array],
} as const satisfies Record<Numeric, unknown>;

/** @param garbage what lies where there is no value; of the column's type. */
export function columnOf(column: ProjectedColumn, cells: readonly Cell[], garbage: Scalar): arrow.Data {
  if (column.listLength === undefined) return scalars(column.element, cells as readonly Scalar[], garbage);
  // Values of no list before the first one.
  const values: Scalar[] = [garbage, garbage];
  const offsets = Int32Array.of(values.length, ...cells.map(() => 0));
  for (const [i, cell] of cells.entries()) {
    if (cell !== null) values.push(...(cell as readonly Scalar[]));
    offsets[i + 1] = values.length;
  }
  const child = scalars(column.element, values, garbage);
  const type = new arrow.List(new arrow.Field('item', child.type, true));
  const { nullBitmap, nullCount } = bitmapOf(cells);
  return new arrow.Data(type, 0, cells.length, nullCount, [offsets, undefined, nullBitmap] as never, [child]);
}

function scalars(element: ElementType, cells: readonly Scalar[], garbage: Scalar): arrow.Data {
  if (element === 'string')
    return arrow.vectorFromArray([...cells, ''], new arrow.Utf8()).data[0]!.slice(0, cells.length);
  const [type, Values] = TYPES[element === 'bool' ? 'uint8' : element];
  const values = new Values(cells.length) as unknown as Scalar[];
  for (const [i, cell] of cells.entries()) values[i] = cell ?? garbage;
  const { nullBitmap, nullCount } = bitmapOf(cells);
  return new arrow.Data(type, 0, cells.length, nullCount, [undefined, values, nullBitmap] as never);
}

function bitmapOf(cells: readonly unknown[]): { readonly nullBitmap: Uint8Array; readonly nullCount: number } {
  const nullCount = cells.filter((cell) => cell === null).length;
  if (nullCount === 0) return { nullBitmap: new Uint8Array(0), nullCount };
  // Bits behind the last row are set: DuckDB does not clear them.
  const nullBitmap = new Uint8Array(Math.ceil(cells.length / 8)).fill(255);
  for (const [i, cell] of cells.entries()) if (cell === null) nullBitmap[i >> 3]! &= ~(1 << (i & 7));
  return { nullBitmap, nullCount };
}

/** A record batch of columns of the same length, in the order of the projection. */
export function batchOf(columns: readonly arrow.Data[], rows: number): arrow.RecordBatch {
  const fields = columns.map(({ type }, i) => new arrow.Field(`c${i}`, type, true));
  const struct = arrow.makeData({ type: new arrow.Struct(fields), length: rows, nullCount: 0, children: [...columns] });
  return new arrow.RecordBatch(new arrow.Schema(fields), struct);
}
