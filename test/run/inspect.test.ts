/** What `inspect` takes a path for. */
import { mkdir, symlink } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { inspectFile } from '../../src/run/inspect.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection } from './workbench.js';

const bench = await openWorkbench();

beforeEach(() => bench.clear());

describe('a path to inspect', () => {
  it('is a model or Parquet, whatever it is called', async () => {
    await bench.write('model.bin', linearModel([1]));
    await bench.parquet('table.bin', 'SELECT 1 AS x');
    expect(await inspectFile(bench.path('model.bin'))).toMatchObject({ kind: 'model' });
    expect(await inspectFile(bench.path('table.bin'))).toMatchObject({ kind: 'parquet', rows: 1 });
  });

  it('that cannot be read is told as that', async () => {
    await symlink('loop.onnx', bench.path('loop.onnx'));
    const error = await rejection(inspectFile(bench.path('loop.onnx')));
    expect(error).toMatchObject({ code: 'IO_FAILED', exitCode: 1 });
    expect(error.message).toMatch(/^reading .*loop\.onnx: ELOOP/);
    expect(error.hint).toContain('make the file readable');
  });

  it('is told what it is instead where it is neither', async () => {
    await bench.write('notes.txt', 'some words\n');
    await bench.write('table.csv', 'a,b\n1,2\n');
    await mkdir(bench.path('folder'));
    for (const [name, says] of [
      ['notes.txt', /neither an ONNX model nor Parquet: it looks like plain text/],
      ['table.csv', /it looks like CSV/],
      ['folder', /is a folder, and no MLflow model/],
      ['nothing', /there is no such file/],
    ] as const) {
      const error = await rejection(inspectFile(bench.path(name)));
      expect(error).toMatchObject({ code: 'NO_INPUT', exitCode: 78 });
      expect(error.message).toMatch(says);
      expect(error.hint).toContain('an .onnx model');
    }
  });
});
