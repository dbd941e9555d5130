/** The built command line at work on a workbench, disturbed where a test says so, and what it leaves behind. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'vitest';
import type { SerializedError } from '../../src/errors.js';
import type { RunSummary } from '../../src/run/events.js';
import { built, runNode, type Ended } from '../built.js';
import type { Workbench } from './workbench.js';

/** What is done to a process of the program; see `test/disturbed.mjs`. */
export interface Disturbance {
  readonly who: 'main' | 'worker';
  readonly at?: 'start' | 'rows' | 'written' | number;
  readonly below?: string;
  readonly from?: string;
  readonly when?: 'before' | 'after';
  readonly signals?: readonly NodeJS.Signals[];
  readonly fails?: string;
  readonly times?: number;
  readonly target?: 'self' | 'parent' | 'group';
  /** Only the first process that comes to that place. */
  readonly once?: boolean;
}

export interface Told extends Ended {
  /** What `--json` writes; undefined where the program was killed before. */
  readonly result: RunSummary | { readonly status: 'failed'; readonly error: SerializedError } | undefined;
  /** Records of the log. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** Ids of the worker processes that there were. */
  readonly workers: readonly number[];
}

const disturber = pathToFileURL(fileURLToPath(new URL('../disturbed.mjs', import.meta.url))).href;

/** Runs `colonnade run`, with its result and its log as JSON. */
export async function runProgram(
  bench: Workbench,
  pipeline: string,
  args: readonly string[],
  disturbance?: Disturbance,
): Promise<Told> {
  const pids = bench.path('pids');
  const once = bench.path('disturbed');
  for (const left of [pids, once]) await rm(left, { recursive: true, force: true });
  await mkdir(pids);
  const how = { ...disturbance, once: disturbance?.once === true ? once : undefined, pids };
  const ended = await runNode(
    built('bin/colonnade.js'),
    ['run', pipeline, '--json', '--log-format', 'json', '--log-level', 'debug', ...args],
    {
      env: { DISTURB: JSON.stringify(how), NODE_OPTIONS: `--import ${disturber}` },
      // So that a signal to the group does not reach the tests.
      ownGroup: true,
    },
  );
  return {
    ...ended,
    result: ended.stdout === '' ? undefined : (JSON.parse(ended.stdout) as RunSummary),
    log: ended.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>),
    workers: (await readdir(pids)).map(Number),
  };
}

/** The summary of a run that must be done. */
export function summaryOf({ code, result, stderr }: Told): RunSummary {
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return result as RunSummary;
}

/** The error of a run that must have failed. */
export function errorOf({ result }: Told): SerializedError {
  expect(result).toMatchObject({ status: 'failed' });
  return (result as { readonly error: SerializedError }).error;
}

/**
 * Hashes of all files of an output and of its quarantine. The id of the run stands in the metadata of each Parquet file,
 * and is the one thing in which two runs of a plan may differ: it is blotted out, where it must be found exactly once.
 */
export async function writtenBy(
  bench: Workbench,
  runId: string,
  folders: readonly string[] = ['out', 'out.colonnade/quarantine'],
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const folder of folders) {
    for (const file of await bench.files(folder)) {
      const bytes = await readFile(bench.path(join(folder, file)));
      if (file !== '_SUCCESS') {
        const at = bytes.indexOf(runId);
        expect({ file, times: at < 0 ? 0 : bytes.indexOf(runId, at + 1) < 0 ? 1 : 2 }).toEqual({ file, times: 1 });
        bytes.fill('-', at, at + runId.length);
      }
      hashes[`${folder}/${file}`] = createHash('sha256').update(bytes).digest('hex');
    }
  }
  return hashes;
}

/** Waits until processes are gone; a test in which one is not runs out of time. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
