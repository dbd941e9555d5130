/** The columns of the source as DuckDB sees them. */
import { ColonnadeError } from '../errors.js';
import type { SourceColumn } from '../plan/facts.js';
import type { Database } from './database.js';
import { ROW_NUMBER, scanSql, type ScannedFile } from './scan.js';

/**
 * The columns of a file in its own order, then its hive columns. A hive column that the file has as well (without
 * regard to case) is the file's own: it is listed once, with `hive: false`. Of {@link hiveTypes}, only the columns
 * with `hive: true` here may be given to {@link scanSql}; {@link hiveTypesBeside} picks them.
 * @throws ColonnadeError `BAD_PARQUET`, `INPUT_GONE`; `COLUMN_AMBIGUOUS` for a column or a folder of the name that DuckDB gives to
 * the row numbers.
 */
export async function describeColumns(
  database: Database,
  file: ScannedFile,
  hiveTypes: Readonly<Record<string, string>>,
): Promise<SourceColumn[]> {
  const hidden = Object.keys(hiveTypes).find((name) => name.toLowerCase() === ROW_NUMBER);
  if (hidden !== undefined) {
    throw new ColonnadeError(
      'COLUMN_AMBIGUOUS',
      `${file.path}: the folder ${hidden}=… has the name that DuckDB gives to the position of a row`,
      { phase: 'source', hint: 'rename the folder' },
    );
  }
  const described = await database
    .rows(`DESCRIBE SELECT * FROM ${scanSql(file, {})}`, { file: file.path })
    .catch((error: unknown) => {
      if (!(error instanceof ColonnadeError) || !error.message.includes(`column named ${ROW_NUMBER}`)) throw error;
      throw new ColonnadeError(
        'COLUMN_AMBIGUOUS',
        `${file.path} has a column ${ROW_NUMBER}, the name that DuckDB gives to the position of a row`,
        {
          phase: 'source',
          hint: 'rename the column in the source',
          cause: error,
        },
      );
    });
  const own = described
    .map(({ column_name, column_type }) => ({ name: String(column_name), type: String(column_type), hive: false }))
    .filter(({ name }) => name !== ROW_NUMBER);
  const beside = hiveTypesBeside(own, hiveTypes);
  return [...own, ...Object.entries(beside).map(([name, type]) => ({ name, type, hive: true }))];
}

/** The hive columns that the file does not have itself, with their types. */
export function hiveTypesBeside(
  columns: readonly SourceColumn[],
  hiveTypes: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = new Set(columns.filter(({ hive }) => !hive).map(({ name }) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(hiveTypes).filter(([name]) => !own.has(name.toLowerCase())));
}
