import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copySql, copyTo } from '../../src/source/copy.js';
import { testDatabase, testFolder } from './folder.js';

const folder = await testFolder();
const database = await testDatabase(folder, { threads: 1 });
const options = { compression: 'zstd', rowGroupSize: 2048 } as const;

describe('copyTo', () => {
  it('keeps the order of the query in a file', async () => {
    const target = join(folder, 'ordered.parquet');
    await copyTo(database, 'SELECT i FROM range(300000) t(i) ORDER BY hash(i)', target, options);
    const [row] = await database.rows(
      `SELECT count(*) AS n FROM (SELECT hash(i) AS h, lag(hash(i)) OVER (ORDER BY file_row_number) AS before
       FROM read_parquet('${target}', file_row_number = true)) WHERE before > h`,
    );
    expect(row).toEqual({ n: 0n });
  });

  it('writes a file with the codec, row groups and metadata that were asked for, and tells its rows', async () => {
    const target = join(folder, "it's.parquet");
    const metadata = { 'colonnade.run_id': 'r1', 'colonnade.name': `it's "so"` };
    expect(await copyTo(database, 'SELECT i FROM range(5000) t(i)', target, { ...options, metadata })).toBe(5000);
    const quoted = target.replaceAll("'", "''");
    const chunks = await database.rows(
      `SELECT compression, row_group_num_rows AS n FROM parquet_metadata('${quoted}') ORDER BY row_group_id`,
    );
    expect(chunks.map(({ compression, n }) => [compression, n])).toEqual([['ZSTD', 2048n], ['ZSTD', 2048n], ['ZSTD', 904n]]); // prettier-ignore
    const pairs = await database.rows(
      `SELECT decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata('${quoted}')`,
    );
    expect(Object.fromEntries(pairs.map(({ k, v }) => [k, v]))).toEqual(metadata);
  });

  it('knows a name of DuckDB for every codec', async () => {
    for (const [compression, name] of [
      ['snappy', 'SNAPPY'],
      ['zstd', 'ZSTD'],
      ['gzip', 'GZIP'],
      ['lz4', 'LZ4_RAW'],
      ['none', 'UNCOMPRESSED'],
    ] as const) {
      const target = join(folder, `${compression}.parquet`);
      await copyTo(database, 'SELECT 1 AS a', target, { ...options, compression });
      expect(await database.rows(`SELECT compression FROM parquet_metadata('${target}')`)).toEqual([
        { compression: name },
      ]);
    }
  });

  it('writes one file a partition, every row once in its place, and the same bytes each time', async () => {
    const select = `SELECT i, 'r/' || (hash(i) % 3) AS "re""gion", (hash(i + 1) % 40)::INT AS n FROM range(600000) t(i)`;
    const partitionBy = ['re"gion', 'n'];
    const runs: Map<string, Buffer>[] = [];
    for (const name of ['one', 'two']) {
      const target = join(folder, name);
      expect(await copyTo(database, select, target, { ...options, rowGroupSize: 122_880, partitionBy })).toBe(600_000);
      const files = (await readdir(target, { recursive: true })).filter((file) => file.endsWith('.parquet')).sort();
      runs.push(
        new Map(await Promise.all(files.map(async (file) => [file, await readFile(join(target, file))] as const))),
      );
    }
    expect([...runs[0]!.keys()]).toHaveLength(120);
    expect([...runs[0]!.keys()][0]).toBe('re%22gion=r%2F0/n=0/part-0.parquet');
    expect(runs[0]).toEqual(runs[1]);
    const [back] = await database.rows(
      `SELECT count(*) AS n, count(DISTINCT i) AS different, bool_and('r/' || (hash(i) % 3) = "re%22gion" AND (hash(i + 1) % 40)::INT = n) AS placed
       FROM read_parquet('${join(folder, 'one')}/**/*.parquet', hive_partitioning = true)`,
    );
    expect(back).toEqual({ n: 600_000n, different: 600_000n, placed: true });
  });

  it('tells a target that cannot be written', async () => {
    await expect(
      copyTo(database, 'SELECT 1 AS a', join(folder, 'no', 'such', 'x.parquet'), options),
    ).rejects.toMatchObject({ code: 'IO_FAILED' });
    await expect(copyTo(database, 'SELECT 1 AS a', '/dev/full', options)).rejects.toMatchObject({ code: 'IO_FAILED' });
  });

  it('quotes what it is given', () => {
    expect(
      copySql('SELECT 1', "/o'x", { ...options, partitionBy: ['a"b'], filename: 'f-{i}', metadata: { "k'": 'v' } }),
    ).toBe(
      `COPY (SELECT 1) TO '/o''x' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048, KV_METADATA {'k''': 'v'}, PARTITION_BY ("a""b"), FILENAME_PATTERN 'f-{i}')`,
    );
  });
});
