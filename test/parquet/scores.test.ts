import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { makeVector, vectorFromArray, type DataType } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { COMPRESSIONS } from '../../src/pipeline/pipeline.js';
import { ELEMENT_TYPES } from '../../src/plan/facts.js';
import { outputField } from '../../src/plan/arrow-types.js';
import { loadEncoder } from '../../src/parquet/encode.js';
import { readFooter } from '../../src/parquet/footer.js';
import { COLUMN } from '../../src/parquet/format.js';
import { columnRange } from '../../src/parquet/statistics.js';
import { ScoresWriter, readScoresFile } from '../../src/parquet/scores.js';
import { openWorkshop, type Workshop } from './duckdb.js';
import { SCORE_COLUMNS, SCORE_FIELDS, scoreVector } from './scores-of.js';

let shop: Workshop;
beforeAll(async () => {
  shop = await openWorkshop();
});
afterAll(() => shop.close());

describe('a scores file', () => {
  it('is read by DuckDB, with every type, as values and as lists, NULLs among them', async () => {
    const fields = ELEMENT_TYPES.flatMap((type) => [
      outputField(`a_${type}`, type, false),
      outputField(`l_${type}`, type, true),
    ]);
    const value = (type: string, row: number): unknown => {
      if (type === 'string') return `s${row}`;
      if (type === 'bool') return row % 2 === 0;
      return type.endsWith('int64') ? BigInt(row) : row;
    };
    const writer = await ScoresWriter.open(shop.path('types.parquet'), fields, {
      compression: 'zstd',
      metadata: { 'colonnade.shard': '3' },
    });
    writer.appendRowGroup(
      fields.map((field) => {
        const [kind, type] = field.name.split('_') as [string, string];
        const values = [0, 1, 2, 3].map((row) =>
          row === 1 ? null : kind === 'a' ? value(type, row) : [value(type, row), null],
        );
        return vectorFromArray(values, field.type as DataType);
      }),
    );
    const written = writer.close();
    expect(written.rows).toBe(4);
    const bytes = await readFile(written.path);
    expect(written.bytes).toBe(bytes.length);
    expect(written.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    const types = (await shop.rows(`describe from '${written.path}'`)).map((row) => row[1]);
    const duckdb = [
      'FLOAT',
      'DOUBLE',
      'TINYINT',
      'UTINYINT',
      'SMALLINT',
      'USMALLINT',
      'INTEGER',
      'UINTEGER',
      'BIGINT',
      'UBIGINT',
      'BOOLEAN',
      'VARCHAR',
    ];
    expect(types).toEqual(duckdb.flatMap((type) => [type, `${type}[]`]));
    const rows = await shop.rows(`select a_float32, l_int64, a_string, l_bool, a_uint8 from '${written.path}'`);
    expect(rows[1]).toEqual([null, null, null, null, null]);
    expect(rows[2]).toEqual([2, ['2', null], 's2', [true, null], 2]);
    const read = await readScoresFile(written.path);
    expect(read.columns.map(({ name, type, list }) => `${list ? 'l' : 'a'}_${type}=${name}`)).toEqual(
      fields.map(({ name }) => `${name}=${name}`),
    );
  });

  it.each(COMPRESSIONS)('can be compressed: %s', async (compression) => {
    const writer = await ScoresWriter.open(shop.path(`${compression}.parquet`), SCORE_FIELDS, { compression });
    writer.appendRowGroup(SCORE_FIELDS.map((field) => scoreVector(field, 0, 3000)));
    const { path } = writer.close();
    const codec = { none: 'UNCOMPRESSED', snappy: 'SNAPPY', gzip: 'GZIP', zstd: 'ZSTD', lz4: 'LZ4_RAW' }[compression];
    expect(new Set((await readFooter(path)).rowGroups[0]!.chunks.map((chunk) => chunk.codec))).toEqual(
      new Set([codec]),
    );
    expect(await shop.rows(`select sum(top)::double, count("all")::int from '${path}'`)).toEqual([
      [
        Array.from({ length: 3000 }, (_, row) => (row % 7 === 3 ? 0 : row * 1_000_000_007)).reduce((a, b) => a + b),
        2571,
      ],
    ]);
  });

  it('keeps its row groups, empty ones among them, and may have none', async () => {
    const writer = await ScoresWriter.open(shop.path('groups.parquet'), SCORE_FIELDS, { compression: 'snappy' });
    const sizes = [0, 5000, 0, 1, 0];
    let row = 0;
    for (const rows of sizes) {
      writer.appendRowGroup(SCORE_FIELDS.map((field) => scoreVector(field, row, rows)));
      row += rows;
    }
    const { path } = writer.close();
    const read = await readScoresFile(path);
    expect(read.rowGroups.map((group) => group.rows)).toEqual(sizes);
    expect(read.columns.map((column) => column.name)).toEqual(SCORE_COLUMNS);
    expect(await shop.rows(`select count(*)::int, count(prediction)::int from '${path}'`)).toEqual([[5001, 4287]]);

    const none = (await ScoresWriter.open(shop.path('none.parquet'), SCORE_FIELDS, { compression: 'snappy' })).close();
    expect(await shop.rows(`select * from '${none.path}'`)).toEqual([]);
  });

  it('takes vectors of several pieces, and slices', async () => {
    const whole = makeVector(new Float32Array(1000).map((_, index) => index));
    const writer = await ScoresWriter.open(shop.path('pieces.parquet'), [outputField('p', 'float32', false)], {
      compression: 'snappy',
    });
    writer.appendRowGroup([whole.slice(10, 500).concat(whole.slice(900))]);
    const { path } = writer.close();
    const [[count, first, last]] = (await shop.rows(`select count(*)::int, min(p), max(p) from '${path}'`)) as [
      [number, number, number],
    ];
    expect([count, first, last]).toEqual([590, 10, 999]);
    expect((await readFooter(path)).rowGroups).toHaveLength(1);
  });

  it('is the same bytes for the same values', async () => {
    const write = async (name: string): Promise<string> => {
      const writer = await ScoresWriter.open(shop.path(name), SCORE_FIELDS, { compression: 'snappy' });
      writer.appendRowGroup(SCORE_FIELDS.map((field) => scoreVector(field, 0, 2000)));
      return writer.close().sha256;
    };
    expect(await write('same-1.parquet')).toBe(await write('same-2.parquet'));
  });

  it('is gone after it was given up', async () => {
    const writer = await ScoresWriter.open(shop.path('gone.parquet'), SCORE_FIELDS, { compression: 'snappy' });
    writer.appendRowGroup(SCORE_FIELDS.map((field) => scoreVector(field, 0, 10)));
    writer.abort();
    expect(existsSync(shop.path('gone.parquet'))).toBe(false);
  });

  it('is told apart from other files', async () => {
    const path = await shop.parquet('foreign.parquet', 'select 1 as a');
    await expect(readScoresFile(path)).rejects.toMatchObject({
      code: 'BAD_PARQUET',
      message: expect.stringContaining('not a scores file') as string,
    });
    await writeFile(shop.path('text'), 'no Parquet at all');
    await expect(readScoresFile(shop.path('text'))).rejects.toMatchObject({ code: 'BAD_PARQUET' });
  });

  it('cannot be created in a folder that is not there', async () => {
    const writer = await ScoresWriter.open(shop.path('no/such/folder'), SCORE_FIELDS, { compression: 'none' });
    expect(() => writer.close()).toThrow(ColonnadeError);
  });
});

describe('an encoded chunk', () => {
  it('has no NaN in its statistics', async () => {
    const writer = await ScoresWriter.open(shop.path('nan.parquet'), [outputField('p', 'float32', false)], {
      compression: 'snappy',
    });
    writer.appendRowGroup([makeVector(Float32Array.of(NaN, 3, NaN, -2))]);
    writer.appendRowGroup([makeVector(Float32Array.of(NaN, NaN))]);
    const footer = await readFooter(writer.close().path);
    expect(columnRange({ ...footer, rowGroups: footer.rowGroups.slice(0, 1) }, footer.schema.children[0]!)).toEqual({
      min: -2,
      max: 3,
    });
    expect(columnRange(footer, footer.schema.children[0]!)).toBeUndefined();
    expect(await shop.rows(`select count(*)::int from '${footer.path}' where isnan(p)`)).toEqual([[4]]);
  });

  it('has a dictionary where values repeat, and none for scores', async () => {
    const few = makeVector(new Float32Array(20_000).map((_, index) => index % 5));
    const many = makeVector(new Float32Array(20_000).map((_, index) => Math.fround(Math.sin(index))));
    const fields = ['few', 'many'].map((name) => outputField(name, 'float32', false));
    const [dictionary, plain] = (await loadEncoder(fields, 'snappy')).rowGroup([few, many]);
    expect(dictionary!.metadata.has(COLUMN.dictionaryPageOffset)).toBe(true);
    expect(plain!.metadata.has(COLUMN.dictionaryPageOffset)).toBe(false);
    expect(dictionary!.pages.length * 10).toBeLessThan(plain!.pages.length);
  });

  it('is refused when its columns differ in length', async () => {
    const fields = ['a', 'b'].map((name) => outputField(name, 'float32', false));
    const encoder = await loadEncoder(fields, 'none');
    const vectors = [4, 5].map((rows) => makeVector(new Float32Array(rows)));
    expect(() => [...encoder.rowGroup(vectors)]).toThrow(/5 rows, others of its row group 4/);
  });
});
