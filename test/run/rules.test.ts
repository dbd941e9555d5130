/** NULL, NaN, infinities and ranges by rule; what becomes of the rows, and where they can be found again. */
import { beforeEach, describe, expect, it } from 'vitest';
import { identityModel, linearModel, onnx } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
let parts: Parts;

/** Rows by number: 0 fine, 1 NULL, 2 NaN, 3 infinite, 4 minus infinite, 5 low, 6 high, 7 fine, 8 low and NULL beside. */
const VALUES = "['1', NULL, 'nan', 'inf', '-inf', '-5', '200', '120', '-5']";
const BESIDE = "['0', '0', '0', '0', '0', '0', '0', '0', NULL]";

beforeEach(async () => {
  await bench.clear();
  const model = await bench.write('models/linear.onnx', linearModel([1, 1]));
  parts = { features: ['x', 'z'], model: { path: model }, outputs: { score: 'score' } };
  await bench.parquet(
    'data/region=n/a.parquet',
    `SELECT unnest(range(9)) AS id, unnest(${VALUES})::DOUBLE AS x, unnest(${BESIDE})::FLOAT AS z, 'row ' || id AS text, [id, NULL] AS list, {a: id} AS struct`,
  );
});

async function outcome(
  change: Partial<Parts>,
): Promise<{ scores: unknown[]; reasons: Record<string, number>; counts: Record<string, number> }> {
  const { summary } = await bench.run({ ...parts, sink: { exists: 'replace' }, ...change });
  const { rows, scored, quarantined, nulled, filtered, reasons } = summary;
  const output = await bench.rows(`SELECT score FROM '${bench.path('out/*/a.parquet')}'`);
  return { scores: output.map(({ score }) => score), reasons, counts: { rows, scored, quarantined, nulled, filtered } };
}

describe('rules', () => {
  it('make NULL, NaN and infinities invalid where nothing else is said', async () => {
    expect(await outcome({})).toEqual({
      scores: [1, null, null, null, null, -5, 200, 120, null],
      reasons: { 'x: NULL': 1, 'x: NaN': 1, 'x: infinite': 2, 'z: NULL': 1 },
      counts: { rows: 9, scored: 4, quarantined: 5, nulled: 0, filtered: 0 },
    });
  });

  it('hold values against min and max, both included, and count a row under each of its reasons', async () => {
    expect(await outcome({ validate: { rules: { x: { min: 0, max: 120 } } } })).toEqual({
      scores: [1, null, null, null, null, null, null, 120, null],
      reasons: {
        'x: NULL': 1,
        'x: NaN': 1,
        'x: infinite': 2,
        'x: below min 0': 2,
        'x: above max 120': 1,
        'z: NULL': 1,
      },
      counts: { rows: 9, scored: 2, quarantined: 7, nulled: 0, filtered: 0 },
    });
  });

  it('let the model see NaN for what is missing', async () => {
    const { scores, reasons } = await outcome({ validate: { rules: { x: { missing: 'nan' } } } });
    expect(scores).toEqual([1, NaN, NaN, null, null, -5, 200, 120, null]);
    expect(reasons).toEqual({ 'x: infinite': 2, 'z: NULL': 1 });
  });

  it('put a number in the place of what is missing, which no range is applied to', async () => {
    const { scores, reasons } = await outcome({
      validate: { rules: { x: { missing: -7, min: -5 }, z: { missing: 1000 } } },
    });
    expect(scores).toEqual([1, -7, -7, null, null, -5, 200, 120, 995]);
    expect(reasons).toEqual({ 'x: infinite': 2 });
  });

  it('let infinities through where they are allowed, unless they are out of range', async () => {
    expect((await outcome({ validate: { rules: { x: { infinite: 'allow' } } } })).scores).toEqual([
      1,
      null,
      null,
      Infinity,
      -Infinity,
      -5,
      200,
      120,
      null,
    ]);
    const ranged = await outcome({ validate: { rules: { x: { infinite: 'allow', min: -10 } } } });
    expect(ranged.scores).toEqual([1, null, null, Infinity, null, -5, 200, 120, null]);
    expect(ranged.reasons).toMatchObject({ 'x: below min -10': 1 });
  });

  it('compare a bound in the precision of the column: 0.1 includes the float32 nearest to 0.1', async () => {
    await bench.parquet('data/region=n/a.parquet', 'SELECT 0.1::FLOAT AS x, 0::FLOAT AS z, 0.1::FLOAT AS other');
    const { counts } = await outcome({
      validate: { rules: { x: { min: 0.1, max: 0.1 }, other: { min: 0.1, max: 0.1 } } },
    });
    expect(counts.scored).toBe(1);
  });

  it('compare 64-bit integers exactly, features and others', async () => {
    await bench.parquet(
      'data/region=n/a.parquet',
      "SELECT 1::FLOAT AS x, 0::FLOAT AS z, unnest(['9007199254740991', '9007199254740992', '-9007199254740992'])::BIGINT AS big",
    );
    const { counts, reasons } = await outcome({
      validate: { rules: { big: { min: -9007199254740991, max: 9007199254740991 } } },
    });
    expect({ counts, reasons }).toMatchObject({
      counts: { scored: 1 },
      reasons: { 'big: above max 9007199254740991': 1, 'big: below min -9007199254740991': 1 },
    });
  });

  it('look at columns that are no features: numbers, and anything else for being there', async () => {
    await bench.parquet(
      'data/region=n/a.parquet',
      "SELECT 1::FLOAT AS x, 0::FLOAT AS z, unnest(['1.50', '99.99', NULL])::DECIMAL(6,2) AS price, unnest(['a', 'b', NULL]) AS text, unnest([DATE '2026-01-01', NULL, NULL]) AS day",
    );
    const { reasons } = await outcome({
      validate: { rules: { price: { max: 50 }, text: {}, day: { missing: 'invalid' } } },
    });
    expect(reasons).toEqual({ 'price: above max 50': 1, 'price: NULL': 1, 'text: NULL': 1, 'day: NULL': 2 });
  });

  it('look at hive folders like at any column', async () => {
    await bench.parquet(
      'data/region=__HIVE_DEFAULT_PARTITION__/b.parquet',
      `SELECT 1::BIGINT AS id, 1::DOUBLE AS x, 0::FLOAT AS z, 'a' AS text, [1, NULL]::BIGINT[] AS list, {a: 1::BIGINT} AS struct`,
    );
    const { summary } = await bench.run({ ...parts, validate: { rules: { region: { missing: 'invalid' } } } });
    expect(summary.reasons).toMatchObject({ 'region: NULL': 1 });
  });

  it('do not look at rows that the condition leaves out', async () => {
    const { scores, reasons, counts } = await outcome({
      source: { where: 'id < 3' },
      validate: { rules: { x: { max: 120 } } },
    });
    expect(scores).toEqual([1, null, null, null, null, null, null, null, null]);
    expect(reasons).toEqual({ 'x: NULL': 1, 'x: NaN': 1 });
    expect(counts).toEqual({ rows: 9, scored: 1, quarantined: 2, nulled: 0, filtered: 6 });
  });

  it('leave out rows of which the condition is neither true nor false', async () => {
    const { counts } = await outcome({ source: { where: 'z = 0' } });
    expect(counts).toEqual({ rows: 9, scored: 4, quarantined: 4, nulled: 0, filtered: 1 });
  });

  it('tell a reason once where a feature feeds two inputs', async () => {
    const model = await bench.write(
      'models/two.onnx',
      onnx({
        inputs: [
          { name: 'A', type: 'float32', shape: ['N', 1] },
          { name: 'B', type: 'float64', shape: ['N', 1] },
        ],
        outputs: [
          { name: 'a', type: 'float32', shape: ['N', 1] },
          { name: 'b', type: 'float64', shape: ['N', 1] },
        ],
        nodes: [
          { op: 'Identity', inputs: ['A'], outputs: ['a'] },
          { op: 'Identity', inputs: ['B'], outputs: ['b'] },
        ],
      }),
    );
    const { summary } = await bench.run({
      ...parts,
      features: ['x'],
      model: { path: model, inputs: { A: ['x'], B: ['x'] } },
      outputs: { a: 'a', b: 'b' },
      validate: { rules: { x: { max: 150 } } },
    });
    expect(summary.reasons).toEqual({ 'x: NULL': 1, 'x: NaN': 1, 'x: infinite': 2, 'x: above max 150': 1 });
    expect(summary.quarantined).toBe(5);
  });

  it('that cannot have an effect, or would change a value, are refused with the way out', async () => {
    const int8 = await bench.write('models/int8.onnx', identityModel('int8'));
    const text = await bench.write('models/text.onnx', identityModel('string'));
    const bool = await bench.write('models/bool.onnx', identityModel('bool'));
    const wide = await bench.write('models/wide.onnx', identityModel('float32', 2));
    await bench.parquet(
      'data/region=n/a.parquet',
      "SELECT 1::TINYINT AS i, 'a' AS t, true AS b, [1, 2]::FLOAT[] AS v, 1::FLOAT AS f",
    );
    const cases: [model: string, feature: string, rule: object, message: RegExp][] = [
      [int8, 'i', { missing: 300 }, /300/],
      [int8, 'i', { missing: 1.5 }, /1\.5/],
      [int8, 'i', { missing: 'nan' }, /nan/],
      [int8, 'i', { missing: { value: 'none' } }, /none/],
      [bool, 'b', { missing: 2 }, /2/],
      [text, 't', { missing: 3 }, /3/],
      [text, 't', { min: 3 }, /text/],
      [text, 't', { missing: 'nan' }, /nan/],
      [wide, 'v', { missing: 3 }, /list/],
    ];
    for (const [path, feature, rule, message] of cases) {
      const output = path === wide ? { y: { from: 'Y', as: 'list' } } : { y: 'Y' };
      const error = await bench.failure({
        ...parts,
        features: [feature],
        model: { path },
        outputs: output,
        validate: { rules: { [feature]: rule } },
      });
      expect({ rule, code: error.code }).toEqual({ rule, code: 'COLUMN_TYPE' });
      expect(error.message).toMatch(message);
      expect(error.problems[0]!.position).toBeDefined();
      expect(error.hint).toBeTruthy();
    }
  });
});

describe('invalid rows', () => {
  it('can be read back with all columns of the source, and traced to file and row', async () => {
    await bench.run({ ...parts, validate: { rules: { x: { min: 0, max: 120 } } } });
    const source = bench.path('data/region=n/a.parquet');
    const quarantine = bench.path('out.colonnade/quarantine/region=n/a.parquet');
    const differing = await bench.rows(`
      SELECT q._row FROM read_parquet('${quarantine}', hive_partitioning = false) q JOIN read_parquet('${source}', file_row_number = true, hive_partitioning = false) s ON q._row = s.file_row_number
      WHERE (q.id, q.x, q.z, q.text, q.list, q.struct)::VARCHAR IS DISTINCT FROM (s.id, s.x, s.z, s.text, s.list, s.struct)::VARCHAR`);
    expect(differing).toEqual([]);
    expect(await bench.rows(`SELECT _file, _row, _reason, text FROM '${quarantine}' ORDER BY _row`)).toEqual(
      [
        [1, 'x: NULL'],
        [2, 'x: NaN'],
        [3, 'x: infinite'],
        [4, 'x: infinite'],
        [5, 'x: below min 0'],
        [6, 'x: above max 120'],
        [8, 'x: below min 0; z: NULL'],
      ].map(([row, reason]) => ({ _file: source, _row: BigInt(row!), _reason: reason, text: `row ${row}` })),
    );
    const columns = async (path: string): Promise<unknown[]> =>
      (await bench.rows(`DESCRIBE SELECT * FROM read_parquet('${path}', hive_partitioning = false)`)).map(
        ({ column_name, column_type }) => [column_name, column_type],
      );
    expect(await columns(quarantine)).toEqual([
      ...(await columns(source)),
      ['_file', 'VARCHAR'],
      ['_row', 'BIGINT'],
      ['_reason', 'VARCHAR'],
    ]);
  });

  it('are found again behind the first shard of a file, and whatever the columns are called', async () => {
    await bench.parquet(
      'data/region=n/a.parquet',
      'SELECT i AS id, i::FLOAT AS x, 0::FLOAT AS z, i AS source, i AS place, i AS reason, i AS rows_of_source, i AS quarantined FROM range(1200000) t(i)',
      'row_group_size 122880',
    );
    const { summary } = await bench.run({ ...parts, validate: { rules: { x: { max: 1199990 } } } }, { workers: 1 });
    expect(summary.quarantined).toBe(9);
    const rows = await bench.rows(
      `SELECT _row, id, source, rows_of_source, place FROM '${bench.path('out.colonnade/quarantine/*/a.parquet')}'`,
    );
    expect(rows).toEqual(
      Array.from({ length: 9 }, (_, i) => ({
        _row: BigInt(1199991 + i),
        id: BigInt(1199991 + i),
        source: BigInt(1199991 + i),
        rows_of_source: BigInt(1199991 + i),
        place: BigInt(1199991 + i),
      })),
    );
  });

  it('keep their place with NULL for every prediction where that is wished, and there is no quarantine', async () => {
    const { scores, counts } = await outcome({ validate: { on_invalid: 'null' } });
    expect(scores).toEqual([1, null, null, null, null, -5, 200, 120, null]);
    expect(counts).toEqual({ rows: 9, scored: 4, quarantined: 0, nulled: 5, filtered: 0 });
    expect(await bench.files('out.colonnade/quarantine')).toEqual([]);
    const { summary } = await bench.run({
      ...parts,
      source: { key: ['id'] },
      validate: { on_invalid: 'null' },
      sink: { mode: 'predictions', exists: 'replace' },
    });
    expect(summary.nulled).toBe(5);
    expect(
      await bench.rows(`SELECT count(*) AS n, count(score) AS scored FROM '${bench.path('out/*/a.parquet')}'`),
    ).toEqual([{ n: 9n, scored: 4n }]);
  });

  it('fail the run where that is wished, told by file, row and reason', async () => {
    const error = await bench.failure({ ...parts, validate: { on_invalid: 'fail' } });
    expect(error).toMatchObject({ code: 'ROW_INVALID', exitCode: 3, phase: 'validate' });
    expect(error.message).toBe(`${bench.path('data/region=n/a.parquet')}: row 1 is invalid: x: NULL`);
    expect(await bench.isVisible()).toBe(false);
    expect(await bench.files('out.colonnade/staging')).toEqual([]);
  });

  it('fail the run above a share or a count, with the worst reasons, and nothing is published', async () => {
    // 5 of 9 rows are invalid.
    for (const [limit, fails] of [
      [5, false],
      [4, '5 rows or more are invalid, 4 rows are allowed: '],
      [1, '5 rows or more are invalid, 1 row is allowed: '],
      [0, '5 rows or more are invalid, 0 rows are allowed: '],
      ['56%', false],
      ['55%', '5 rows or more are invalid, 55% of 9 rows are allowed: '],
      ['0%', '5 rows or more are invalid, 0% of 9 rows are allowed: '],
      ['100%', false],
    ] as const) {
      const limited = {
        ...parts,
        validate: { max_invalid: limit },
        sink: { path: `out-${limit}`.replace('%', '-percent') },
      };
      if (fails === false) {
        expect((await bench.run(limited)).summary.quarantined).toBe(5);
        continue;
      }
      const error = await bench.failure(limited);
      expect(error).toMatchObject({ code: 'TOO_MANY_INVALID', exitCode: 3, phase: 'validate' });
      expect(error.message).toContain(`${fails}x: infinite (2)`);
      expect(error.hint).toContain('max_invalid');
      expect(await bench.isVisible(limited.sink.path)).toBe(false);
      expect(await bench.files(`${limited.sink.path}.colonnade/staging`)).toEqual([]);
    }
  });

  it('are counted to the row where a share is a fraction that no double holds', async () => {
    for (const [share, invalid, rows] of [
      ['29%', 29, 100],
      ['0.7%', 7, 1000],
      ['1%', 3, 300],
      ['33.3%', 333, 1000],
      ['0.1%', 1, 1000],
    ] as const) {
      await bench.parquet('data/region=n/a.parquet', `SELECT i::FLOAT AS x, 0::FLOAT AS z FROM range(${rows}) t(i)`);
      const limited = (min: number): Parts => ({
        ...parts,
        validate: { max_invalid: share, rules: { x: { min } } },
        sink: { exists: 'replace' },
      });
      expect((await bench.run(limited(invalid))).summary.quarantined).toBe(invalid);
      const error = await bench.failure(limited(invalid + 1));
      expect(error.code).toBe('TOO_MANY_INVALID');
      expect(error.message).toContain(`${share} of`);
    }
  });
});
