/**
 * What of DuckDB's binding `@duckdb/node-api` does not hand on, or hands on at a price: a scan meets these calls for every
 * column of every 2,048 rows. It is pinned to the version that `@duckdb/node-api` brings, so that both are one module, and
 * an object that one has made can be given to the other.
 */
import { createRequire } from 'node:module';
import type * as Binding from '@duckdb/node-bindings';

export type RawChunk = Binding.DataChunk;
export type RawVector = Binding.Vector;
export type Type = Binding.Type;

/** The C interface as it is. */
export interface DuckDBBinding {
  readonly Type: typeof Binding.Type;
  /** `main` runs on the JavaScript thread; DuckDB's thread waits for it. What it throws fails the query. */
  scalar_function_set_function(
    fn: Binding.ScalarFunction,
    main: (info: unknown, input: RawChunk, output: RawVector) => void,
  ): void;
  get_type_id(type: Binding.LogicalType): Binding.Type;
  data_chunk_get_size(chunk: RawChunk): number;
  data_chunk_get_vector(chunk: RawChunk, column: number): RawVector;
  vector_get_column_type(vector: RawVector): Binding.LogicalType;
  /** A copy of the first bytes of a flat vector's values, in a buffer of its own. */
  vector_get_data(vector: RawVector, bytes: number): Uint8Array;
  /** A copy of a vector's validity, 64 rows a word; null where it keeps none as nothing is NULL. */
  vector_get_validity(vector: RawVector, bytes: number): Uint8Array | null;
  list_vector_get_child(vector: RawVector): RawVector;
  /** Values in the child vector. */
  list_vector_get_size(vector: RawVector): number;
  /** A copy of `count` bytes at the address that stands at `offset` of `buffer`. */
  get_data_from_pointer(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array;
}

const here = createRequire(import.meta.url);
let loaded: DuckDBBinding | undefined;

/** The binding; loads DuckDB if nothing has yet. */
export function duckdbBinding(): DuckDBBinding {
  return (loaded ??= here('@duckdb/node-bindings') as DuckDBBinding);
}

/** A copy of `count` bytes at the address that stands at `offset` of `buffer`; DuckDB must still hold them. */
export function bytesAt(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array {
  return duckdbBinding().get_data_from_pointer(buffer, offset, count);
}
