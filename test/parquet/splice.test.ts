import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { serializeFooter } from '../../src/parquet/chunks.js';
import { outputField } from '../../src/plan/arrow-types.js';
import { keyValue, readFooter, type Footer } from '../../src/parquet/footer.js';
import { COLUMN, ELEMENT, FILE, STATISTICS } from '../../src/parquet/format.js';
import { ScoresWriter } from '../../src/parquet/scores.js';
import { planSplice, Splice, type SpliceOptions } from '../../src/parquet/splice.js';
import { THRIFT, ThriftList } from '../../src/parquet/thrift.js';
import { sameColumnChunks } from './same-chunks.js';
import { openWorkshop, type Workshop } from './duckdb.js';
import { spliceFile } from './splice-file.js';
import { SCORE_COLUMNS, SCORE_FIELDS, scoreVector, writeScores } from './scores-of.js';

let shop: Workshop;
beforeAll(async () => {
  shop = await openWorkshop();
});
afterAll(() => shop.close());

const METADATA = { 'colonnade.run_id': 'r1', 'colonnade.pipeline': 'test' };

/** What the new columns must be, as SQL over the row's number. */
const EXPECTED = `if(n % 7 = 3, null, n * 0.5::float) as prediction, if(n % 7 = 3, null, 'class-' || n % 3) as label,
  if(n % 7 = 3, null, [n::float, n + 0.25::float]) as "all", if(n % 7 = 3, null, n * 1000000007) as top, if(n % 7 = 3, 1, 0) as status`;

/** Rows in which a file differs from some columns of the source with the values that the row numbers give beside them. */
async function differences(source: string, destination: string, columns = '* exclude (n)'): Promise<number> {
  const numbered = `select *, file_row_number n from read_parquet('${source}', file_row_number = true)`;
  const found = (query: string): string => `select row_number() over () r, t::varchar v from (${query}) t`;
  const [row] = await shop.rows(
    `select count(*)::int from (${found(`select ${columns}, ${EXPECTED} from (${numbered.replace('select *', 'select * exclude (file_row_number)')})`)}) a
     full join (${found(`from '${destination}'`)}) b using (r) where a.v is distinct from b.v`,
  );
  return row![0] as number;
}

async function splice(source: string, parts = 1): Promise<string> {
  const destination = `${source}.spliced.parquet`;
  const scores = await writeScores(await readFooter(source), `${source}.scores`, parts);
  await spliceFile({ source, destination, scores, columns: SCORE_COLUMNS, metadata: METADATA });
  return destination;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ColonnadeError);
  return (error as ColonnadeError).code;
}

describe('a spliced file', () => {
  it('holds the old columns byte for byte and the new ones beside them, in row order', async () => {
    const source = await shop.parquet(
      'types.parquet',
      `select i id, 'n' || i s, [i, null] l, {'a': i, 'b': ['x']} st, map {'k': i} m, (i / 7)::decimal(20, 4) d,
       if(i % 3 = 0, null, to_timestamp(i)) z, uuid() u from range(7000) t(i)`,
    );
    const destination = await splice(source, 2);
    expect(await sameColumnChunks(source, destination)).toEqual([]);
    expect(await differences(source, destination)).toBe(0);
    expect(await differences(source, destination, 'id + 1 as id, * exclude (n, id)')).toBe(7000);
    const [before, after] = [await readFile(source), await readFile(destination)];
    const { start } = await readFooter(source);
    expect(after.subarray(0, start).equals(before.subarray(0, start))).toBe(true);
  });

  it('says who spliced it, keeps its author, and takes a second splice', async () => {
    const source = await shop.parquet(
      'twice.parquet',
      'select i id from range(3000) t(i)',
      "row_group_size 2048, kv_metadata {owner: 'me'}",
    );
    const first = await readFooter(await splice(source));
    expect(first.createdBy).toBe((await readFooter(source)).createdBy);
    expect(keyValue(first, 'owner')).toBe('me');
    expect(keyValue(first, 'colonnade.run_id')).toBe('r1');

    const scores = shop.path('again.scores');
    const writer = await ScoresWriter.open(scores, [outputField('again', 'float64', false)], { compression: 'zstd' });
    for (const group of first.rowGroups)
      writer.appendRowGroup([scoreVector(outputField('prediction', 'float64', false), 0, group.rows)]);
    writer.close();
    const destination = shop.path('again.parquet');
    await spliceFile({
      source: first,
      destination,
      scores: [scores],
      columns: ['again'],
      metadata: { 'colonnade.run_id': 'r2' },
    });
    const second = await readFooter(destination);
    expect(second.schema.children.map((node) => node.name)).toEqual(['id', ...SCORE_COLUMNS, 'again']);
    expect(second.keyValues.filter(({ key }) => key === 'colonnade.run_id')).toEqual([
      { key: 'colonnade.run_id', value: 'r2' },
    ]);
    expect(await sameColumnChunks(first.path, destination)).toEqual([]);
  });

  it.each(['plain', 'nested'])('of Spark tells Spark of its columns: %s', async (name) => {
    const source = shop.path(`spark-${name}.parquet`);
    await copyFile(fileURLToPath(new URL(`../fixtures/spark/${name}.parquet`, import.meta.url)), source);
    const destination = await splice(source, 2);
    expect(await differences(source, destination)).toBe(0);
    const spark = JSON.parse(keyValue(await readFooter(destination), 'org.apache.spark.sql.parquet.row.metadata')!) as {
      fields: { name: string; type: unknown }[];
    };
    expect(spark.fields.slice(-5).map((field) => [field.name, field.type])).toEqual([
      ['prediction', 'float'],
      ['label', 'string'],
      ['all', { type: 'array', elementType: 'float', containsNull: true }],
      ['top', 'long'],
      ['status', 'short'],
    ]);
  });

  it('has a page index where the source has one, in two contiguous runs, and none where it has none', async () => {
    const indexed = fileURLToPath(new URL('../fixtures/spark/plain.parquet', import.meta.url));
    await copyFile(indexed, shop.path('indexed.parquet'));
    const footer = await readFooter(await splice(shop.path('indexed.parquet')));
    const chunks = footer.rowGroups.flatMap((group) => group.chunks);
    // INT96 has an offset index alone.
    for (const ranges of [
      chunks.flatMap((chunk) => chunk.columnIndex ?? []),
      chunks.flatMap((chunk) => chunk.offsetIndex ?? []),
    ]) {
      expect(ranges.length).toBeGreaterThan(50);
      for (const [index, range] of ranges.slice(1).entries())
        expect(range.offset).toBe(ranges[index]!.offset + ranges[index]!.length);
    }
    expect(chunks.every((chunk) => chunk.offsetIndex !== undefined)).toBe(true);
    const none = await readFooter(await splice(await shop.parquet('none.parquet', 'select i from range(10) t(i)')));
    expect(none.pageIndex).toBe(false);
  });

  it('gives field ids where the file has them, and only there', async () => {
    const ids = async (options: string): Promise<(number | undefined)[]> => {
      const source = await shop.parquet('ids.parquet', 'select i a, i b from range(10) t(i)', options);
      return (await readFooter(await splice(source))).tree
        .structs(FILE.schema)
        .slice(1)
        .map((element) => element.int(ELEMENT.fieldId));
    };
    expect(await ids('field_ids {a: 7, b: 3}')).toEqual([7, 3, 8, 9, 10, undefined, 11, 12, 13]);
    expect(await ids('compression zstd')).toEqual(Array.from({ length: 9 }, () => undefined));
  });

  it('has no minima and maxima where the file does not say how they are ordered', async () => {
    const path = await shop.parquet('orders.parquet', 'select i from range(10) t(i)');
    const { start, tree } = await readFooter(path);
    await writeFile(
      path,
      Buffer.concat([(await readFile(path)).subarray(0, start), serializeFooter(tree.without(FILE.columnOrders))]),
    );
    const footer = await readFooter(await splice(path));
    expect(footer.columnOrders).toBe(false);
    for (const chunk of footer.rowGroups[0]!.chunks.slice(1)) {
      const statistics = chunk.metadata.struct(COLUMN.statistics)!;
      expect(
        [STATISTICS.min, STATISTICS.max, STATISTICS.minValue, STATISTICS.maxValue].some((id) => statistics.has(id)),
      ).toBe(false);
      expect(statistics.int(STATISTICS.nullCount)).toBeDefined();
    }
  });

  it('is right for any table', async () => {
    const columns = [
      'i::int',
      'i * 1.5',
      "'s' || i",
      'i % 2 = 0',
      '[i]',
      "{'a': i}",
      'if(i % 4 = 0, null, i::float)',
      "repeat('x', i::int % 300)",
      "map {'k': i}",
    ];
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.constantFrom(...columns), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 9000 }),
        fc.constantFrom('snappy', 'zstd', 'gzip', 'lz4_raw', 'brotli', 'uncompressed'),
        fc.constantFrom('v1', 'v2'),
        fc.integer({ min: 1, max: 4 }),
        async (chosen, rows, codec, version, parts) => {
          const query = `select ${chosen.map((column, index) => `${column} c${index}`).join(', ')} from range(${rows}) t(i)`;
          const source = await shop.parquet(
            `any-${(run += 1)}.parquet`,
            query,
            `row_group_size 2048, compression ${codec}, parquet_version ${version}`,
          );
          const destination = await splice(source, parts);
          expect(await sameColumnChunks(source, destination)).toEqual([]);
          expect(await differences(source, destination)).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);
});

async function spliced(
  options: SpliceOptions,
  scores: readonly string[],
  source: Footer,
): Promise<{ bytes: number; rows: number }> {
  const splice = await Splice.begin(options);
  try {
    for (const path of scores) await splice.add(path);
    return await splice.finish(source, METADATA);
  } finally {
    await splice.close();
  }
}

describe('splicing', () => {
  it('can be finished on a copy that was made elsewhere', async () => {
    const path = await shop.parquet('elsewhere.parquet', 'select i from range(5000) t(i)');
    const source = await readFooter(path);
    const { prefixBytes } = planSplice(source, SCORE_COLUMNS);
    const destination = shop.path('elsewhere-spliced.parquet');
    await copyFile(path, destination);
    const scores = await writeScores(source, shop.path('elsewhere.scores'));
    const options = { destination, prefixBytes, columns: SCORE_COLUMNS };
    const { bytes } = await spliced(options, scores, source);
    const written = await readFile(destination);
    expect(bytes).toBe(written.length);
    expect(written.subarray(0, prefixBytes).equals((await readFile(path)).subarray(0, prefixBytes))).toBe(true);
    expect(await differences(path, destination)).toBe(0);
    await truncate(destination, 100);
    expect(await codeOf(spliced(options, scores, source))).toBe('IO_FAILED');
  });

  it('is refused when a name exists, compared without case', async () => {
    const footer = await readFooter(await shop.parquet('names.parquet', 'select 1 as "Prediction"'));
    expect(() => planSplice(footer, ['prediction'])).toThrow(expect.objectContaining({ code: 'COLUMN_EXISTS' }));
    expect(() => planSplice(footer, ['a', 'A'])).toThrow(expect.objectContaining({ code: 'COLUMN_EXISTS' }));
    expect(() => planSplice(footer, ['a'])).not.toThrow();
  });

  it('is refused with the way out where something stands against it', async () => {
    const footer = await readFooter(await shop.parquet('signed.parquet', 'select 1 as a'));
    const signed = { ...footer, encrypted: true };
    expect(() => planSplice(signed, ['b'])).toThrow(
      expect.objectContaining({
        code: 'NOT_SPLICEABLE',
        hint: expect.stringContaining('sink.mode: partition') as string,
      }),
    );
  });

  it('fails when the rows of scores and source differ, saying where', async () => {
    const source = await readFooter(await shop.parquet('ledger.parquet', 'select i from range(5000) t(i)'));
    const short = await writeScores({ ...source, rowGroups: source.rowGroups.slice(0, 2) }, shop.path('short.scores'));
    const destination = shop.path('ledger-spliced.parquet');
    const attempt = spliceFile({ source, destination, scores: short, columns: SCORE_COLUMNS, metadata: {} });
    await expect(attempt).rejects.toThrow(/row group 2 has 904 rows, its scores have none/);
    expect(await codeOf(attempt)).toBe('LEDGER_UNBALANCED');
  });

  it('notices a changed chunk', async () => {
    const path = await shop.parquet('flip.parquet', 'select i from range(5000) t(i)');
    const destination = await splice(path);
    const bytes = await readFile(destination);
    bytes[500]! ^= 1;
    await writeFile(destination, bytes);
    expect(await sameColumnChunks(path, destination)).toEqual(['column "i" of row group 0 differs']);
  });
});

describe('a list of column orders that is kept', () => {
  it('grows by one for each new leaf', async () => {
    const path = await shop.parquet('order-list.parquet', 'select i from range(10) t(i)');
    const before = await readFooter(path);
    const structs = before.tree.list(FILE.columnOrders);
    expect(structs).toBeInstanceOf(ThriftList);
    expect(structs!.type).toBe(THRIFT.struct);
    const after = await readFooter(await splice(path));
    expect(after.tree.list(FILE.columnOrders)!.values).toHaveLength(structs!.values.length + SCORE_FIELDS.length);
  });
});
