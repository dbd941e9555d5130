/** Who is measured, and the command that makes each of them score a table. */
import path from 'node:path';

/** @typedef {'narrow' | 'wide' | 'mixed'} Table */

/**
 * @typedef {object} Job
 * @property {Table} table
 * @property {string} source the Parquet file to score
 * @property {string} model the ONNX file
 * @property {string} output a path of its own for what is written: a file, or a folder
 */

/**
 * @typedef {object} Contestant
 * @property {string} id
 * @property {string} title
 * @property {boolean} scores false for a reference that copies and predicts nothing
 * @property {(job: Job) => string[]} command
 */

const bench = import.meta.dirname;

/** Colonnade, as users start it. @type {Contestant} */
export const colonnade = {
  id: 'colonnade',
  title: 'Colonnade',
  scores: true,
  command: ({ table, source, output }) => [
    process.execPath,
    path.join(bench, '../dist/bin/colonnade.js'),
    'run',
    path.join(bench, 'pipelines', `${table}.yaml`),
    '--var',
    `data=${source}`,
    '--var',
    `out=${output}`,
    '--json',
    '--quiet',
  ],
};

/**
 * The peers, and a plain copy as the floor of anything that leaves a whole new file.
 *
 * @param {string} python the interpreter with the packages of `requirements.txt`
 * @returns {Contestant[]}
 */
export function peers(python) {
  /** @param {string} id @param {string} title @returns {Contestant} */
  const script = (id, title) => ({
    id,
    title,
    scores: true,
    command: ({ source, model, output }) => [python, path.join(bench, 'peers', `${id}.py`), source, model, output],
  });
  return [
    script('polars_onnx', 'polars streaming + ONNX Runtime'),
    script('pyarrow_onnx', 'pyarrow batches + ONNX Runtime'),
    script('duckdb_udf', 'DuckDB for Python, Arrow UDF'),
    script('pyarrow_memory', 'pyarrow, all in memory'),
    {
      id: 'copy',
      title: 'cp and fsync (no scoring)',
      scores: false,
      command: ({ source, output }) => ['sh', '-c', 'cp "$0" "$1" && sync "$1"', source, output],
    },
  ];
}
