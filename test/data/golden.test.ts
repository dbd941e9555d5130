import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describePython, python } from '../python.js';

const models = fileURLToPath(new URL('../../models', import.meta.url));

interface Golden {
  readonly models: Readonly<Record<string, { readonly model: string; readonly sha256: string; readonly rows: number }>>;
}

const read = (folder: string): Golden => JSON.parse(readFileSync(path.join(folder, 'golden.json'), 'utf8')) as Golden;
const golden = read(path.join(models, 'golden'));

/** Prints the greatest relative difference of each golden in two folders; other columns, rows or labels are an error. */
const COMPARE = `
import json, sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq
def worst_of(a, b):
    assert a.schema.equals(b.schema) and a.num_rows == b.num_rows, (a.schema, b.schema)
    worst = 0.0
    for name in a.column_names:
        x, y = a[name].combine_chunks(), b[name].combine_chunks()
        if pa.types.is_list(x.type):
            assert x.offsets.equals(y.offsets), name
            x, y = x.values, y.values
        if pa.types.is_floating(x.type):
            x, y = x.to_numpy(), y.to_numpy()
            assert (np.isnan(x) == np.isnan(y)).all(), name
            worst = max(worst, float(np.nanmax(np.abs(x - y) / np.maximum(1, np.abs(x)))))
        else:
            assert x.equals(y), name
    return worst
ours, theirs, *names = sys.argv[1:]
print(json.dumps({n: worst_of(pq.read_table(f'{ours}/{n}.parquet'), pq.read_table(f'{theirs}/{n}.parquet')) for n in names}))
`;

describe('the models', () => {
  it('are those that the goldens were made from, each with a golden', () => {
    const files = readdirSync(models).filter((name) => name.endsWith('.onnx'));
    expect(
      Object.values(golden.models)
        .map(({ model }) => model)
        .sort(),
    ).toEqual(files.sort());
    for (const { model, sha256 } of Object.values(golden.models)) {
      const bytes = readFileSync(path.join(models, model));
      expect({ model, sha256: createHash('sha256').update(bytes).digest('hex') }).toEqual({ model, sha256 });
    }
  });
});

describePython('goldens', () => {
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'colonnade-golden-'));
    await python(path.join(models, 'train/golden.py'), [folder]);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('are described the same when they are made anew', () => {
    expect(read(folder)).toEqual(golden);
  });

  // Not bit for bit: another processor may add in another order. On one machine they are the same bytes.
  it('are what onnxruntime says now', async () => {
    const names = Object.keys(golden.models);
    const printed = await python(COMPARE, [path.join(models, 'golden'), folder, ...names]);
    const differences = JSON.parse(printed) as Record<string, number>;
    expect(Object.keys(differences)).toEqual(names);
    expect(Math.max(...Object.values(differences))).toBeLessThanOrEqual(1e-6);
  });
});
