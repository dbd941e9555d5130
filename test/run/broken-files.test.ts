/** Files that are not whole: cut off, damaged, not Parquet at all. */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { readFooter } from '../../src/parquet/footer.js';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;
let bad: string;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([2, 0.5], 1));
  parts = { features: ['x', 'y'], model: { path: model }, outputs: { score: 'score' } };
  const select = `SELECT i AS id, i::FLOAT AS x, (i % 7)::FLOAT AS y, repeat('word' || i, 5) AS words FROM range(6000) t(i)`;
  await bench.parquet('data/a.parquet', select);
  bad = await bench.parquet('data/b.parquet', select);
});

async function expectRefused(sink: Parts['sink'] = {}): Promise<void> {
  const error = await bench.failure({ ...parts, sink });
  expect({ code: error.code, message: error.message }).toEqual({
    code: 'BAD_PARQUET',
    message: expect.stringContaining(bad) as string,
  });
  expect(error.hint).toBeTruthy();
  expect(await bench.isVisible()).toBe(false);
}

describe('a file that is not whole', () => {
  it('is refused when it was cut off, at whatever length', async () => {
    const whole = await readFile(bad);
    const { start } = await readFooter(bad);
    const lengths = [
      1,
      3,
      4,
      7,
      8,
      11,
      12,
      100,
      start >> 1,
      start - 1,
      start,
      start + 1,
      start + 40,
      whole.length - 9,
      whole.length - 8,
      whole.length - 4,
      whole.length - 1,
    ];
    for (let at = 500; at < whole.length; at += 3001) lengths.push(at);
    for (const length of lengths) {
      await writeFile(bad, whole.subarray(0, length));
      await expectRefused();
    }
  });

  it('is refused when it is empty', async () => {
    await truncate(bad, 0);
    await expectRefused();
  });

  it('is refused when it is something else under the name of Parquet', async () => {
    for (const content of [
      'id,x,y\n1,2,3\n',
      '{"id": 1}',
      Buffer.alloc(5000),
      Buffer.from('PAR1PAR1'),
      Buffer.from('PAR1....PAR1'),
    ]) {
      await writeFile(bad, content);
      await expectRefused();
    }
  });

  it('is refused when its footer is damaged at any place', async () => {
    const whole = await readFile(bad);
    const { start } = await readFooter(bad);
    let refused = 0;
    for (let at = start; at < whole.length; at += 37) {
      const damaged = Buffer.from(whole);
      damaged.fill(0xff, at, Math.min(at + 12, whole.length));
      await writeFile(bad, damaged);
      try {
        await bench.run({ ...parts, sink: { exists: 'replace' } });
      } catch (error) {
        expect(['BAD_PARQUET', 'SCHEMA_DRIFT', 'COLUMN_MISSING']).toContain((error as { code: string }).code);
        refused += 1;
        continue;
      }
      // Statistics, names of writers and the like may be any bytes; then all rows must be there.
      const [row] = await bench.rows(
        `SELECT count(*) AS n, count(score) AS scored FROM '${bench.path('out/*.parquet')}'`,
      );
      expect(row).toEqual({ n: 12000n, scored: 12000n });
    }
    expect(refused).toBeGreaterThan(10);
  });

  it('is refused by every sink when a page of a feature in the middle is damaged', async () => {
    const { rowGroups } = await readFooter(bad);
    const { offset, length } = rowGroups[1]!.chunks[1]!.pages;
    await damage(bad, offset, length);
    await expectRefused();
    await expectRefused({ mode: 'predictions' });
    await expectRefused({ mode: 'partition', partition_by: ['y'] });
  });

  it('is refused by the sinks that decode it when a page of another column is damaged', async () => {
    const { rowGroups } = await readFooter(bad);
    const { offset, length } = rowGroups[2]!.chunks[3]!.pages;
    await damage(bad, offset, length);
    await expectRefused({ mode: 'partition', partition_by: ['y'] });
    parts = { ...parts, source: { key: ['words'] } };
    await expectRefused({ mode: 'predictions' });
  });

  it('is refused when a quarantined row cannot be read back from it', async () => {
    const { rowGroups } = await readFooter(bad);
    const { offset, length } = rowGroups[0]!.chunks[3]!.pages;
    await damage(bad, offset, length);
    parts = { ...parts, validate: { rules: { x: { min: 10 } } } };
    await expectRefused();
  });

  it('does not harm the earlier output that it was to replace', async () => {
    await bench.run(parts);
    const before = await readFile(bench.path('out/a.parquet'));
    const { offset, length } = (await readFooter(bad)).rowGroups[1]!.chunks[1]!.pages;
    await damage(bad, offset, length);
    const error = await bench.failure({ ...parts, sink: { exists: 'replace' } });
    expect(error.code).toBe('BAD_PARQUET');
    expect(before.equals(await readFile(bench.path('out/a.parquet')))).toBe(true);
  });
});

async function damage(path: string, offset: number, length: number): Promise<void> {
  const bytes = await readFile(path);
  bytes.fill(0xa5, offset, offset + length);
  await writeFile(path, bytes);
}
