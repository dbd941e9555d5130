import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readFooter } from '../../src/parquet/footer.js';
import { spliceFile } from './splice-file.js';
import { serializeThrift } from '../../src/parquet/thrift-compact.js';
import { sameColumnChunks } from './same-chunks.js';
import { describePython, python } from '../python.js';
import { SCORE_COLUMNS, writeScores } from './scores-of.js';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What polars does not take from the writer itself. */
const UNREAD = ['polars pyarrow-decimal256', 'polars duckdb-interval'];

describePython('files by pyarrow, pandas, polars, DuckDB and Spark', () => {
  let folder: string;
  let names: readonly string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'colonnade-interoperability-'));
    await mkdir(join(folder, 'source'));
    const written = JSON.parse(await python(script('write_sources.py'), [join(folder, 'source')])) as string[];
    for (const name of ['plain', 'nested']) {
      await copyFile(script(`../fixtures/spark/${name}.parquet`), join(folder, 'source', `spark-${name}.parquet`));
      written.push(`spark-${name}.parquet`);
    }
    names = written;
  }, 120_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const check = async (pairs: readonly object[]): Promise<unknown> => {
    const list = join(folder, 'pairs.json');
    await writeFile(list, JSON.stringify(pairs));
    return JSON.parse(await python(script('check_spliced.py'), [list])) as unknown;
  };

  it('keep their footers byte for byte when they are read and written', async () => {
    for (const name of names) {
      const path = join(folder, 'source', name);
      const footer = await readFooter(path);
      const bytes = (await readFile(path)).subarray(footer.start, footer.size - 8);
      expect(serializeThrift(footer.tree).equals(bytes), name).toBe(true);
    }
  });

  it('take new columns, after which every reader sees the old ones as they were and the new ones right', async () => {
    const pairs: object[] = [];
    for (const [index, name] of names.entries()) {
      const source = join(folder, 'source', name);
      const destination = join(folder, `spliced-${name}`);
      const footer = await readFooter(source);
      const compression = (['snappy', 'zstd', 'gzip', 'lz4', 'none'] as const)[index % 5]!;
      const scores = await writeScores(footer, join(folder, `scores-${name}`), 1 + (index % 3), compression);
      await spliceFile({ source, destination, scores, columns: SCORE_COLUMNS, metadata: { 'colonnade.run_id': 'r1' } });
      expect(await sameColumnChunks(source, destination), name).toEqual([]);
      pairs.push({ source, destination });
    }
    expect(await check(pairs)).toEqual({ wrong: [], unread: UNREAD });
  }, 300_000);
});
