/**
 * What is held against every answer: it is an error with a code, a place and a way out, or an output that other readers
 * find complete and right.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { renderError } from '../../dist/cli/render/error.js';
import { ColonnadeError, ERROR_CODES } from '../../dist/errors.js';

/** Colours of a terminal that has none. */
const PLAIN = new Proxy({}, { get: () => (text) => text });

/** A trace of a stack, of JavaScript or of DuckDB. */
const TRACE = /\n\s+at\s|\bat .+\(.+:\d+:\d+\)|duckdb_libpgquery|_ZN\w+/;
/** What must not reach a terminal: all control characters but the line break. */
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

/** What is wrong with an error; undefined where it is one of ours, whole. */
export function faultOf(error) {
  if (!(error instanceof ColonnadeError)) return `an error without a code: ${error?.stack ?? error}`;
  if (!(error.code in ERROR_CODES)) return `the code ${error.code} is not known`;
  if (error.code === 'INTERNAL') return `INTERNAL: ${error.message}\n${error.cause?.stack ?? error.stack}`;
  const texts = [error.message, error.hint ?? '', ...error.problems.flatMap(({ message, hint }) => [message, hint])];
  if (error.message.trim() === '') return `${error.code} without a message`;
  const hint = error.hint ?? error.problems.find((problem) => problem.hint !== undefined)?.hint;
  if (hint === undefined) return `${error.code} without a way out: ${error.message}`;
  const trace = texts.find((text) => TRACE.test(text ?? ''));
  if (trace !== undefined) return `${error.code} with a trace: ${trace}`;
  const shown = renderError(error, '/', PLAIN);
  if (CONTROL.test(shown)) return `${error.code} shown with control characters: ${JSON.stringify(shown)}`;
  return undefined;
}

/** DuckDB as another reader, in a database of its own. */
export async function openReader() {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', enable_external_file_cache: 'false' });
  const connection = await instance.connect();
  return {
    /** @returns {Promise<Record<string, unknown>>} the first row */
    row: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJS()[0],
    run: (sql) => connection.run(sql),
  };
}

/**
 * pyarrow as another reader, in a process of its own; undefined where there is no Python. `ask` gives what `reader.py`
 * answers, and undefined where the process died of the question.
 */
export function openPyarrow() {
  const named = process.env.COLONNADE_PYTHON;
  const path = named ?? fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
  if (!existsSync(path)) return undefined;
  let child;
  let waiting;
  const start = () => {
    child = spawn(path, [fileURLToPath(new URL('reader.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'ignore'] });
    createInterface({ input: child.stdout }).on('line', (line) => waiting?.(JSON.parse(line)));
    child.on('exit', () => {
      child = undefined;
      waiting?.(undefined);
    });
    child.stdin.on('error', () => undefined);
  };
  return {
    ask: (question) =>
      new Promise((resolve) => {
        if (child === undefined) start();
        waiting = (answer) => {
          waiting = undefined;
          resolve(answer);
        };
        child.stdin.write(`${JSON.stringify(question)}\n`);
      }),
    close: () => child?.kill('SIGKILL'),
  };
}
