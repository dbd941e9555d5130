/** Finds the expression and the row that made a query fail: DuckDB's message often names neither. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { isValueFault, readFault } from './duckdb-errors.js';
import { ROW_NUMBER } from './scan.js';
import type { RowRange } from './scanner.js';

export interface Blame {
  /** Position of the expression. */
  readonly column: number;
  /** Position of the first such row in its file. */
  readonly row: number;
  readonly error: unknown;
}

/**
 * Tries the expressions one by one, then halves the range down to one row: about 20 small queries, once, on the way to
 * an error. Undefined where no expression fails on its own.
 * @param signal ends the search; whoever aborts it interrupts the connection's query as well.
 * @throws the signal's reason; DuckDB's error where a query fails for another reason than a value, as when the file is
 * gone by now.
 */
export async function blame(
  connection: DuckDBConnection,
  scan: string,
  expressions: readonly string[],
  range: RowRange,
  signal?: AbortSignal,
): Promise<Blame | undefined> {
  for (const [column, sql] of expressions.entries()) {
    /** What a value of these rows fails with, if one does. */
    const fails = async (from: number, to: number): Promise<unknown> => {
      signal?.throwIfAborted();
      // The hash makes DuckDB compute every value; a mere count would not.
      const query = `SELECT max(hash(${sql})) FROM ${scan} WHERE ${ROW_NUMBER} >= ${from} AND ${ROW_NUMBER} < ${to}`;
      try {
        await connection.run(query);
        return undefined;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isValueFault(readFault(error))) throw error;
        return error;
      }
    };
    let from = range.firstRow;
    let to = range.firstRow + range.rows;
    let error = await fails(from, to);
    if (error === undefined) continue;
    while (to - from > 1) {
      const middle = Math.floor((from + to) / 2);
      const first = await fails(from, middle);
      if (first === undefined) {
        from = middle;
      } else {
        to = middle;
        error = first;
      }
    }
    // The message is that of this very row.
    return { column, row: from, error: (await fails(from, to)) ?? error };
  }
  return undefined;
}
