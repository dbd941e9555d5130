/** Quoting for DuckDB's SQL. Source: DuckDB documentation, "Keywords and Identifiers" and "Text Types". */

/** `a"b` → `"a""b"`. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `it's` → `'it''s'`. */
export function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
