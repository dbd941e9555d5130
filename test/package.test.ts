import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

describe('the packed package, installed without scripts into an empty folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'colonnade-package-'));

  beforeAll(async () => {
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`], {
      cwd: folder,
    });
    for (const name of ['data', 'models', 'pipelines'])
      cpSync(join(root, name), join(folder, name), { recursive: true });
  }, 240_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('scores the sample by npx colonnade run', async () => {
    const { stdout } = await run('npx', ['colonnade', 'run', 'pipelines/append.yaml', '--json'], { cwd: folder });
    const summary = JSON.parse(stdout) as { status: string; rows: number; output: string };
    expect(summary).toMatchObject({ status: 'done', rows: 50_000 });
    expect(readdirSync(summary.output).sort()).toEqual([
      '_SUCCESS',
      'region=east',
      'region=north',
      'region=south',
      'region=west',
    ]);
  }, 60_000);

  it('is a library with types', async () => {
    writeFileSync(
      join(folder, 'use.mjs'),
      `import { load, plan } from 'colonnade';
       const planned = await plan(await load('pipelines/append.yaml', { env: {} }));
       console.log(planned.expected.rows);`,
    );
    const { stdout } = await run('node', ['use.mjs'], { cwd: folder });
    expect(stdout.trim()).toBe('50000');
    expect(readdirSync(join(folder, 'node_modules/colonnade/dist'))).toContain('index.d.ts');
  }, 60_000);
});
