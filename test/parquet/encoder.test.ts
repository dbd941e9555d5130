import { readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { vectorFromArray, type DataType, type Field } from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ByteRange, ColumnChunk } from '../../src/parquet/footer.js';
import { readFooter } from '../../src/parquet/footer.js';
import { COLUMN, COLUMN_INDEX, OFFSET_INDEX, PAGE_LOCATION, STATISTICS } from '../../src/parquet/format.js';
import { ScoresWriter } from '../../src/parquet/scores.js';
import type { ThriftStruct } from '../../src/parquet/thrift.js';
import { parseThrift } from '../../src/parquet/thrift-compact.js';
import { outputField } from '../../src/plan/arrow-types.js';
import { ELEMENT_TYPES, type ElementType } from '../../src/plan/facts.js';
import { describePython, python } from '../python.js';
import { openWorkshop, type Workshop } from './duckdb.js';

/** Codecs that pages are compressed with by this program itself. */
const CODECS = ['none', 'snappy', 'gzip'] as const;
/** Rows of a page, so that pages begin and end around it. */
const PAGE = 20_480;

type Value = number | bigint | boolean | string;
type Column = readonly (Value | null)[];

let shop: Workshop;
beforeAll(async () => {
  shop = await openWorkshop();
});
afterAll(() => shop.close());

const FLOATS = [NaN, -0, 0, Infinity, -Infinity, 1, -1, 0.5];
/** Values of each type at which something changes: signs, widths, what has no order. */
const EDGES: Readonly<Record<ElementType, readonly Value[]>> = {
  float32: [...FLOATS, 2 ** -149, 3.4028234663852886e38, -3.4028234663852886e38],
  float64: [...FLOATS, Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE],
  int8: [-128, -1, 0, 1, 127],
  uint8: [0, 1, 127, 128, 255],
  int16: [-32_768, -129, -1, 0, 255, 32_767],
  uint16: [0, 255, 32_767, 32_768, 65_535],
  int32: [-2_147_483_648, -1, 0, 1, 2_147_483_647],
  uint32: [0, 1, 2_147_483_647, 2_147_483_648, 4_294_967_295],
  int64: [-(2n ** 63n), -(2n ** 32n), -(2n ** 31n), -1n, 0n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n],
  uint64: [0n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
  bool: [false, true],
  string: [
    '',
    'a',
    'a\u0000b',
    '\u{10ffff}',
    '\ud7ff',
    '\ue000',
    'x'.repeat(63),
    'x'.repeat(64),
    'x'.repeat(65),
    // A character that lies across byte 64, and those that none of their length follows.
    `${'y'.repeat(63)}é-`,
    `${'y'.repeat(62)}€-`,
    `${'y'.repeat(61)}😀-`,
    `${'z'.repeat(61)}\ud7ff-`,
    `${'z'.repeat(63)}\u007fa`,
    `${'z'.repeat(62)}\u07ffa`,
    `${'z'.repeat(61)}\uffffa`,
    `${'z'.repeat(60)}\u{10ffff}a`,
    '\u{10ffff}'.repeat(17),
  ],
};

function valueOf(type: ElementType): fc.Arbitrary<Value> {
  const edge = fc.constantFrom(...EDGES[type]);
  const any = (): fc.Arbitrary<Value> => {
    if (type === 'float32') return fc.float();
    if (type === 'float64') return fc.double();
    if (type === 'bool') return fc.boolean();
    if (type === 'string')
      return fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\uffff', '\ud7ff'), maxLength: 90 });
    const bits = Number(/\d+/.exec(type)![0]);
    const signed = type.startsWith('i');
    if (bits === 64)
      return fc.bigInt(signed ? { min: -(2n ** 63n), max: 2n ** 63n - 1n } : { min: 0n, max: 2n ** 64n - 1n });
    const min = signed ? -(2 ** (bits - 1)) : 0;
    return fc.integer({ min, max: min + 2 ** bits - 1 });
  };
  return fc.oneof(edge, any());
}

/** The `i`-th of values that are mostly distinct, as far as the type has so many. */
function distinct(type: ElementType, i: number): Value {
  const mixed = Math.imul(i, 0x9e3779b1) >>> 0;
  switch (type) {
    case 'float32':
      return Math.fround(Math.sin(i));
    case 'float64':
      return Math.sin(i);
    case 'int64':
      return BigInt.asIntN(64, BigInt(mixed) * 0x1_0000_0007n ** 2n);
    case 'uint64':
      return BigInt.asUintN(64, BigInt(mixed) * 0x1_0000_0007n ** 2n);
    case 'bool':
      return (mixed & 64) !== 0;
    case 'string':
      return `${'long '.repeat(mixed % 16)}${mixed}`;
    default: {
      const bits = Number(/\d+/.exec(type)![0]);
      return (mixed % 2 ** bits) - (type.startsWith('i') ? 2 ** (bits - 1) : 0);
    }
  }
}

interface Shape {
  readonly pool: readonly Value[];
  /** How many values of the pool there are between two that are mostly distinct; 0 for the pool alone. */
  readonly every: number;
  readonly nulls: 'none' | 'some' | 'all' | 'first page' | 'last';
}

function columnOf(type: ElementType, rows: number, { pool, every, nulls }: Shape): Column {
  const isNull = {
    none: () => false,
    some: (row: number) => Math.imul(row, 0x9e3779b1) >>> 30 === 0,
    all: () => true,
    'first page': (row: number) => row < PAGE,
    last: (row: number) => row === rows - 1,
  }[nulls];
  return Array.from({ length: rows }, (_, row) => {
    if (isNull(row)) return null;
    return every > 0 && row % every === 0 ? distinct(type, row) : pool[row % pool.length]!;
  });
}

const shapeOf = (type: ElementType): fc.Arbitrary<Shape> =>
  fc.record({
    pool: fc.array(valueOf(type), { minLength: 1, maxLength: 40 }),
    every: fc.constantFrom(0, 1, 2, 50),
    nulls: fc.constantFrom('none', 'some', 'all', 'first page', 'last'),
  });

const rowCount = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 70 }) },
  { weight: 2, arbitrary: fc.integer({ min: 71, max: 3000 }) },
  { weight: 1, arbitrary: fc.constantFrom(PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 1) },
);

/** Writes row groups of columns of these types. */
async function write(
  path: string,
  types: readonly ElementType[],
  groups: readonly (readonly Column[])[],
  compression: (typeof CODECS)[number],
): Promise<void> {
  const fields = types.map((type, i): Field => outputField(`${type}_${i}`, type, false));
  const writer = await ScoresWriter.open(path, fields, { compression });
  for (const columns of groups)
    writer.appendRowGroup(columns.map((column, i) => vectorFromArray(column, fields[i]!.type as DataType)));
  writer.close();
}

/** The rows in which two columns differ. Bits count: the zeros are two. */
function differences(expected: Column, found: readonly unknown[]): unknown[] {
  if (expected.length !== found.length) return [`${found.length} rows instead of ${expected.length}`];
  return expected.flatMap((value, row) =>
    Object.is(value, found[row]) ? [] : [`row ${row}: ${String(found[row])} instead of ${String(value)}`],
  );
}

/** A value as PLAIN has it. */
function decoded(type: ElementType, bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sized = (size: number): void => expect(bytes.length).toBe(size);
  switch (type) {
    case 'float32':
      sized(4);
      return view.getFloat32(0, true);
    case 'float64':
      sized(8);
      return view.getFloat64(0, true);
    case 'int64':
      sized(8);
      return view.getBigInt64(0, true);
    case 'uint64':
      sized(8);
      return view.getBigUint64(0, true);
    case 'bool':
      sized(1);
      return bytes[0] === 1;
    case 'string':
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    default:
      sized(4);
      return type.startsWith('u') ? view.getUint32(0, true) : view.getInt32(0, true);
  }
}

/** Below 0 where `a` comes first: text by its bytes, and −0 before 0. */
function compare(a: Value, b: Value): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** No short text is above it. */
function isHighest(value: Value): boolean {
  return typeof value === 'string' && value.startsWith('\u{10ffff}'.repeat(16));
}

interface FoundBounds {
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
}

/** Bounds are there where they can be, hold for all values, and are values themselves, if they are not shortened. */
function expectBounds(type: ElementType, values: Column, { min, max }: FoundBounds, what: string): void {
  const ordered = values.filter((value) => value !== null && !Number.isNaN(value)) as Value[];
  if (ordered.length === 0 || (min === undefined && ordered.some(isHighest))) {
    expect([min, max], what).toEqual([undefined, undefined]);
    return;
  }
  const least = ordered.reduce((a, b) => (compare(b, a) < 0 ? b : a));
  const greatest = ordered.reduce((a, b) => (compare(b, a) > 0 ? b : a));
  const [low, high] = [decoded(type, min!), decoded(type, max!)];
  if (type !== 'string') {
    // Of the two zeros of a float the lesser stands for a least one, and the greater for a greatest one.
    expect(low, what).toBe(type.startsWith('f') && least === 0 ? -0 : least);
    expect(high, what).toBe(type.startsWith('f') && greatest === 0 ? 0 : greatest);
    return;
  }
  expect(compare(low, least), what).toBeLessThanOrEqual(0);
  expect(compare(high, greatest), what).toBeGreaterThanOrEqual(0);
  if (Buffer.byteLength(least as string) <= 64) expect(low, what).toBe(least);
  if (Buffer.byteLength(greatest as string) <= 64) expect(high, what).toBe(greatest);
  expect(min!.length, what).toBeLessThanOrEqual(65);
  expect(max!.length, what).toBeLessThanOrEqual(65);
}

/** Holds all that the metadata of a file says of its values and pages against the values and the bytes. */
async function expectMetadata(
  path: string,
  types: readonly ElementType[],
  groups: readonly (readonly Column[])[],
): Promise<void> {
  const footer = await readFooter(path);
  const bytes = await readFile(path);
  expect(footer.rowGroups.map(({ rows }) => rows)).toEqual(groups.map(([first]) => first!.length));
  for (const [group, { chunks }] of footer.rowGroups.entries())
    for (const [i, type] of types.entries())
      expectChunk(chunks[i]!, type, groups[group]![i]!, bytes, `column ${i} (${type}) of row group ${group}`);
}

function expectChunk(chunk: ColumnChunk, type: ElementType, values: Column, bytes: Buffer, what: string): void {
  const nulls = (some: Column): number => some.filter((value) => value === null).length;
  const statistics = chunk.metadata.struct(COLUMN.statistics)!;
  expect(statistics.int(STATISTICS.nullCount), what).toBe(nulls(values));
  expect(chunk.values, what).toBe(values.length);
  const [min, max] = [statistics.binary(STATISTICS.minValue), statistics.binary(STATISTICS.maxValue)];
  expectBounds(type, values, { min, max }, what);
  // What is said to be exact is one of the values.
  for (const [bound, exact] of [
    [min, STATISTICS.minExact],
    [max, STATISTICS.maxExact],
  ] as const)
    if (bound !== undefined) {
      const value = decoded(type, bound);
      expect(statistics.bool(exact), what).toBe(values.some((each) => each === value));
    }

  const at = ({ offset, length }: ByteRange): ThriftStruct => {
    const parsed = parseThrift(bytes.subarray(offset, offset + length));
    expect(parsed.length, what).toBe(length);
    return parsed.struct;
  };
  const pages = at(chunk.offsetIndex!)
    .structs(OFFSET_INDEX.locations)
    .map((location) => ({
      offset: location.int(PAGE_LOCATION.offset)!,
      size: location.int(PAGE_LOCATION.size)!,
      firstRow: location.int(PAGE_LOCATION.firstRow)!,
    }));
  expect(pages[0]).toMatchObject({ offset: chunk.metadata.int(COLUMN.dataPageOffset), firstRow: 0 });
  const end = chunk.pages.offset + chunk.pages.length;
  const rowsOf = pages.map(({ firstRow }, i) => values.slice(firstRow, pages[i + 1]?.firstRow ?? values.length));
  let uncompressed = 0;
  const dictionary = chunk.metadata.int(COLUMN.dictionaryPageOffset);
  expect(dictionary ?? pages[0]!.offset, what).toBe(chunk.pages.offset);
  if (dictionary !== undefined) {
    const { struct, length } = parseThrift(bytes.subarray(dictionary));
    expect(struct.int(1), what).toBe(2);
    expect(dictionary + length + struct.int(3)!, what).toBe(pages[0]!.offset);
    uncompressed += length + struct.int(2)!;
  }
  for (const [i, { offset, size }] of pages.entries()) {
    expect(offset + size, what).toBe(pages[i + 1]?.offset ?? end);
    const { struct, length } = parseThrift(bytes.subarray(offset));
    expect(struct.int(1), what).toBe(0);
    expect(length + struct.int(3)!, what).toBe(size);
    expect(struct.struct(5)!.int(1), what).toBe(rowsOf[i]!.length);
    uncompressed += length + struct.int(2)!;
  }
  expect(chunk.uncompressedBytes, what).toBe(uncompressed);

  if (chunk.columnIndex === undefined) {
    // Only a page whose values have no order, or no bound, is a reason.
    const without = rowsOf.filter((rows) => {
      const there = rows.filter((value) => value !== null);
      return (there.length > 0 && there.every(Number.isNaN)) || there.some(isHighest);
    });
    expect(without, what).not.toEqual([]);
    return;
  }
  const index = at(chunk.columnIndex);
  const listed = (id: number): readonly unknown[] => index.list(id)!.values;
  expect(listed(COLUMN_INDEX.nullPages), what).toEqual(rowsOf.map((rows) => (nulls(rows) === rows.length ? 1 : 2)));
  expect(listed(COLUMN_INDEX.nullCounts), what).toEqual(rowsOf.map(nulls));
  expect(listed(COLUMN_INDEX.minValues), what).toHaveLength(pages.length);
  expect(listed(COLUMN_INDEX.maxValues), what).toHaveLength(pages.length);
  for (const [i, rows] of rowsOf.entries()) {
    const [low, high] = [COLUMN_INDEX.minValues, COLUMN_INDEX.maxValues].map((id) => listed(id)[i] as Uint8Array);
    if (nulls(rows) === rows.length) expect([low!.length, high!.length], what).toEqual([0, 0]);
    else expectBounds(type, rows, { min: low, max: high }, `page ${i} of ${what}`);
  }
}

/** Holds what DuckDB reads, and says of the file, against the values. */
async function expectRead(
  path: string,
  types: readonly ElementType[],
  groups: readonly (readonly Column[])[],
): Promise<void> {
  const columns = await shop.columns(`from '${path}'`);
  for (const [i, type] of types.entries())
    expect(
      differences(
        groups.flatMap((group) => group[i]!),
        columns[i] ?? [],
      ).slice(0, 5),
      type,
    ).toEqual([]);
  const told = await shop.rows(
    `select column_id::int, num_values::int, stats_null_count::int from parquet_metadata('${path}') order by row_group_id, column_id`,
  );
  expect(told).toEqual(
    groups.flatMap((group) =>
      group.map((column, i) => [i, column.length, column.filter((value) => value === null).length]),
    ),
  );
}

/** Values that are mostly distinct. */
const MANY: Shape = { pool: [0], every: 1, nulls: 'none' };
const edges = (type: ElementType, nulls: Shape['nulls'] = 'none'): Shape => ({ pool: EDGES[type], every: 0, nulls });

describe('scores of every scalar type', () => {
  it('are read by DuckDB as they were, and what the file says of them is true', async () => {
    let file = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CODECS),
        fc.array(fc.tuple(rowCount, fc.tuple(...ELEMENT_TYPES.map(shapeOf))), { minLength: 1, maxLength: 2 }),
        async (codec, parts) => {
          const groups = parts.map(([rows, shapes]) =>
            ELEMENT_TYPES.map((type, i) => columnOf(type, rows, shapes[i]!)),
          );
          const path = shop.path(`any-${(file += 1)}.parquet`);
          await write(path, ELEMENT_TYPES, groups, codec);
          await expectRead(path, ELEMENT_TYPES, groups);
          await expectMetadata(path, ELEMENT_TYPES, groups);
          await rm(path);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(CODECS)('are read as they were where pages begin and end, %s', async (codec) => {
    for (const rows of [1, PAGE - 1, PAGE, PAGE + 1]) {
      const groups = (['none', 'some', 'first page'] as const).map((nulls) =>
        ELEMENT_TYPES.flatMap((type) => [
          columnOf(type, rows, edges(type, nulls)),
          columnOf(type, rows, { ...MANY, nulls }),
        ]),
      );
      const types = ELEMENT_TYPES.flatMap((type) => [type, type]);
      const path = shop.path(`pages-${codec}-${rows}.parquet`);
      await write(path, types, groups, codec);
      await expectRead(path, types, groups);
      await expectMetadata(path, types, groups);
    }
  });

  it('are read as they were at the greatest number of distinct values that a dictionary takes, and one more', async () => {
    const types: readonly ElementType[] = ['int32', 'int64', 'string'];
    const group = (kinds: number): Column[] => [
      Array.from({ length: 3 * kinds }, (_, row) => row % kinds),
      Array.from({ length: 3 * kinds }, (_, row) => BigInt(row % kinds) << 32n),
      Array.from({ length: 3 * kinds }, (_, row) => `kind ${row % kinds}`),
    ];
    const groups = [4095, 4096, 4097].map(group);
    const path = shop.path('dictionaries.parquet');
    await write(path, types, groups, 'snappy');
    await expectRead(path, types, groups);
    await expectMetadata(path, types, groups);
    const { rowGroups } = await readFooter(path);
    expect(
      rowGroups.map(({ chunks }) => chunks.map(({ metadata }) => metadata.has(COLUMN.dictionaryPageOffset))),
    ).toEqual([
      [true, true, true],
      [true, true, true],
      [false, false, false],
    ]);
  });

  it('are found by their bounds: a filter on any of them skips nothing that holds it', async () => {
    const path = shop.path('filtered.parquet');
    const types = ELEMENT_TYPES.filter((type) => type !== 'bool');
    // A row group, and so a minimum and a maximum, for each of the values.
    const groups = Array.from({ length: 18 }, (_, group) =>
      types.map((type): Column => [EDGES[type][group % EDGES[type].length]!, null]),
    );
    await write(path, types, groups, 'none');
    for (const [i, type] of types.entries()) {
      const counted = await shop.rows(
        `with kinds as (select distinct "${type}_${i}" v from '${path}' where v is not null)
         select count(*)::int from kinds where (select count(*) from '${path}' where "${type}_${i}" = v) = 0`,
      );
      expect(counted, type).toEqual([[0]]);
    }
  });
});

/** A value as text that Python makes the same value of. */
const told = (value: Value | null): string | null =>
  value === null ? null : Object.is(value, -0) ? '-0.0' : String(value);

describePython('scores of every scalar type, held against pyarrow', () => {
  it('are read as they were, with minima and maxima that hold, without NaN, and with zeros of the right sign', async () => {
    const files: object[] = [];
    for (const codec of CODECS) {
      const groups = [
        ...(['none', 'some', 'all', 'first page', 'last'] as const).flatMap((nulls) => [
          ELEMENT_TYPES.map((type) => columnOf(type, PAGE + 1, edges(type, nulls))),
          ELEMENT_TYPES.map((type) => columnOf(type, 3000, { ...MANY, nulls })),
          ELEMENT_TYPES.map((type) => columnOf(type, 1, edges(type, nulls))),
        ]),
        // Each edge alone, so that it is a minimum and a maximum.
        ...Array.from({ length: 18 }, (_, edge) =>
          ELEMENT_TYPES.map((type): Column => [EDGES[type][edge % EDGES[type].length]!, null]),
        ),
      ];
      const path = shop.path(`pyarrow-${codec}.parquet`);
      await write(path, ELEMENT_TYPES, groups, codec);
      await expectRead(path, ELEMENT_TYPES, groups);
      files.push({
        path,
        types: ELEMENT_TYPES,
        groups: groups.map((group) => group.map((column) => column.map(told))),
      });
    }
    const list = shop.path('files.json');
    await writeFile(list, JSON.stringify(files));
    const script = fileURLToPath(new URL('check_encoded.py', import.meta.url));
    expect(JSON.parse(await python(script, [list]))).toEqual({
      wrong: [],
      checked: CODECS.length * 33 * ELEMENT_TYPES.length,
    });
  });
});
