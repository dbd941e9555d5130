/**
 * The Python that tests hold Colonnade's results against: `$COLONNADE_PYTHON`, else `.venv/bin/python` at the root of
 * the repository, with the packages of `test/requirements.txt`. Nothing outside the tests needs it.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const named = process.env.COLONNADE_PYTHON;
const candidate = named !== undefined && named !== '' ? named : `${root}.venv/bin/python`;

/** Absolute path of the interpreter, or undefined where there is none. */
export const pythonPath: string | undefined = existsSync(candidate) ? candidate : undefined;

/** Output that one call may print; more is an error, not a truncation. */
const MAX_OUTPUT_BYTES = 512 * 1024 * 1024;

/**
 * Runs Python and resolves with what it printed to stdout.
 *
 * @param script path of a `.py` file, or the code itself
 * @param args what the script sees in `sys.argv[1:]`
 * @throws Error with stderr as its message when Python is missing, cannot be started or exits with another status than 0
 */
export function python(script: string, args: readonly string[] = []): Promise<string> {
  const isFile = script.endsWith('.py') && !script.includes('\n');
  return new Promise((resolve, reject) => {
    if (pythonPath === undefined) {
      reject(new Error(absence()));
      return;
    }
    execFile(
      pythonPath,
      [...(isFile ? [] : ['-c']), script, ...args],
      {
        cwd: root,
        maxBuffer: MAX_OUTPUT_BYTES,
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', PYTHONUTF8: '1' },
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else
          reject(new Error(`Python failed: ${stderr.trim() === '' ? error.message : stderr.trim()}`, { cause: error }));
      },
    );
  });
}

/**
 * `describe` for tests that need Python. Without an interpreter they are skipped and a warning says why;
 * under `CI=true`, or where `$COLONNADE_PYTHON` names a file that is not there, they fail.
 */
export function describePython(name: string, fn: () => void): void {
  if (pythonPath !== undefined) {
    describe(name, fn);
  } else if (process.env.CI === 'true' || (named !== undefined && named !== '')) {
    describe(name, () => {
      it('has a Python to hold the results against', () => {
        throw new Error(absence());
      });
    });
  } else {
    console.warn(`"${name}" is skipped: ${absence()}`);
    describe.skip(`${name} (skipped: no Python)`, fn);
  }
}

function absence(): string {
  return (
    `no Python at ${candidate}; run "python3 -m venv .venv && .venv/bin/pip install -r test/requirements.txt", ` +
    'or name an interpreter in COLONNADE_PYTHON'
  );
}
