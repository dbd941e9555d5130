/**
 * DuckDB's type names, sorted by what a model can take of them.
 * Source: DuckDB documentation, "Data Types" (numeric limits) and `DESCRIBE`'s spelling of them.
 */

/** A DuckDB type as far as feeding a model is concerned. */
export type ColumnType =
  | { readonly kind: 'boolean' }
  /** Integers, and decimals without a fraction: the least and greatest value that the type holds. */
  | { readonly kind: 'integer'; readonly min: bigint; readonly max: bigint }
  | { readonly kind: 'decimal'; readonly scale: number }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'text' }
  | { readonly kind: 'list'; readonly child: ColumnType; readonly length?: number }
  /** Dates, times, blobs, structs, …: nothing that a tensor holds. */
  | { readonly kind: 'other' };

const signed = (bits: bigint): ColumnType => ({
  kind: 'integer',
  min: -(1n << (bits - 1n)),
  max: (1n << (bits - 1n)) - 1n,
});
const unsigned = (bits: bigint): ColumnType => ({ kind: 'integer', min: 0n, max: (1n << bits) - 1n });

const SCALARS: Readonly<Record<string, ColumnType>> = {
  BOOLEAN: { kind: 'boolean' },
  TINYINT: signed(8n),
  SMALLINT: signed(16n),
  INTEGER: signed(32n),
  BIGINT: signed(64n),
  HUGEINT: signed(128n),
  UTINYINT: unsigned(8n),
  USMALLINT: unsigned(16n),
  UINTEGER: unsigned(32n),
  UBIGINT: unsigned(64n),
  FLOAT: { kind: 'float', bits: 32 },
  DOUBLE: { kind: 'float', bits: 64 },
  VARCHAR: { kind: 'text' },
};

/** Reads a type as DuckDB spells it, `DECIMAL(12,2)` or `FLOAT[8]` for instance. */
export function columnType(name: string): ColumnType {
  const list = /^(.*)\[(\d*)\]$/.exec(name);
  if (list !== null) {
    const child = columnType(list[1]!);
    return list[2] === '' ? { kind: 'list', child } : { kind: 'list', child, length: Number(list[2]) };
  }
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(name);
  if (decimal !== null) {
    const scale = Number(decimal[2]);
    if (scale > 0) return { kind: 'decimal', scale };
    const bound = 10n ** BigInt(decimal[1]!) - 1n;
    return { kind: 'integer', min: -bound, max: bound };
  }
  if (name.startsWith('ENUM(')) return { kind: 'text' };
  return SCALARS[name] ?? { kind: 'other' };
}
