import { readFile, stat } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { takeEpoch } from '../../src/commit/epoch.js';
import { fixture } from '../model/fixtures.js';
import { batchSumModel } from '../run/onnx.js';
import { filesBelow } from '../run/workbench.js';
import { bash, colonnade, COLONNADE, onlyObject, openShop, records, SHOP, STACK } from './program.js';

const bench = await openShop();
const run = (...args: string[]) => colonnade(['run', 'shop.yaml', '--log-format=json', ...args], { cwd: bench.folder });
const scores = () => bench.rows(`SELECT count(score)::INT AS n FROM '${bench.path('out/**/*.parquet')}'`);

beforeEach(async () => {
  await bench.write('shop.yaml', SHOP);
});

describe('run', () => {
  it('ends with a summary on stdout that says what became of the rows and where they are', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toContain('shop: scored 5,400 of 6,000 rows');
    expect(stdout).toMatch(/^ {2}rows +5,400 scored, 600 quarantined$/m);
    expect(stdout).toMatch(/^ {2}invalid +600 {2}x: NULL$/m);
    expect(stdout).toMatch(/^ {2}output +out {2}2 files, /m);
    expect(stdout).toMatch(/^ {2}quarantine +out\.colonnade\/quarantine$/m);
    expect(stdout).toMatch(/^ {2}manifest +out\.colonnade\/manifest\.json$/m);
    // The first command of those that look at the result needs nothing but the program.
    const look = /npx colonnade (inspect \S+)/.exec(stdout)![1]!;
    expect((await colonnade(look.split(' '), { cwd: bench.folder })).stdout).toContain('score');
    expect(await scores()).toEqual([{ n: 5400 }]);
  });

  it('refuses an output that is there, and replaces it with --replace', async () => {
    expect((await run('--replace')).code).toBe(0);
    const before = await readFile(bench.path('out.colonnade/manifest.json'), 'utf8');
    const refused = await run();
    expect(refused.code).toBe(78);
    expect(refused.stdout).toBe('');
    expect(records(refused.stderr).at(-1)).toMatchObject({ error: { code: 'OUTPUT_EXISTS' } });
    expect(await readFile(bench.path('out.colonnade/manifest.json'), 'utf8')).toBe(before);
    expect((await run('--replace')).code).toBe(0);
    expect(await readFile(bench.path('out.colonnade/manifest.json'), 'utf8')).not.toBe(before);
  });

  it('warns where every row is invalid, and puts no tick there', async () => {
    const { code, stdout, stderr } = await run('--replace', '--var', 'most=-1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^! shop: scored 0 of 6,000 rows/);
    expect(records(stderr).filter(({ level }) => level === 'warn')).toMatchObject([
      {
        scored: 0,
        invalid: 6000,
        msg: expect.stringMatching(/^no row was scored: 6,000 invalid rows, most by x: above/) as string,
      },
    ]);
    expect((await run('--replace', '-q', '--var', 'most=-1')).stderr).toContain('validate.max_invalid');
  });

  it('takes variables by --var, and refuses one that the pipeline does not have', async () => {
    const { stdout } = await run('--replace', '--json', '--var', 'most=24');
    // x is 0 to 48, of which 0 to 24 are let through but for 9 and 19.
    expect(onlyObject(stdout)).toMatchObject({ scored: (6000 * 23) / 50, reasons: { 'x: NULL': 600 } });
    const misspelt = await colonnade(['run', 'shop.yaml', '--var', 'mots=24'], { cwd: bench.folder });
    expect(misspelt.code).toBe(78);
    expect(misspelt.stderr).toContain('did you mean `most`?');
  });

  it('gives the same output, byte for byte, whatever --workers says', async () => {
    // A model whose scores depend on which rows it is given together.
    await bench.write('models/sum.onnx', batchSumModel());
    const summed = SHOP.replace('double.onnx', 'sum.onnx, batch_size: 700').replace('score: score', 'score: Y');
    await bench.write('shop.yaml', summed);
    const outputs: Map<string, Buffer>[] = [];
    for (const workers of ['1', '2', 'auto']) {
      const { code, stdout } = await run('--replace', '--json', '--workers', workers);
      expect(code).toBe(0);
      if (workers !== 'auto') expect(onlyObject(stdout)).toMatchObject({ workers: Number(workers) });
      const files = await filesBelow(bench.path('out'));
      // What the run is called stands in each file: it is the same run in all but its name.
      const id = String(onlyObject(stdout)['run_id']);
      outputs.push(
        new Map(
          await Promise.all(
            files.map(async (file) => {
              const bytes = (await readFile(bench.path(`out/${file}`))).toString('latin1').replaceAll(id, '');
              return [file, Buffer.from(bytes, 'latin1')] as const;
            }),
          ),
        ),
      );
    }
    expect(outputs[0]!.size).toBe(3);
    expect(outputs[1]).toEqual(outputs[0]);
    expect(outputs[2]).toEqual(outputs[0]);
  });

  it('with --dry-run is the same as plan, and writes nothing', async () => {
    await bench.write('dry.yaml', SHOP.replace('path: out', 'path: dry'));
    const before = await bench.files('.');
    for (const form of [[], ['--json']]) {
      const dry = await colonnade(['run', 'dry.yaml', '--dry-run', ...form], { cwd: bench.folder });
      const plan = await colonnade(['plan', 'dry.yaml', ...form], { cwd: bench.folder });
      expect(dry.stdout).toContain('shop');
      expect(dry).toEqual({ ...plan, code: 0 });
    }
    expect(await bench.files('.')).toEqual(before);
  });

  it('writes no file into the folder that it is started from', async () => {
    await bench.write('elsewhere/.keep', '');
    const { code } = await colonnade(['run', '../shop.yaml', '--replace', '-q'], { cwd: bench.path('elsewhere') });
    expect(code).toBe(0);
    expect(await bench.files('elsewhere')).toEqual(['.keep']);
  });
});

describe('a run that failed', () => {
  /** Scores the first file; the model has no answer for the second. */
  const lookup = `version: 1
name: lookup
source: { path: indexes }
features: [index]
model: { path: ${fixture('lookup.onnx')} }
outputs: { both: { from: Y, as: list } }
sink: { mode: append, path: looked-up }
run: { workers: 1 }
`;

  beforeAll(async () => {
    await bench.parquet('indexes/a.parquet', 'SELECT 9 + i % 3 AS index FROM range(5000) t(i)');
    await bench.parquet('indexes/b.parquet', 'SELECT 99::BIGINT AS index FROM range(10)');
    await bench.write('lookup.yaml', lookup);
  });

  const again = (...args: string[]) =>
    colonnade(['run', 'lookup.yaml', '--log-format=json', ...args], { cwd: bench.folder });

  it('is gone on with when it is run again, and starts over with --fresh', async () => {
    const first = await again();
    expect(first.code).toBe(1);
    expect(await bench.isVisible('looked-up')).toBe(false);
    const resumes = (stderr: string) => records(stderr).filter(({ msg }) => msg.startsWith('resuming'));
    expect(resumes(first.stderr)).toEqual([]);

    const second = await again();
    expect(second.code).toBe(1);
    expect(resumes(second.stderr)).toMatchObject([{ level: 'info', rows: 5000, shards: 1 }]);

    const fresh = await again('--fresh');
    expect(fresh.code).toBe(1);
    expect(resumes(fresh.stderr)).toEqual([]);
  });

  it('tells which part failed while the others go on, and at last what failed where', async () => {
    const { stdout, stderr } = await again('--json');
    const log = records(stderr);
    expect(log.filter(({ level }) => level === 'warn')).toMatchObject([
      {
        shard: 1,
        error: { code: 'MODEL_FAILED' },
        msg: expect.stringContaining('; the others go on') as string,
      },
    ]);
    expect(log.at(-1)).toMatchObject({ level: 'error', error: { code: 'MODEL_FAILED', phase: 'model' } });
    expect(onlyObject(stdout)).toMatchObject({
      status: 'failed',
      error: {
        code: 'MODEL_FAILED',
        message: expect.stringMatching(
          /^1 of 2 shards failed, the other is done: .*b\.parquet, rows 0 to 9: /,
        ) as string,
      },
    });
    // With --quiet nothing but that, unless warnings are not wanted either.
    const levels = async (...args: string[]) => records((await again(...args)).stderr).map(({ level }) => level);
    expect(await levels('--quiet')).toEqual(['warn', 'error']);
    expect(await levels('--quiet', '--log-level', 'error')).toEqual(['error']);
  });
});

describe('the exit status', () => {
  it('is 3 where a check failed, and nothing is published', async () => {
    await bench.write(
      'strict.yaml',
      SHOP.replace('validate:', 'validate:\n  max_invalid: 1%').replace('path: out', 'path: strict'),
    );
    const { code, stdout, stderr } = await colonnade(['run', 'strict.yaml'], { cwd: bench.folder });
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^error TOO_MANY_INVALID .*x: NULL \(\d+\)/m);
    expect(stderr).toMatch(/^ {2}hint: .*max_invalid/m);
    expect(await bench.isVisible('strict')).toBe(false);
  });

  it('is 75 while another run writes the output', async () => {
    await bench.write('taken.yaml', SHOP.replace('path: out', 'path: taken'));
    // This process holds the output, as a run of its own would.
    const epoch = await takeEpoch(bench.path('taken.colonnade/epochs'), bench.path('taken'), 'another');
    const busy = await colonnade(['run', 'taken.yaml', '--json'], { cwd: bench.folder });
    expect(busy.code).toBe(75);
    expect(onlyObject(busy.stdout)).toMatchObject({ status: 'failed', error: { code: 'OUTPUT_CONFLICT' } });
    expect(busy.stderr).toContain(`run another (process ${process.pid} on `);
    await epoch.release();
    expect((await colonnade(['run', 'taken.yaml', '-q'], { cwd: bench.folder })).code).toBe(0);
  });

  it('is 78 where pipeline, model and data do not fit, before anything is written', async () => {
    const cases: [change: [string, string], code: string, told: RegExp][] = [
      [['features: [x]', 'features: [y]'], 'COLUMN_MISSING', /its columns are id, x, name, region/],
      [['features: [x]', 'features: [x, id]'], 'MODEL_MISMATCH', /X .*takes 1 value a row/],
      [['path: data', 'path: dta'], 'NO_INPUT', /dta does not exist/],
      [['double.onnx', 'treble.onnx'], 'MODEL_NOT_FOUND', /treble\.onnx/],
      [['{ score: score }', '{ name: score }'], 'COLUMN_EXISTS', /name/],
      [['path: data, key: id', "path: data, where: 'id >'"], 'SQL_INVALID', /id >/],
    ];
    for (const [[from, to], error, told] of cases) {
      expect(SHOP).toContain(from);
      await bench.write('misfit.yaml', SHOP.replace(from, to).replace('path: out', 'path: misfit'));
      const { code, stdout, stderr } = await colonnade(['run', 'misfit.yaml'], { cwd: bench.folder });
      expect({ error, code, stdout }).toEqual({ error, code: 78, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^error ${error} `));
      expect(stderr).toMatch(told);
      expect(stderr).toContain('hint:');
      expect(stderr).not.toMatch(STACK);
      await expect(stat(bench.path('misfit.colonnade'))).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  it('is 1 where the result cannot be told, though what was to be done is done', async () => {
    const { stdout, stderr } = await bash(
      `${COLONNADE} run shop.yaml --replace --json --quiet > /dev/full; echo "status $?"`,
      { cwd: bench.folder },
    );
    expect(stdout).toBe('status 1\n');
    expect(stderr).toMatch(/^error IO_FAILED stdout cannot be written: ENOSPC/);
    expect(await scores()).toEqual([{ n: 5400 }]);
  });
});
