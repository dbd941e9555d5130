/**
 * Makes the tables that samples, tests and benchmarks run on, with DuckDB alone. Every value is a function of its row
 * number, so a table of the same size always holds the same values.
 *
 *   npm run data -- --sample                                  the committed data/customers, anew
 *   npm run data -- --rows 5000000                            customers, 17 columns, hive folders by region
 *   npm run data -- --rows 1000000 --shape wide               the same with 200 columns
 *   npm run data -- --table bench-narrow --rows 5000000       one file: 17 columns, features f0..f9
 *   npm run data -- --table bench-wide --rows 1000000         one file: 201 columns, features f0..f9
 *   npm run data -- --table bench-mixed --rows 1000000        one file: 17 columns, text and numbers as in customers
 */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';

const root = fileURLToPath(new URL('..', import.meta.url));

const USAGE = `usage: npm run data -- [options]
  --table NAME           customers (default), bench-narrow, bench-wide, bench-mixed
  --rows N               rows of the table (default 50000; bench-narrow 5000000; bench-wide and bench-mixed 1000000)
  --shape SHAPE          customers only: narrow (17 columns, default) or wide (200)
  --files N              customers only: files a region (default 2)
  --row-group-rows N     rows of a row group, a multiple of 2048 (default 122880; 2048 up to 100000 rows)
  --compression CODEC    snappy (default), zstd, gzip, lz4_raw, uncompressed
  --out PATH             a folder for customers, a file for bench-*; default below out/data/
  --replace              write over what is there
  --sample               the committed sample: data/customers, 50000 rows, zstd`;

/** Regions with their slots among ten consecutive customers: shares of 30, 20, 40 and 10 %. */
const REGIONS = [
  { name: 'north', first: 0, slots: 3 },
  { name: 'south', first: 3, slots: 2 },
  { name: 'east', first: 5, slots: 4 },
  { name: 'west', first: 9, slots: 1 },
];

const FIRST_NAMES =
  'Ada Alan Amara Anna Ben Björn Chen Clara David Elena Emil Fatima Felix Grace Hana Hugo Ines Ivan Jonas Julia Karim Lea Leo Lin Lucía Marek Maria Mina Nora Olga Omar Paul Priya Rosa Samir Sara Tariq Théo Uma Yuki'.split(
    ' ',
  );
const LAST_NAMES =
  'Ahmed Bauer Bianchi Chen Costa Demir Diaz Dubois Fischer Garcia Haddad Hansen Ito Ivanova Jensen Kaya Khan Kim Kowalski Larsen Lee López Martin Meyer Moreau Müller Nagy Nguyen Novak Okafor Patel Petrov Popescu Rossi Sato Silva Smith Svensson Tanaka Weber'.split(
    ' ',
  );

/** Deterministic numbers of row `i`: `u(i, k)` is the k-th uniform one in [0, 1), `n(i, k)` a normal one (of four). */
const MACROS = `
  CREATE MACRO u(i, k) AS (hash(i * 128 + k) % 1000000) / 1000000.0;
  CREATE MACRO n(i, k) AS (u(i, k) + u(i, k + 1) + u(i, k + 2) + u(i, k + 3) - 2) * sqrt(3.0);
`;

const list = (values) => `[${values.map((value) => `'${value}'`).join(', ')}]`;
const series = (count, expression) => Array.from({ length: count }, (_, k) => expression(k));

/**
 * The customers of one region whose place in the region is in [from, to). About 0.5 % of the rows are broken on
 * purpose: an age of 999 or none, an income that is NULL, NaN, negative or infinite. Columns that models need not
 * have are NULL more often: name, discount_rate, email_opens, last_seen.
 */
function customers(region, from, to, wide) {
  const wideColumns = [
    ...series(100, (k) => `(hash(i * 7 + ${k}) % 1000)::INTEGER AS n${k}`),
    ...series(53, (k) => `((hash(i * 13 + ${k}) % 100000) / 100.0)::DOUBLE AS d${k}`),
    ...series(30, (k) => `'v_' || (hash(i * 17 + ${k}) % 300) AS s${k}`),
  ];
  return `
    WITH ids AS (
      SELECT 10 * (j // ${region.slots}) + ${region.first} + j % ${region.slots} AS i FROM range(${from}, ${to}) t(j)
    ), base AS (
      SELECT
        i,
        hash(i * 128 + 100) % 10000 AS fault,
        18 + floor(62 * (0.55 * u(i, 1) + 0.45 * u(i, 2)))::INTEGER AS years,
        1 + floor(3000 * u(i, 3) * u(i, 4))::INTEGER AS days,
        n(i, 5) AS wealth,
        n(i, 9) AS engagement
      FROM ids
    ), person AS (
      SELECT
        *,
        round(exp(10.2 + 0.45 * wealth + 0.012 * least(years, 55)), 0) AS earned,
        least(720, floor(exp(3.4 - 1.1 * engagement + 0.6 * n(i, 13))))::INTEGER AS idle
      FROM base
    )
    SELECT
      i + 1 AS customer_id,
      CASE WHEN u(i, 17) >= 0.002 THEN
        ${list(FIRST_NAMES)}[1 + (hash(i * 128 + 18) % ${FIRST_NAMES.length})::INTEGER] || ' ' ||
        ${list(LAST_NAMES)}[1 + (hash(i * 128 + 19) % ${LAST_NAMES.length})::INTEGER]
      END AS name,
      DATE '2026-06-30' - days AS signup_date,
      CASE WHEN idle > 240 AND u(i, 20) < 0.6 THEN 'closed' WHEN u(i, 21) < 0.12 THEN 'paused' ELSE 'active' END AS status,
      CASE WHEN fault < 10 THEN 999 WHEN fault < 15 THEN NULL ELSE years END::INTEGER AS age,
      CASE
        WHEN fault BETWEEN 15 AND 24 THEN NULL
        WHEN fault BETWEEN 25 AND 29 THEN 'NaN'::DOUBLE
        WHEN fault BETWEEN 30 AND 39 THEN -earned
        WHEN fault BETWEEN 40 AND 42 THEN 'Infinity'::DOUBLE
        WHEN fault BETWEEN 43 AND 44 THEN '-Infinity'::DOUBLE
        ELSE earned
      END AS income,
      (earned * (0.05 + 0.4 * u(i, 22)) - 2000 * u(i, 23))::DECIMAL(12, 2) AS balance,
      least(400, floor(exp(1.6 + 0.8 * engagement + 0.25 * wealth + ln(1 + days / 365.0) * 0.5)))::INTEGER
        AS num_transactions,
      days // 30 AS tenure_months,
      round(exp(3.2 + 0.4 * wealth + 0.3 * n(i, 24)), 1) AS avg_basket,
      idle AS days_since_login,
      floor(-1.1 * ln(1 - u(i, 28)) + greatest(0, -engagement))::INTEGER AS support_calls,
      CASE WHEN u(i, 29) >= 0.04 THEN 0.05 * floor(8 * u(i, 30) * u(i, 31)) END::FLOAT AS discount_rate,
      CASE WHEN u(i, 32) >= 0.02 THEN greatest(0, floor(6 + 5 * engagement + 3 * n(i, 33))) END::INTEGER AS email_opens,
      wealth + 0.6 * engagement + 0.4 * n(i, 37) > 1.0 AS is_premium,
      CASE WHEN u(i, 41) >= 0.03 THEN TIMESTAMP '2026-06-30 00:00:00' - to_days(idle) - to_seconds(900 * (hash(i * 128 + 42) % 96)::BIGINT)
      END AS last_seen
      ${wide ? `, ${wideColumns.join(', ')}` : ''}
    FROM person`;
}

/** 17 columns around ten features, five DOUBLE and five FLOAT, in [-2, 2). */
function benchNarrow(rows) {
  return `
    SELECT
      i AS id, 'cust_' || i AS name, ${list(['north', 'south', 'east', 'west'])}[1 + (hash(i) % 4)::INTEGER] AS region,
      DATE '2026-01-01' + (i % 30)::INTEGER AS dt,
      ${series(10, (k) => `((hash(i * 10 + ${k}) % 1000000) / 250000.0 - 2)::${k < 5 ? 'DOUBLE' : 'FLOAT'} AS f${k}`)},
      (hash(i) % 1000)::INTEGER AS extra1, 'text ' || (hash(i) % 5000) AS extra2, hash(i) % 3 = 0 AS extra3
    FROM range(${rows}) t(i)`;
}

/** 201 columns: an id, ten DOUBLE features in [-2, 2), and 190 that no model reads. */
function benchWide(rows) {
  return `
    SELECT
      i AS id,
      ${series(10, (k) => `((hash(i * 10 + ${k}) % 1000000) / 250000.0 - 2)::DOUBLE AS f${k}`)},
      ${series(100, (k) => `(hash(i * 7 + ${k}) % 1000)::INTEGER AS n${k}`)},
      ${series(60, (k) => `((hash(i * 13 + ${k}) % 100000) / 100.0)::DOUBLE AS d${k}`)},
      ${series(30, (k) => `'v_' || (hash(i * 17 + ${k}) % 300) AS s${k}`)}
    FROM range(${rows}) t(i)`;
}

/** 17 columns: what models/mixed_inputs.onnx takes, texts and whole numbers among it, and ten that no model reads. */
function benchMixed(rows) {
  return `
    SELECT
      i AS id, ${list(REGIONS.map(({ name }) => name))}[1 + (hash(i) % 4)::INTEGER] AS region,
      ${list(['active', 'paused', 'closed'])}[1 + (hash(i + 1) % 3)::INTEGER] AS status,
      (18 + hash(i + 2) % 70)::INTEGER AS age, (hash(i + 3) % 99)::INTEGER AS tenure_months,
      ((hash(i + 4) % 12000000) / 100.0)::DOUBLE AS income, hash(i + 5) % 3 = 0 AS is_premium,
      ${series(10, (k) => `'v_' || (hash(i * 17 + ${k}) % 300) AS extra${k}`)}
    FROM range(${rows}) t(i)`;
}

/** How many of the first `rows` customers live in the region. */
function population(region, rows) {
  const whole = Math.floor(rows / 10) * region.slots;
  return whole + Math.min(region.slots, Math.max(0, (rows % 10) - region.first));
}

/** Tables of one file, with the rows that the benchmark measures. */
const BENCH = {
  'bench-narrow': { rows: '5000000', query: benchNarrow },
  'bench-wide': { rows: '1000000', query: benchWide },
  'bench-mixed': { rows: '1000000', query: benchMixed },
};

function fail(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(64);
}

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        table: { type: 'string', default: 'customers' },
        rows: { type: 'string' },
        shape: { type: 'string', default: 'narrow' },
        files: { type: 'string', default: '2' },
        'row-group-rows': { type: 'string' },
        compression: { type: 'string' },
        out: { type: 'string' },
        replace: { type: 'boolean', default: false },
        sample: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const oneOf = (name, allowed, value) =>
    allowed.includes(value) ? value : fail(`--${name} is ${value}; allowed are ${allowed.join(', ')}`);
  const whole = (name, value) =>
    /^[1-9]\d*$/.test(value) ? Number(value) : fail(`--${name} is ${value}; it must be a whole number above 0`);

  const table = oneOf('table', ['customers', ...Object.keys(BENCH)], values.table);
  const shape = oneOf('shape', ['narrow', 'wide'], values.shape);
  const rows = whole('rows', values.rows ?? (table === 'customers' ? '50000' : BENCH[table].rows));
  const files = whole('files', values.files);
  const rowGroupRows = whole('row-group-rows', values['row-group-rows'] ?? (rows <= 100_000 ? '2048' : '122880'));
  const compression = oneOf(
    'compression',
    ['snappy', 'zstd', 'gzip', 'lz4_raw', 'uncompressed'],
    values.compression ?? (values.sample ? 'zstd' : 'snappy'),
  );
  const name = table === 'customers' ? `customers-${shape}-${rows}` : `${table}-${rows}.parquet`;
  const out = values.sample ? `${root}data/customers` : path.resolve(values.out ?? `${root}out/data/${name}`);
  return { table, shape, rows, files, rowGroupRows, compression, out, replace: values.replace || values.sample };
}

const { table, shape, rows, files, rowGroupRows, compression, out, replace } = options();
if (existsSync(out) && !replace) {
  console.error(`${out} exists already; give --replace to write over it, or another --out`);
  process.exit(1);
}

const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
await connection.run(MACROS);

let bytes = 0;
async function write(query, file) {
  mkdirSync(path.dirname(file), { recursive: true });
  await connection.run(
    `COPY (${query}) TO '${file.replaceAll("'", "''")}'
     (FORMAT parquet, COMPRESSION ${compression}, ROW_GROUP_SIZE ${rowGroupRows})`,
  );
  bytes += statSync(file).size;
}

if (table === 'customers') {
  for (const region of REGIONS) {
    const folder = path.join(out, `region=${region.name}`);
    rmSync(folder, { recursive: true, force: true });
    const count = population(region, rows);
    for (let part = 0; part < files; part++) {
      const from = Math.floor((count * part) / files);
      const to = Math.floor((count * (part + 1)) / files);
      await write(customers(region, from, to, shape === 'wide'), path.join(folder, `part-${part}.parquet`));
    }
  }
} else {
  await write(BENCH[table].query(rows), out);
}
console.log(`${rows} rows of ${table}, ${(bytes / 1e6).toFixed(1)} MB, in ${out}`);
connection.closeSync();
instance.closeSync();
