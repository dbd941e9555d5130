import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ElementType } from '../../src/plan/facts.js';
import type { ProjectedColumn } from '../../src/plan/plan.js';
import { scanSql } from '../../src/source/scan.js';
import { openScanner, type ScanRequest } from '../../src/source/scanner.js';
import { containing, matching, testDatabase, testFolder } from './folder.js';

const folder = await testFolder();
const database = await testDatabase(folder);
let made = 0;

/** Writes a table and gives its path and the rows of its row groups. */
async function written(select: string, options = ''): Promise<{ path: string; groups: { rows: number }[] }> {
  const path = join(folder, `${made++}.parquet`);
  await database.run(`COPY (${select}) TO '${path}' (FORMAT parquet${options})`);
  const rows = await database.rows(
    `SELECT any_value(row_group_num_rows) AS n FROM parquet_metadata('${path}') GROUP BY row_group_id ORDER BY row_group_id`,
  );
  return { path, groups: rows.map(({ n }) => ({ rows: Number(n) })) };
}

function column(sql: string, element: ElementType, listLength?: number): ProjectedColumn {
  const rule = { missing: 'invalid', infinite: 'invalid' } as const;
  return { name: sql, role: 'feature', sql, element, rule, ...(listLength === undefined ? {} : { listLength }) };
}

interface Wanted extends Partial<Omit<ScanRequest, 'file'>> {
  readonly path: string;
  readonly projection: readonly ProjectedColumn[];
  readonly hive?: Readonly<Record<string, string | null>>;
}

function requestOf({ path, projection: _, hive = {}, ...rest }: Wanted, rows: number): ScanRequest {
  return { file: { path, hive }, hiveTypes: {}, firstRow: 0, rows, ...rest };
}

/** All values by column, in the order of the file, as JavaScript has them; checks that every row comes once. */
async function valuesOf(wanted: Wanted, rows: number): Promise<unknown[][]> {
  const { projection } = wanted;
  const request = requestOf(wanted, rows);
  const batches: { firstRow: number; columns: unknown[][] }[] = [];
  const scanner = await openScanner(database, projection);
  try {
    await scanner.scan(request, ({ firstRow, batch }) => {
      // Copied at once: the memory is DuckDB's again afterwards.
      const columns = projection.map((_, i) => Array.from(batch.getChildAt(i)! as Iterable<unknown>, plain));
      batches.push({ firstRow, columns: [...columns, Array<number>(batch.numRows).fill(0)] });
    });
  } finally {
    scanner.close();
  }
  let next = request.firstRow;
  for (const { firstRow, columns } of batches.sort((a, b) => a.firstRow - b.firstRow)) {
    expect(firstRow).toBe(next);
    next += columns.at(-1)!.length;
  }
  expect(next).toBe(request.firstRow + request.rows);
  return projection.map((_, i) => batches.flatMap(({ columns }) => columns[i]!));
}

function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
    ? [...(value as Iterable<unknown>)]
    : value;
}

const total = (groups: readonly { rows: number }[]): number => groups.reduce((sum, { rows }) => sum + rows, 0);

describe('a scan', () => {
  it('gives every type that a tensor can have, NULLs at odd places included, equal to what DuckDB has', async () => {
    const { path, groups } = await written(
      `SELECT i, CASE WHEN i % 7 = 3 OR i % 2048 = 2047 THEN NULL ELSE i END AS n, i % 3 = 0 AS b,
              CASE WHEN i % 11 = 0 THEN NULL WHEN i % 5 = 0 THEN '' WHEN i % 3 = 0 THEN 'é' || i WHEN i % 1000 = 1 THEN repeat('long ', 5000) ELSE 'a text of more than twelve bytes ' || i END AS s
       FROM range(9001) t(i)`,
      ', ROW_GROUP_SIZE 4096',
    );
    const types = [
      ['FLOAT', 'float32'], ['DOUBLE', 'float64'], ['SMALLINT', 'int16'], ['USMALLINT', 'uint16'], ['INTEGER', 'int32'],
      ['UINTEGER', 'uint32'], ['BIGINT', 'int64'], ['UBIGINT', 'uint64'],
    ] as const; // prettier-ignore
    const projection = [
      ...types.map(([type, element]) => column(`CAST(n AS ${type})`, element)),
      column('CAST(n % 100 AS TINYINT)', 'int8'),
      column('CAST(n % 100 AS UTINYINT)', 'uint8'),
      column('CAST(b AS UTINYINT)', 'bool'),
      column('s', 'string'),
      column('CAST(42 AS BIGINT)', 'int64'),
      column('CAST(NULL AS FLOAT)', 'float32'),
      column("'a constant text'", 'string'),
    ];
    const expected = await database.rows(
      `SELECT ${projection.map(({ sql }, i) => `${sql} AS c${i}`).join(', ')} FROM ${scanSql({ path, hive: {} }, {})} ORDER BY file_row_number`,
    );
    const actual = await valuesOf({ path, projection }, total(groups));
    projection.forEach(({ sql }, i) => {
      expect(actual[i], sql).toEqual(expected.map((row) => row[`c${i}`]));
    });
  });

  it('counts NULLs, and has a bitmap only where there are some', async () => {
    const { path, groups } = await written(
      'SELECT i::FLOAT AS a, CASE WHEN i = 2999 THEN NULL ELSE i::FLOAT END AS b FROM range(3000) t(i)',
    );
    const projection = [column('a', 'float32'), column('b', 'float32')];
    const seen: { rows: number; nulls: number[]; bitmaps: number[]; end: unknown }[] = [];
    const scanner = await openScanner(database, projection);
    await scanner.scan(requestOf({ path, projection }, total(groups)), ({ batch }) => {
      const columns = batch.data.children;
      expect(columns[0]!.values).toBeInstanceOf(Float32Array);
      seen.push({
        rows: batch.numRows,
        nulls: columns.map(({ nullCount }) => nullCount),
        bitmaps: columns.map(({ nullBitmap }) => nullBitmap.length),
        end: batch.slice(950, 952).getChildAt(1)!.toJSON(),
      });
    });
    scanner.close();
    expect(seen).toEqual([
      { rows: 2048, nulls: [0, 0], bitmaps: [0, 0], end: [950, 951] },
      { rows: 952, nulls: [0, 1], bitmaps: [0, 119], end: [2998, null] },
    ]);
  });

  it('leaves the numbers of lists where they are, whatever the lists’ lengths', async () => {
    const { path, groups } = await written(
      `SELECT i, CASE WHEN i % 5 = 0 THEN NULL WHEN i % 7 = 0 THEN [] ELSE [i::FLOAT, NULL, i::FLOAT / 2] END AS l,
              [i::DOUBLE, i + 1]::DOUBLE[2] AS a FROM range(5000) t(i)`,
      ', ROW_GROUP_SIZE 2048',
    );
    const projection = [
      column('l', 'float32', 3),
      column('CAST(a AS DOUBLE[])', 'float64', 2),
      column('[1.5::FLOAT, 2.5::FLOAT]', 'float32', 2),
      column('CASE WHEN i % 2 = 0 THEN [i] ELSE NULL END', 'int64', 1),
      column('l[1:2]', 'float32', 2),
      column('list_reverse(l)', 'float32', 3),
      column('list_transform(l, lambda x: x * 2)', 'float32', 3),
      column('list_filter(l, lambda x: x IS NOT NULL)', 'float32', 2),
      column('list_concat(l, l)', 'float32', 6),
      column('CASE WHEN i % 3 = 0 THEN l ELSE [0::FLOAT, 1::FLOAT] END', 'float32', 3),
      column('array_slice(CAST(a AS DOUBLE[]), 2, 2)', 'float64', 1),
    ];
    const expected = await database.rows(
      `SELECT ${projection.map(({ sql }, i) => `${sql} AS c${i}`).join(', ')} FROM ${scanSql({ path, hive: {} }, {})} ORDER BY file_row_number`,
    );
    const actual = await valuesOf({ path, projection }, total(groups));
    projection.forEach(({ sql }, i) => {
      expect(actual[i], sql).toEqual(expected.map((row) => row[`c${i}`]));
    });
  });

  it('adds hive columns as constants, and computes with them', async () => {
    const { path, groups } = await written('SELECT i FROM range(3) t(i)');
    const wanted = {
      path,
      projection: [column('i + k', 'int64'), column('name', 'string'), column('none', 'string')],
      hive: { k: '40', name: "it's", none: null },
      hiveTypes: { k: 'BIGINT', name: 'VARCHAR', none: 'VARCHAR' },
    };
    expect(await valuesOf(wanted, total(groups))).toEqual([[40n, 41n, 42n], ["it's", "it's", "it's"], [null, null, null]]); // prettier-ignore
  });

  it('counts rows where nothing is projected, and reads nothing where there are none', async () => {
    const { path, groups } = await written('SELECT i FROM range(5000) t(i)', ', ROW_GROUP_SIZE 2048');
    expect(await valuesOf({ path, projection: [] }, total(groups))).toEqual([]);
    expect(await valuesOf({ path, projection: [column('i', 'int64')] }, 0)).toEqual([[]]);
  });

  it('concatenates to the table that DuckDB reads in one go, for any row groups and ranges of them', async () => {
    const shapes = fc.record({
      rows: fc.integer({ min: 1, max: 20_000 }),
      rowGroupSize: fc.constantFrom(2048, 4096, 6144, 100_000),
      nullEvery: fc.integer({ min: 1, max: 70 }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, rowGroupSize, nullEvery, from }) => {
        const { path, groups } = await written(
          `SELECT CASE WHEN i % ${nullEvery} = 0 THEN NULL ELSE hash(i)::DOUBLE END AS x, 'text ' || repeat('y', (hash(i) % 30)::INT) AS s FROM range(${rows}) t(i)`,
          `, ROW_GROUP_SIZE ${rowGroupSize}`,
        );
        const first = Math.floor(from * groups.length);
        const firstRow = groups.slice(0, first).reduce((sum, group) => sum + group.rows, 0);
        const projection = [
          column('x', 'float64'),
          column('s', 'string'),
          column('CAST(coalesce(x > 9e18, false) AS UTINYINT)', 'uint8'),
        ];
        const expected = await database.rows(
          `SELECT x, s, CAST(coalesce(x > 9e18, false) AS UTINYINT) AS w FROM ${scanSql({ path, hive: {} }, {})} WHERE file_row_number >= ${firstRow} ORDER BY file_row_number`,
        );
        const [x, s, w] = await valuesOf({ path, projection, firstRow }, total(groups) - firstRow);
        expect(x).toEqual(expected.map((row) => row['x']));
        expect(s).toEqual(expected.map((row) => row['s']));
        expect(w).toEqual(expected.map((row) => row['w']));
        await rm(path);
      }),
      { numRuns: 15 },
    );
  });

  it('gives the rows of a row group in the order of the file', async () => {
    const { path, groups } = await written('SELECT i FROM range(200000) t(i)', ', ROW_GROUP_SIZE 20480');
    const projection = [column('i', 'int64')];
    const scanner = await openScanner(database, projection);
    const next = new Map<number, number>();
    await scanner.scan(requestOf({ path, projection }, total(groups)), ({ firstRow, batch }) => {
      const group = Math.floor(firstRow / 20480);
      expect(firstRow).toBe(next.get(group) ?? group * 20480);
      expect((batch.data.children[0]!.values as BigInt64Array)[0]).toBe(BigInt(firstRow));
      next.set(group, firstRow + batch.numRows);
    });
    scanner.close();
    expect(next.size).toBe(10);
  });

  it('ends with what the receiver of its batches throws, and can go on afterwards', async () => {
    const { path, groups } = await written('SELECT i FROM range(200000) t(i)', ', ROW_GROUP_SIZE 20480');
    const projection = [column('i', 'int64')];
    const scanner = await openScanner(database, projection);
    const reason = new Error('enough');
    let calls = 0;
    const scan = scanner.scan(requestOf({ path, projection }, total(groups)), () => {
      calls += 1;
      if (calls === 3) throw reason;
    });
    await expect(scan).rejects.toBe(reason);
    expect(calls).toBe(3);
    let rows = 0;
    await scanner.scan(requestOf({ path, projection }, total(groups)), ({ batch }) => {
      rows += batch.numRows;
    });
    expect(rows).toBe(200000);
    scanner.close();
  });

  it('raises on a corrupt page in the middle, and is never short', async () => {
    const { path, groups } = await written(
      "SELECT i, hash(i)::VARCHAR || 'text' AS s FROM range(60000) t(i)",
      ', ROW_GROUP_SIZE 20480',
    );
    const [page] = await database.rows(
      `SELECT min(data_page_offset) AS at, min(total_compressed_size) AS size FROM parquet_metadata('${path}') WHERE row_group_id = 1 AND path_in_schema = 's'`,
    );
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(4000, 0xff), 0, 4000, Number(page!['at']) + Math.floor(Number(page!['size']) / 2));
    await file.close();
    await expect(valuesOf({ path, projection: [column('s', 'string')] }, total(groups))).rejects.toMatchObject({
      code: 'BAD_PARQUET',
      message: matching(/\.parquet cannot be read in rows 0 to 59999/),
    });
    // The row groups around it can be read.
    const [after] = await valuesOf({ path, projection: [column('i', 'int64')], firstRow: 40960 }, 60000 - 40960);
    expect(after!.at(-1)).toBe(59999n);
  });

  it('raises where the file has fewer rows than were asked for', async () => {
    const { path } = await written('SELECT i FROM range(100) t(i)');
    await expect(valuesOf({ path, projection: [column('i', 'int64')] }, 101)).rejects.toMatchObject({
      code: 'BAD_PARQUET',
      message: `${path}: 100 of 101 rows were found (rows 0 to 100 by the footer)`,
    });
  });

  it('raises on a file that is cut off at any length, or gone', async () => {
    const { path } = await written('SELECT i, hash(i)::VARCHAR AS s FROM range(3000) t(i)');
    const size = (await stat(path)).size;
    const content = await readFile(path);
    for (const length of [0, 1, 4, 11, 12, 100, Math.floor(size / 2), size - 9, size - 8, size - 1]) {
      await writeFile(path, content.subarray(0, length));
      await expect(valuesOf({ path, projection: [column('s', 'string')] }, 3000), String(length)).rejects.toMatchObject(
        { code: 'BAD_PARQUET', message: containing(path) },
      );
    }
    await rm(path);
    await expect(valuesOf({ path, projection: [column('s', 'string')] }, 3000)).rejects.toMatchObject({
      code: 'INPUT_GONE',
    });
  });

  it('names the expression and the row where a value cannot be computed', async () => {
    const { path, groups } = await written(
      `SELECT CASE WHEN i = 7777 THEN 'seven' ELSE i::VARCHAR END AS t FROM range(10000) t(i)`,
      ', ROW_GROUP_SIZE 2048',
    );
    const projection = [column('length(t)', 'int64'), { ...column('CAST(t AS INTEGER)', 'int32'), name: 'number' }];
    await expect(valuesOf({ path, projection }, total(groups))).rejects.toMatchObject({
      code: 'SQL_FAILED',
      message: containing(`feature number failed (${path} in row 7777): Could not convert string 'seven' to INT32`),
    });
  });

  it('ends with the reason of its signal, before it starts and in the middle', async () => {
    const { path, groups } = await written('SELECT i FROM range(10240) t(i)', ', ROW_GROUP_SIZE 2048');
    const slow = column('list_sum(list_transform(range(2000), lambda y: y + i))', 'int64');
    const controller = new AbortController();
    const reason = new Error('stop');
    const projection = [column(`CAST(${slow.sql} AS BIGINT)`, 'int64')];
    const reading = valuesOf({ path, projection, signal: controller.signal }, total(groups));
    setTimeout(() => {
      controller.abort(reason);
    }, 30);
    await expect(reading).rejects.toBe(reason);
    await expect(valuesOf({ path, projection: [], signal: controller.signal }, total(groups))).rejects.toBe(reason);
  });

  it('says so where a column is read as another type than planned', async () => {
    const { path, groups } = await written('SELECT i FROM range(10) t(i)');
    for (const planned of [
      column('i', 'float32'),
      column('i', 'string'),
      column('i', 'int64', 2),
      column("'x'", 'int8'),
    ]) {
      await expect(valuesOf({ path, projection: [planned] }, total(groups))).rejects.toMatchObject({
        code: 'INTERNAL',
        message: containing('was planned as'),
      });
    }
  });

  it('says so where its function is called by another query', async () => {
    const scanner = await openScanner(database, [column('i', 'int64')]);
    const [row] = await database.rows(
      `SELECT max(function_name) AS name FROM duckdb_functions() WHERE function_name LIKE 'colonnade_scan_%'`,
    );
    await expect(database.rows(`SELECT ${String(row!['name'])}(i, i) FROM range(3) t(i)`)).rejects.toMatchObject({
      message: containing('was called while no scan is under way'),
    });
    scanner.close();
  });

  it('leaves no spilled data behind', async () => {
    expect((await readdir(folder)).filter((name) => name === 'spill')).toEqual([]);
  });
});

describe('a scan of several files', () => {
  /** The values of one column by file, in the order of each; checks that every row comes once, and in turn. */
  async function valuesByFile(
    files: readonly {
      readonly path: string;
      readonly rows: number;
      readonly hive?: Readonly<Record<string, string>>;
    }[],
    sql: string,
    element: ElementType,
    hiveTypes: Readonly<Record<string, string>> = {},
  ): Promise<unknown[][]> {
    const scanner = await openScanner(database, [column(sql, element)]);
    const values: unknown[][] = files.map(() => []);
    try {
      await scanner.scanFiles(
        { files: files.map(({ path, rows, hive = {} }) => ({ file: { path, hive }, rows })), hiveTypes },
        ({ firstRow, batch }, file) => {
          expect(firstRow).toBe(values[file]!.length);
          values[file]!.push(...(batch.getChildAt(0)! as Iterable<unknown>));
        },
      );
    } finally {
      scanner.close();
    }
    expect(values.map(({ length }) => length)).toEqual(files.map(({ rows }) => rows));
    return values;
  }

  const numbers = (from: number, count: number): bigint[] => Array.from({ length: count }, (_, i) => BigInt(from + i));
  const range = async (from: number, rows: number, more = ''): Promise<{ path: string; rows: number }> => ({
    path: (await written(`SELECT ${from} + i AS i${more} FROM range(${rows}) t(i)`)).path,
    rows,
  });

  it('gives the rows of each file under its position, whatever else the files hold', async () => {
    const files = [
      await range(0, 3, ", 'x' AS a, 1 AS b"),
      await range(100, 0),
      // More than one vector, and columns in another order.
      { path: (await written(`SELECT 1.5 AS a, 1000 + i AS i FROM range(5000) t(i)`)).path, rows: 5000 },
      await range(200, 7),
    ];
    for (const order of [files, files.toReversed()]) {
      const starts = order.map((file) => [0, 100, 1000, 200][files.indexOf(file)]!);
      expect(await valuesByFile(order, 'i', 'int64')).toEqual(order.map(({ rows }, at) => numbers(starts[at]!, rows)));
    }
  });

  it('gives each file the values of its own folders', async () => {
    const files = [
      { ...(await range(0, 2)), hive: { day: '2024-01-01' } },
      { ...(await range(0, 1)), hive: { day: '2024-01-02' } },
    ];
    const types = { day: 'DATE' };
    expect(await valuesByFile(files, 'CAST(day(day) + i AS BIGINT)', 'int64', types)).toEqual([[1n, 2n], [2n]]);
  });

  it('tells files apart where they have columns of the names that DuckDB, or the scan, gives to their position', async () => {
    for (const name of ['file_index', 'FILE_INDEX', '__colonnade_file']) {
      const files = [await range(0, 2, `, 1 - i AS ${name}`), await range(10, 3, `, 'x' AS ${name}`)];
      for (const order of [files, files.toReversed()])
        expect((await valuesByFile(order, 'i', 'int64')).flat().toSorted()).toEqual([0n, 1n, 10n, 11n, 12n]);
    }
  });

  it('names the file, the expression and the row where a value cannot be computed', async () => {
    const good = await range(0, 50);
    const { path } = await written(`SELECT CASE WHEN i = 17 THEN 'seven' ELSE i::VARCHAR END AS i FROM range(40) t(i)`);
    const texts = { path: (await written(`SELECT i::VARCHAR AS i FROM range(50) t(i)`)).path, rows: 50 };
    await expect(valuesByFile([texts, { path, rows: 40 }, texts], 'CAST(i AS INTEGER)', 'int32')).rejects.toMatchObject(
      {
        code: 'SQL_FAILED',
        message: containing(`(${path} in row 17): Could not convert string 'seven' to INT32`),
      },
    );
    await rm(good.path);
    await expect(valuesByFile([texts, good], 'i', 'string')).rejects.toMatchObject({
      code: 'INPUT_GONE',
      message: containing(good.path),
    });
  });

  it('names the file that has other rows than were asked for', async () => {
    const files = [await range(0, 5), await range(10, 5), await range(20, 5)];
    for (const rows of [4, 6]) {
      const asked = files.map((file, i) => (i === 1 ? { ...file, rows } : file));
      await expect(valuesByFile(asked, 'i', 'int64')).rejects.toMatchObject({
        code: 'BAD_PARQUET',
        message: `${files[1]!.path}: 5 of ${rows} rows were found (rows 0 to ${rows - 1} by the footer)`,
      });
    }
  });

  it('ends with the reason of its signal, and with what its caller throws', async () => {
    const files = [await range(0, 5), await range(10, 5)].map(({ path, rows }) => ({ file: { path, hive: {} }, rows }));
    const scanner = await openScanner(database, [column('i', 'int64')]);
    const reason = new Error('stop');
    await expect(
      scanner.scanFiles({ files, hiveTypes: {}, signal: AbortSignal.abort(reason) }, () => undefined),
    ).rejects.toBe(reason);
    const thrown = scanner.scanFiles({ files, hiveTypes: {} }, () => {
      throw reason;
    });
    await expect(thrown).rejects.toBe(reason);
    scanner.close();
  });
});
