/** What `runs`, `clean` and `verify` tell and do, on what runs have left. */
import { spawn } from 'node:child_process';
import { cp, readdir, rm } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { takeEpoch } from '../../src/commit/epoch.js';
import { built } from '../built.js';
import { runProgram, untilGone } from '../run/program.js';
import { colonnade, onlyObject, openShop, SHOP } from './program.js';

const bench = await openShop();
const call = (...args: string[]) => colonnade(args, { cwd: bench.folder });
const run = (...args: string[]) => call('run', 'shop.yaml', '--quiet', ...args);

interface Listed {
  readonly run_id: string;
  readonly state: string;
  readonly [key: string]: unknown;
}
const listed = async (...args: string[]): Promise<Listed[]> =>
  onlyObject((await call('runs', '--json', ...args)).stdout)['runs'] as Listed[];

beforeEach(async () => {
  for (const name of ['out', 'out.colonnade', 'deep']) await rm(bench.path(name), { recursive: true, force: true });
  await bench.write('shop.yaml', SHOP);
});

/** Kills a run when it makes its second shard. */
async function killed(from = '/shards/000001', when: 'before' | 'after' = 'after'): Promise<void> {
  const told = await runProgram(bench, bench.path('shop.yaml'), ['--workers', '1'], {
    who: 'main',
    at: 1,
    when,
    from,
    signals: ['SIGKILL'],
  });
  expect(told.signal).toBe('SIGKILL');
  await untilGone(told.workers);
}

describe('runs', () => {
  it('lists how each run ended, the last first, with its rows and whose scores it went on from', async () => {
    await killed();
    expect((await run('--var', 'most=24')).code).toBe(0);
    expect((await run()).code).toBe(78);
    await bench.write('shop.yaml', SHOP.replace('validate:', 'validate:\n  max_invalid: 1%'));
    expect((await run('--replace')).code).toBe(3);
    const runs = await listed();
    expect(runs.map(({ state, error }) => [state, (error as { code: string } | undefined)?.code])).toEqual([
      ['failed', 'TOO_MANY_INVALID'],
      ['done', undefined],
      ['died', undefined],
    ]);
    expect(runs[1]).toMatchObject({
      output: bench.path('out'),
      pipeline: { name: 'shop', file: bench.path('shop.yaml') },
      rows: 6000,
      ledger: { scored: 2760, quarantined: 3240, nulled: 0, filtered: 0 },
    });
    expect(runs[1]!['elapsed_s']).toBeTypeOf('number');
    const { stdout } = await call('runs', 'shop.yaml');
    expect(stdout.split('\n')[0]).toMatch(/^RUN +STATE +STARTED +TOOK +ROWS +SCORED +SET ASIDE +FILTERED +OUTPUT$/);
    expect(stdout).toMatch(/^\S+ +failed TOO_MANY_INVALID /m);
    expect(stdout).toMatch(/^\S+ +done +\S+ \S+Z +.* 6,000 +2,760 +3,240 +0 +out$/m);
  });

  it('tells of a run that went on from another which one that was', async () => {
    await killed();
    const [died] = await listed();
    expect((await run()).code).toBe(0);
    const [done] = await listed();
    expect(done).toMatchObject({ state: 'done', resumed: { rows: 3000, run_id: died!.run_id } });
    expect((await call('runs')).stdout).toContain(`${died!.run_id} (3,000)`);
  });

  it('tells of a run that died while publishing that another one finished it', async () => {
    await killed('/manifest\\.json$', 'before');
    const [died] = await listed();
    expect(died!.state).toBe('died');
    expect((await run()).code).toBe(0);
    const [second, first] = await listed();
    expect(first).toMatchObject({ run_id: died!.run_id, state: 'done', finished_by: second!.run_id });
  });

  it('tells a run that is at work from one that is over', async () => {
    const child = spawn(process.execPath, [built('bin/colonnade.js'), 'run', bench.path('shop.yaml')], {
      env: {
        ...process.env,
        DISTURB: JSON.stringify({
          who: 'main',
          at: 1,
          when: 'after',
          from: '/shards/000001',
          signals: ['SIGSTOP'],
          pids: bench.path('pids'),
        }),
        NODE_OPTIONS: `--import ${new URL('../disturbed.mjs', import.meta.url).href}`,
      },
      stdio: 'ignore',
    });
    try {
      while (!(await bench.files('out.colonnade')).some((file) => /shards\/000001/.test(file)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await listed()).toMatchObject([{ state: 'running', pid: child.pid }]);
      // And it is not cleaned, nor said that it could be.
      for (const args of [['--dry-run'], []]) {
        const cleaned = await call('clean', 'out', '--json', ...args);
        expect(cleaned.code).toBe(75);
        expect(onlyObject(cleaned.stdout)['outputs']).toMatchObject([
          { error: { code: 'OUTPUT_CONFLICT' }, removed: [] },
        ]);
      }
      child.kill('SIGCONT');
      await new Promise((resolve) => child.once('exit', resolve));
      expect(await listed()).toMatchObject([{ state: 'done', rows: 6000 }]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('keeps the last hundred, and none of its drafts', async () => {
    expect((await run()).code).toBe(0);
    const [{ run_id: id }] = (await listed()) as [Listed];
    for (let i = 100; i < 250; i += 1)
      await cp(bench.path(`out.colonnade/runs/${id}.json`), bench.path(`out.colonnade/runs/20200101T000${i}-0.json`));
    await bench.write('out.colonnade/runs/x.json.1.tmp', '{');
    expect((await run('--replace')).code).toBe(0);
    const names = await readdir(bench.path('out.colonnade/runs'));
    expect(names).toHaveLength(100);
    expect(names).toContain(`${id}.json`);
  });

  it('looks below folders, finds outputs by what is beside them, and says where nothing is', async () => {
    expect((await run()).code).toBe(0);
    for (const place of [[], ['.'], ['out'], ['out.colonnade'], ['shop.yaml'], [bench.folder, 'out']])
      expect(await listed(...place)).toHaveLength(1);
    await bench.write('deep/a/b/.hidden/x.colonnade/manifest.json', '{}');
    expect((await call('runs', 'deep')).code).toBe(78);
    const nowhere = await call('runs', 'nowhere');
    expect(nowhere.code).toBe(78);
    expect(nowhere.stderr).toContain('error OUTPUT_NOT_FOUND no run has written to nowhere');
    const misspelt = await call('runs', 'shp.yaml');
    expect(misspelt.stderr).toContain('did you mean `shop.yaml`?');
  });
});

describe('clean', () => {
  it('removes what a run has left that died, says what and how much, and leaves all else', async () => {
    expect((await run()).code).toBe(0);
    await bench.write('shop.yaml', SHOP.replace('most: 1000', 'most: 24').concat('  \n'));
    await bench.write('shop.yaml', SHOP.replace('path: out }', 'path: out, exists: replace }').replace('1000', '24'));
    await killed();
    await bench.write('out.colonnade/manifest.json.123.tmp', 'cut o');
    const before = await bench.files('out');
    const dry = onlyObject((await call('clean', '--dry-run', '--json')).stdout);
    expect(dry['bytes']).toBeGreaterThan(1000);
    expect(dry['outputs']).toMatchObject([
      {
        removed: [
          { path: expect.stringMatching(/^staging\/2-[0-9a-f]{16}$/) as string },
          { path: 'manifest.json.123.tmp', bytes: 5 },
        ],
      },
    ]);
    expect((await bench.files('out.colonnade')).some((file) => file.startsWith('staging/'))).toBe(true);

    const { code, stdout } = await call('clean', 'shop.yaml');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^✓ out {2}\S+ \S+ removed$/m);
    expect(stdout).toMatch(/^ {4}staging\/2-[0-9a-f]{16} {2}/m);
    expect(await bench.files('out')).toEqual(before);
    expect(await bench.beside()).toEqual([
      'epochs/3.json',
      'manifest.json',
      'quarantine/region=north/part.parquet',
      'quarantine/region=south/part.parquet',
    ]);
    expect(onlyObject((await call('clean', '--json')).stdout)).toMatchObject({ status: 'done', bytes: 0 });
    expect((await run()).code).toBe(0);
    expect((await listed())[0]).not.toHaveProperty('resumed');
  });

  it('finishes what a run has half published that died over it', async () => {
    await killed('/manifest\\.json$', 'before');
    const [died] = await listed();
    const { stdout } = await call('clean');
    expect(stdout).toContain(`finished  the output of run ${died!.run_id}`);
    expect(await bench.files('out')).toHaveLength(3);
    expect((await bench.beside()).filter((file) => !file.startsWith('quarantine/'))).toEqual([
      'epochs/2.json',
      'manifest.json',
    ]);
    expect((await listed())[0]).toMatchObject({ run_id: died!.run_id, state: 'done' });
  });

  it('lets go of what it has looked at', async () => {
    expect((await run()).code).toBe(0);
    await call('clean');
    const epoch = await takeEpoch(bench.path('out.colonnade/epochs'), bench.path('out'), 'next');
    await epoch.release();
  });
});

describe('verify', () => {
  it('shows a line for each check, and ends with 0 where all is as it was written', async () => {
    expect((await run('--var', 'most=24')).code).toBe(0);
    for (const place of ['out', 'shop.yaml']) {
      const { code, stdout, stderr } = await call('verify', place);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout.split('\n').map((line) => line.slice(0, 14))).toEqual([
        '✓ files       ',
        '✓ bytes       ',
        '✓ rows        ',
        '✓ ledger      ',
        '✓ source      ',
        '✓ old columns ',
        '✓ new columns ',
        '✓ quarantine  ',
        '✓ scores      ',
        '',
      ]);
      expect(stdout).toContain('6,000 rows = 2,760 scored + 3,240 quarantined, file by file as well');
      expect(stdout).toContain('6,000 rows in 4 batches of 2 files scored again: all the same');
    }
    const { stdout } = await call('verify', 'out', '--json');
    expect(onlyObject(stdout)).toMatchObject({ status: 'done', output: bench.path('out') });
    expect((await call('verify', 'out', '--quiet')).stdout).toBe('');
  });

  it('ends with 1 and names what is damaged, and with 78 where there is nothing to verify', async () => {
    expect((await run()).code).toBe(0);
    const file = 'out/region=north/part.parquet';
    await rm(bench.path(file));
    const { code, stdout, stderr } = await call('verify', 'out');
    expect(code).toBe(1);
    expect(stdout).toContain(`✗ files        damaged\n    ${file} is missing\n`);
    expect(stdout).toContain('– scores       not checked: files are missing or cannot be read');
    expect(stderr).toContain('error VERIFY_FAILED ');
    expect(stderr).toContain(`${file} is missing`);
    const json = await call('verify', 'out', '--json');
    expect(json.code).toBe(1);
    expect(onlyObject(json.stdout)).toMatchObject({ status: 'failed', error: { code: 'VERIFY_FAILED' } });

    for (const name of ['out', 'out.colonnade']) await rm(bench.path(name), { recursive: true, force: true });
    const nothing = await call('verify', 'out', '--json');
    expect(nothing.code).toBe(78);
    expect(onlyObject(nothing.stdout)).toMatchObject({ status: 'failed', error: { code: 'OUTPUT_NOT_FOUND' } });
    await killed();
    expect((await call('verify', 'shop.yaml')).code).toBe(78);
  });
});
