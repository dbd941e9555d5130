/** A file of its own: DuckDB asks for the machine's time zone once a process, when it is loaded. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openScanner } from '../../src/source/scanner.js';
import { testDatabase, testFolder } from './folder.js';

process.env['TZ'] = 'Asia/Tokyo';

it('computes times in UTC on a machine in another time zone, in scans as in statements', async () => {
  expect(new Date(0).getHours()).toBe(9);
  const folder = await testFolder();
  const database = await testDatabase(folder);
  const path = join(folder, 'a.parquet');
  await database.run(
    `COPY (SELECT TIMESTAMPTZ '2026-01-01 20:00:00+00' + to_hours(i) AS ts FROM range(6) t(i)) TO '${path}' (FORMAT parquet)`,
  );
  const hours = [20, 21, 22, 23, 0, 1];
  const sql = 'CAST(extract(hour FROM ts) AS INTEGER)';
  const rows = await database.rows(`SELECT ${sql} AS hour FROM read_parquet('${path}')`);
  expect(rows.map(({ hour }) => hour)).toEqual(hours);

  const rule = { missing: 'invalid', infinite: 'invalid' } as const;
  const scanner = await openScanner(database, [{ name: 'hour', role: 'feature', sql, element: 'int32', rule }]);
  const scanned: unknown[] = [];
  await scanner.scan({ file: { path, hive: {} }, hiveTypes: {}, firstRow: 0, rows: 6 }, ({ batch }) => {
    scanned.push(...(batch.getChildAt(0)!.toArray() as Int32Array));
  });
  scanner.close();
  expect(scanned).toEqual(hours);
});
