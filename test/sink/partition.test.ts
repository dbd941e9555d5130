import { basename, dirname } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { identityModel, linearModel } from '../run/onnx.js';
import { openWorkbench, type Parts } from '../run/workbench.js';
import { describePython, python } from '../python.js';

const bench = await openWorkbench();
let parts: Parts;

/** What a folder's name cannot hold, or could be taken for something else; NULL is written here as null. */
const VALUES = [
  null,
  '',
  '/',
  'a/b',
  '..',
  '.',
  '=',
  'p=1',
  '%2F',
  '100%',
  '+',
  ' x ',
  'é 日本 😀',
  'e\u0301',
  'NULL',
  'null',
  '\n',
  '#?&:*"<>|\\',
  "it's",
];
const sqlText = (value: string | null): string => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/double.onnx', linearModel([2]));
  parts = {
    source: { key: 'id' },
    features: ['x'],
    model: { path: model },
    outputs: { score: 'score' },
    sink: { mode: 'partition', partition_by: ['p'] },
  };
});

async function writeValues(values: readonly (string | null)[]): Promise<void> {
  await bench.parquet(
    'data/a.parquet',
    `SELECT i::INT AS id, i::FLOAT AS x, v AS p FROM (SELECT unnest(range(${values.length})) AS i, unnest([${values.map(sqlText).join(', ')}]) AS v)`,
  );
}

/** Folders with the names of the files in them. */
async function folders(): Promise<Record<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const file of await bench.files('out'))
    if (file !== '_SUCCESS') found.set(dirname(file), [...(found.get(dirname(file)) ?? []), basename(file)]);
  return Object.fromEntries(found);
}

describe('folders', () => {
  it('hold a value each, whatever it is, and Colonnade reads it back as it was', async () => {
    await writeValues(VALUES);
    await bench.run(parts);
    expect(Object.keys(await folders())).toHaveLength(VALUES.length);
    // Scored again from the folders, with the value as part of the key.
    await bench.run({
      ...parts,
      source: { path: 'out', key: ['id', 'p'] },
      outputs: { again: 'score' },
      sink: { mode: 'predictions', path: 'again' },
    });
    // Not above the files: DuckDB should not see the folders once more.
    const rows = await bench.rows(
      `SELECT id, p, again FROM read_parquet('${bench.path('again/**/*.parquet')}', hive_partitioning = false) ORDER BY id`,
    );
    expect(rows).toEqual(VALUES.map((p, id) => ({ id, p, again: id * 2 })));
  });

  it('are told by column and value where the file system cannot hold their names', async () => {
    for (const [value, shown, bytes] of [
      ['a'.repeat(300), `"${'a'.repeat(40)}"… (300 characters)`, 302],
      [`é/${'é'.repeat(41)}`, `"é/${'é'.repeat(38)}"… (43 characters)`, 257],
    ] as const) {
      await writeValues(['x', value]);
      const error = await bench.failure(parts);
      expect(error).toMatchObject({ code: 'COLUMN_TYPE', exitCode: 78 });
      expect(error.message).toContain(`the value ${shown} of p makes a folder whose name of ${bytes} bytes`);
      expect(error.hint).toContain('partition by another column');
      expect(await bench.isVisible()).toBe(false);
    }
  });

  it('have NULL in one folder with a text that is called as that folder is', async () => {
    await writeValues([null, '__HIVE_DEFAULT_PARTITION__', 'x']);
    const { summary } = await bench.run(parts);
    expect(summary.scored).toBe(3);
    const rows = await bench.rows(
      `SELECT id, p, score FROM read_parquet('${bench.path('out/**/*.parquet')}', hive_partitioning = true) ORDER BY id`,
    );
    expect(rows).toEqual([
      { id: 0, p: null, score: 0 },
      { id: 1, p: null, score: 2 },
      { id: 2, p: 'x', score: 4 },
    ]);
  });

  it('are made of columns of the source, of its folders and of predictions, in the order that is asked for', async () => {
    for (const [i, region] of ['north', 'south'].entries()) {
      await bench.parquet(
        `data/region=${region}/a.parquet`,
        `SELECT i::INT AS id, (i % 3)::FLOAT AS x, DATE '2026-01-01' + (i % 2)::INT AS day, i % 4 < 2 AS flag FROM range(${i * 10}, ${i * 10 + 10}) t(i)`,
      );
    }
    await bench.run({
      ...parts,
      sink: {
        mode: 'partition',
        partition_by: ['score', 'region', 'day', 'flag'],
        columns: ['flag', 'id', 'score', 'day', 'region'],
      },
    });
    const rows = await bench.rows(
      `SELECT id, score::FLOAT AS score, region, day::VARCHAR AS day, flag::VARCHAR AS flag, filename FROM read_parquet('${bench.path('out/**/*.parquet')}', hive_partitioning = true) ORDER BY id`,
    );
    expect(rows).toEqual(
      Array.from({ length: 20 }, (_, id) => {
        const [score, region, day, flag] = [
          (id % 3) * 2,
          id < 10 ? 'north' : 'south',
          `2026-01-0${1 + (id % 2)}`,
          id % 4 < 2,
        ];
        const folder = `score=${score}.0/region=${region}/day=${day}/flag=${flag}`;
        return { id, score, region, day, flag: String(flag), filename: bench.path(`out/${folder}/part-0.parquet`) };
      }),
    );
    // What stands in a folder's name does not stand in its file as well.
    const columns = await bench.rows(
      `DESCRIBE SELECT * FROM read_parquet('${String(rows[0]!['filename'])}', hive_partitioning = false)`,
    );
    expect(columns.map(({ column_name }) => column_name)).toEqual(['id']);
  });

  it('have one file each, however many files and row groups the rows came from', async () => {
    for (const name of ['a', 'b', 'c'])
      await bench.parquet(
        `data/${name}.parquet`,
        `SELECT i AS id, 1::FLOAT AS x, i * 7919 % 60 AS p FROM range(10000) t(i)`,
      );
    const { manifest } = await bench.run(parts);
    expect(await folders()).toEqual(
      Object.fromEntries(Array.from({ length: 60 }, (_, p) => [`p=${p}`, ['part-0.parquet']])),
    );
    expect(manifest.outputs.map(({ rows }) => rows).reduce((sum, rows) => sum + rows)).toBe(30_000);
  });

  it('hold scored and nulled rows, and neither filtered nor quarantined ones', async () => {
    await writeValues(['a', 'b', 'c', 'a']);
    const text = await bench.write('models/text.onnx', identityModel('string'));
    const changed: Parts = {
      ...parts,
      source: { key: 'id', where: "p <> 'b'" },
      features: ['p'],
      model: { path: text },
      outputs: { kind: 'Y' },
      validate: { rules: { x: { max: 2 } } },
      sink: { mode: 'partition', partition_by: ['kind'], columns: ['id', 'kind'] },
    };
    const read = () =>
      bench.rows(
        `SELECT id, kind FROM read_parquet('${bench.path('out/**/*.parquet')}', hive_partitioning = true) ORDER BY id`,
      );
    await bench.run(changed);
    expect(await read()).toEqual([
      { id: 0, kind: 'a' },
      { id: 2, kind: 'c' },
    ]);
    // A nulled row has no prediction, and so lies in the folder of NULL.
    await bench.run({
      ...changed,
      validate: { on_invalid: 'null', rules: { x: { max: 2 } } },
      sink: { ...changed.sink, exists: 'replace' },
    });
    expect(await read()).toEqual([
      { id: 0, kind: 'a' },
      { id: 2, kind: 'c' },
      { id: 3, kind: null },
    ]);
    expect(Object.keys(await folders())).toEqual(['kind=__HIVE_DEFAULT_PARTITION__', 'kind=a', 'kind=c']);
  });

  it('are none where no row is kept', async () => {
    await writeValues(['a']);
    const { summary } = await bench.run({ ...parts, source: { where: 'x > 5' } });
    expect(summary).toMatchObject({ rows: 1, filtered: 1, files: 0 });
    expect(await bench.files('out')).toEqual(['_SUCCESS']);
  });
});

describePython('folders, to other readers', () => {
  it('are the values that they were made of: pyarrow, polars and DuckDB', async () => {
    await writeValues(VALUES);
    await bench.run(parts);
    const found = JSON.parse(
      await python(
        `
import json, sys
import duckdb, polars as pl, pyarrow as pa, pyarrow.dataset as ds
out = sys.argv[1]
folders = ds.partitioning(pa.schema([('p', pa.string())]), flavor='hive')
rows = {
    'pyarrow': ds.dataset(out, partitioning=folders).to_table(columns=['id', 'p', 'score']).sort_by('id').to_pylist(),
    'polars': pl.scan_parquet(f'{out}/**/*.parquet', hive_partitioning=True, hive_schema={'p': pl.String}).select('id', 'p', 'score').sort('id').collect().to_dicts(),
    'DuckDB': duckdb.sql(f"SELECT id, p, score FROM read_parquet('{out}/**/*.parquet', hive_partitioning = true, hive_types = {{'p': VARCHAR}}) ORDER BY id").to_arrow_table().to_pylist(),
}
print(json.dumps(rows))`,
        [bench.path('out')],
      ),
    ) as object;
    const rows = VALUES.map((p, id) => ({ id, p, score: id * 2 }));
    expect(found).toEqual({ pyarrow: rows, polars: rows, DuckDB: rows });
  });
});
