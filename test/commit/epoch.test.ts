import { spawn } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { takeEpoch } from '../../src/commit/epoch.js';
import { built, runNode } from '../built.js';
import { rejection } from '../run/workbench.js';
import { testFolder, writeTree } from './folder.js';

const contender = fileURLToPath(new URL('contender.mjs', import.meta.url));
const folder = await testFolder();
const epochs = join(folder, 'epochs');
const output = join(folder, 'out');

beforeEach(() => rm(folder, { recursive: true, force: true }));

const owner = async (number: number): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(epochs, `${number}.json`), 'utf8')) as Record<string, unknown>;

/** A process id that no process has. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.on('exit', resolve));
  return child.pid!;
}

describe('an epoch', () => {
  it('belongs to one run at a time, and the other is told whose it is', async () => {
    const first = await takeEpoch(epochs, output, 'first');
    const error = await rejection(takeEpoch(epochs, output, 'second'));
    expect(error).toMatchObject({ code: 'OUTPUT_CONFLICT', exitCode: 75 });
    expect(error.message).toContain(`run first (process ${process.pid} on ${hostname()})`);
    expect(error.message).toContain(output);
    await first.check();
    await first.release();
    expect((await takeEpoch(epochs, output, 'second')).number).toBe(first.number + 1);
  });

  it('never has a number twice, and leaves no file but the last', async () => {
    const numbers: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const epoch = await takeEpoch(epochs, output, `run-${i}`);
      numbers.push(epoch.number);
      await epoch.release();
      expect(await readdir(epochs)).toEqual([`${epoch.number}.json`]);
    }
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it('is taken with the drafts of others swept away', async () => {
    await writeTree(epochs, { 'draft-1-killed': '', 'draft-2-killed': '{"run":' });
    const epoch = await takeEpoch(epochs, output, 'heir');
    expect(await readdir(epochs)).toEqual([`${epoch.number}.json`]);
  });

  it('is not taken where it cannot be read whose it is', async () => {
    // A folder in its place cannot be read as a file, whoever reads it.
    await writeTree(join(epochs, '7.json'), { 'in-the-way': '' });
    const error = await rejection(takeEpoch(epochs, output, 'second'));
    expect(error.code).toBe('IO_FAILED');
    expect(error.message).toContain(join(epochs, '7.json'));
    expect(await readdir(epochs)).toEqual(['7.json']);
  });

  it('is taken over where its file was damaged, as by a power cut', async () => {
    for (const text of ['', '{"run":', 'null', '{}']) {
      await rm(epochs, { recursive: true, force: true });
      await writeTree(epochs, { '3.json': text });
      const epoch = await takeEpoch(epochs, output, 'heir');
      expect(epoch.number).toBe(4);
      await epoch.release();
    }
  });

  it('is taken over from a process that is gone', async () => {
    const pid = await deadProcess();
    await writeTree(epochs, {
      '7.json': JSON.stringify({ run: 'dead', host: hostname(), pid, started: '1', released: false }),
    });
    expect((await takeEpoch(epochs, output, 'heir')).number).toBe(8);
  });

  it('is taken over from a process whose id another has now', async () => {
    await writeTree(epochs, {
      '7.json': JSON.stringify({ run: 'dead', host: hostname(), pid: process.pid, started: '1', released: false }),
    });
    expect((await takeEpoch(epochs, output, 'heir')).number).toBe(8);
  });

  it.skipIf(process.platform !== 'linux')(
    'is taken over from a process that was killed and that its parent has not yet waited for',
    async () => {
      // The child of a shell that becomes another program is waited for by none.
      const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60']);
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      const stat = async (): Promise<string[]> => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ');
      const started = (await stat())[21]!;
      await writeTree(epochs, {
        '7.json': JSON.stringify({ run: 'dead', host: hostname(), pid, started, released: false }),
      });
      expect((await rejection(takeEpoch(epochs, output, 'heir'))).code).toBe('OUTPUT_CONFLICT');
      process.kill(pid, 'SIGKILL');
      while ((await stat())[2] !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5));
      expect((await takeEpoch(epochs, output, 'heir')).number).toBe(8);
      parent.kill('SIGKILL');
    },
  );

  it('is not taken over from another machine, of which nothing is known', async () => {
    await writeTree(epochs, {
      '7.json': JSON.stringify({ run: 'far', host: 'elsewhere', pid: 1, started: null, released: false }),
    });
    expect((await rejection(takeEpoch(epochs, output, 'heir'))).message).toContain('run far (process 1 on elsewhere)');
  });

  it('that was taken over may not commit any more, nor release what is no longer its own', async () => {
    const late = await takeEpoch(epochs, output, 'late');
    await writeTree(epochs, {
      '2.json': JSON.stringify({ run: 'heir', host: hostname(), pid: process.pid, started: null, released: false }),
    });
    expect((await rejection(late.check())).message).toContain('run heir');
    await late.release();
    expect((await owner(2)).released).toBe(false);
    expect((await owner(1)).released).toBe(false);
  });

  it('goes to exactly one of twenty processes that start at once, and to the next when that one is killed', async () => {
    for (const number of [1, 2]) {
      const ended = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          runNode(contender, [built('commit/epoch.js'), epochs, output, `p${number}-${i}`, '1', String(19 * number)]),
        ),
      );
      const told = ended.map(({ stdout }) => JSON.parse(stdout) as { won: number[]; conflicts: number });
      expect(told.flatMap(({ won }) => won)).toEqual([number]);
      expect(told.reduce((sum, { conflicts }) => sum + conflicts, 0)).toBe(19);
      expect(ended.filter(({ signal }) => signal === 'SIGKILL')).toHaveLength(1);
    }
  });

  it('is never held by two of many processes that take and give it back over and over', async () => {
    const ended = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        runNode(contender, [built('commit/epoch.js'), epochs, output, `p${i}`, '25']),
      ),
    );
    for (const { code, stderr } of ended) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const told = ended.map(
      ({ stdout }) => JSON.parse(stdout) as { won: number[]; conflicts: number; overlaps: number },
    );
    const won = told.flatMap(({ won: numbers }) => numbers).sort((a, b) => a - b);
    expect(won).toHaveLength(150);
    expect(new Set(won).size).toBe(won.length);
    expect(told.map(({ overlaps }) => overlaps)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(told.reduce((sum, { conflicts }) => sum + conflicts, 0)).toBeGreaterThan(0);
  });
});
