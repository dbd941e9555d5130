import { copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { describeFile, inspectParquet } from '../../src/parquet/describe.js';
import { parseFooter, readFooter, type Footer } from '../../src/parquet/footer.js';
import { CHUNK, FILE, ROW_GROUP } from '../../src/parquet/format.js';
import { serializeFooter } from '../../src/parquet/chunks.js';
import { THRIFT, ThriftList, ThriftStruct, thriftText } from '../../src/parquet/thrift.js';
import { serializeThrift } from '../../src/parquet/thrift-compact.js';
import { openWorkshop, type Workshop } from './duckdb.js';

let shop: Workshop;
let path: string;
let bytes: Buffer;
let footer: Footer;

const QUERY = `select i id, (i - 2000)::float f, if(i % 10 = 0, null, i / 4) d, (i % 200)::utinyint u, (i * 18000000000000)::ubigint ub,
  (i / 100)::decimal(9, 2) small, (i / 100)::decimal(30, 2) big, 'n' || i s, date '2026-01-01' + i::int as day, to_timestamp(i) z,
  [i, null] l, {'a': i::int, 'b': [{'c': true}]} st, map {'k': i} m, uuid() uid, if(i > 2500, 'nan'::double, i) nan from range(5000) t(i)`;

beforeAll(async () => {
  shop = await openWorkshop();
  path = await shop.parquet('table.parquet', QUERY);
  bytes = await readFile(path);
  footer = await readFooter(path);
});
afterAll(() => shop.close());

const refused = async (promise: Promise<unknown>): Promise<ColonnadeError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ColonnadeError);
  return error as ColonnadeError;
};

describe('a footer', () => {
  it('tells rows, row groups and columns', () => {
    expect(footer.rows).toBe(5000);
    expect(footer.rowGroups.map((group) => group.rows)).toEqual([2048, 2048, 904]);
    expect(footer.schema.children.map((node) => node.name)).toContain('st');
    expect(footer.createdBy).toMatch(/DuckDB/);
    expect(footer.leaves.length).toBe(footer.rowGroups[0]!.chunks.length);
  });

  it('gives the same bytes when it is written again', () => {
    expect(serializeThrift(footer.tree).equals(bytes.subarray(footer.start, footer.size - 8))).toBe(true);
  });

  it('is read whole when it is longer than the first read', async () => {
    const columns = Array.from({ length: 1200 }, (_, index) => `i as column_with_a_long_name_${index}`).join(', ');
    const wide = await readFooter(await shop.parquet('wide.parquet', `select ${columns} from range(10) t(i)`));
    expect(wide.size - wide.start).toBeGreaterThan(64 * 1024);
    expect(wide.leaves).toHaveLength(1200);
  });
});

describe('describeFile', () => {
  it('gives names, types in words, ranges and NULLs', async () => {
    const file = await describeFile(path, shop.folder);
    expect(file.relativePath).toBe('table.parquet');
    expect(file.hive).toEqual({});
    expect(file.rowGroups.map((group) => group.rows)).toEqual([2048, 2048, 904]);
    expect(file).not.toHaveProperty('spliceObstacle');
    const facts = Object.fromEntries(
      file.columns.map(({ name, type, range, nulls }) => [name, { type, range, nulls }]),
    );
    expect(facts).toEqual({
      id: { type: 'INT64', range: { min: 0, max: 4999 }, nulls: 0 },
      f: { type: 'FLOAT', range: { min: -2000, max: 2999 }, nulls: 0 },
      d: { type: 'DOUBLE', range: { min: 0.25, max: 1249.75 }, nulls: 500 },
      u: { type: 'INT32 (UINT8)', range: { min: 0, max: 199 }, nulls: 0 },
      ub: { type: 'INT64 (UINT64)', range: { min: 0, max: 4999 * 18000000000000 }, nulls: 0 },
      small: { type: 'INT32 (DECIMAL(9, 2))', range: { min: 0, max: 49.99 }, nulls: 0 },
      big: { type: 'FIXED_LEN_BYTE_ARRAY(16) (DECIMAL(30, 2))', range: { min: 0, max: 49.99 }, nulls: 0 },
      s: { type: 'BYTE_ARRAY (STRING)', range: undefined, nulls: 0 },
      day: { type: 'INT32 (DATE)', range: undefined, nulls: 0 },
      z: { type: 'INT64 (TIMESTAMP(MICROS, UTC))', range: undefined, nulls: 0 },
      l: { type: 'LIST<INT64>', range: undefined, nulls: undefined },
      st: { type: 'STRUCT<a: INT32, b: LIST<STRUCT<c: BOOLEAN>>>', range: undefined, nulls: undefined },
      m: { type: 'MAP<BYTE_ARRAY (STRING), INT64>', range: undefined, nulls: undefined },
      uid: { type: 'FIXED_LEN_BYTE_ARRAY(16) (UUID)', range: undefined, nulls: 0 },
      nan: { type: 'DOUBLE', range: undefined, nulls: 0 },
    });
    expect(file.columns.every((column) => column.bytes > 0)).toBe(true);
  });

  it('changes its fingerprint with the file', async () => {
    const copy = shop.path('copy.parquet');
    await copyFile(path, copy);
    const before = (await describeFile(copy, shop.folder)).fingerprint;
    expect(before.footerHash).toBe((await describeFile(path, shop.folder)).fingerprint.footerHash);
    await shop.parquet('copy.parquet', `select i + 1 id from range(10) t(i)`);
    const after = (await describeFile(copy, shop.folder)).fingerprint;
    expect(after.footerHash).not.toBe(before.footerHash);
    expect(after.mtimeNs).toMatch(/^\d{19}$/);
    expect(after.size).not.toBe(before.size);
  });

  it('says why a file cannot be spliced', async () => {
    const change = async (name: string, tree: ThriftStruct): Promise<string | undefined> => {
      await writeFile(shop.path(name), Buffer.concat([bytes.subarray(0, footer.start), serializeFooter(tree)]));
      return (await describeFile(shop.path(name), shop.folder)).spliceObstacle;
    };
    const { tree } = footer;
    const union = new ThriftStruct([{ id: 1, type: THRIFT.struct, value: new ThriftStruct() }]);
    expect(await change('encrypted.parquet', tree.with(FILE.encryptionAlgorithm, THRIFT.struct, union))).toMatch(
      /encrypted/,
    );
    expect(await change('signed.parquet', tree.with(FILE.footerSigningKey, THRIFT.binary, thriftText('k')))).toMatch(
      /signed/,
    );
    const [first, ...rest] = tree.structs(FILE.rowGroups);
    const [chunk, ...chunks] = first!.structs(1);
    const moved = first!.with(
      1,
      THRIFT.list,
      new ThriftList(THRIFT.struct, [chunk!.with(CHUNK.filePath, THRIFT.binary, thriftText('b.parquet')), ...chunks]),
    );
    expect(
      await change(
        'elsewhere.parquet',
        tree.with(FILE.rowGroups, THRIFT.list, new ThriftList(THRIFT.struct, [moved, ...rest])),
      ),
    ).toMatch(/b\.parquet/);
    const entry = new ThriftStruct([
      { id: 1, type: THRIFT.binary, value: thriftText('ARROW:schema') },
      { id: 2, type: THRIFT.binary, value: thriftText('AAAA') },
    ]);
    expect(
      await change('arrow.parquet', tree.with(FILE.keyValues, THRIFT.list, new ThriftList(THRIFT.struct, [entry]))),
    ).toMatch(/ARROW:schema/);
  });

  it('gives plain data for inspect', async () => {
    const report = await inspectParquet(path);
    expect(report).toEqual(JSON.parse(JSON.stringify(report)));
    expect(report.rowGroups[0]!.codecs).toEqual(['SNAPPY']);
    expect(report.columns[0]!.encodings.length).toBeGreaterThan(0);
    expect(report.rows).toBe(5000);
  });
});

describe('a file that is not whole Parquet', () => {
  it.each([
    ['an empty file', '', /empty/],
    ['CSV', 'id,name\n1,a\n', /looks like CSV/],
    ['JSON', '[{"a": 1}, {"a": 2}]', /looks like JSON/],
    ['a few bytes', 'PAR1', /ends without a footer/],
    ['an Arrow file', `ARROW1\0\0${'x'.repeat(50)}`, /Arrow IPC/],
    ['ZIP', 'PK\x03\x04aaaaaaaaaaaaaaaaaa', /ZIP/],
    ['binary rubbish', '\x00\x01\x02aaaaaaaaaaaaa', /some other binary/],
    ['an encrypted footer', 'PAREaaaaaaaaaaaa\x04\0\0\0PARE', /encrypted/],
    ['a footer longer than the file', 'PAR1aaaaaaaa\xff\xff\0\0PAR1', /claims 65535 bytes/],
  ])('is refused and named: %s', async (_, content, message) => {
    await writeFile(shop.path('bad'), content, 'latin1');
    const error = await refused(readFooter(shop.path('bad')));
    expect(error.code).toBe('BAD_PARQUET');
    expect(error.message).toMatch(message);
    expect(error.message).toContain(shop.path('bad'));
    expect(error.hint).toBeTruthy();
  });

  it('is refused when it is compressed as a whole, a folder, or gone', async () => {
    await writeFile(shop.path('bad.gz'), gzipSync(bytes));
    expect((await refused(readFooter(shop.path('bad.gz')))).message).toMatch(/gzip/);
    await mkdir(shop.path('folder.parquet'), { recursive: true });
    expect((await refused(readFooter(shop.path('folder.parquet')))).code).toBe('BAD_PARQUET');
    expect((await refused(readFooter(shop.path('nowhere.parquet')))).code).toBe('INPUT_GONE');
  });

  it('is refused when cut off, at every length', async () => {
    const small = await readFile(await shop.parquet('small.parquet', `select i, 'a' || i s from range(20) t(i)`));
    await writeFile(shop.path('cut.parquet'), small);
    for (let length = small.length - 1; length >= 0; length -= 1) {
      await truncate(shop.path('cut.parquet'), length);
      expect((await refused(readFooter(shop.path('cut.parquet')))).code).toBe('BAD_PARQUET');
    }
  });

  it('never fails but with BAD_PARQUET when bytes of the footer are flipped or cut out', () => {
    const raw = bytes.subarray(footer.start, footer.size - 8);
    const attempt = (changed: Buffer): void => {
      try {
        const parsed = parseFooter(changed, {
          path,
          size: footer.size,
          start: footer.start,
          fingerprint: footer.fingerprint,
        });
        expect(parsed.rowGroups.reduce((sum, group) => sum + group.rows, 0)).toBe(parsed.rows);
      } catch (error) {
        expect(error).toBeInstanceOf(ColonnadeError);
        expect((error as ColonnadeError).code).toBe('BAD_PARQUET');
      }
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(raw.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (flips) => {
        const changed = Buffer.from(raw);
        for (const [at, value] of flips) changed[at] = value;
        attempt(changed);
      }),
      { numRuns: 1500 },
    );
    fc.assert(
      fc.property(fc.nat(raw.length - 1), (length) => attempt(raw.subarray(0, length))),
      { numRuns: 200 },
    );
  });

  it('is refused when its rows, its columns or its places do not add up', () => {
    const place = { path, size: footer.size, start: footer.start, fingerprint: footer.fingerprint };
    const parse = (tree: ThriftStruct): Footer => parseFooter(serializeThrift(tree), place);
    const { tree } = footer;
    expect(() => parse(tree.with(FILE.numRows, THRIFT.i64, 4999))).toThrow(
      /claims 4999 rows, its row groups hold 5000/,
    );
    // A row more in a row group and in the file: they add up, and only the columns tell that there is none.
    const groups = tree.structs(FILE.rowGroups);
    const longer = groups[0]!.with(ROW_GROUP.numRows, THRIFT.i64, groups[0]!.int(ROW_GROUP.numRows)! + 1);
    const withLonger = tree.with(
      FILE.rowGroups,
      THRIFT.list,
      new ThriftList(THRIFT.struct, [longer, ...groups.slice(1)]),
    );
    expect(() => parse(withLonger.with(FILE.numRows, THRIFT.i64, 5001))).toThrow(
      /row group 0 claims \d+ rows, its column ".*" holds \d+ values/,
    );
    expect(() =>
      parse(tree.with(FILE.schema, THRIFT.list, new ThriftList(THRIFT.struct, tree.structs(FILE.schema).slice(0, -1)))),
    ).toThrow(/schema/);
    expect(() => parseFooter(serializeThrift(tree), { ...place, start: 1000 })).toThrow(/outside the data/);
  });
});
