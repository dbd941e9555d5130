/** The SQL that reads a file of the source. */
import { ROW_NUMBER } from '../pipeline/pipeline.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';

/** The column of row numbers in {@link scanSql}. */
export { ROW_NUMBER };

/** What reading needs to know of a file. */
export interface ScannedFile {
  /** Absolute. */
  readonly path: string;
  readonly hive: Readonly<Record<string, string | null>>;
}

/** The column that {@link readSql} has beside the files' own: which of them a row is from, counted from 0. */
export const FILE_INDEX = 'file_index';

/** SQL of a hive value in its column's type. */
export function hiveLiteral(value: string | null | undefined, type: string): string {
  return `CAST(${value === null || value === undefined ? 'NULL' : quoteString(value)} AS ${type})`;
}

/** The function that reads files of one schema one after the other: their own columns, and {@link ROW_NUMBER} in each. */
export function readSql(paths: readonly string[]): string {
  const files = paths.length === 1 ? quoteString(paths[0]!) : `[${paths.map(quoteString).join(', ')}]`;
  return `read_parquet(${files}, ${ROW_NUMBER} = true, hive_partitioning = false)`;
}

/**
 * The FROM clause that reads one file: its columns, its row numbers as {@link ROW_NUMBER}, and its hive folders as
 * constants. A hive column that the file itself has too must not be in `hiveTypes`: the file's own column counts
 * (`describeColumns` tells which are left).
 */
export function scanSql(file: ScannedFile, hiveTypes: Readonly<Record<string, string>>): string {
  const constants = Object.entries(hiveTypes).map(
    ([name, type]) => `, ${hiveLiteral(file.hive[name], type)} AS ${quoteIdentifier(name)}`,
  );
  return `(SELECT *${constants.join('')} FROM ${readSql([file.path])})`;
}

/** The column of {@link filesSql} that says which of the files a row is from, counted from 0. */
export const FILE_NUMBER = '__colonnade_file';

/**
 * The FROM clause that reads several whole files one after the other, as {@link scanSql} reads each, and {@link FILE_NUMBER}.
 * DuckDB takes the columns from the first one: those that are asked for must be in all of them, in the same types. None
 * may have a column {@link FILE_INDEX}.
 */
export function filesSql(files: readonly ScannedFile[], hiveTypes: Readonly<Record<string, string>>): string {
  const constants = Object.entries(hiveTypes).map(([name, type]) => {
    const values = files.map((file) => hiveLiteral(file.hive[name], type));
    return `, [${values.join(', ')}][${FILE_INDEX}::BIGINT + 1] AS ${quoteIdentifier(name)}`;
  });
  return `(SELECT *${constants.join('')}, ${FILE_INDEX}::BIGINT AS ${FILE_NUMBER} FROM ${readSql(files.map(({ path }) => path))})`;
}
