import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

  it('is a library with types: the example of docs/library.md compiles and runs as it stands', async () => {
    const [, example] = /^```ts\n(.*?)^```/ms.exec(readFileSync(join(root, 'docs/library.md'), 'utf8'))!;
    writeFileSync(join(folder, 'use.ts'), example!);
    const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', ...types, 'use.ts'];
    await run('node', [compiler, ...options], { cwd: folder });
    const { stdout, stderr } = await run('node', ['use.js'], { cwd: folder });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^50000 /);
    expect(stdout).toMatch(/^\d+ .*predictions$/m);
  }, 60_000);
});
