/** Files whose columns differ, columns that are not there, names that are taken. */
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ColonnadeError } from '../../src/errors.js';
import { linearModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([2, 0.5], 1));
  parts = { source: { key: ['id'] }, features: ['x', 'y'], model: { path: model }, outputs: { score: 'score' } };
});

const select = (columns: string): string => `SELECT ${columns} FROM range(100) t(i)`;

/** The only problem of an error, and that it is located in the pipeline file at a text. */
async function problemAt(error: ColonnadeError, text: string): Promise<{ message: string; hint: string | undefined }> {
  expect(error.problems).toHaveLength(1);
  const { file, position, message, hint, excerpt } = error.problems[0]!;
  expect(file).toBe(bench.path('pipeline.yaml'));
  const line = (await readFile(bench.path('pipeline.yaml'), 'utf8')).split('\n')[position!.line - 1]!;
  expect(line).toContain(text);
  expect(excerpt).toContain('^');
  return { message, hint };
}

describe('files whose schemas differ', () => {
  const cases = [
    { what: 'another width', first: 'i::INTEGER AS x', other: 'i::BIGINT AS x', types: ['INTEGER', 'BIGINT'] },
    { what: 'another kind', first: 'i::FLOAT AS x', other: 'i::VARCHAR AS x', types: ['FLOAT', 'VARCHAR'] },
    {
      what: 'another scale',
      first: 'i::DECIMAL(10,2) AS x',
      other: 'i::DECIMAL(10,3) AS x',
      types: ['DECIMAL(10,2)', 'DECIMAL(10,3)'],
    },
    { what: 'another sign', first: 'i::INTEGER AS x', other: 'i::UINTEGER AS x', types: ['INTEGER', 'UINTEGER'] },
  ];
  for (const { what, first, other, types } of cases) {
    it(`are refused where a feature has ${what}: both files, the column, both types`, async () => {
      const a = await bench.parquet('data/a.parquet', select(`i AS id, ${first}, i::FLOAT AS y`));
      const b = await bench.parquet('data/b.parquet', select(`i AS id, ${other}, i::FLOAT AS y`));
      const error = await bench.failure(parts);
      expect(error.code).toBe('SCHEMA_DRIFT');
      for (const text of [a, b, ' x ', ...types]) expect(error.message).toContain(text);
      expect(await bench.isVisible()).toBe(false);
    });
  }

  it('are refused where a file lacks a column that the run needs', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const b = await bench.parquet('data/b.parquet', select('i AS id, i::FLOAT AS x'));
    const error = await bench.failure(parts);
    expect(error.code).toBe('SCHEMA_DRIFT');
    expect(error.message).toContain(`${b}: column y (FLOAT) is missing`);
  });

  it('are told where the name of a column differs by case alone', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const b = await bench.parquet('data/b.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS Y'));
    const error = await bench.failure(parts);
    expect(error.code).toBe('SCHEMA_DRIFT');
    expect(error.message).toContain(`${b}: column y (FLOAT) is missing, it has Y`);
  });

  it('are refused with every file and column that differs, as far as a person would read', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const b = await bench.parquet('data/b.parquet', select('i AS id, i::VARCHAR AS x, i::DOUBLE AS y'));
    const c = await bench.parquet('data/c.parquet', select('i AS id, i::FLOAT AS x'));
    await bench.parquet('data/d.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const few = await bench.failure(parts);
    expect(few).toMatchObject({
      code: 'SCHEMA_DRIFT',
      message: '2 files differ from the first in 2 columns that the run needs',
    });
    const first = bench.path('data/a.parquet');
    expect(few.problems.map(({ message }) => message)).toEqual([
      `${b}: column x is VARCHAR; ${first} has x as FLOAT`,
      `${b}: column y is DOUBLE; ${first} has y as FLOAT`,
      `${c}: column y (FLOAT) is missing; ${first} has y as FLOAT`,
    ]);

    for (let i = 0; i < 12; i += 1)
      await copyFile(c, bench.path(`data/c${String.fromCharCode('a'.charCodeAt(0) + i)}.parquet`));
    const many = await bench.failure(parts);
    expect(many.message).toMatch(/^14 files differ/);
    expect(many.problems).toHaveLength(11);
    expect(many.problems.at(-1)!.message).toBe('… and 5 differences more');
  });

  it('are refused where a key, a rule, a condition or a carried column differs', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i AS z'));
    await bench.parquet('data/b.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i::VARCHAR AS z'));
    const needing: Partial<Parts>[] = [
      { source: { key: ['z'] } },
      { source: { where: 'z IS NOT NULL' } },
      { validate: { rules: { z: { missing: 'nan' } } } },
      { sink: { mode: 'partition', partition_by: ['x'] } },
      { sink: { mode: 'predictions' }, source: { key: ['z'] } },
    ];
    for (const need of needing) {
      const error = await bench.failure({ ...parts, ...need });
      expect(error.code).toBe('SCHEMA_DRIFT');
      expect(error.message).toContain('z');
    }
  });

  it('are scored, and said to differ, where only columns differ that nothing needs', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i AS z'));
    await bench.parquet('data/b.parquet', select('i AS id, i::VARCHAR AS z, i::FLOAT AS y, i::FLOAT AS x, i AS w'));
    const plan = await bench.plan(parts);
    expect(plan.notes.join('\n')).toMatch(/b\.parquet: column z is VARCHAR.*not read[^]*column w/);
    await bench.run(parts);
    for (const file of ['a', 'b']) {
      const [row] = await bench.rows(
        `SELECT count(*) AS n FROM '${bench.path(`out/${file}.parquet`)}' WHERE score = 2 * x + 0.5 * y + 1`,
      );
      expect(row).toEqual({ n: 100n });
    }
  });

  it('are refused where their hive folders differ', async () => {
    await bench.parquet('data/region=n/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    await bench.parquet('data/b.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const error = await bench.failure(parts);
    expect(error.code).toBe('SCHEMA_DRIFT');
    expect(error.message).toContain('region');
  });
});

describe('a column that is not there', () => {
  beforeEach(async () => {
    await bench.parquet(
      'data/a.parquet',
      select('i AS id, i::FLOAT AS income, i::FLOAT AS tenure_months, i::INTEGER AS age'),
    );
  });
  const used: Partial<Parts> = { features: ['income', 'tenure_months'], outputs: { score: 'score' } };

  it('is told with the nearest name, the columns that there are, and the place in the file', async () => {
    const error = await bench.failure({ ...parts, features: ['income', 'tenure_month'] });
    expect(error.code).toBe('COLUMN_MISSING');
    const problem = await problemAt(error, 'tenure_month');
    expect(problem.message).toMatch(/tenure_month .*id, income, tenure_months, age/);
    expect(problem.hint).toContain('tenure_months');
  });

  it('is told wherever it is named', async () => {
    const cases: [Partial<Parts>, string][] = [
      [{ source: { key: ['idd'] } }, 'idd'],
      [{ validate: { rules: { agee: { min: 1 } } } }, 'agee'],
      [{ sink: { mode: 'partition', partition_by: ['incom'] } }, 'incom'],
      [{ sink: { mode: 'partition', partition_by: ['age'], columns: ['incom'] } }, 'incom'],
      [{ features: ['income', { name: 'f', sql: 'ln(incom)' }] }, 'ln(incom)'],
      [{ source: { where: 'incom > 3' } }, 'incom > 3'],
    ];
    for (const [change, place] of cases) {
      const error = await bench.failure({ ...parts, ...used, ...change });
      expect(error.code).toBe('COLUMN_MISSING');
      const { message, hint } = await problemAt(error, place);
      expect(`${message} ${hint}`).toMatch(/did you mean/);
    }
  });

  it('is one of several problems that are told at once', async () => {
    const error = await bench.failure({
      ...parts,
      features: ['incom', 'tenure'],
      source: { key: ['idd'] },
      outputs: { age: 'score', b: 'scor' },
    });
    expect(error.problems.length).toBeGreaterThanOrEqual(4);
    expect(new Set(error.problems.map(({ position }) => position!.line)).size).toBe(error.problems.length);
  });
});

describe('the columns that name folders', () => {
  it('are plain values, of the source or of the model', async () => {
    const lists = { score: 'score', all: { from: 'score', as: 'list' } };
    const pairs = "{a: i} AS s, [i] AS l, ''::BLOB AS b";
    await bench.parquet('data/a.parquet', select(`i AS id, i::FLOAT AS x, i::FLOAT AS y, ${pairs}`));
    for (const [name, type] of [
      ['s', 'STRUCT'],
      ['l', 'BIGINT[]'],
      ['b', 'BLOB'],
      ['all', 'a list'],
    ] as const) {
      const error = await bench.failure({
        ...parts,
        outputs: lists,
        sink: { mode: 'partition', partition_by: [name] },
      });
      expect(error.code).toBe('COLUMN_TYPE');
      expect(error.message).toContain(`${name} is ${type}`);
      await problemAt(error, name);
    }
  });
});

describe('names of new columns', () => {
  beforeEach(async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i AS "Score"'));
  });

  it('may not be those of the source, nor differ from them by case alone', async () => {
    for (const name of ['x', 'X', 'score', 'Score', 'ID']) {
      const error = await bench.failure({ ...parts, outputs: { [name]: 'score' } });
      expect({ name, code: error.code }).toEqual({ name, code: 'COLUMN_EXISTS' });
      const { hint } = await problemAt(error, `${name}:`);
      const free = /for instance (\w+)/.exec(hint!)![1]!;
      expect((await bench.plan({ ...parts, outputs: { [free]: 'score' } })).outputs[0]!.name).toBe(free);
    }
  });

  it('may not be named twice, nor differ by case alone', async () => {
    for (const outputs of [{ a: 'score', A: 'score' }]) {
      const error = await bench.failure({ ...parts, outputs });
      expect(error.code).toBe('PIPELINE_INVALID');
    }
  });

  it('may not be those that the quarantine adds', async () => {
    await bench.parquet('data/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i AS _row'));
    expect((await bench.failure(parts)).code).toBe('COLUMN_EXISTS');
    expect((await bench.run({ ...parts, validate: { on_invalid: 'null' } })).summary.scored).toBe(100);
  });

  it('counts where a hive folder has its name, and the plan says so', async () => {
    await bench.clear();
    const model = await bench.write('models/linear.onnx', linearModel([2, 0.5], 1));
    const whole = { ...parts, model: { path: model } };
    await bench.parquet('data/Region=7/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y, 1 AS region'));
    expect((await bench.plan(whole)).notes).toEqual([
      'the values of the folders Region=7, … are not read: the files have a column region themselves',
    ]);
    await rename(bench.path('data/Region=7'), bench.path('data/other=7'));
    expect((await bench.plan(whole)).notes).toEqual([]);
  });

  it('is quoted in lists of columns where it would break the line', async () => {
    await bench.parquet(
      'data/a.parquet',
      select(`i AS id, i::FLOAT AS x, i::FLOAT AS y, 1 AS "a\nb", 2 AS "c, d", 3 AS "e'f"`),
    );
    for (const change of [
      { features: ['x', 'z'] },
      { features: ['x', { name: 'z', sql: 'z + 1' }] },
      { sink: { mode: 'partition', partition_by: ['z'] } },
    ]) {
      const error = await bench.failure({ ...parts, ...change });
      expect(error.code).toBe('COLUMN_MISSING');
      expect(error.message).toContain(`id, x, y, "a\\nb", "c, d", e'f`);
      expect(error.message).not.toContain('\n');
    }
  });

  it('may not be the name of a hive folder', async () => {
    await bench.clear();
    const model = await bench.write('models/linear.onnx', linearModel([2, 0.5], 1));
    await bench.parquet('data/region=n/a.parquet', select('i AS id, i::FLOAT AS x, i::FLOAT AS y'));
    const error = await bench.failure({ ...parts, model: { path: model }, outputs: { region: 'score' } });
    expect(error.code).toBe('COLUMN_EXISTS');
  });

  it('of the source may differ by case alone only where the run does not need them', async () => {
    const twins = await bench.parquet(
      'data/a.parquet',
      select('i AS id, i::FLOAT AS x, i::FLOAT AS y, i AS dup, i AS dux'),
    );
    // DuckDB does not write two such columns: the second is renamed in the file.
    const bytes = await readFile(twins, 'latin1');
    await writeFile(twins, bytes.replaceAll('dux', 'DUP'), 'latin1');
    expect((await bench.run(parts)).summary.scored).toBe(100);
    const error = await bench.failure({ ...parts, features: ['x', 'dup'], sink: { exists: 'replace' } });
    expect(error.code).toBe('COLUMN_AMBIGUOUS');
    for (const text of [twins, 'dup', 'DUP']) expect(error.message).toContain(text);
    // DuckDB's own name for the second one is in no file.
    const made = await bench.failure({ ...parts, features: ['x', 'DUP_1'], sink: { exists: 'replace' } });
    expect(made.code).toBe('COLUMN_AMBIGUOUS');
    expect(made.message).toContain(`${twins}: no column is called DUP_1`);
    const carried = await bench.failure({
      ...parts,
      sink: { mode: 'partition', partition_by: ['y'], exists: 'replace' },
    });
    expect(carried.code).toBe('COLUMN_AMBIGUOUS');
  });
});
