/** The built command line as a process of its own, as users and scripts start it. */
import { execFileSync, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { built, type Ended } from '../built.js';
import { linearModel } from '../run/onnx.js';
import { openWorkbench, type Workbench } from '../run/workbench.js';

export interface Call {
  readonly cwd?: string;
  /** Beside PATH and HOME; nothing else of the tests' own environment reaches the program. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The program's command line for a shell. */
export const COLONNADE = [process.execPath, built('bin/colonnade.js')].map(quoted).join(' ');

/** Runs `colonnade` with pipes for stdout and stderr. */
export function colonnade(args: readonly string[], call: Call = {}): Promise<Ended> {
  return ended([process.execPath, built('bin/colonnade.js'), ...args], call);
}

/** Runs a script in bash; {@link COLONNADE} is the program in it. */
export function bash(script: string, call: Call = {}): Promise<Ended> {
  return ended(['bash', '--norc', '--noprofile', '-c', script], call);
}

/** Runs a shell command on a terminal of its own; stdout is all that appears on it. */
export function onTerminal(command: string, call: Call & { readonly columns: number }): Promise<Ended> {
  return ended(['script', '-qec', `stty cols ${call.columns} rows 24; ${command}`, '/dev/null'], call);
}

/** `describe` for what needs a terminal, which `script` of util-linux makes; under `CI=true` it must be there. */
export function describeTerminal(name: string, fn: () => void): void {
  if (hasScript()) {
    describe(name, fn);
  } else if (process.env.CI === 'true') {
    describe(name, () => {
      it('has a terminal', () => expect.fail('script of util-linux is not installed'));
    });
  } else {
    console.warn(`"${name}" is skipped: script of util-linux is not installed`);
    describe.skip(`${name} (skipped: no terminal)`, fn);
  }
}

function hasScript(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

function ended(command: readonly string[], { cwd, env = {} }: Call): Promise<Ended> {
  const [program = '', ...args] = command;
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (data: Buffer) => stdout.push(data));
    child.stderr.on('data', (data: Buffer) => stderr.push(data));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The one JSON object that a text is, with the line's end and nothing else around it. */
export function onlyObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  expect(value).toBeTypeOf('object');
  expect(text).toBe(`${text.trim()}\n`);
  return value as Record<string, unknown>;
}

/** The records of a JSON log, a line each. */
export function records(stderr: string): { level: string; msg: string; [field: string]: unknown }[] {
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { level: string; msg: string });
}

/** A frame of a stack trace, which is for those who write the program, not for those who use it. */
export const STACK = /^\s*at .+\.[cm]?[jt]s:\d+:\d+\)?$/m;

/**
 * A workbench with `shop.yaml`: two files in hive folders, 6,000 rows. `score` is twice `x`, which counts from 0 to 49 and
 * is NULL in every tenth row; a variable says how large it may be.
 */
export async function openShop(): Promise<Workbench> {
  const bench = await openWorkbench();
  await bench.write('models/double.onnx', linearModel([2]));
  for (const [i, region] of ['north', 'south'].entries()) {
    await bench.parquet(
      `data/region=${region}/part.parquet`,
      `SELECT i AS id, CASE WHEN i % 10 < 9 THEN (i % 50)::FLOAT END AS x, 'item ' || i AS name FROM range(${i * 3000}, ${(i + 1) * 3000}) t(i)`,
    );
  }
  await bench.write('shop.yaml', SHOP);
  return bench;
}

/** The pipeline of {@link openShop}. */
export const SHOP = `version: 1
name: shop
vars: { most: 1000 }
source: { path: data, key: id }
features: [x]
model: { path: models/double.onnx }
outputs: { score: score }
validate:
  rules:
    x:
      max: \${vars.most}
sink: { mode: append, path: out }
`;
