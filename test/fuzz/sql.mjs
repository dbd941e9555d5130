/**
 * SQL expressions, well-formed and hostile: each is refused, or is a value of its row: as many values as rows, the same
 * for a row whichever rows are read with it, and nothing of other files in it.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '../../dist/source/database.js';
import { bindExpressions } from '../../dist/source/expression.js';
import { faultOf } from './judging.mjs';

const COLUMNS = ['id', 'x', 'y', 's', 'flag', 'day', 'l', 'st', 'm', 'price', '"odd name"', 'j'];
const LITERALS = [
  '0', '1', '-1', '2.5', '1e308', '1e400', '-1e400', '9223372036854775807', '9223372036854775808', '170141183460469231731687303715884105728',
  'NULL', 'true', "''", "'a'", "'text 3'", "'%'", "'''; --'", "DATE '2026-01-01'", "INTERVAL 1 DAY", "TIMESTAMP '2026-01-01'", "'{}'", '[1, 2]', '[]',
  "{'a': 1}", "'\u{1F600}'", "'\\x00'::BLOB", "'inf'::DOUBLE", "'nan'::FLOAT", '0x10', '1_000', "e'\\n'", "$$x$$", "X'ff'",
]; // prettier-ignore
const BINARY = ['+', '-', '*', '/', '//', '%', '||', '=', '<>', '<', '>=', 'AND', 'OR', 'IS DISTINCT FROM', 'LIKE', '^', '**', '&', '|', '<<', '>>', '->', '->>', '^@', '~', 'IN', 'COLLATE nocase ||']; // prettier-ignore
const FUNCTIONS = [
  'ln', 'abs', 'sqrt', 'round', 'length', 'lower', 'upper', 'coalesce', 'nullif', 'greatest', 'least', 'concat', 'substr', 'repeat', 'lpad', 'range',
  'list_sum', 'list_transform', 'list_filter', 'array_to_string', 'string_split', 'regexp_extract', 'regexp_replace', 'hash', 'md5', 'strftime', 'date_trunc',
  'date_diff', 'epoch', 'json_extract', 'map_keys', 'struct_pack', 'struct_extract', 'cardinality', 'list_value', 'flatten', 'try', 'ifnull', 'chr', 'ascii',
  'unicode', 'format', 'printf', 'bar', 'levenshtein', 'to_base64', 'from_base64', 'encode', 'decode', 'translate', 'factorial', 'gamma', 'pow', 'list_aggregate',
  'list_reduce', 'array_slice', 'generate_series', 'to_json', 'json', 'bit_count', 'xor', 'sha256', 'error', 'typeof', 'enum_range', 'list_sort', 'list_zip', 'unnest',
]; // prettier-ignore
const ATTACKS = [
  '(SELECT 1)', "(SELECT content FROM read_text('secret.txt'))", "read_text('secret.txt')", "read_csv('secret.txt')", "read_blob('secret.txt')", "glob('*')",
  "(FROM 'secret.txt')", "(TABLE 'secret.txt')", "(VALUES (1))", 'EXISTS (SELECT 1)', 'x IN (SELECT 1)', "x = ANY (SELECT 1)", 'ARRAY(SELECT 1)', "getenv('HOME')",
  "current_setting('threads')", "getvariable('v')", 'current_database()', 'version()', 'pg_backend_pid()', 'txid_current()', 'random()', 'uuid()', 'gen_random_uuid()',
  'now()', 'current_timestamp', 'today()', 'setseed(0.5)', "nextval('q')", "currval('q')", 'rowid', 'filename', 'file_row_number', 'file_index', '*', 'COLUMNS(*)',
  "COLUMNS('x')", '* EXCLUDE (x)', 'count(*)', 'sum(x)', 'row_number() OVER ()', 'x FILTER (WHERE true)', 'first(x ORDER BY y)', 'lag(x) OVER (ORDER BY id)', '?', '$1', '$name',
  '#1', 'DEFAULT', '1; SELECT 1', "1); COPY (SELECT 1) TO 'made.txt'; --", "1); ATTACH 'made.db'; --", '1); PRAGMA threads=1; --', '1); SET threads=1; --', '1); INSTALL httpfs; --',
  '1); LOAD httpfs; --', "1); EXPORT DATABASE 'made'; --", '1); CREATE TABLE t AS SELECT 1; --', '1); CREATE MACRO m() AS 1; --', "1) FROM read_text('secret.txt') --", '1) UNION ALL SELECT (1', '1) WHERE (true',
  '1) LIMIT (1', '1)) --', '1] + [2', '1), (2', '-- x', '/* x', '/* x */', '*/', '--\n', ';', '1 AS a', '1 a', "'", '"', '$$', '$a$', '\\', '\u0000', '\u00a0', '\u202e', '\ud800', '{{x}}', '${x}',
  'lambda x: x', 'x -> x', '(x, y) -> x + y', 'list_transform(l, x -> x + random())', 'list_transform(l, lambda x: (SELECT x))', 'list_transform(l, lambda x, i: x + i)', 'list_reduce(l, (a, b) -> a + b)', 'system.main.ln(x)', 's.lower()', 'main.ln(x)',
  "json_serialize_sql('SELECT 1')", "json_execute_serialized_sql('{}')", "query('SELECT 1')", "query_table('t')", 'duckdb_settings()', 'pragma_version()', "parquet_metadata('secret.txt')", 'unnest(l)', 'generate_subscripts(l, 1)', 'GROUPING(x)', 'x AT TIME ZONE \'UTC\'',
  "CAST(x AS nosuch)", 'TRY_CAST(s AS INTEGER)', 'x::VARCHAR', 'CASE WHEN flag THEN x ELSE y END', 'CASE x WHEN 1 THEN 2 END', 'x BETWEEN y AND id', 'x IS NULL', 'NOT flag', 'st.a', "st['a']", 'l[1]', 'l[1:2]', 'm[\'k\']', 'extract(year FROM day)', 'position(\'a\' IN s)', 'trim(BOTH \'a\' FROM s)', 'x ISNULL', 's SIMILAR TO \'a\'', 's GLOB \'a*\'', 'overlay(s PLACING \'x\' FROM 1)', 'sleep_ms(5)', 'write_log(\'x\')', 'in_search_path(\'a\', \'b\')', 'has_table_privilege(\'t\', \'s\')', 'pg_typeof(x)', 'stats(x)', 'constant_or_null(x, 1)', 'aggregate(l, \'sum\')', 'list_aggregate(l, \'random\')', 'icu_sort_key(s, \'de\')', 'alias(x)', 'can_cast_implicitly(x, y)', 'get_type(x)', 'make_type(\'INTEGER\')', 'nan', 'x.y.z.a', 'user', 'session_user', 'current_schema', 'current_date',
]; // prettier-ignore

function expression(random, depth) {
  const inner = () => expression(random, depth - 1);
  if (depth === 0) return random.chance(0.6) ? random.pick(COLUMNS) : random.pick(LITERALS);
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
      return `${inner()} ${random.pick(BINARY)} ${inner()}`;
    case 3:
    case 4:
    case 5:
      return `${random.pick(FUNCTIONS)}(${Array.from({ length: random.below(4) }, inner).join(', ')})`;
    case 6:
      return `(${inner()})`;
    case 7:
      return `CASE WHEN ${inner()} THEN ${inner()} ELSE ${inner()} END`;
    case 8:
      return `${random.pick(['CAST', 'TRY_CAST'])}(${inner()} AS ${random.pick(['INTEGER', 'DOUBLE', 'VARCHAR', 'FLOAT', 'DATE', 'BOOLEAN', 'DECIMAL(38,10)', 'VARCHAR[]', 'JSON', 'HUGEINT', 'BLOB'])})`;
    default:
      return random.pick(ATTACKS);
  }
}

/** @returns {{ bytes: Buffer, boolean: boolean, what: string }} */
export function makeSql(random) {
  let sql = expression(random, random.below(4));
  if (random.chance(0.02)) {
    const n = 10 ** (1 + random.below(4));
    sql = random.pick([
      () => '('.repeat(n) + sql + ')'.repeat(n),
      () => `${'NOT '.repeat(n)}flag`,
      () => `${'-'.repeat(n)}1`,
      () => Array(n).fill('x').join(' + '),
      () => `repeat(s, ${n})`,
      () => `len(range(${n}))`,
      () => `'${'x'.repeat(n)}'`,
      () => `${'ln('.repeat(n)}x${')'.repeat(n)}`,
      () => `${'['.repeat(n)}x${']'.repeat(n)}`,
      () => `CASE ${'WHEN flag THEN 1 '.repeat(n)}END`,
      () => `x IN (${Array.from({ length: n }, (_, i) => i).join(', ')})`,
    ])();
  }
  if (random.chance(0.35)) {
    const at = random.below(sql.length + 1);
    const piece = random.pick([
      () => random.pick(ATTACKS),
      () => random.pick([')', '(', "'", '"', ',', ';', '--', '/*', '\n', ' ']),
    ])();
    sql = sql.slice(0, at) + piece + sql.slice(random.chance(0.6) ? at : at + random.below(6));
  }
  return { bytes: Buffer.from(sql), boolean: random.chance(0.2), what: sql.slice(0, 300) };
}

const ROWS = 40;

export async function openSqlJudge(bench) {
  const folder = join(bench.folder, 'sql');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const secret = 'SECRET-c0ffee';
  writeFileSync(join(folder, 'secret.txt'), `${secret}\n`);
  const path = join(folder, 'a.parquet');
  await bench.reader
    .run(`COPY (SELECT i AS id, i / 4 AS x, i - 5.5 AS y, 'text ' || i AS s, i % 2 = 0 AS flag, DATE '2026-01-01' + i::INT AS day,
    [i, i + 1] AS l, {'a': i, 'b': 'x'} AS st, map {'k': i} AS m, (i / 3)::DECIMAL(9, 2) AS price, i AS "odd name", '{"k": 1}' AS j
    FROM range(${ROWS}) t(i)) TO '${path}' (FORMAT parquet)`);
  const before = readdirSync(folder).sort().join();
  // Relative paths in an attack must mean the folder that is watched.
  process.chdir(folder);
  const file = { path, hive: {} };
  let database;
  let uses = 0;
  return async ({ bytes, boolean }) => {
    if (database === undefined || (uses += 1) % 500 === 0) {
      await database?.close();
      database = await openDatabase({
        memoryLimit: 96e6,
        threads: 1,
        spillDirectory: join(bench.folder, 'spill'),
        spillLimit: 1e6,
        readable: [path],
        writable: [],
      });
    }
    const answer = await judge(bytes.toString(), boolean);
    const after = readdirSync(folder).sort().join();
    return after === before ? answer : { ...answer, finding: `files were made: ${after}` };
  };

  async function judge(sql, boolean) {
    let bound;
    try {
      [bound] = await bindExpressions(database, file, {}, [{ key: 'features[0].sql', sql, boolean }]);
    } catch (error) {
      return { outcome: error.code ?? 'no code', message: error.message, finding: faultOf(error) };
    }
    const from = `read_parquet('${path}', file_row_number = true)`;
    const context = { file: path, expression: 'feature f' };
    let values;
    try {
      values = await database.rows(
        `SELECT file_row_number AS n, CAST((${bound.sql}) AS VARCHAR) AS v FROM ${from}`,
        context,
      );
    } catch (error) {
      return { outcome: `taken, then ${error.code ?? 'no code'}`, message: error.message, finding: faultOf(error) };
    }
    if (values.length !== ROWS) return { outcome: 'taken', finding: `${values.length} values for ${ROWS} rows` };
    if (values.some(({ v }) => v?.includes(secret))) return { outcome: 'taken', finding: 'it reads another file' };
    const some = await database.rows(
      `SELECT file_row_number AS n, CAST((${bound.sql}) AS VARCHAR) AS v FROM ${from} WHERE file_row_number % 3 = 1`,
      context,
    );
    for (const { n, v } of some)
      if (v !== values[Number(n)].v)
        return { outcome: 'taken', finding: `row ${n} is ${values[Number(n)].v} and ${v}` };
    return { outcome: 'taken' };
  }
}
