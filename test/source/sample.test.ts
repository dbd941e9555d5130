import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeColumns } from '../../src/source/columns.js';
import { openDatabase } from '../../src/source/database.js';
import { bindExpressions } from '../../src/source/expression.js';
import { findFiles } from '../../src/source/files.js';
import { hiveTypes } from '../../src/source/hive.js';
import { openScanner } from '../../src/source/scanner.js';
import { testFolder } from './folder.js';

it('finds, binds and reads the sample table of customers as DuckDB does in one query', async () => {
  const root = fileURLToPath(new URL('../../data/customers', import.meta.url));
  const files = await findFiles([root]);
  const types = hiveTypes(files);
  const database = await openDatabase({
    memoryLimit: 200e6,
    threads: 1,
    spillDirectory: await testFolder(),
    readable: [root],
    writable: [],
  });
  try {
    const columns = await describeColumns(database, files[0]!, types);
    expect(columns.filter(({ hive }) => hive).map(({ name }) => name)).toEqual(Object.keys(types));
    const where = { key: 'source.where', sql: 'coalesce(age > 40, false)', boolean: true };
    const [condition] = await bindExpressions(database, files[0]!, types, [where]);
    expect(condition).toEqual({ sql: where.sql, type: 'BOOLEAN', columns: ['age'] });

    const rule = { missing: 'invalid', infinite: 'invalid' } as const;
    const projection = [
      { name: 'where', role: 'where', sql: `CAST(${where.sql} AS UTINYINT)`, element: 'uint8', rule },
      { name: 'hive', role: 'feature', sql: `CAST("${Object.keys(types)[0]!}" AS VARCHAR)`, element: 'string', rule },
    ] as const;
    let rows = 0;
    let kept = 0;
    const hive = new Map<string, number>();
    const scanner = await openScanner(database, projection);
    for (const file of files) {
      const [count] = await database.rows(`SELECT count(*) AS n FROM '${file.path}'`);
      const request = { file, hiveTypes: types, firstRow: 0, rows: Number(count!['n']) };
      await scanner.scan(request, ({ batch }) => {
        rows += batch.numRows;
        for (const value of batch.getChildAt(0)!.toArray() as Uint8Array) kept += value;
        for (const value of batch.getChildAt(1)!) hive.set(String(value), (hive.get(String(value)) ?? 0) + 1);
      });
    }
    scanner.close();
    const name = Object.keys(types)[0]!;
    const all = `read_parquet('${root}/**/*.parquet', hive_partitioning = true)`;
    const [total] = await database.rows(`SELECT count(*) AS n, count(*) FILTER (age > 40) AS kept FROM ${all}`);
    expect({ n: BigInt(rows), kept: BigInt(kept) }).toEqual(total);
    const counts = await database.rows(
      `SELECT CAST("${name}" AS VARCHAR) AS v, count(*) AS n FROM ${all} GROUP BY ALL`,
    );
    expect(hive).toEqual(new Map(counts.map(({ v, n }) => [String(v), Number(n)])));
  } finally {
    await database.close();
  }
});
