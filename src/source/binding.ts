/**
 * The one function of DuckDB's binding that `@duckdb/node-api` does not hand on: reading bytes through a pointer. The
 * binding is found from where `@duckdb/node-api` lies, so that it is the one that made the pointer.
 */
import { createRequire } from 'node:module';

interface Binding {
  /** A view on `count` bytes at the address that stands at `offset` of `buffer`. */
  get_data_from_pointer(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array;
}

const here = createRequire(import.meta.url);
let binding: Binding | undefined;

/** A view on `count` bytes at the address that stands at `offset` of `buffer`; valid as long as DuckDB holds them. */
export function bytesAt(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array {
  binding ??= createRequire(here.resolve('@duckdb/node-api'))('@duckdb/node-bindings') as Binding;
  return binding.get_data_from_pointer(buffer, offset, count);
}
