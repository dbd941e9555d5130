import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RecordBatch } from 'apache-arrow';
import type { ElementType } from '../../src/plan/facts.js';
import type { ProjectedColumn } from '../../src/plan/plan.js';
import { scanSql } from '../../src/source/scan.js';
import { readSlices, sliceRanges, type SliceRange, type SliceRequest } from '../../src/source/slices.js';
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

function request(path: string, projection: readonly ProjectedColumn[], ranges: readonly SliceRange[]): SliceRequest {
  return { file: { path, hive: {} }, hiveTypes: {}, projection, ranges };
}

/** All values by column, as JavaScript has them; checks on the way that rows follow one another. */
async function valuesOf(wanted: SliceRequest): Promise<unknown[][]> {
  const columns: unknown[][] = wanted.projection.map(() => []);
  let next = wanted.ranges[0]?.firstRow ?? 0;
  for await (const slice of readSlices(database, wanted)) {
    expect(slice.firstRow).toBe(next);
    for (const { firstRow, batch } of slice.batches) {
      expect(firstRow).toBe(next);
      next += batch.numRows;
      columns.forEach((values, i) => {
        for (const value of batch.getChildAt(i)!) values.push(plain(value));
      });
    }
    expect(next).toBe(slice.firstRow + slice.rows);
  }
  return columns;
}

function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
    ? [...(value as Iterable<unknown>)]
    : value;
}

const whole = (groups: readonly { rows: number }[], sliceRows = 5000, batchSize = 512): SliceRange[] =>
  sliceRanges({ rowGroups: [0, groups.length], firstRow: 0 }, groups, batchSize, sliceRows);

describe('readSlices', () => {
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
    const actual = await valuesOf(request(path, projection, whole(groups)));
    projection.forEach(({ sql }, i) => {
      expect(actual[i], sql).toEqual(expected.map((row) => row[`c${i}`]));
    });
  });

  it('counts NULLs, and has a bitmap only where there are some', async () => {
    const { path, groups } = await written(
      'SELECT i::FLOAT AS a, CASE WHEN i = 2999 THEN NULL ELSE i::FLOAT END AS b FROM range(3000) t(i)',
    );
    const batches: RecordBatch[] = [];
    for await (const slice of readSlices(
      database,
      request(path, [column('a', 'float32'), column('b', 'float32')], whole(groups)),
    )) {
      for (const { batch } of slice.batches) batches.push(batch);
    }
    expect(batches.map((batch) => batch.numRows)).toEqual([2048, 952]);
    expect(batches.map((batch) => batch.data.children.map(({ nullCount }) => nullCount))).toEqual([[0, 0], [0, 1]]); // prettier-ignore
    // A batch outlives its slice, and so do parts of it.
    expect(batches[1]!.slice(950, 952).getChildAt(1)!.toJSON()).toEqual([2998, null]);
    expect(batches[0]!.data.children[0]!.values).toBeInstanceOf(Float32Array);
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
    ];
    const expected = await database.rows(
      `SELECT ${projection.map(({ sql }, i) => `${sql} AS c${i}`).join(', ')} FROM ${scanSql({ path, hive: {} }, {})} ORDER BY file_row_number`,
    );
    const actual = await valuesOf(request(path, projection, whole(groups)));
    projection.forEach(({ sql }, i) => {
      expect(actual[i], sql).toEqual(expected.map((row) => row[`c${i}`]));
    });
  });

  it('adds hive columns as constants, and computes with them', async () => {
    const { path, groups } = await written('SELECT i FROM range(3) t(i)');
    const wanted = {
      ...request(path, [column('i + k', 'int64'), column('name', 'string'), column('none', 'string')], whole(groups)),
      file: { path, hive: { k: '40', name: "it's", none: null } },
      hiveTypes: { k: 'BIGINT', name: 'VARCHAR', none: 'VARCHAR' },
    };
    expect(await valuesOf(wanted)).toEqual([[40n, 41n, 42n], ["it's", "it's", "it's"], [null, null, null]]); // prettier-ignore
  });

  it('counts rows where nothing is projected, and reads nothing where there are none', async () => {
    const { path, groups } = await written('SELECT i FROM range(5000) t(i)', ', ROW_GROUP_SIZE 2048');
    let rows = 0;
    for await (const slice of readSlices(database, request(path, [], whole(groups))))
      for (const { batch } of slice.batches) rows += batch.numRows;
    expect(rows).toBe(5000);
    expect(await valuesOf(request(path, [column('i', 'int64')], []))).toEqual([[]]);
  });

  it('concatenates to the table that DuckDB reads in one go, for any row groups, slices and filters', async () => {
    const shapes = fc.record({
      rows: fc.integer({ min: 1, max: 20_000 }),
      rowGroupSize: fc.constantFrom(2048, 4096, 6144, 100_000),
      sliceRows: fc.integer({ min: 1, max: 12_000 }).map((rows) => Math.max(rows, 300)),
      batchSize: fc.integer({ min: 1, max: 5000 }),
      nullEvery: fc.integer({ min: 1, max: 70 }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, rowGroupSize, sliceRows, batchSize, nullEvery, from }) => {
        const { path, groups } = await written(
          `SELECT CASE WHEN i % ${nullEvery} = 0 THEN NULL ELSE hash(i)::DOUBLE END AS x, 'text ' || repeat('y', (hash(i) % 30)::INT) AS s FROM range(${rows}) t(i)`,
          `, ROW_GROUP_SIZE ${rowGroupSize}`,
        );
        const first = Math.floor(from * groups.length);
        const firstRow = groups.slice(0, first).reduce((sum, group) => sum + group.rows, 0);
        const ranges = sliceRanges({ rowGroups: [first, groups.length], firstRow }, groups, batchSize, sliceRows);
        const projection = [
          column('x', 'float64'),
          column('s', 'string'),
          column('CAST(coalesce(x > 9e18, false) AS UTINYINT)', 'uint8'),
        ];
        const expected = await database.rows(
          `SELECT x, s, CAST(coalesce(x > 9e18, false) AS UTINYINT) AS w FROM ${scanSql({ path, hive: {} }, {})} WHERE file_row_number >= ${firstRow} ORDER BY file_row_number`,
        );
        const [x, s, w] = await valuesOf(request(path, projection, ranges));
        expect(x).toEqual(expected.map((row) => row['x']));
        expect(s).toEqual(expected.map((row) => row['s']));
        expect(w).toEqual(expected.map((row) => row['w']));
        await rm(path);
      }),
      { numRuns: 15 },
    );
  });

  it('reads one slice ahead, and no further', async () => {
    const { path, groups } = await written('SELECT i FROM range(10240) t(i)', ', ROW_GROUP_SIZE 2048');
    const started: string[] = [];
    const watched = {
      ...database,
      connect: async () => {
        const connection = await database.connect();
        const run = connection.run.bind(connection);
        connection.run = (sql: string) => {
          started.push(/BETWEEN (\d+)/.exec(sql)![1]!);
          return run(sql);
        };
        return connection;
      },
    };
    const seen: number[] = [];
    for await (const slice of readSlices(watched, request(path, [column('i', 'int64')], whole(groups, 2048)))) {
      seen.push(started.length);
      expect([...slice.batches].length).toBe(1);
    }
    expect(seen).toEqual([2, 3, 4, 5, 5]);
  });

  it('raises on a corrupt page in the middle, after the slices before it, and is never short', async () => {
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
    const seen: number[] = [];
    const reading = (async () => {
      for await (const slice of readSlices(database, request(path, [column('s', 'string')], whole(groups, 20480)))) {
        seen.push([...slice.batches].reduce((sum, { batch }) => sum + batch.numRows, 0));
        // The next slice fails while this one is worked on.
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    await expect(reading).rejects.toMatchObject({
      code: 'BAD_PARQUET',
      message: matching(/\.parquet cannot be read in rows 20480 to 40959/),
    });
    expect(seen).toEqual([20480]);
  });

  it('raises where the file has fewer rows than were asked for', async () => {
    const { path } = await written('SELECT i FROM range(100) t(i)');
    await expect(valuesOf(request(path, [column('i', 'int64')], [{ firstRow: 0, rows: 101 }]))).rejects.toMatchObject({
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
      await expect(
        valuesOf(request(path, [column('s', 'string')], [{ firstRow: 0, rows: 3000 }])),
        String(length),
      ).rejects.toMatchObject({ code: 'BAD_PARQUET', message: containing(path) });
    }
    await rm(path);
    await expect(valuesOf(request(path, [column('s', 'string')], [{ firstRow: 0, rows: 3000 }]))).rejects.toMatchObject(
      { code: 'INPUT_GONE' },
    );
  });

  it('names the expression and the row where a value cannot be computed', async () => {
    const { path, groups } = await written(
      `SELECT CASE WHEN i = 7777 THEN 'seven' ELSE i::VARCHAR END AS t FROM range(10000) t(i)`,
      ', ROW_GROUP_SIZE 2048',
    );
    const wanted = request(
      path,
      [column('length(t)', 'int64'), { ...column('CAST(t AS INTEGER)', 'int32'), name: 'number' }],
      whole(groups, 4096),
    );
    await expect(valuesOf(wanted)).rejects.toMatchObject({
      code: 'SQL_FAILED',
      message: containing(
        `feature number failed (${path} in rows 7777 to 7777): Could not convert string 'seven' to INT32`,
      ),
    });
  });

  it('ends with the reason of its signal, before it starts and in the middle', async () => {
    const { path, groups } = await written('SELECT i FROM range(10240) t(i)', ', ROW_GROUP_SIZE 2048');
    const slow = column('list_sum(list_transform(range(2000), lambda y: y + i))', 'int64');
    const controller = new AbortController();
    const reason = new Error('stop');
    const reading = valuesOf({
      ...request(path, [column(`CAST(${slow.sql} AS BIGINT)`, 'int64')], whole(groups, 2048)),
      signal: controller.signal,
    });
    setTimeout(() => {
      controller.abort(reason);
    }, 30);
    await expect(reading).rejects.toBe(reason);
    await expect(valuesOf({ ...request(path, [], whole(groups)), signal: controller.signal })).rejects.toBe(reason);
  });

  it('can be left early', async () => {
    const { path, groups } = await written('SELECT i FROM range(10240) t(i)', ', ROW_GROUP_SIZE 2048');
    const ranges = whole(groups, 2048);
    for await (const slice of readSlices(database, request(path, [column('i', 'int64')], ranges))) {
      expect(slice.firstRow).toBe(0);
      break;
    }
    // The database is free again.
    expect(await valuesOf(request(path, [column('i', 'int64')], ranges.slice(4)))).toEqual([
      Array.from({ length: 2048 }, (_, i) => BigInt(8192 + i)),
    ]);
  });

  it('refuses to read a slice whose time is over, instead of giving fewer rows', async () => {
    const { path, groups } = await written('SELECT i FROM range(4096) t(i)', ', ROW_GROUP_SIZE 2048');
    const slices = readSlices(database, request(path, [column('i', 'int64')], whole(groups, 2048)));
    const first = (await slices.next()).value!;
    await slices.next();
    expect(() => [...first.batches]).toThrow('after the next one');
    await slices.return();
  });

  it('says so where a column is read as another type than planned', async () => {
    const { path, groups } = await written('SELECT i FROM range(10) t(i)');
    for (const planned of [
      column('i', 'float32'),
      column('i', 'string'),
      column('i', 'int64', 2),
      column("'x'", 'int8'),
    ]) {
      await expect(valuesOf(request(path, [planned], whole(groups)))).rejects.toMatchObject({
        code: 'INTERNAL',
        message: containing('was planned as'),
      });
    }
  });

  it('leaves no spilled data behind', async () => {
    expect((await readdir(folder)).filter((name) => name === 'spill')).toEqual([]);
  });
});
