/** Who is measured, and the command that makes each of them score a table. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

/**
 * @typedef {object} Job
 * @property {string} source the Parquet file to score
 * @property {string} model the ONNX file; what other formats a model has lies beside it
 * @property {string} output a path of its own for what is written: a file, or a folder
 */

/**
 * @typedef {object} Contestant
 * @property {string} id
 * @property {string} title
 * @property {(job: Job) => string[]} command
 * @property {boolean} [ours] it is Colonnade
 * @property {boolean} [writesNothing] there is no output to look at
 * @property {string[]} [check] options of verify.py; absent where nothing is predicted
 * @property {boolean} [slow] one round is enough, as it takes many times as long as the others
 * @property {string} [sessionTitle] it also tells how long it takes with its session up: a row of its own, `${id}_session`
 * @property {number} [sample] it scores only the first so many rows: what it takes for all is extrapolated
 * @property {{ module: string, command?: string[] }} [needs] a Python package, and a command that has to succeed
 */

const bench = import.meta.dirname;

/**
 * Colonnade, as users start it.
 *
 * @param {string} pipeline name of a file in pipelines/
 * @param {{ id?: string, title?: string, vars?: (job: Job) => Record<string, string>, flags?: string[], check?: string[] }} [options]
 * @returns {Contestant}
 */
export function colonnade(
  pipeline,
  { id = 'colonnade', title = 'Colonnade', vars = () => ({}), flags = [], check = [] } = {},
) {
  return {
    id,
    title,
    ours: true,
    check,
    command: (job) => [
      process.execPath,
      path.join(bench, '../dist/bin/colonnade.js'),
      'run',
      path.join(bench, 'pipelines', `${pipeline}.yaml`),
      ...Object.entries({ data: job.source, out: job.output, ...vars(job) }).flatMap(([name, value]) => [
        '--var',
        `${name}=${value}`,
      ]),
      ...flags,
      '--json',
      '--quiet',
    ],
  };
}

/** Rows that are asked for over HTTP: seconds are enough to know how long one takes. */
const HTTP_ROWS = 20_000;
/** The cluster that PySpark brings is Java's. */
const JAVA = ['java', '-version'];

/**
 * The peers, and references that predict nothing, by id.
 *
 * @param {string} python the interpreter with the packages of `requirements.txt`
 * @returns {Map<string, Contestant>}
 */
export function peers(python) {
  /**
   * @param {string} id name of a file in peers/, where `file` does not say
   * @param {string} title
   * @param {Partial<Contestant> & { file?: string, format?: string, arguments?: string[] }} [options] `format`: ending of the model's file
   * @returns {Contestant}
   */
  const script = (id, title, { file = id, format = '.onnx', arguments: more = [], ...options } = {}) => ({
    id,
    title,
    check: [],
    command: ({ source, model, output }) => [
      python,
      path.join(bench, 'peers', `${file}.py`),
      source,
      model.replace(/\.onnx$/, format),
      output,
      ...more,
    ],
    ...options,
  });
  /** @param {string} id @param {string} title @param {number} connections */
  const http = (id, title, connections) =>
    script(id, `${title} (${HTTP_ROWS.toLocaleString('en')} measured, extrapolated)`, {
      file: 'http_rows',
      slow: true,
      sample: HTTP_ROWS,
      arguments: [String(HTTP_ROWS), String(connections)],
    });
  const all = [
    script('polars_onnx', 'polars streaming + ONNX Runtime'),
    script('polars_xgboost', "polars streaming + XGBoost's own predictor", { format: '.ubj' }),
    // Its thresholds are float64 and those of the exported graph float32: a value between the two takes another branch.
    script('polars_lightgbm', "polars streaming + LightGBM's own predictor", {
      format: '.txt',
      check: ['--strays', '1e-4'],
    }),
    script('pyarrow_onnx', 'pyarrow batches + ONNX Runtime'),
    script('duckdb_udf', 'DuckDB for Python, Arrow UDF'),
    script('pyarrow_memory', 'the plain listing: pyarrow, all in memory, batches of 1,000', { slow: true }),
    script('ray_data', 'Ray Data, a pool of actors', {
      slow: true,
      check: ['--any-order'],
      needs: { module: 'ray' },
    }),
    script('pyspark_arrow', 'PySpark mapInArrow, local[2]', {
      slow: true,
      sessionTitle: 'PySpark mapInArrow, local[2], session already up',
      check: ['--any-order'],
      needs: { module: 'pyspark', command: JAVA },
    }),
    http('http_rows', 'one HTTP request a row', 1),
    http('http_rows_8', 'the same, 8 at once', 8),
    script('duckdb_partition', "DuckDB's own COPY, a constant in place of predictions", {
      check: ['--any-order', '--constant'],
    }),
    {
      id: 'imports',
      title: "python -c 'import polars, onnxruntime'",
      writesNothing: true,
      command: () => [python, '-c', 'import polars, onnxruntime'],
    },
    {
      id: 'copy',
      title: 'cp and fsync (no scoring)',
      command: ({ source, output }) => ['sh', '-c', 'cp "$0" "$1" && sync "$1"', source, output],
    },
  ];
  return new Map(all.map((peer) => [peer.id, peer]));
}

/**
 * Why a contestant cannot run here; undefined where it can.
 *
 * @param {string} python
 * @param {Contestant} contestant
 * @returns {string | undefined}
 */
export function lack(python, { needs }) {
  if (needs === undefined) return undefined;
  const found = `import sys; from importlib.util import find_spec; sys.exit(find_spec("${needs.module}") is None)`;
  const works = (/** @type {string[]} */ [command, ...args]) => spawnSync(command, args).status === 0;
  if (!works([python, '-c', found])) return `the Python package ${needs.module} is not there (requirements-large.txt)`;
  if (needs.command !== undefined && !works(needs.command)) return `${needs.command[0]} is not there`;
  return undefined;
}
