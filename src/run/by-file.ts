/** Asks DuckDB about many files at once, and gets an answer for each. */
import { FILE_INDEX, readSql } from '../source/scan.js';

/** Runs one query. */
export type Ask = (sql: string) => Promise<Record<string, unknown>[]>;

/** Aggregates over the rows of each of some files, in their order; undefined for one without rows. */
export async function aggregatesByFile(
  files: readonly string[],
  aggregates: readonly string[],
  ask: Ask,
): Promise<(Record<string, unknown> | undefined)[]> {
  // By position: a column of the files may be called as ours.
  const select = (some: readonly string[], place: string): string =>
    `SELECT ${[`${place} AS place`, ...aggregates].join(', ')} FROM ${readSql(some)} GROUP BY 1`;
  // A column of that name in the first file, whose columns DuckDB takes, hides the one that tells files apart.
  const described = files.length < 2 ? [] : await ask(`DESCRIBE SELECT * FROM ${readSql(files.slice(0, 1))}`);
  const hidden = described.some((column) => String(column['column_name']).toLowerCase() === FILE_INDEX);
  const rows: Record<string, unknown>[] = [];
  if (files.length > 1 && !hidden) rows.push(...(await ask(select(files, `${FILE_INDEX}::BIGINT`))));
  else for (const [i, file] of files.entries()) rows.push(...(await ask(select([file], String(i)))));
  const byFile = new Map(rows.map((row) => [Number(row['place']), row]));
  return files.map((_, i) => byFile.get(i));
}
