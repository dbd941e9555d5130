import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { openModel } from '../../src/model/session.js';
import { fixture, rejection } from './fixtures.js';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-file-'));
  path = join(folder, 'model.onnx');
});
afterAll(() => rm(folder, { recursive: true }));

/** What opening these bytes as a model comes to: nothing but success or a coded error about the model. */
async function outcome(bytes: Uint8Array): Promise<string> {
  await writeFile(path, bytes);
  try {
    await (await openModel(path)).release();
    return 'opened';
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    expect(error.message).toContain('model.onnx');
    expect(error.hint).toBeDefined();
    return error.code;
  }
}

describe('a file that is not a model', () => {
  it('is missing', async () => {
    expect(await rejection(openModel(join(folder, 'nowhere.onnx')))).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('is empty', async () => {
    await writeFile(path, '');
    const error = await rejection(openModel(path));
    expect(error).toMatchObject({ code: 'MODEL_INVALID' });
    expect(error.message).toContain('is empty');
  });

  it.each([
    ['a web page', '\n<!DOCTYPE html><html><body>Sign in</body></html>'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n'],
    ['a Python pickle', '\x80\x04\x95\x10\x00\x00\x00sklearn'],
    ['a zip archive', 'PK\x03\x04\x00\x00archive/data.pkl'],
    ['a gzip file', '\x1f\x8b\x08\x00'],
    ['an HDF5 file', '\x89HDF\r\n\x1a\n'],
    ['a Parquet file', 'PAR1\x15\x04'],
    ['a LightGBM text model', 'tree\nversion=v4\nnum_class=1\n'],
    ['a JSON file', '{"learner": {"attributes": {}}}'],
  ])('is %s, and that is said', async (what, content) => {
    await writeFile(path, Buffer.from(content, 'latin1'));
    const error = await rejection(openModel(path));
    expect(error.code).toBe('MODEL_INVALID');
    expect(error.message).toContain(`it looks like ${what}`);
    expect(error.hint).toBeDefined();
  });
});

describe('a damaged model is refused and never crashes', () => {
  it('cut off at any length', async () => {
    const whole = await readFile(fixture('picked_label.onnx'));
    for (let length = 0; length < whole.length; length++) {
      const code = await outcome(whole.subarray(0, length));
      // Cut between two fields of the file's end it may still be a model: opset imports are the last.
      expect(['MODEL_INVALID', 'MODEL_UNSUPPORTED', 'opened'], `${length} bytes`).toContain(code);
      if (length < whole.length / 2) expect(code).toBe('MODEL_INVALID');
    }
  });

  it('with any byte replaced', async () => {
    const whole = await readFile(fixture('scores_cast.onnx'));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), async (at, byte) => {
        const damaged = Uint8Array.from(whole);
        damaged[at] = byte;
        await outcome(damaged);
      }),
      { numRuns: 300 },
    );
  });

  it('made of random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        expect(await outcome(bytes)).toBe('MODEL_INVALID');
      }),
      { numRuns: 300 },
    );
  });
});
