import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import type { Expression } from '../../src/plan/facts.js';
import { describeColumns } from '../../src/source/columns.js';
import { bindExpressions } from '../../src/source/expression.js';
import { containing, testDatabase, testFolder } from './folder.js';

const folder = await testFolder();
const database = await testDatabase(folder);
const path = join(folder, 'source.parquet');
await database.run(
  `COPY (SELECT 1 AS age, 2.5::DOUBLE AS Income, 'x' AS status, [1.0::FLOAT, 2] AS l, {'f': 1, 'g': {'h': 2}} AS s,
         '{"a": 1}' AS j, DATE '2026-01-01' AS dt, 3 AS region, 4 AS "we""ird é", TIMESTAMP '2026-01-01' AS ts)
   TO '${path}' (FORMAT parquet)`,
);
const file = { path, hive: { day: '2026-11-01', region: '7' } };
const types = { day: 'DATE', region: 'BIGINT' };

async function bind(sql: string, boolean = false): Promise<Expression> {
  const [expression] = await bindExpressions(database, file, types, [{ key: 'features[0].sql', sql, boolean }]);
  return expression!;
}

async function refusal(sql: string, boolean = false): Promise<ColonnadeError> {
  const error: unknown = await bind(sql, boolean).catch((thrown: unknown) => thrown);
  expect(error, `${sql} must be refused`).toBeInstanceOf(ColonnadeError);
  return error as ColonnadeError;
}

describe('describeColumns', () => {
  it('lists the columns of the file, then the hive columns that it does not have itself', async () => {
    const columns = await describeColumns(database, file, types);
    expect(columns.slice(0, 3)).toEqual([
      { name: 'age', type: 'INTEGER', hive: false },
      { name: 'Income', type: 'DOUBLE', hive: false },
      { name: 'status', type: 'VARCHAR', hive: false },
    ]);
    expect(columns.filter(({ name }) => name === 'region')).toEqual([{ name: 'region', type: 'INTEGER', hive: false }]);
    expect(columns.at(-1)).toEqual({ name: 'day', type: 'DATE', hive: true });
  });

  it('refuses a column with the name of the row numbers, and files that are not Parquet', async () => {
    const taken = join(folder, 'taken.parquet');
    await database.run(`COPY (SELECT 1 AS file_row_number) TO '${taken}' (FORMAT parquet)`);
    await expect(describeColumns(database, { path: taken, hive: {} }, {})).rejects.toMatchObject({
      code: 'COLUMN_AMBIGUOUS',
    });
    const named = { path, hive: { File_Row_Number: '1' } };
    await expect(describeColumns(database, named, { File_Row_Number: 'BIGINT' })).rejects.toMatchObject({
      code: 'COLUMN_AMBIGUOUS',
      message: containing('the folder File_Row_Number=…'),
    });
    for (const [name, content] of [
      ['text', 'this is not Parquet at all'],
      ['empty', ''],
    ] as const) {
      const bad = join(folder, `${name}.parquet`);
      await writeFile(bad, content);
      await expect(describeColumns(database, { path: bad, hive: {} }, {}), name).rejects.toMatchObject({
        code: 'BAD_PARQUET',
        message: containing(bad),
      });
    }
    await expect(describeColumns(database, { path: join(folder, 'gone.parquet'), hive: {} }, {})).rejects.toMatchObject(
      { code: 'INPUT_GONE' },
    );
  });
});

describe('bindExpressions', () => {
  it.each([
    ['ln(1 + income)', 'DOUBLE', ['Income']],
    ['AGE * age + "age"', 'INTEGER', ['age']],
    ["status = 'active' AND age BETWEEN 1 AND 2", 'BOOLEAN', ['status', 'age']],
    ['CASE WHEN age > 1 THEN income ELSE 0 END', 'DOUBLE', ['age', 'Income']],
    ['s.g.h + s.f', 'INTEGER', ['s']],
    ['l[1]', 'FLOAT', ['l']],
    ['list_transform(l, lambda x, i: x + i + age)', 'FLOAT[]', ['l', 'age']],
    ['list_sum(list_filter(l, lambda age: age > 1))', 'DOUBLE', ['l']],
    ['[x * 2 for x in l if x > 1]', 'FLOAT[]', ['l']],
    ["CAST(j -> '$.a' AS INTEGER)", 'INTEGER', ['j']],
    ['coalesce(nullif(age, 0), 1)::DECIMAL(10, 2)', 'DECIMAL(10,2)', ['age']],
    ["DATE '2026-11-01' - dt", 'BIGINT', ['dt']],
    ["date_diff('day', dt, day)", 'BIGINT', ['dt', 'day']],
    ['extract(year FROM dt)', 'BIGINT', ['dt']],
    ["try_cast(status AS DOUBLE) IS NOT NULL OR status IN ('a', 'b')", 'BOOLEAN', ['status']],
    ["status COLLATE nocase = 'X'", 'BOOLEAN', ['status']],
    ['try(ln(0 - age))', 'DOUBLE', ['age']],
    ['region + 1', 'INTEGER', ['region']],
    ['"we""ird é" * 2', 'INTEGER', ['we"ird é']],
    ["'-- no comment; SELECT 1'", 'VARCHAR', []],
    ['age /* years */ + 1', 'INTEGER', ['age']],
    ['age -- years\n + 1', 'INTEGER', ['age']],
    ['(age) + (1)', 'INTEGER', ['age']],
    ["age(dt, TIMESTAMP '2026-01-01')", 'INTERVAL', ['dt']],
    ['1', 'INTEGER', []],
    ["{'a': age}.a", 'INTEGER', ['age']],
    ['hash(status) % 10', 'UBIGINT', ['status']],
  ])('takes %s as %s', async (sql, type, columns) => {
    expect(await bind(` ${sql}\n`)).toEqual({ sql, type, columns });
  });

  it.each([
    ['1), (2', 'more than one expression'],
    ['1, 2', 'more than one expression'],
    ['1) + (2', 'bracket'],
    ['1] + [2', 'syntax error'],
    ["1) FROM read_parquet('x') --", 'table'],
    ['1) FROM t WHERE (1 = 1', 'table'],
    ['1) WHERE (true', 'clauses'],
    ['1) LIMIT (1', 'clauses'],
    ['1) ORDER BY (1', 'clauses'],
    ['1) UNION SELECT (2', 'query'],
    ['1); SELECT (2', 'more than one statement'],
    ["1); COPY (SELECT 1) TO 'x.parquet' --", 'statement'],
    ['1); DROP TABLE x; SELECT (1', 'statement'],
    ['age -- comment', 'comment'],
    ['1) AS x --', 'name of its own'],
    ['(SELECT 1)', 'sub-query'],
    ['age IN (SELECT 1)', 'sub-query'],
    ['EXISTS (SELECT 1)', 'sub-query'],
    ['ARRAY(SELECT 1)', 'sub-query'],
    ['list_transform(l, lambda x: (SELECT x))', 'sub-query'],
    ['row_number() OVER ()', 'window'],
    ['sum(age) OVER (ORDER BY age)', 'window'],
    ['sum(age)', 'aggregate'],
    ['count(*)', 'aggregate'],
    ['max(age) FILTER (WHERE age > 1)', 'aggregate'],
    ['COLUMNS(*)', 'star'],
    ['coalesce(*COLUMNS(*))', 'star'],
    ['*', 'star'],
    ['?', 'parameter'],
    ['$1', 'parameter'],
    ['age + $day', 'parameter'],
    ['#1', 'position'],
    ['DEFAULT', 'DEFAULT'],
    ['random()', 'another value'],
    ['uuid()', 'another value'],
    ["nextval('x')", 'another value'],
    ["error('x')", 'ends the query'],
    ['now()', 'time of the run'],
    ['today()', 'time of the run'],
    ['current_date', 'time of the run'],
    ['CURRENT_TIMESTAMP', 'time of the run'],
    ['current_localtimestamp()', 'time of the run'],
    ['age(ts)', 'time of the run'],
    ['ago(INTERVAL 1 DAY)', 'time of the run'],
    ['user', 'session'],
    ['current_user', 'session'],
    ["current_setting('threads')", 'more than its arguments'],
    ["getvariable('x')", 'more than its arguments'],
    ['version()', 'more than its arguments'],
    ["json_serialize_sql('SELECT 1')", 'more than its arguments'],
    ["read_text('/etc/passwd')", 'table function'],
    ["read_parquet('x')", 'table function'],
    ['unnest(l)', 'several rows'],
    ["get_block_size('memory')", 'macro'],
    ['geomean(age)', 'macro'],
    ['system.main.ln(age)', 'schema'],
    ['status.lower()', 'schema'],
    ['ln(DISTINCT age)', 'aggregates'],
    ['grouping(age)', 'grouping'],
  ])('forbids %s', async (sql, reason) => {
    const error = await refusal(sql);
    // What does not even parse cannot do harm either; the two codes tell which it is.
    expect(error.code).toBe(reason === 'syntax error' ? 'SQL_INVALID' : 'SQL_FORBIDDEN');
    expect(error.message).toContain(reason);
    expect(error.problems[0]!.key).toBe('features[0].sql');
    expect(error.problems[0]!.hint).toBeTruthy();
  });

  it('shows the way out for the date of the run', async () => {
    expect((await refusal("date_diff('day', dt, current_date)")).hint).toContain('${vars.day}');
  });

  it.each([
    ['', 'empty', undefined],
    ['age +', 'syntax error', undefined],
    ['age AS x', 'syntax error', '  age AS x\n      ^'],
    ['age b', 'syntax error', '  age b\n      ^'],
    ["'é' || (age age)", 'syntax error', "  'é' || (age age)\n              ^"],
    ['nosuch(age)', 'nosuch', '  nosuch(age)\n  ^'],
    ["'é' || s + l", 'No function matches', undefined],
    ['age +\n  CAST(dt AS nosuch)', 'nosuch', undefined],
  ])('finds %s invalid, and says where', async (sql, reason, excerpt) => {
    const error = await refusal(sql);
    expect(error.code).toBe('SQL_INVALID');
    expect(error.message).toContain(reason);
    if (excerpt !== undefined) expect(error.problems[0]!.excerpt).toBe(excerpt);
  });

  it('names the nearest column where there is none, at its place', async () => {
    const error = await refusal("'é' || agee");
    expect(error).toMatchObject({ code: 'COLUMN_MISSING', hint: 'did you mean `age`?' });
    expect(error.message).toContain('Income');
    expect(error.problems[0]!.excerpt).toBe("  'é' || agee\n         ^");
    // Neither DuckDB's own columns nor the names that reading gives can be seen.
    for (const name of ['file_row_number', 'filename', 'file_index', 'rowid', 'source.age'])
      expect((await refusal(name)).code, name).toBe('COLUMN_MISSING');
  });

  it('names the quotes that a name with a dot, or a word of SQL, stands in', async () => {
    const odd = join(folder, 'odd.parquet');
    await database.run(`COPY (SELECT 1 AS "order", 2 AS "x.Y", 3 AS z) TO '${odd}' (FORMAT parquet)`);
    const hintFor = async (sql: string): Promise<string | undefined> => {
      const error: unknown = await bindExpressions(database, { path: odd, hive: {} }, {}, [{ key: 'k', sql }]).catch(
        (thrown: unknown) => thrown,
      );
      return (error as ColonnadeError).hint;
    };
    expect(await hintFor('1 + x.y')).toBe('a name with a dot stands in double quotes: "x.Y"');
    expect(await hintFor('1 + Order')).toBe('where the column is meant, it stands in double quotes: "Order"');
    expect(await hintFor('1 + having')).not.toContain('quotes');
    expect(await hintFor('z z')).not.toContain('quotes');
  });

  it('takes literals of any size', async () => {
    for (const sql of ['1e400', '-1e400 + age', "length('-Infinity \"Infinity') + 1e400"])
      expect((await bind(sql)).type).toBe('DOUBLE');
  });

  it('wants a condition to be BOOLEAN', async () => {
    expect((await bind('age > 1', true)).type).toBe('BOOLEAN');
    const error = await refusal('age + 1', true);
    expect(error).toMatchObject({
      code: 'SQL_INVALID',
      message: 'features[0].sql: the condition is INTEGER, not BOOLEAN',
    });
  });

  it.each([
    'age',
    'Income',
    'age * 2',
    'status',
    "status || 'x'",
    'dt',
    'ts',
    'l',
    's',
    '"we""ird é"',
    'dt - dt',
    'CASE WHEN age > 0 THEN status END',
  ])('names a condition for %s that is one', async (sql) => {
    const { hint } = (await refusal(sql, true)).problems[0]!;
    const condition = hint!.replace('compare it with something, as in ', '');
    const { type } = await bind(condition, true);
    expect(type).toBe('BOOLEAN');
    const scan = `SELECT ${condition} AS met FROM '${path}'`;
    expect(await database.rows(scan)).toEqual([{ met: expect.any(Boolean) as unknown }]);
  });

  it('names a way out of random() that a float32 holds', async () => {
    const { hint } = (await refusal('random()')).problems[0]!;
    const [, sql = ''] = /(hash\(.*) of one/.exec(hint!) ?? [];
    const [row] = await database.rows(`SELECT max(${sql}) AS most FROM range(10000) t(x)`);
    expect(Number(row!['most'])).toBeLessThan(2 ** 24);
  });

  it('tells of all expressions that are wrong at once', async () => {
    const error: unknown = await bindExpressions(database, file, types, [
      { key: 'source.where', sql: 'age', boolean: true },
      { key: 'features[0].sql', sql: 'age' },
      { key: 'features[1].sql', sql: 'random() + nope' },
    ]).catch((thrown: unknown) => thrown);
    expect((error as ColonnadeError).problems.map(({ key }) => key)).toEqual([
      'source.where',
      'features[1].sql',
      'features[1].sql',
    ]);
  });
});
