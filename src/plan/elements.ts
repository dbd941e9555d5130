/** The element types of tensors in memory and in DuckDB. */
import type { ElementType } from './facts.js';

/** Array constructors by element type; `string` has none. Bools are bytes of 0 and 1. */
export const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Record<Exclude<ElementType, 'string'>, unknown>;

/** Array of the numbers of a tensor or column. */
export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** DuckDB's type of a value that becomes an element. Bools are read as bytes, as tensors hold them. */
export const DUCKDB_TYPES = {
  float32: 'FLOAT',
  float64: 'DOUBLE',
  int8: 'TINYINT',
  uint8: 'UTINYINT',
  int16: 'SMALLINT',
  uint16: 'USMALLINT',
  int32: 'INTEGER',
  uint32: 'UINTEGER',
  int64: 'BIGINT',
  uint64: 'UBIGINT',
  bool: 'UTINYINT',
  string: 'VARCHAR',
} as const satisfies Record<ElementType, string>;
