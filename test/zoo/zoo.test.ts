/** Models as data teams export them: what Colonnade makes of each is what Python's onnxruntime and its library make of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWorkbench, type Parts } from '../run/workbench.js';

const zoo = import.meta.dirname;
const bench = await openWorkbench();

interface Case {
  /** Of the model in the folder of the case. */
  readonly path?: string;
  readonly features: readonly unknown[];
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly batch_size: number;
  readonly rules?: Readonly<Record<string, unknown>>;
  /** How far scores may be from Python's onnxruntime, relative to their size; by default they are the same bits. */
  readonly python?: number;
  /** How far scores may be from the library's, relative to their size; by default 1e-5. */
  readonly tolerance?: number;
}

function caseOf(name: string): Case {
  return JSON.parse(readFileSync(join(zoo, 'cases', name, 'case.json'), 'utf8')) as Case;
}

const plain = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'items' in value
    ? (value as { items: unknown[] }).items.map(plain)
    : typeof value === 'bigint'
      ? Number(value)
      : value;

function far(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length ? Math.max(...a.map((each, i) => far(each, b[i]))) : Infinity;
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) / Math.max(1, Math.abs(b));
  return String(a) === String(b) ? 0 : Infinity;
}

describe('a model is scored as by Python and by the library that made it', () => {
  it.each(readdirSync(join(zoo, 'cases')).sort())('%s', async (name) => {
    const {
      path = 'model.onnx',
      features,
      inputs,
      outputs,
      rules,
      batch_size,
      tolerance = 1e-5,
      python = 0,
    } = caseOf(name);
    const parts: Parts = {
      source: { path: join(zoo, 'table.parquet') },
      features,
      model: { path: join(zoo, 'cases', name, path), batch_size, ...(inputs ? { inputs } : {}) },
      outputs,
      ...(rules ? { validate: { rules } } : {}),
      sink: { path: `out/${name}` },
    };
    const { summary } = await bench.run(parts);
    expect(summary).toMatchObject({ rows: 320, scored: 320 });
    for (const output of Object.keys(outputs)) {
      const rows = await bench.rows(`
        SELECT o."${output}" AS found, e."${output}" AS python, e."library.${output}" AS library
        FROM '${join(bench.path(`out/${name}`), 'table.parquet')}' o
        POSITIONAL JOIN '${join(zoo, 'cases', name, 'expected.parquet')}' e`);
      const worst = (side: 'python' | 'library'): number =>
        Math.max(...rows.map((row) => far(plain(row['found']), plain(row[side]))));
      expect(worst('python'), output).toBeLessThanOrEqual(python);
      expect(worst('library'), output).toBeLessThan(tolerance);
    }
  });
});
