import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { expect, it } from 'vitest';
import { blame } from '../../src/source/blame.js';
import { readFault } from '../../src/source/duckdb-errors.js';
import { scanSql } from '../../src/source/scan.js';
import { testDatabase, testFolder } from './folder.js';

const folder = await testFolder();
const database = await testDatabase(folder);
const expressions = ['length(t)', 'CAST(t AS INTEGER)'];
const range = { firstRow: 1000, rows: 8000 };
let made = 0;

/** 10,000 rows of which one holds no number, and the SQL that reads them. */
async function written(): Promise<{ path: string; scan: string }> {
  const path = join(folder, `${made++}.parquet`);
  await database.run(
    `COPY (SELECT CASE WHEN i = 7777 THEN 'seven' ELSE i::VARCHAR END AS t FROM range(10000) t(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
  );
  return { path, scan: scanSql({ path, hive: {} }, {}) };
}

/** A connection, and what is done after each of its queries. */
async function connected(
  after: (queries: number) => unknown,
): Promise<{ connection: DuckDBConnection; count: () => number }> {
  const connection = await database.connect();
  let queries = 0;
  const run = connection.run.bind(connection);
  connection.run = async (sql) => {
    try {
      return await run(sql);
    } finally {
      await after((queries += 1));
    }
  };
  return { connection, count: () => queries };
}

it('finds the expression and the row', async () => {
  const { scan } = await written();
  const { connection } = await connected(() => undefined);
  expect(await blame(connection, scan, expressions, range)).toMatchObject({ column: 1, row: 7777 });
  expect(await blame(connection, scan, ['length(t)'], range)).toBeUndefined();
});

it('does not take a file that has gone for a value that cannot be computed', async () => {
  const { path, scan } = await written();
  // The first two queries tell which expression it is; then the rows are looked for.
  const { connection } = await connected((queries) => (queries === 3 ? rm(path) : undefined));
  const error: unknown = await blame(connection, scan, expressions, range).catch((thrown: unknown) => thrown);
  expect(readFault(error)).toMatchObject({ type: 'IO' });
});

it('ends with the reason of its signal', async () => {
  const { scan } = await written();
  const controller = new AbortController();
  const reason = new Error('stop');
  const { connection, count } = await connected((queries) => {
    if (queries === 4) controller.abort(reason);
  });
  await expect(blame(connection, scan, expressions, range, controller.signal)).rejects.toBe(reason);
  expect(count()).toBe(4);
});
