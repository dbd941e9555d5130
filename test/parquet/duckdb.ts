/** DuckDB as writer and reader of the files that tests need. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue, type Json } from '@duckdb/node-api';

export interface Workshop {
  readonly folder: string;
  /** Runs SQL and gives its rows as plain values. */
  rows(sql: string): Promise<Json[][]>;
  /** Runs SQL and gives its columns exactly: NaN, −0 and 64-bit integers as what they are. */
  columns(sql: string): Promise<DuckDBValue[][]>;
  /** Writes a query as Parquet and gives the path. */
  parquet(name: string, query: string, options?: string): Promise<string>;
  path(name: string): string;
  close(): Promise<void>;
}

/** A folder and a database of its own. */
export async function openWorkshop(): Promise<Workshop> {
  const folder = await mkdtemp(join(tmpdir(), 'colonnade-parquet-'));
  const instance = await DuckDBInstance.create(':memory:', { enable_external_file_cache: 'false' });
  const connection: DuckDBConnection = await instance.connect();
  const path = (name: string): string => join(folder, name);
  return {
    folder,
    path,
    rows: async (sql) => (await connection.runAndReadAll(sql)).getRowsJson(),
    columns: async (sql) => (await connection.runAndReadAll(sql)).getColumns(),
    parquet: async (name, query, options = 'row_group_size 2048') => {
      await connection.run(`copy (${query}) to '${path(name)}' (format parquet, ${options})`);
      return path(name);
    },
    close: async () => {
      connection.closeSync();
      instance.closeSync();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
