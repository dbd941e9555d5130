/** Quoting for DuckDB's SQL. Source: DuckDB documentation, "Keywords and Identifiers" and "Text Types". */

/** `a"b` → `"a""b"`. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** DuckDB's reserved words: no names unless they are quoted. Source: `duckdb_keywords()` of DuckDB 1.5. */
const RESERVED: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
  deferrable desc describe distinct do else end except false fetch for foreign from group having in initially intersect
  into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing primary
  qualify references returning select show some summarize symmetric table then to trailing true union unique unpivot
  using variadic when where window with`.split(/\s+/),
);

/** True for a word that is no name in SQL, unless it is quoted. */
export function isReserved(word: string): boolean {
  return RESERVED.has(word.toLowerCase());
}

/** A name as a person would write it in SQL: `age`, but `"order"` and `"a b"`. */
export function writtenIdentifier(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) && !isReserved(name) ? name : quoteIdentifier(name);
}

/** `it's` → `'it''s'`. */
export function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
