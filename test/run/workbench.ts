/** A folder with sources, models and pipelines of one test file, and DuckDB to make the ones and read the others. */
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll } from 'vitest';
import { stringify } from 'yaml';
import type { Manifest } from '../../src/commit/manifest.js';
import { ColonnadeError } from '../../src/errors.js';
import { loadPipeline } from '../../src/pipeline/load.js';
import type { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Plan } from '../../src/plan/plan.js';
import type { RunEvent, RunOptions, RunSummary } from '../../src/run/events.js';
import { preparePlan } from '../../src/run/prepare.js';
import { startRun } from '../../src/run/run.js';

/** What a pipeline file says, but for what a workbench fills in: the source `data`, the sink `append` to `out`. */
export interface Parts {
  readonly name?: string;
  readonly source?: Readonly<Record<string, unknown>>;
  readonly features: readonly unknown[];
  readonly model?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  /** In place of `model` and `outputs`. */
  readonly models?: Readonly<Record<string, unknown>>;
  readonly validate?: Readonly<Record<string, unknown>>;
  readonly sink?: Readonly<Record<string, unknown>>;
  readonly run?: Readonly<Record<string, unknown>>;
}

export interface Finished {
  readonly summary: RunSummary;
  readonly events: readonly RunEvent[];
  readonly manifest: Manifest;
}

export interface Workbench {
  readonly folder: string;
  path(name: string): string;
  /** Runs SQL; 64-bit integers are bigint. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /** Writes a query as Parquet with a few rows a row group at least 2,048; gives the path. */
  parquet(name: string, query: string, options?: string): Promise<string>;
  /** Writes a file with its folders; gives the path. */
  write(name: string, content: string | Uint8Array): Promise<string>;
  /** Writes a pipeline file; gives the path. */
  pipeline(parts: Parts, name?: string): Promise<string>;
  load(parts: Parts): Promise<Pipeline>;
  plan(parts: Parts): Promise<Plan>;
  run(parts: Parts, options?: RunOptions): Promise<Finished>;
  /** The error that the pipeline ends in, which must be a ColonnadeError. */
  failure(parts: Parts, options?: RunOptions): Promise<ColonnadeError>;
  /** Relative paths of all files below a folder, sorted; none where there is no folder. */
  files(name: string): Promise<string[]>;
  /** What lies beside the output, but for what only tells: records of runs, and of what scores were made. */
  beside(): Promise<string[]>;
  /** The output is not there, and nothing lies beside it but what a later run goes on from. */
  isVisible(name?: string): Promise<boolean>;
  clear(): Promise<void>;
}

/** A sample model of the repository. */
export function sampleModel(name: string): string {
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
}

/** Opens a workbench that is cleared after the tests of the file. */
export async function openWorkbench(): Promise<Workbench> {
  const folder = await mkdtemp(join(tmpdir(), 'colonnade-run-'));
  const instance = await DuckDBInstance.create(':memory:', { enable_external_file_cache: 'false', threads: '1' });
  const connection = await instance.connect();
  afterAll(async () => {
    connection.closeSync();
    instance.closeSync();
    await rm(folder, { recursive: true, force: true });
  });
  const path = (name: string): string => join(folder, name);
  const bench: Workbench = {
    folder,
    path,
    rows: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJS(),
    parquet: async (name, query, options = 'row_group_size 2048') => {
      await mkdir(dirname(path(name)), { recursive: true });
      await connection.run(`COPY (${query}) TO '${path(name)}' (FORMAT parquet, ${options})`);
      return path(name);
    },
    write: async (name, content) => {
      await mkdir(dirname(path(name)), { recursive: true });
      await writeFile(path(name), content);
      return path(name);
    },
    pipeline: async ({ source, sink, ...parts }, name = 'pipeline.yaml') => {
      const whole = {
        version: 1,
        name: 'test',
        source: { path: 'data', ...source },
        ...parts,
        sink: { mode: 'append', path: 'out', ...sink },
      };
      return bench.write(name, stringify(whole));
    },
    load: async (parts) => loadPipeline(await bench.pipeline(parts), { env: {} }),
    plan: async (parts) => preparePlan(await bench.load(parts)),
    run: async (parts, options) => {
      const run = startRun(await bench.plan(parts), options);
      const events: RunEvent[] = [];
      for await (const event of run) events.push(event);
      const summary = await run.result;
      return { summary, events, manifest: JSON.parse(await readFile(summary.manifest, 'utf8')) as Manifest };
    },
    failure: async (parts, options) => rejection(bench.run(parts, options)),
    files: (name) => filesBelow(path(name)),
    beside: async () =>
      (await bench.files('out.colonnade')).filter((file) => !/^runs\/|^staging\/[\w-]+\/plan\.json$/.test(file)),
    isVisible: async (name = 'out') =>
      (await exists(path(name))) || (await exists(path(`${name}.colonnade/manifest.json`))),
    clear: async () => {
      for (const entry of await readdir(folder)) await rm(join(folder, entry), { recursive: true, force: true });
    },
  };
  return bench;
}

/** The error that a promise is rejected with, which must be a {@link ColonnadeError}. */
export async function rejection(promise: Promise<unknown>): Promise<ColonnadeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ColonnadeError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

export async function filesBelow(folder: string): Promise<string[]> {
  if (!(await exists(folder))) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
