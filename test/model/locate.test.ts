import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insideFolder, locateModel } from '../../src/model/locate.js';
import { inspectModel } from '../../src/model/inspect.js';
import { fixture, rejection } from './fixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-locate-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function mlflow(name: string, description: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  await writeFile(join(path, 'MLmodel'), description);
  return path;
}

describe('the path of a model', () => {
  it('is the file itself', async () => {
    expect(await locateModel(fixture('lookup.onnx'))).toEqual({ path: fixture('lookup.onnx') });
  });

  it('may be an MLflow model folder', async () => {
    const path = await mlflow('good', 'flavors:\n  onnx:\n    data: model.onnx\n    onnx_version: 1.17.0\n');
    await cp(fixture('zipmap_int.onnx'), join(path, 'model.onnx'));
    expect(await locateModel(path)).toEqual({ path: join(path, 'model.onnx') });
    expect(await inspectModel(path)).toMatchObject({ kind: 'model', path: join(path, 'model.onnx') });
  });

  it('comes with the columns that MLflow logged it with, but not with tensors', async () => {
    const columns = '[{"type": "double", "name": "b", "required": true}, {"type": "string", "name": "a"}]';
    const tensors = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]';
    const flavors = 'flavors: { onnx: { data: model.onnx } }\nsignature:\n  inputs: ';
    const logged = async (name: string, inputs: string): Promise<unknown> => {
      const path = await mlflow(name, `${flavors}'${inputs}'\n`);
      await cp(fixture('zipmap_int.onnx'), join(path, 'model.onnx'));
      return (await locateModel(path)).columns;
    };
    expect(await logged('columns', columns)).toEqual([
      { name: 'b', type: 'double' },
      { name: 'a', type: 'string' },
    ]);
    expect(await logged('tensors', tensors)).toBeUndefined();
    expect(await rejection(logged('damaged', '[{"type": '))).toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('signature.inputs') as string,
    });
  });

  it.each([
    ['another-flavour', 'flavors:\n  sklearn:\n    pickled_model: model.pkl\n', /has no onnx flavour/],
    ['outside', 'flavors: { onnx: { data: ../elsewhere.onnx } }', /outside its folder/],
    ['broken', 'flavors: [', /cannot be read/],
  ])('says what is wrong with an MLflow folder: %s', async (name, description, message) => {
    const error = await rejection(locateModel(await mlflow(name, description)));
    expect(error.code).toBe('MODEL_INVALID');
    expect(error.message).toMatch(message);
  });

  it('says so where a folder is no model', async () => {
    const path = join(folder, 'plain');
    await mkdir(path);
    const empty = await rejection(locateModel(path));
    expect(empty).toMatchObject({ code: 'MODEL_INVALID' });
    expect(empty.message).toMatch(/is a folder, and no MLflow model: it has no file MLmodel$/);
    for (const name of ['b.onnx', 'a.onnx', 'notes.txt']) await writeFile(join(path, name), '');
    expect((await rejection(locateModel(path))).message).toMatch(/no file MLmodel; it holds a\.onnx, b\.onnx$/);
  });

  it('says why a path cannot be looked at', async () => {
    expect(await rejection(locateModel(join(folder, 'none.onnx')))).toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: `there is no model at ${join(folder, 'none.onnx')}`,
    });
    await symlink('loop.onnx', join(folder, 'loop.onnx'));
    const error = await rejection(locateModel(join(folder, 'loop.onnx')));
    expect(error.code).toBe('MODEL_NOT_FOUND');
    expect(error.message).toMatch(/loop\.onnx cannot be looked at: ELOOP/);
  });

  it('says so where an MLflow folder lacks its file', async () => {
    const path = await mlflow('lacking', 'flavors: { onnx: { data: model.onnx } }');
    expect(await rejection(locateModel(path))).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

describe('inside a folder', () => {
  it.each(['a.bin', 'sub/a.bin', './a.bin', 'sub/../a.bin', '..a'])('lies %s', async (name) => {
    expect(await insideFolder(folder, name)).toBe(join(folder, name));
  });

  it.each(['', '.', '..', '../a.bin', 'sub/../../a.bin', '/etc/passwd', 'C:\\a.bin', '..\\a.bin', 'a\0.bin'])(
    'does not lie %j',
    async (name) => {
      expect(await insideFolder(folder, name)).toBeUndefined();
    },
  );

  it('does not lie what a link inside it leads to', async () => {
    await symlink(fixture('external.bin'), join(folder, 'link.bin'));
    expect(await insideFolder(folder, 'link.bin')).toBeUndefined();
  });
});
