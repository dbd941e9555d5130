/** What happens to what is there already. */
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

const rowsOf = (n: number, factor = 1): string =>
  `SELECT i AS id, (${factor} * i)::FLOAT AS x, 'r' || (i % 3) AS region FROM range(${n}) t(i)`;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([2], 1));
  parts = { features: ['x'], model: { path: model }, outputs: { score: 'score' } };
  await bench.parquet('data/a.parquet', rowsOf(100));
});

/** Paths and bytes of all that lies in the output. */
async function content(name = 'out'): Promise<Record<string, string>> {
  const files = await bench.files(name);
  return Object.fromEntries(
    await Promise.all(
      files.map(async (file) => [file, (await readFile(bench.path(`${name}/${file}`))).toString('base64')] as const),
    ),
  );
}

describe('an output that is there', () => {
  it('is refused unless it is to be replaced, and told whose it is', async () => {
    const { summary } = await bench.run(parts);
    const before = await content();
    const error = await bench.failure(parts);
    expect(error).toMatchObject({ code: 'OUTPUT_EXISTS', exitCode: 78 });
    expect(error.message).toContain(bench.path('out'));
    expect(error.message).toContain(summary.run_id);
    expect(error.hint).toContain('replace');
    expect(await content()).toEqual(before);
  });

  it('is replaced whole: no file of the earlier run stays', async () => {
    await bench.parquet('data/b.parquet', rowsOf(100));
    await bench.run(parts);
    await rm(bench.path('data/b.parquet'));
    await bench.parquet('data/c.parquet', rowsOf(50));
    const { summary } = await bench.run({ ...parts, sink: { exists: 'replace' } });
    expect(summary.rows).toBe(150);
    expect(await bench.files('out')).toEqual(['_SUCCESS', 'a.parquet', 'c.parquet']);
  });

  it('may be replaced by a run in another mode', async () => {
    await bench.run({ ...parts, sink: { mode: 'partition', partition_by: ['region'] } });
    await bench.run({ ...parts, sink: { exists: 'replace' } });
    expect(await bench.files('out')).toEqual(['_SUCCESS', 'a.parquet']);
    await bench.run({ ...parts, sink: { mode: 'partition', partition_by: ['region'], exists: 'replace' } });
    expect(await bench.files('out')).toEqual([
      '_SUCCESS',
      'region=r0/part-0.parquet',
      'region=r1/part-0.parquet',
      'region=r2/part-0.parquet',
    ]);
  });

  it('is refused before any work where it is a link, which a rename would replace', async () => {
    for (const target of ['elsewhere', 'nowhere']) {
      if (target === 'elsewhere') await mkdir(bench.path(target));
      await symlink(target, bench.path('out'));
      const error = await bench.failure({ ...parts, sink: { exists: 'replace' } });
      expect(error).toMatchObject({ code: 'OUTPUT_EXISTS', exitCode: 78 });
      expect(error.message).toContain(`a link to ${target}`);
      expect(await bench.files('out.colonnade')).toEqual([]);
      await rm(bench.path('out'));
    }
  });

  it.skipIf(process.platform !== 'linux')('is refused, and not waited for, where no folder can be made', async () => {
    const error = await bench.failure({ ...parts, sink: { path: '/proc/colonnade' } });
    expect(error).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE', exitCode: 78 });
  });

  it('loses its quarantine with its rows', async () => {
    const strict = { ...parts, validate: { rules: { x: { min: 10 } } }, sink: { exists: 'replace' } };
    await bench.run(strict);
    expect(await bench.files('out.colonnade/quarantine')).toEqual(['a.parquet']);
    await bench.run({ ...parts, sink: { exists: 'replace' } });
    expect(await bench.files('out.colonnade/quarantine')).toEqual([]);
    await bench.run(strict);
    await bench.run({ ...strict, validate: { rules: { x: { min: 20 } } } });
    expect(await bench.rows(`SELECT count(*) AS n FROM '${bench.path('out.colonnade/quarantine/a.parquet')}'`)).toEqual(
      [{ n: 20n }],
    );
  });

  it('stays as it was when the run that was to replace it fails', async () => {
    await bench.run(parts);
    const [before, manifest] = [await content(), await readFile(bench.path('out.colonnade/manifest.json'), 'utf8')];
    const failing = {
      ...parts,
      validate: { on_invalid: 'fail', rules: { x: { max: 90 } } },
      sink: { exists: 'replace' },
    };
    expect(await bench.failure(failing)).toMatchObject({ code: 'ROW_INVALID', exitCode: 3 });
    expect(await content()).toEqual(before);
    expect(await readFile(bench.path('out.colonnade/manifest.json'), 'utf8')).toBe(manifest);
  });

  it('is not replaced where no run has written it', async () => {
    await bench.write('out/thesis.txt', 'ten years');
    const error = await bench.failure({ ...parts, sink: { exists: 'replace' } });
    expect(error.code).toBe('OUTPUT_EXISTS');
    expect(error.message).toContain('thesis.txt');
    expect(await content()).toEqual({ 'thesis.txt': Buffer.from('ten years').toString('base64') });
  });

  it('is not replaced where its manifest is none', async () => {
    await bench.run(parts);
    for (const text of ['null', '{}', '{"outputs":1}']) {
      await bench.write('out.colonnade/manifest.json', text);
      const error = await bench.failure({ ...parts, sink: { exists: 'replace' } });
      expect(error).toMatchObject({ code: 'OUTPUT_EXISTS' });
      expect(error.message).toContain('no run has written');
    }
  });

  it('is not replaced where someone has put a file into it, at whatever depth', async () => {
    const partition = { ...parts, sink: { mode: 'partition', partition_by: ['region'], exists: 'replace' } };
    for (const place of [
      'notes.txt',
      'region=r1/notes.txt',
      'region=r1/deep/notes.txt',
      'region=r9/part-0.parquet',
      'region=r1/part-1.parquet',
    ]) {
      await rm(bench.path('out'), { recursive: true, force: true });
      await bench.run(partition);
      await bench.write(`out/${place}`, 'mine');
      const error = await bench.failure(partition);
      expect({ place, code: error.code }).toEqual({ place, code: 'OUTPUT_EXISTS' });
      expect(error.message).toContain(place);
      expect(await readFile(bench.path(`out/${place}`), 'utf8')).toBe('mine');
    }
  });

  it('is no obstacle while it is an empty folder', async () => {
    await mkdir(bench.path('out'));
    expect((await bench.run(parts)).summary.rows).toBe(100);
  });

  it('is refused where it is a file, or below one', async () => {
    await bench.write('out', 'a file');
    expect((await bench.failure({ ...parts, sink: { exists: 'replace' } })).code).toBe('OUTPUT_EXISTS');
    const below = await bench.failure({ ...parts, sink: { path: 'out/below' } });
    expect(below.code).toBe('OUTPUT_NOT_WRITABLE');
    expect(below.message).toContain(bench.path('out'));
    expect(await readFile(bench.path('out'), 'utf8')).toBe('a file');
  });
});

describe('an output that overlaps its source', () => {
  it('is refused where the source lies in it', async () => {
    for (const path of ['data', '.', 'data/a.parquet/..']) {
      const error = await bench.failure({ ...parts, sink: { path, exists: 'replace' } });
      expect({ path, code: error.code }).toEqual({ path, code: 'OUTPUT_OVERLAPS' });
    }
    expect(await bench.files('data')).toEqual(['a.parquet']);
  });

  it('is refused where it lies in a folder that the source names: the next run would read it', async () => {
    expect((await bench.failure({ ...parts, sink: { path: 'data/out' } })).code).toBe('OUTPUT_OVERLAPS');
    expect(
      (await bench.failure({ ...parts, source: { path: 'data/**/*.parquet' }, sink: { path: 'data/out' } })).code,
    ).toBe('OUTPUT_OVERLAPS');
    await bench.parquet(
      'data/region=n/b.parquet',
      rowsOf(10).replace(', ', ', ').replace("'r' || (i % 3) AS region", '1 AS one'),
    );
    await rm(bench.path('data/a.parquet'));
    expect((await bench.failure({ ...parts, sink: { path: 'data/region=n/out' } })).code).toBe('OUTPUT_OVERLAPS');
  });

  it('is allowed beside a single file, which no later run would mix up', async () => {
    const { summary } = await bench.run({ ...parts, source: { path: 'data/a.parquet' }, sink: { path: 'data/out' } });
    expect(summary.rows).toBe(100);
  });

  it('is allowed beside folders whose files have one name: they keep the names of the folders', async () => {
    await bench.parquet('data/x/1.parquet', rowsOf(10));
    await bench.parquet('data/y/1.parquet', rowsOf(20));
    const source = { path: ['data/x/1.parquet', 'data/y/1.parquet'] };
    const validate = { rules: { x: { min: 1 } } };
    const { manifest } = await bench.run({ ...parts, source, validate, sink: { path: 'data/out' } });
    expect(manifest.outputs.map(({ path, rows }) => ({ path, rows }))).toEqual([
      { path: 'x/1.parquet', rows: 10 },
      { path: 'y/1.parquet', rows: 20 },
    ]);
    expect(await bench.files('data/out.colonnade/quarantine')).toEqual(['x/1.parquet', 'y/1.parquet']);
  });

  it('is seen through links', async () => {
    await symlink(bench.path('data'), bench.path('link'));
    expect((await bench.failure({ ...parts, sink: { path: 'link', exists: 'replace' } })).code).toBe('OUTPUT_OVERLAPS');
    expect((await bench.failure({ ...parts, sink: { path: 'link/out' } })).code).toBe('OUTPUT_OVERLAPS');
  });

  it('is refused where the source lies in the folder that a run keeps beside its output', async () => {
    await bench.run({ ...parts, validate: { rules: { x: { min: 10 } } } });
    const error = await bench.failure({
      ...parts,
      source: { path: 'out.colonnade/quarantine/a.parquet' },
      validate: { on_invalid: 'null' },
      sink: { exists: 'replace' },
    });
    expect(error.code).toBe('OUTPUT_OVERLAPS');
  });
});

describe('the folders of a run', () => {
  it('hold data and _SUCCESS in the output, and all else beside it', async () => {
    await bench.parquet('data/region=n/b.parquet', 'SELECT i AS id, i::FLOAT AS x FROM range(10) t(i)');
    await rm(bench.path('data/a.parquet'));
    const { summary } = await bench.run({ ...parts, validate: { rules: { x: { min: 1 } } } });
    expect(await bench.files('out')).toEqual(['_SUCCESS', 'region=n/b.parquet']);
    expect(await bench.files('out.colonnade')).toEqual([
      'epochs/1.json',
      'manifest.json',
      'quarantine/region=n/b.parquet',
      `runs/${summary.run_id}.json`,
    ]);
    expect(summary).toMatchObject({
      output: bench.path('out'),
      manifest: bench.path('out.colonnade/manifest.json'),
      quarantine: bench.path('out.colonnade/quarantine'),
    });
    expect(await readFile(bench.path('out/_SUCCESS'), 'utf8')).toBe('');
  });

  it('leave nothing for a later glob over the output to trip over', async () => {
    await bench.run({ ...parts, validate: { rules: { x: { min: 10 } } } });
    await writeFile(bench.path('other.yaml'), '');
    const { summary } = await bench.run({
      ...parts,
      source: { path: 'out' },
      outputs: { again: 'score' },
      sink: { path: 'second' },
      validate: { on_invalid: 'null' },
    });
    expect(summary.rows).toBe(100);
  });
});
