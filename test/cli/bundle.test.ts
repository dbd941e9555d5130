import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { built, runNode } from '../built.js';

const packageFile = fileURLToPath(new URL('../../package.json', import.meta.url));
const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };

describe('the bundled program', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'colonnade-bundle-'));
    await cp(packageFile, join(folder, 'package.json'));
    await cp(join(built('bin/colonnade.js'), '..'), join(folder, 'dist/bin'), { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const compiled = (): string => join(folder, 'dist/bin/programs.cjs.compiled');
  const start = async (): Promise<unknown> => {
    const { code, stdout, stderr } = await runNode(join(folder, 'dist/bin/colonnade.js'), ['--version']);
    return { code, stdout, stderr };
  };

  it('starts from its compiled code, and as well where that is of another Node, damaged or gone', async () => {
    const fine = { code: 0, stdout: `${version}\n`, stderr: '' };
    expect(await start()).toEqual(fine);
    const bytes = await readFile(compiled());
    // The version of V8 and its flags stand at the beginning.
    for (const damaged of [
      Buffer.concat([Buffer.alloc(32, 7), bytes.subarray(32)]),
      bytes.subarray(0, 1000),
      Buffer.alloc(0),
    ]) {
      await writeFile(compiled(), damaged);
      expect(await start()).toEqual(fine);
    }
    await rm(compiled());
    expect(await start()).toEqual(fine);
  });
});
