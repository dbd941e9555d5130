/** What must be there before anything is timed: an interpreter with the peers, models, tables. Each is made once. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** @import { Table } from './contestants.mjs' */

const bench = import.meta.dirname;
export const work = path.join(bench, 'work');

/** @param {string} command @param {string[]} args */
function run(command, args) {
  // What is said on the way goes to stderr: stdout is for the tables.
  execFileSync(command, args, { stdio: ['ignore', process.stderr, process.stderr] });
}

/**
 * The Python that runs the peers: the one that was named, else `bench/work/venv`, made and filled anew whenever
 * `requirements.txt` changes.
 *
 * @param {string | undefined} named
 * @returns {string} path of the interpreter
 */
export function preparePython(named) {
  if (named !== undefined && named !== '') {
    run(named, ['-c', 'import duckdb, numpy, onnx, onnxruntime, polars, pyarrow']);
    return named;
  }
  const venv = path.join(work, 'venv');
  const python = path.join(venv, 'bin', 'python');
  const requirements = path.join(bench, 'requirements.txt');
  const installed = path.join(venv, 'installed-requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (!existsSync(installed) || readFileSync(installed, 'utf8') !== wanted) {
    run('python3', ['-m', 'venv', '--clear', venv]);
    run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
    writeFileSync(installed, wanted);
  }
  return python;
}

/**
 * The models by table: a linear one, made here, and the sample model with an input for each column.
 *
 * @param {string} python
 * @returns {Record<Table, string>} paths of the .onnx files
 */
export function prepareModels(python) {
  const folder = path.join(work, 'models');
  run(python, [path.join(bench, 'models.py'), folder]);
  const linear = path.join(folder, 'linear.onnx');
  return { narrow: linear, wide: linear, mixed: path.join(bench, '../models/mixed_inputs.onnx') };
}

/**
 * A table of so many rows, by the same script as the samples.
 *
 * @param {Table} table
 * @param {number} rows
 * @returns {string} path of the Parquet file
 */
export function prepareTable(table, rows) {
  const file = path.join(work, 'data', `${table}-${rows}.parquet`);
  if (!existsSync(file)) {
    mkdirSync(path.dirname(file), { recursive: true });
    const part = `${file}.part`;
    const script = path.join(bench, '../scripts/data.mjs');
    run(process.execPath, [script, '--table', `bench-${table}`, '--rows', String(rows), '--out', part, '--replace']);
    renameSync(part, file);
  }
  return file;
}

/**
 * The versions of Python and of the peers.
 *
 * @param {string} python
 * @returns {string} one line
 */
export function describePython(python) {
  const code =
    'import platform; from importlib.metadata import version as v; ' +
    "print('Python ' + platform.python_version() + ', ' + " +
    "', '.join(f'{p} {v(p)}' for p in ('polars', 'pyarrow', 'duckdb', 'onnxruntime', 'numpy')))";
  return execFileSync(python, ['-c', code], { encoding: 'utf8' }).trim();
}
