/** Pipeline files and SQL that are refused before anything is read. */
import { readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadPipeline } from '../../src/pipeline/load.js';
import type { Plan } from '../../src/plan/plan.js';
import { preparePlan } from '../../src/run/prepare.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([1]));
  parts = { features: ['x'], model: { path: model }, outputs: { score: 'score' } };
  await bench.parquet('data/a.parquet', 'SELECT i AS id, i::FLOAT AS x FROM range(10) t(i)');
});

describe('a pipeline file', () => {
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map(
      (name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(', ')}]`,
    ),
  ].join('\n');
  const cases: Record<string, string> = {
    'with aliases that unfold to billions': bomb,
    'nested a hundred thousand deep': '['.repeat(100_000),
    'nested in mappings': Array.from({ length: 400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    'with __proto__': 'version: 1\n__proto__: { polluted: true }\n',
    'with a wrong type': 'version: 1\nfeatures: 5\n',
    'with a tab': 'version: 1\nsource:\n\tpath: data\n',
    'with a key twice': 'version: 1\nname: a\nname: b\n',
    'with an unknown key': 'version: 1\nfeaturs: [x]\n',
  };
  for (const [what, text] of Object.entries(cases)) {
    it(`${what} is refused with its line and column`, async () => {
      const file = await bench.write('bad.yaml', text);
      const error = await rejection(loadPipeline(file, { env: {} }));
      expect(error.code).toBe('PIPELINE_INVALID');
      expect(error.problems.length).toBeGreaterThan(0);
      for (const problem of error.problems)
        expect(problem).toMatchObject({
          file,
          position: { line: expect.any(Number) as number, column: expect.any(Number) as number },
        });
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });
  }
});

describe('a pipeline file in a folder whose name could be a glob', () => {
  it.each(['a (x)', 'a [y]', 'a {z,y}'])('finds its data and keeps its output apart from it: %s', async (folder) => {
    await bench.parquet(`${folder}/da[t]a/b/a.parquet`, 'SELECT 1::FLOAT AS x');
    const planFrom = async (source: string, output: string): Promise<Plan> => {
      const text = JSON.stringify({
        version: 1,
        source: { path: source },
        ...parts,
        sink: { mode: 'append', path: output },
      });
      return preparePlan(await loadPipeline(await bench.write(`${folder}/p.yaml`, text), { env: {} }));
    };
    for (const source of ['da[t]a', 'da[t]a/**/*.parquet', 'd*/b', 'da[t]a/b/a.parquet']) {
      const { files } = await planFrom(source, '../out');
      expect(files.map(({ path }) => path)).toEqual([bench.path(`${folder}/da[t]a/b/a.parquet`)]);
    }
    for (const source of ['da[t]a', 'da[t]a/**/*.parquet'])
      expect(await rejection(planFrom(source, 'da[t]a/out'))).toMatchObject({ code: 'OUTPUT_OVERLAPS' });
  });
});

describe('SQL', () => {
  const refused = [
    '(SELECT max(x) FROM data)',
    'x IN (SELECT 1)',
    'EXISTS (SELECT 1)',
    'row_number() OVER ()',
    'sum(x)',
    'read_parquet(x)',
    'x; DROP TABLE y',
    'x FROM range(3)',
    'x) FROM range(3) --',
    'random()',
    'now()',
    "getenv('HOME')",
    'unnest([1, 2])',
    '*',
    "nextval('s')",
    'x, x',
    "query('SELECT 1')",
    'ln(',
  ];
  for (const sql of refused) {
    it(`is refused as a feature and as a condition: ${sql}`, async () => {
      for (const change of [{ features: [{ name: 'f', sql }] }, { source: { where: sql } }]) {
        const error = await bench.failure({ ...parts, ...change });
        expect(['SQL_FORBIDDEN', 'SQL_INVALID', 'COLUMN_MISSING', 'PIPELINE_INVALID']).toContain(error.code);
        expect(error.problems[0]!.position).toBeDefined();
        expect(error.problems[0]!.hint).toBeTruthy();
        expect(await bench.isVisible()).toBe(false);
      }
    });
  }

  it('is refused as a condition where it is no condition', async () => {
    const error = await bench.failure({ ...parts, source: { where: 'x + 1' } });
    expect(error.code).toBe('SQL_INVALID');
    expect(error.message).toContain('BOOLEAN');
  });

  it('cannot reach a file, so that nothing is read but the source', async () => {
    await bench.write('secret.csv', 'a\n1\n');
    const error = await bench.failure({
      ...parts,
      features: [{ name: 'f', sql: `(FROM '${bench.path('secret.csv')}')` }],
    });
    expect(error.code).toBe('SQL_FORBIDDEN');
    expect(await readFile(bench.path('secret.csv'), 'utf8')).toBe('a\n1\n');
  });

  it('that fails for a row costs that row, not the run', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest(['1', 'two', '3', NULL]) AS t");
    const { summary } = await bench.run({ ...parts, features: [{ name: 'x', sql: 'CAST(t AS FLOAT)' }] });
    expect(summary).toMatchObject({ scored: 2, quarantined: 2, reasons: { 'x: NULL': 2 } });
  });

  it('that fails for a row in a condition is told with the row', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest(['1', '2', 'three']) AS t, 1::FLOAT AS x");
    const error = await bench.failure({ ...parts, source: { where: 'CAST(t AS INTEGER) > 1' } });
    expect(error.code).toBe('SQL_FAILED');
    expect(error.message).toMatch(/source\.where.*in row 2\)/);
    expect(error.hint).toContain('TRY_CAST');
  });
});
