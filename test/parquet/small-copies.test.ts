/** Small files that begin as others do, written by one thread. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readFooter } from '../../src/parquet/footer.js';
import { SmallCopies } from '../../src/parquet/small-copies.js';
import { spliceTail } from '../../src/parquet/splice.js';
import { openWorkshop } from './duckdb.js';
import { SCORE_COLUMNS, writeScores } from './scores-of.js';
import { spliceFile } from './splice-file.js';

const shop = await openWorkshop();
afterAll(() => shop.close());

let copies: SmallCopies;
beforeEach(() => {
  copies = new SmallCopies();
});
afterEach(() => copies.close());

const source = shop.path('source');
beforeEach(() => writeFile(source, 'the source and more'));

describe('small copies', () => {
  it('are written one after the other, each with what follows it, and told by size and hash', async () => {
    const jobs = Array.from({ length: 50 }, (_, i) => ({
      source,
      destination: shop.path(`copy-${i}`),
      bytes: i % 11,
      tail: Buffer.from(`tail ${i}`.repeat(i * 10)),
    }));
    const expected = jobs.map(({ bytes, tail }) => Buffer.concat([Buffer.from('the source').subarray(0, bytes), tail]));
    const written = await Promise.all(jobs.map((job) => copies.write(job)));
    for (const [i, { destination }] of jobs.entries()) {
      expect(await readFile(destination)).toEqual(expected[i]);
      const sha256 = createHash('sha256').update(expected[i]!).digest('hex');
      expect(written[i]).toEqual({ bytes: expected[i]!.length, sha256 });
    }
  });

  it('take the place of what is there', async () => {
    await writeFile(shop.path('longer'), 'something that was longer than that');
    await copies.write({ source, destination: shop.path('longer'), bytes: 3, tail: Buffer.from('!') });
    expect(await readFile(shop.path('longer'), 'utf8')).toBe('the!');
  });

  it('fail each for itself, with the file that is to blame', async () => {
    await truncate(source, 5);
    await mkdir(shop.path('a folder'), { recursive: true });
    const write = (from: string, destination: string, bytes: number): Promise<unknown> =>
      copies.write({ source: from, destination, bytes, tail: Buffer.from('tail') }).catch((error: unknown) => error);
    const [short, gone, folder, good] = await Promise.all([
      write(source, shop.path('short'), 6),
      write(shop.path('gone'), shop.path('from nothing'), 1),
      write(source, shop.path('a folder'), 1),
      write(source, shop.path('good'), 5),
    ]);
    expect(short).toMatchObject({ code: 'INPUT_CHANGED', message: expect.stringContaining(source) as string });
    expect(gone).toMatchObject({ code: 'INPUT_GONE', message: expect.stringContaining(shop.path('gone')) as string });
    expect(folder).toMatchObject({
      code: 'IO_FAILED',
      message: expect.stringContaining(shop.path('a folder')) as string,
    });
    expect(good).toMatchObject({ bytes: 9 });
  });

  it('that are not written yet are rejected when it is closed', async () => {
    const written = copies.write({ source, destination: shop.path('late'), bytes: 1, tail: Buffer.from('tail') });
    const settled = written.catch((error: unknown) => error);
    await copies.close();
    expect(await settled).toMatchObject({ code: 'IO_FAILED', message: expect.stringContaining('given up') as string });
  });
});

describe('what is put together in memory', () => {
  it('is what splicing writes, byte for byte', async () => {
    const sources = {
      plain: await shop.parquet('plain.parquet', 'select i, i::varchar as s from range(5000) t(i)'),
      groups: await shop.parquet('groups.parquet', 'select i from range(9000) t(i)', 'row_group_size 2048'),
      // With a page index, which is taken over.
      indexed: fileURLToPath(new URL('../fixtures/spark/plain.parquet', import.meta.url)),
      empty: await shop.parquet('empty.parquet', 'select 1 as i where false'),
    };
    for (const [name, path] of Object.entries(sources)) {
      for (const parts of [1, 3]) {
        const footer = await readFooter(path);
        const scores = await writeScores(footer, shop.path(`${name}.scores`), parts);
        const metadata = { key: 'value' };
        const columns = SCORE_COLUMNS.filter((column) => column !== 'status');
        const options = { source: path, scores, columns, metadata, destination: shop.path(`${name}.spliced`) };
        await spliceFile(options);
        const { bytes, rows } = await spliceTail(footer, scores, columns, metadata);
        const destination = shop.path(`${name}.copied`);
        await copies.write({ source: path, destination, bytes: footer.start, tail: bytes });
        expect(await readFile(destination)).toEqual(await readFile(options.destination));
        expect(rows).toBe(footer.rows);
      }
    }
  });
});
