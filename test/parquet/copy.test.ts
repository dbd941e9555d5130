import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startCopy } from '../../src/parquet/copy.js';

let folder: string;
let source: string;
const content = randomBytes((9 << 20) + 123);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-copy-'));
  source = join(folder, 'source');
  await writeFile(source, content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  ['in a thread', true],
  ['in process', false],
])('a copy %s', (_, thread) => {
  const destination = (): string => join(folder, `destination-${thread}`);

  it('holds the start of the source, and its hash goes on with what is appended', async () => {
    const bytes = content.length - 1000;
    const copy = startCopy({ source, destination: destination(), bytes }, { thread });
    expect((await copy.copied).bytes).toBe(bytes);
    expect((await readFile(destination())).equals(content.subarray(0, bytes))).toBe(true);
    await appendFile(destination(), 'appended');
    const whole = await readFile(destination());
    expect(await copy.digest()).toEqual({ bytes: bytes + 8, sha256: createHash('sha256').update(whole).digest('hex') });
    await copy.abort();
  });

  it('replaces a longer file', async () => {
    await writeFile(destination(), randomBytes(content.length * 2));
    const copy = startCopy({ source, destination: destination(), bytes: 10 }, { thread });
    await copy.copied;
    expect(await copy.digest()).toEqual({
      bytes: 10,
      sha256: createHash('sha256').update(content.subarray(0, 10)).digest('hex'),
    });
  });

  it('says that the source changed when it is shorter than it was', async () => {
    const shorter = join(folder, 'shorter');
    await writeFile(shorter, content);
    await truncate(shorter, 5000);
    const copy = startCopy({ source: shorter, destination: destination(), bytes: content.length }, { thread });
    await expect(copy.copied).rejects.toMatchObject({
      code: 'INPUT_CHANGED',
      message: expect.stringContaining(shorter) as string,
    });
    await expect(copy.digest()).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
  });

  it('says that the source is gone, and that the destination cannot be written', async () => {
    const gone = startCopy({ source: join(folder, 'gone'), destination: destination(), bytes: 10 }, { thread });
    await expect(gone.copied).rejects.toMatchObject({ code: 'INPUT_GONE' });
    const nowhere = startCopy({ source, destination: join(folder, 'no', 'folder'), bytes: 10 }, { thread });
    await expect(nowhere.copied).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: expect.stringContaining(join(folder, 'no', 'folder')) as string,
    });
  });

  it('can be given up', async () => {
    const copy = startCopy({ source, destination: destination(), bytes: content.length }, { thread });
    await copy.abort();
    await copy.copied.catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'IO_FAILED' });
    });
  });
});

describe('a copy whose blocks are shared with the source', () => {
  const copyFileSync = fs.copyFileSync;
  let startCopy: typeof import('../../src/parquet/copy.js').startCopy;
  beforeEach(async () => {
    // Between devices that a clone has failed for it is not tried again.
    vi.resetModules();
    ({ startCopy } = await import('../../src/parquet/copy.js'));
  });
  afterEach(() => {
    fs.copyFileSync = copyFileSync;
    syncBuiltinESMExports();
  });

  it('can be written to where the source cannot, as any file that is made', async () => {
    // Not every file system shares blocks. One that does takes the permissions over too, as a whole copy by Node does.
    fs.copyFileSync = (from, to) => {
      copyFileSync(from, to);
    };
    syncBuiltinESMExports();
    const locked = join(folder, 'locked');
    await writeFile(locked, content, { mode: 0o444 });
    const destination = join(folder, 'unlocked');
    const copy = startCopy({ source: locked, destination, bytes: 1000 }, { thread: false });
    expect(await copy.copied).toEqual({ bytes: 1000, reflink: true });
    await writeFile(join(folder, 'usual'), '');
    expect((await stat(destination)).mode).toBe((await stat(join(folder, 'usual'))).mode);
    await copy.abort();
  });

  it('is not read again: what is appended is hashed, and how much is shared is told', async () => {
    fs.copyFileSync = (from, to) => {
      copyFileSync(from, to);
    };
    syncBuiltinESMExports();
    const destination = join(folder, 'shared');
    const copy = startCopy({ source, destination, bytes: 1000 }, { thread: false });
    await copy.copied;
    await appendFile(destination, 'appended');
    expect(await copy.digest()).toEqual({
      bytes: 1008,
      sha256: createHash('sha256').update('appended').digest('hex'),
      sharedBytes: 1000,
    });
    expect(await readFile(destination)).toEqual(Buffer.concat([content.subarray(0, 1000), Buffer.from('appended')]));
  });
});
