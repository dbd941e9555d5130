/** What must be there before anything is timed: an interpreter with the peers, models, tables. Each is made once. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** @import { Model, Table } from './figures.mjs' */

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
    run(named, ['-c', 'import duckdb, fastapi, lightgbm, onnxmltools, onnxruntime, polars, pyarrow, uvicorn, xgboost']);
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
 * The models: those that `models.py` makes, and the sample model with an input for each column.
 *
 * @param {string} python
 * @returns {Record<Model, string>} paths of the .onnx files
 */
export function prepareModels(python) {
  const folder = path.join(work, 'models');
  const script = path.join(bench, 'models.py');
  // Written last, with the script that it was made by.
  const made = path.join(folder, 'made-by.py');
  const wanted = readFileSync(script, 'utf8');
  if (!existsSync(made) || readFileSync(made, 'utf8') !== wanted) {
    run(python, [script, folder]);
    writeFileSync(made, wanted);
  }
  return {
    linear: path.join(folder, 'linear.onnx'),
    xgboost: path.join(folder, 'xgboost.onnx'),
    lightgbm: path.join(folder, 'lightgbm.onnx'),
    mixed_inputs: path.join(bench, '../models/mixed_inputs.onnx'),
  };
}

/**
 * A table of so many rows, by the same script as the samples.
 *
 * @param {Table} table
 * @param {number} rows
 * @param {string} [folder]
 * @returns {string} path of the Parquet file
 */
export function prepareTable(table, rows, folder = path.join(work, 'data')) {
  const file = path.join(folder, `${table}-${rows}.parquet`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
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
  const code = `
import platform
from importlib.metadata import PackageNotFoundError, version
said = [f'Python {platform.python_version()}']
for package in ('polars', 'pyarrow', 'duckdb', 'onnxruntime', 'xgboost', 'lightgbm', 'numpy', 'fastapi', 'ray', 'pyspark'):
    try:
        said.append(f'{package} {version(package)}')
    except PackageNotFoundError:
        pass
print(', '.join(said))`;
  return execFileSync(python, ['-c', code], { encoding: 'utf8' }).trim();
}
