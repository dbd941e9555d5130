import { spawn } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { built } from '../built.js';
import { slowModel } from '../run/onnx.js';
import { colonnade, COLONNADE, describeTerminal, onlyObject, onTerminal, openShop, records, SHOP } from './program.js';

const bench = await openShop();
const start = (...args: string[]) =>
  colonnade(['tune', ...args], { cwd: bench.folder, env: { TMPDIR: bench.path('tmp') } });

beforeAll(async () => {
  await mkdir(bench.path('tmp'));
  await bench.write('models/slow.onnx', slowModel(512));
  await bench.parquet('many/a.parquet', 'SELECT (i % 50)::FLOAT AS x FROM range(100000) t(i)', 'row_group_size 8192');
  await bench.write('slow.yaml', SHOP.replace('path: data, key: id', 'path: many').replace('double', 'slow'));
});

const untouched = async (): Promise<void> => {
  expect(await readdir(bench.path('tmp'))).toEqual([]);
  expect((await bench.files('.')).filter((name) => name.startsWith('out'))).toEqual([]);
};

describe('tune', () => {
  it('shows what each batch size gives as a table with bars, without colours, and what to make of it', async () => {
    const { code, stdout, stderr } = await start('slow.yaml', '--seconds', '4', '--rows', '2048', '--workers', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[✓!] shop: /);
    expect(stdout).toMatch(/^ +measured in .* with 2,048 rows of 100,000$/m);
    expect(stdout).toMatch(/^batch size +rows\/s +memory$/m);
    expect(stdout).toMatch(/^ +1,024 +[\d,]+ +[█▏▎▍▌▋▊▉]+ +\d+ MB +now, auto$/m);
    expect(stdout).not.toContain('\u001b');
    // A row of the table for each size, its bar no longer than that of the fastest.
    const bars = [...stdout.matchAll(/^ +[\d,]+ +([\d,]+) +([█▏▎▍▌▋▊▉]+)/gm)].map(([, speed, bar]) => ({
      speed: Number(speed!.replaceAll(',', '')),
      cells: bar!.length,
    }));
    const longest = Math.max(...bars.map(({ cells }) => cells));
    const [fastest] = bars.toSorted((a, b) => b.speed - a.speed);
    expect(fastest!.cells).toBe(longest);
    const measured = records(stderr).filter(({ stage }) => stage === 'batch_size');
    expect(measured.length).toBeGreaterThan(0);
    for (const { level, msg } of measured) {
      expect(level).toBe('info');
      expect(msg).toMatch(/^measuring batch size [\d,]+, .* left$/);
    }
    await untouched();
  });

  it('gives one object with --json, and says nothing beside it with --quiet', async () => {
    const { code, stdout, stderr } = await start('shop.yaml', '--json', '-q', '--var', 'most=7');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(onlyObject(stdout)).toMatchObject({
      status: 'done',
      pipeline: 'shop',
      verdict: 'small',
      rows: 6000,
      batch_sizes: [{ auto: 2048, current: 2048, recommended: 'auto', tried: [] }],
      settings: {},
    });
    await untouched();
  });

  it('says of few rows that there is nothing to tune, and what they are scored with', async () => {
    const { code, stdout } = await start('shop.yaml', '-q');
    expect(code).toBe(0);
    expect(stdout).toContain('✓ shop: too few rows for tuning to be worth anything');
    expect(stdout).toContain('batches of 2,048 rows, 1 worker');
  });

  it('refuses numbers that it cannot do with', async () => {
    for (const args of [
      ['--seconds', '0'],
      ['--rows', 'many'],
      ['--workers', '0'],
    ]) {
      const { code, stderr } = await start('shop.yaml', ...args);
      expect(code).toBe(64);
      expect(stderr).toContain(`error USAGE ${args.join(' ')}: a whole number from `);
    }
  });

  it('is ended by Ctrl-C with nothing left behind, no worker either', async () => {
    const child = spawn(process.execPath, [built('bin/colonnade.js'), 'tune', 'slow.yaml'], {
      cwd: bench.folder,
      env: { PATH: process.env['PATH'], TMPDIR: bench.path('tmp') },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A terminal sends the signal to all processes of the group.
      detached: true,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => {
      const before = stderr.includes('batch_size');
      stderr += data.toString();
      if (!before && stderr.includes('batch_size')) process.kill(-child.pid!, 'SIGINT');
    });
    // Streams close once no process of the group holds them.
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toContain('error INTERRUPTED');
    await untouched();
  });
});

describeTerminal('tune on a terminal', () => {
  it('shows what goes on in one line that goes away, and fits into the width', async () => {
    const command = `${COLONNADE} tune slow.yaml --seconds 6 --rows 2048 --workers 1`;
    for (const columns of [100, 40]) {
      const { code, stdout: screen } = await onTerminal(command, {
        cwd: bench.folder,
        columns,
        env: { TERM: 'xterm', TMPDIR: bench.path('tmp') },
      });
      expect(code).toBe(0);
      expect(screen).toContain('measuring batch size');
      expect(screen).not.toContain('"level"');
      // What stands there in the end: nothing of what was erased.
      const lines = screen
        .split('\r\n')
        .map((line) => line.split('\u001b[K').at(-1)!)
        .map((line) => line.replaceAll(/\u001b\[\d+m/g, ''));
      expect(lines.join('\n')).not.toContain('measuring');
      const table = lines.slice(lines.findIndex((line) => line.startsWith('batch size')));
      const rows = table.slice(1, table.indexOf(''));
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) expect(row.length).toBeLessThanOrEqual(Math.max(columns, 48));
      expect(rows.some((row) => row.includes('█'))).toBe(columns > 40);
    }
  });
});
