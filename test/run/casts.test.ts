/** Values that the model's type cannot hold: refused in the plan, or their rows are invalid and told; never changed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { identityModel, onnx, type TensorType } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();

beforeEach(() => bench.clear());

async function partsFor(type: TensorType): Promise<Parts> {
  const model = await bench.write(`models/${type}.onnx`, identityModel(type));
  return { features: ['x'], model: { path: model }, outputs: { y: 'Y' } };
}

/** Values of `y` by row, and the reasons of the quarantined rows by row. */
async function scored(
  parts: Parts,
): Promise<{ y: unknown[]; reasons: Record<number, string>; counts: Record<string, number> }> {
  const { summary } = await bench.run(parts);
  const rows = await bench.rows(`SELECT y FROM '${bench.path('out/a.parquet')}'`);
  const quarantine =
    summary.quarantine === undefined
      ? []
      : await bench.rows(`SELECT _row, _reason FROM '${bench.path('out.colonnade/quarantine/a.parquet')}'`);
  return {
    y: rows.map(({ y }) => y),
    reasons: Object.fromEntries(quarantine.map(({ _row, _reason }) => [Number(_row), String(_reason)])),
    counts: summary.reasons,
  };
}

const LOST = "x: cannot be represented in the model's type";

describe('whole numbers into floats', () => {
  const cases: { type: 'float32' | 'float64'; column: string; kept: string[]; lost: string[] }[] = [
    {
      type: 'float32',
      column: 'INTEGER',
      kept: ['0', '-1', '16777215', '16777216', '-16777216', '16777218', '2147483520'],
      lost: ['16777217', '-16777217', '16777219', '2147483647'],
    },
    {
      type: 'float32',
      column: 'BIGINT',
      kept: ['16777216', '4611686018427387904', '-9223372036854775808'],
      lost: ['16777217', '9223372036854775807'],
    },
    { type: 'float32', column: 'UBIGINT', kept: ['9223372036854775808'], lost: ['18446744073709551615', '16777217'] },
    {
      type: 'float64',
      column: 'BIGINT',
      kept: ['9007199254740992', '-9007199254740992', '9007199254740994'],
      lost: ['9007199254740993', '-9007199254740993', '9223372036854775807'],
    },
    {
      type: 'float64',
      column: 'UBIGINT',
      kept: ['9007199254740992'],
      lost: ['9007199254740993', '18446744073709551615'],
    },
    { type: 'float64', column: 'DECIMAL(18,0)', kept: ['9007199254740992'], lost: ['9007199254740993'] },
    { type: 'float32', column: 'DECIMAL(9,0)', kept: ['16777216'], lost: ['16777217'] },
  ];
  for (const { type, column, kept, lost } of cases) {
    it(`make rows of ${column} invalid that ${type} would round`, async () => {
      const values = [...kept, ...lost];
      await bench.parquet(
        'data/a.parquet',
        `SELECT unnest([${values.map((value) => `'${value}'`).join(', ')}])::${column} AS x`,
      );
      const { y, reasons, counts } = await scored(await partsFor(type));
      expect(y).toEqual([...kept.map(Number), ...lost.map(() => null)]);
      expect(reasons).toEqual(Object.fromEntries(lost.map((_, i) => [kept.length + i, LOST])));
      expect(counts).toEqual({ [LOST]: lost.length });
    });
  }

  it('are told even where one value beyond the limit is the greatest of all, and its double is the limit itself', async () => {
    await bench.parquet('data/a.parquet', 'SELECT unnest([1, 9007199254740993])::BIGINT AS x');
    expect((await scored(await partsFor('float64'))).reasons).toEqual({ 1: LOST });
    await bench.parquet('data/a.parquet', 'SELECT unnest([1, -9007199254740993])::BIGINT AS x');
    expect((await scored({ ...(await partsFor('float64')), sink: { exists: 'replace' } })).reasons).toEqual({
      1: LOST,
    });
  });

  it('are not checked, so cost nothing, where the footers say that all are small', async () => {
    await bench.parquet('data/a.parquet', 'SELECT i::BIGINT AS x FROM range(100) t(i)');
    const { projection } = await bench.plan(await partsFor('float32'));
    expect(projection.map(({ role }) => role)).toEqual(['feature']);
  });

  it('that SQL computes are checked as well', async () => {
    await bench.parquet('data/a.parquet', 'SELECT unnest([0, 1])::BIGINT AS i');
    const parts = { ...(await partsFor('float32')), features: [{ name: 'x', sql: 'i + 16777216' }] };
    expect(await scored(parts)).toMatchObject({ y: [16777216, null], reasons: { 1: LOST } });
  });
});

describe('numbers into narrower ones', () => {
  const cases: { type: TensorType; column: string; kept: string[]; lost: string[] }[] = [
    { type: 'int32', column: 'BIGINT', kept: ['2147483647', '-2147483648'], lost: ['2147483648', '-2147483649'] },
    { type: 'int8', column: 'INTEGER', kept: ['127', '-128'], lost: ['128', '-129', '256'] },
    { type: 'uint8', column: 'SMALLINT', kept: ['0', '255'], lost: ['-1', '256'] },
    { type: 'int64', column: 'UBIGINT', kept: ['9223372036854775807'], lost: ['9223372036854775808'] },
    {
      type: 'float32',
      column: 'DOUBLE',
      kept: ['3.4028234663852886e38', '-3.4028234663852886e38', '1e-60'],
      lost: ['3.5e38', '-1e300'],
    },
  ];
  for (const { type, column, kept, lost } of cases) {
    it(`make rows of ${column} invalid that ${type} does not hold`, async () => {
      const values = [...kept, ...lost];
      await bench.parquet(
        'data/a.parquet',
        `SELECT unnest([${values.map((value) => `'${value}'`).join(', ')}])::${column} AS x`,
      );
      const { y, reasons } = await scored(await partsFor(type));
      const expected = kept.map((value) =>
        type === 'int64' ? BigInt(value) : type === 'float32' ? Math.fround(Number(value)) : Number(value),
      );
      expect(y).toEqual([...expected, ...lost.map(() => null)]);
      expect(Object.keys(reasons)).toEqual(lost.map((_, i) => String(kept.length + i)));
      for (const reason of Object.values(reasons)) expect(reason).toContain(LOST);
    });
  }

  it('round to the nearest where there are fractions, and the plan says so', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest(['0.10', '16777217.01', '-3.25'])::DECIMAL(12,2) AS x");
    const parts = await partsFor('float32');
    expect((await bench.plan(parts)).notes.join()).toMatch(/x: DECIMAL\(12,2\) is rounded to the nearest float32/);
    expect((await scored(parts)).y).toEqual([Math.fround(0.1), 16777217, -3.25].map(Math.fround));
  });

  it('keep NULL as NULL and the infinite as infinite: those are for the rules', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest([NULL, 'inf', '-inf', 'nan', '1'])::DOUBLE AS x");
    const { reasons } = await scored(await partsFor('float32'));
    expect(reasons).toEqual({ 0: 'x: NULL', 1: 'x: infinite', 2: 'x: infinite', 3: 'x: NaN' });
  });
});

describe('kinds that no cast turns into a number', () => {
  const cases: [type: TensorType, column: string, hint: RegExp][] = [
    ['float32', "'1'::VARCHAR", /TRY_CAST\(x AS DOUBLE\)/],
    ['int64', "'1'::VARCHAR", /TRY_CAST\(x AS BIGINT\)/],
    ['float32', "DATE '2026-01-01'", /epoch\(x\)/],
    ['float32', "TIMESTAMP '2026-01-01'", /epoch\(x\) \/ 86400" } for days since 1970/],
    ['float32', "TIME '12:00:00'", /epoch\(x\)" } for seconds since midnight/],
    ['int64', '1.5::DOUBLE', /round\(x\)/],
    ['int32', '1.5::DECIMAL(5,2)', /round\(x\)/],
    ['bool', '1::INTEGER', /x <> 0/],
    ['string', '1::INTEGER', /CAST\(x AS VARCHAR\)/],
    ['float32', "'ab'::BLOB", /sql/],
    ['float32', '{a: 1}', /sql/],
    ['float32', "'a'::ENUM('a', 'b')", /TRY_CAST/],
    ['float32', 'uuid()', /sql/],
    ['float32', 'INTERVAL 1 DAY', /epoch\(x\)" } for seconds$/],
  ];
  for (const [type, column, hint] of cases) {
    it(`are refused in the plan: ${column} for ${type}`, async () => {
      await bench.parquet('data/a.parquet', `SELECT ${column} AS x`);
      const error = await bench.failure(await partsFor(type));
      expect({ code: error.code, exit: error.exitCode, phase: error.phase }).toEqual({
        code: 'MODEL_MISMATCH',
        exit: 78,
        phase: 'plan',
      });
      expect(error.message).toMatch(/feature x feeds model input X/);
      expect(error.problems[0]!.key).toBe('features[0]');
      expect(error.hint).toMatch(hint);
      expect(await bench.isVisible()).toBe(false);
    });
  }

  it('can be fed by the expression that the hint names', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest(['1.5', 'n/a', NULL]) AS text");
    const parts = { ...(await partsFor('float32')), features: [{ name: 'x', sql: 'TRY_CAST(text AS DOUBLE)' }] };
    expect(await scored(parts)).toMatchObject({ y: [1.5, null, null], counts: { 'x: NULL': 2 } });
  });

  it('that fit are fed: booleans as numbers, text as text', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest([true, false]) AS x, unnest(['a', '']) AS t");
    expect((await scored(await partsFor('float32'))).y).toEqual([1, 0]);
    expect((await scored({ ...(await partsFor('int64')), sink: { exists: 'replace' } })).y).toEqual([1n, 0n]);
    expect((await scored({ ...(await partsFor('bool')), sink: { exists: 'replace' } })).y).toEqual([true, false]);
    expect((await scored({ ...(await partsFor('string')), features: ['t'], sink: { exists: 'replace' } })).y).toEqual([
      'a',
      '',
    ]);
  });

  it('make rows invalid whose text holds a NUL character, at which ONNX Runtime would cut it off', async () => {
    await bench.parquet('data/a.parquet', "SELECT unnest([chr(0) || 'a', 'b', 'c' || chr(0), '', NULL]) AS x");
    expect(await scored(await partsFor('string'))).toEqual({
      y: [null, 'b', null, '', null],
      reasons: { 0: 'x: holds a NUL character', 2: 'x: holds a NUL character', 4: 'x: NULL' },
      counts: { 'x: holds a NUL character': 2, 'x: NULL': 1 },
    });
  });
});

describe('lists', () => {
  it('make rows invalid whose values the model cannot hold, whose length is another, or that lack a value', async () => {
    const model = await bench.write('models/wide.onnx', identityModel('float32', 2));
    const parts: Parts = { features: ['v'], model: { path: model }, outputs: { y: { from: 'Y', as: 'list' } } };
    await bench.parquet(
      'data/a.parquet',
      'SELECT unnest([[1, 2], [16777217, 0], [1], [1, 2, 3], [], [NULL, 1], NULL, [16777216, -5]])::BIGINT[] AS v',
    );
    const { summary } = await bench.run(parts);
    const rows = await bench.rows(`SELECT y FROM '${bench.path('out/a.parquet')}'`);
    expect(rows.map(({ y }) => y)).toEqual(
      [[1, 2], null, null, null, null, null, null, [16777216, -5]].map((y) =>
        y === null ? null : (expect.objectContaining({}) as unknown),
      ),
    );
    const list = await bench.rows(
      `SELECT array_to_string(y, ',') AS y FROM '${bench.path('out/a.parquet')}' WHERE y IS NOT NULL`,
    );
    expect(list).toEqual([{ y: '1.0,2.0' }, { y: '16777216.0,-5.0' }]);
    const reasons = await bench.rows(`SELECT _row, _reason FROM '${bench.path('out.colonnade/quarantine/a.parquet')}'`);
    expect(reasons.map(({ _row, _reason }) => [Number(_row), _reason])).toEqual([
      [1, "v: cannot be represented in the model's type"],
      [2, 'v: 1 values in the list, the model takes 2'],
      [3, 'v: 3 values in the list, the model takes 2'],
      [4, 'v: 0 values in the list, the model takes 2'],
      [5, 'v: NULL in the list'],
      [6, 'v: NULL'],
    ]);
    expect(summary).toMatchObject({ scored: 2, quarantined: 6 });
  });

  it('of doubles beyond float32 are told as such', async () => {
    const model = await bench.write('models/wide.onnx', identityModel('float32', 2));
    const parts: Parts = { features: ['v'], model: { path: model }, outputs: { y: { from: 'Y', as: 'list' } } };
    await bench.parquet('data/a.parquet', 'SELECT unnest([[1, 2], [1e300, 0], [0.1, 1]])::DOUBLE[] AS v');
    const { summary } = await bench.run(parts);
    expect(summary).toMatchObject({ scored: 2, quarantined: 1 });
    expect(summary.reasons).toEqual({ "v: cannot be represented in the model's type": 1 });
  });
});

describe('a value that is out of range', () => {
  const cases: { type: TensorType; column: string; value: string }[] = [
    { type: 'int32', column: 'BIGINT', value: '2147483648' },
    { type: 'int64', column: 'UBIGINT', value: '9223372036854775808' },
    { type: 'float32', column: 'DOUBLE', value: '1e300' },
  ];
  for (const { type, column, value } of cases) {
    it(`of ${column} for ${type} is not told as a NULL, which it is not`, async () => {
      await bench.parquet('data/a.parquet', `SELECT unnest(['1', '${value}', NULL])::${column} AS x`);
      expect((await scored(await partsFor(type))).reasons).toEqual({ 1: LOST, 2: 'x: NULL' });
    });
  }
});

describe('the way out that a refused cast names', () => {
  const cases: { what: string; type: TensorType; column: string; name?: string; feature?: unknown; hint: string }[] = [
    {
      what: 'a name that is a word of SQL',
      type: 'float32',
      column: "'1'",
      name: 'order',
      hint: '"TRY_CAST(\\"order\\" AS DOUBLE)"',
    },
    {
      what: 'a name with a quote',
      type: 'float32',
      column: "'1'",
      name: 'a"b',
      hint: '"TRY_CAST(\\"a\\"\\"b\\" AS DOUBLE)"',
    },
    { what: 'text to bool', type: 'bool', column: "'yes'", hint: `"x = 'yes'"` },
    { what: 'a number to bool', type: 'bool', column: '1', hint: '"x <> 0"' },
    {
      what: 'an expression, as it was written',
      type: 'float32',
      column: '1',
      feature: { name: 'v', sql: '"x"::VARCHAR' },
      hint: '"TRY_CAST(\\"x\\"::VARCHAR AS DOUBLE)"',
    },
    {
      what: 'a list of text',
      type: 'float32',
      column: "['1', '2']",
      hint: '"list_transform(x, lambda x: TRY_CAST(x AS FLOAT))"',
    },
  ];
  for (const { what, type, column, name = 'x', feature = name, hint } of cases) {
    it(`fits ${what}`, async () => {
      await bench.parquet('data/a.parquet', `SELECT ${column} AS "${name.replaceAll('"', '""')}"`);
      const error = await bench.failure({ ...(await partsFor(type)), features: [feature] });
      expect(error).toMatchObject({ code: 'MODEL_MISMATCH', exitCode: 78 });
      expect(error.hint).toContain(hint);
    });
  }
});

describe('the width of a model that leaves it open', () => {
  async function openParts(change: Partial<Parts> = {}): Promise<Parts> {
    const model = onnx({
      inputs: [{ name: 'X', type: 'float32', shape: ['N', 'F'] }],
      outputs: [{ name: 'Y', type: 'float32', shape: ['N', 'F'] }],
      nodes: [{ op: 'Identity', inputs: ['X'], outputs: ['Y'] }],
    });
    return {
      features: ['x'],
      model: { path: await bench.write('models/open.onnx', model) },
      outputs: { y: { from: 'Y', as: 'list' } },
      ...change,
    };
  }

  it('is that of lists that are not empty', async () => {
    await bench.parquet('data/a.parquet', 'SELECT unnest([[], NULL, [], [], [1, 2], [3, 4]])::FLOAT[] AS x');
    expect((await bench.run(await openParts())).summary).toMatchObject({ scored: 2, quarantined: 4 });
  });

  it('is the most frequent among the first lists, which may be cut short, and is noted in the plan', async () => {
    await bench.parquet('data/a.parquet', 'SELECT unnest([[1], NULL, [1, 2, 3]])::FLOAT[] AS x');
    await bench.parquet('data/b.parquet', 'SELECT unnest([[1, 2], [1, 2, 3], [1], [4, 5, 6]])::FLOAT[] AS x');
    const parts = await openParts();
    const { notes, projection } = await bench.plan(parts);
    expect(projection[0]!.listLength).toBe(3);
    expect(notes).toEqual([expect.stringContaining('X (float32[N, ?]) leaves its width open: it is 3') as unknown]);
    expect((await bench.run(parts)).summary.reasons).toEqual({
      'x: NULL': 1,
      'x: 1 values in the list, the model takes 3': 2,
      'x: 2 values in the list, the model takes 3': 1,
    });
  });

  it('is learnt from a thousand lists, and from rows for which an expression fails not at all', async () => {
    await bench.parquet(
      'data/a.parquet',
      `SELECT CASE WHEN i < 1 THEN 'none' WHEN i < 600 THEN '[1, 2]' WHEN i < 1001 THEN '[1]' ELSE '[1, 2, 3]' END AS t
       FROM range(5000) t(i)`,
    );
    const parts = await openParts({ features: [{ name: 'x', sql: 'CAST(t AS FLOAT[])' }] });
    expect((await bench.plan(parts)).projection[0]!.listLength).toBe(2);
  });

  it('does not hide that the files differ', async () => {
    await bench.parquet('data/a.parquet', 'SELECT [1]::FLOAT[] AS x');
    await bench.parquet('data/b.parquet', 'SELECT 1 AS z');
    await bench.parquet('data/c.parquet', 'SELECT 1 AS x');
    expect((await bench.failure(await openParts())).code).toBe('SCHEMA_DRIFT');
  });
});

describe('an input of 16 bits', () => {
  it.each([
    ['INTEGER', ['0', '-2048', '2050', '-65504', '8184'], ['2049', '65520', '-70000', '8190']],
    ['BIGINT', ['4096'], ['4097', '9223372036854775807', '-9223372036854775808']],
    ['FLOAT', ['0.1', '65519', '-2049.3', '1e-9'], ['65520', '-1e30']],
    ['DOUBLE', ['65519.9'], ['65520', '1e300']],
    ['DECIMAL(18,2)', ['12.25'], ['70000.5']],
    ['DOUBLE[]', ['[0.1, 65519]'], ['[1, 65520]', '[-1e30, 2]']],
    ['INTEGER[]', ['[1, 2048]'], ['[1, 2049]']],
  ])('takes of %s what it holds, nearly, and the rest is told', async (column, kept, lost) => {
    const isList = column.endsWith('[]');
    await bench.parquet(
      'data/a.parquet',
      `SELECT unnest([${[...kept, ...lost].map((value) => `(${value})::${column}`).join(', ')}]) AS x`,
    );
    const model = await bench.write('models/half.onnx', identityModel('float16', isList ? 2 : 1));
    const parts = { features: ['x'], model: { path: model }, outputs: { y: isList ? { from: 'Y', as: 'list' } : 'Y' } };
    const { reasons } = await scored(parts);
    expect(reasons).toEqual(Object.fromEntries(lost.map((_, i) => [kept.length + i, LOST])));
    const { notes } = await bench.plan(parts);
    expect(notes).toEqual(/INT/.test(column) ? [] : [`x: ${column} is rounded to the nearest float16`]);
  });

  it('are refused in the place of a missing value where they cannot hold it', async () => {
    const model = await bench.write('models/half.onnx', identityModel('float16'));
    await bench.parquet('data/a.parquet', 'SELECT i::DOUBLE AS x FROM range(3000) t(i)');
    const parts = (missing: number): Parts => ({
      features: ['x'],
      model: { path: model },
      outputs: { y: 'Y' },
      validate: { rules: { x: { missing } } },
    });
    for (const value of [70_000, 2049, -65_520])
      expect((await bench.failure(parts(value))).message).toContain(`missing: ${value} is nothing that float16 holds`);
    for (const value of [2048, 65_504, 0.1]) expect((await bench.plan(parts(value))).models).toHaveLength(1);
  });

  it('takes gaps and infinities where it is told to', async () => {
    await bench.parquet('data/a.parquet', `SELECT unnest([NULL, 'inf'::FLOAT, 'nan'::FLOAT, 1]) AS x`);
    const model = await bench.write('models/half.onnx', identityModel('float16'));
    const { counts } = await scored({
      features: ['x'],
      model: { path: model },
      outputs: { y: 'Y' },
      validate: { rules: { x: { missing: 'nan', infinite: 'allow' } } },
    });
    expect(counts).toEqual({});
  });
});
