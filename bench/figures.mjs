/** What is compared with what: tables, models, contestants, and the targets that the project has set itself. */
import { ENGINES } from '../dist/pipeline/pipeline.js';
import { colonnade, peers } from './contestants.mjs';

/** @import { Contestant } from './contestants.mjs' */
/** @import { Cost } from './report.mjs' */

/** @typedef {'narrow' | 'wide' | 'mixed'} Table */
/** @typedef {'linear' | 'xgboost' | 'lightgbm' | 'mixed_inputs'} Model */

/**
 * A figure of one contestant as a multiple of another's, and the least or the most that it should be.
 *
 * @typedef {object} Target
 * @property {string} of id of a contestant
 * @property {string} over the other one's
 * @property {'wall_s' | 'cpu_s'} [figure] wall time where absent
 * @property {number} [least]
 * @property {number} [most]
 */

/**
 * Contestants that score the same table with the same model, in turn.
 *
 * @typedef {object} Race
 * @property {string} id
 * @property {string} title with the rows left out
 * @property {Table} table
 * @property {number} rows
 * @property {Model} model
 * @property {Contestant[]} contestants times are told as multiples of the first one's
 * @property {Target[]} targets
 * @property {string} [kernels] output of the model: the irreducible work is measured as well
 * @property {string[]} [atScale] contestants whose cost at scale is estimated; see cost.mjs
 * @property {boolean} [fixed] its number of rows is what it is about
 */

export const NARROW_ROWS = 5_000_000;
export const WIDE_ROWS = 1_000_000;

/** Wall time as a multiple of the sum of the kernels over the cores. */
export const MOST_OVER_KERNELS = 1.15;
/** Bytes of the largest process of Colonnade, and peak memory with ten times the rows. */
export const MOST_WORKER_BYTES = 350e6;
export const MOST_GROWTH = 1.1;
/** Seconds of ONNX Runtime as a multiple of the tree kernel's, one thread each. */
export const LEAST_TREES = { xgboost: 6, lightgbm: 5 };
/** On a file system that shares blocks, as a multiple of Colonnade's wall time: by tens of the rows. */
export const LEAST_REFLINK = [6, 12];

const trees = (/** @type {import('./contestants.mjs').Job} */ { model }) => ({ model });

/**
 * @param {string} python the interpreter with the packages of `requirements.txt`
 * @returns {Race[]}
 */
export function races(python) {
  const known = peers(python);
  /** @param {string[]} ids */
  const named = (...ids) =>
    ids.map((id) => {
      const peer = known.get(id);
      if (peer === undefined) throw new Error(`there is no peer ${id}`);
      return peer;
    });
  return [
    {
      id: 'narrow',
      title: '17 columns, append, linear model of 10 features',
      table: 'narrow',
      rows: NARROW_ROWS,
      model: 'linear',
      contestants: [
        colonnade('narrow'),
        ...named(
          'polars_onnx',
          'pyarrow_onnx',
          'duckdb_udf',
          'pyarrow_memory',
          'ray_data',
          'pyspark_arrow',
          'http_rows',
          'http_rows_8',
          'copy',
        ),
      ],
      targets: [
        { of: 'polars_onnx', over: 'colonnade', least: 2 },
        { of: 'pyspark_arrow_session', over: 'colonnade', least: 10 },
        { of: 'http_rows', over: 'colonnade', least: 1000 },
      ],
      kernels: 'prediction',
      atScale: ['colonnade', 'polars_onnx', 'pyspark_arrow_session', 'http_rows'],
    },
    {
      id: 'wide',
      title: '201 columns, append, linear model of 10 features',
      table: 'wide',
      rows: WIDE_ROWS,
      model: 'linear',
      contestants: [colonnade('wide'), ...named('polars_onnx', 'pyarrow_onnx', 'duckdb_udf', 'pyarrow_memory', 'copy')],
      targets: [
        { of: 'polars_onnx', over: 'colonnade', least: 4 },
        { of: 'polars_onnx', over: 'colonnade', figure: 'cpu_s', least: 5 },
      ],
      kernels: 'prediction',
      atScale: ['colonnade', 'polars_onnx'],
    },
    {
      id: 'mixed',
      title: '17 columns, append, one-hot encoder and linear model of six inputs, two of them text',
      table: 'mixed',
      rows: 1_000_000,
      model: 'mixed_inputs',
      contestants: [colonnade('mixed'), ...named('pyarrow_onnx', 'copy')],
      targets: [{ of: 'colonnade', over: 'pyarrow_onnx', most: 2 }],
    },
    {
      id: 'xgboost',
      title: '17 columns, append, XGBoost, 100 trees of depth 6',
      table: 'narrow',
      rows: NARROW_ROWS,
      model: 'xgboost',
      contestants: [
        colonnade('trees', { vars: trees }),
        ...named('polars_onnx', 'polars_xgboost', 'pyarrow_onnx', 'duckdb_udf'),
      ],
      targets: [
        { of: 'polars_onnx', over: 'colonnade', least: 6 },
        { of: 'polars_xgboost', over: 'colonnade', least: 2 },
      ],
      kernels: 'probabilities',
      atScale: ['colonnade', 'polars_onnx', 'polars_xgboost'],
    },
    {
      id: 'lightgbm',
      title: '17 columns, append, LightGBM, 100 trees of 63 leaves',
      table: 'narrow',
      rows: NARROW_ROWS,
      model: 'lightgbm',
      contestants: [colonnade('trees', { vars: trees }), ...named('polars_onnx', 'polars_lightgbm')],
      targets: [{ of: 'polars_lightgbm', over: 'colonnade', least: 6 }],
    },
    {
      id: 'partition',
      title: '17 columns, partition by region, linear model of 10 features',
      table: 'narrow',
      rows: NARROW_ROWS,
      model: 'linear',
      contestants: [colonnade('partition', { check: ['--any-order'] }), ...named('duckdb_partition')],
      targets: [{ of: 'colonnade', over: 'duckdb_partition', most: 1.3 }],
    },
    workers(),
    {
      id: 'startup',
      title: '17 columns: what starting costs',
      table: 'narrow',
      rows: 1000,
      model: 'linear',
      contestants: [colonnade('narrow'), ...named('imports', 'polars_onnx')],
      targets: [{ of: 'colonnade', over: 'imports', most: 1 }],
      fixed: true,
    },
  ];
}

/** One worker process and two, by each engine. @returns {Race} */
function workers() {
  const engines = ENGINES.filter((engine) => engine !== 'auto');
  /** @param {string} engine @param {number} count */
  const run = (engine, count) =>
    colonnade('trees', {
      id: `${engine}_${count}`,
      title: `Colonnade, engine ${engine}, workers ${count}`,
      vars: (job) => ({ ...trees(job), engine }),
      flags: ['--workers', String(count)],
    });
  return {
    id: 'workers',
    title: '17 columns, append, XGBoost, by worker processes',
    table: 'narrow',
    rows: NARROW_ROWS,
    model: 'xgboost',
    contestants: engines.flatMap((engine) => [run(engine, 1), run(engine, 2)]),
    targets: engines.map((engine) => ({ of: `${engine}_1`, over: `${engine}_2`, least: 1.8 })),
  };
}

/**
 * The wide table on a file system that shares blocks, and ten times its rows.
 *
 * @param {string} python
 * @param {number} rows
 * @returns {Race[]}
 */
export function reflinkRaces(python, rows) {
  const polars = peers(python).get('polars_onnx');
  if (polars === undefined) throw new Error('there is no peer polars_onnx');
  return LEAST_REFLINK.map((least, k) => ({
    id: `reflink-${10 ** k}`,
    title: '201 columns on XFS with reflinks, append, linear model of 10 features',
    table: 'wide',
    rows: rows * 10 ** k,
    model: 'linear',
    contestants: [colonnade('wide'), polars],
    targets: [{ of: 'polars_onnx', over: 'colonnade', least }],
  }));
}

/**
 * Colonnade on the narrow table by its size: what memory costs.
 *
 * @param {number} rows
 * @returns {Race}
 */
export function memoryRace(rows) {
  return {
    id: `memory-${rows}`,
    title: '',
    table: 'narrow',
    rows,
    model: 'linear',
    contestants: [colonnade('narrow')],
    targets: [],
  };
}
