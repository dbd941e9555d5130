/** Folders and manifests for tests of the commit protocol. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import type { Manifest } from '../../src/commit/manifest.js';
import { filesBelow } from '../run/workbench.js';

/** A folder that is removed after the tests of the file. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'colonnade-commit-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files with their folders. */
export async function writeTree(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

/** Texts of all files below a folder by their paths; undefined where there is no such folder. */
export async function readTree(folder: string): Promise<Record<string, string>> {
  const files = await filesBelow(folder);
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), 'utf8')] as const)),
  );
}

export function manifestOf(
  output: string,
  run: string,
  options: { readonly quarantine?: boolean; readonly exists?: 'fail' | 'replace'; readonly planHash?: string } = {},
): Manifest {
  const { quarantine = false, exists = 'replace', planHash = 'a'.repeat(64) } = options;
  return {
    format: 1,
    run_id: run,
    plan_hash: planHash,
    pipeline: { name: 'test', file: '/p.yaml', hash: 'h' },
    models: [{ path: '/m.onnx', hash: 'h', engine: 'onnxruntime', batch_size: 1 }],
    inputs: [],
    output,
    outputs: [{ path: 'a.parquet', rows: 1, bytes: 3, sha256: 'x' }],
    columns: [{ name: 'score', type: 'float32', list: false }],
    quarantine: quarantine ? [{ path: 'q.parquet', rows: 1, bytes: 3, sha256: 'x' }] : [],
    ledger: { files: [], rows: 1, scored: 1, quarantined: 0, nulled: 0, filtered: 0, written: 1, quarantineWritten: 0 },
    reasons: {},
    nan: {},
    versions: {},
    started_at: '2026-01-01T00:00:00.000Z',
    finished_at: '2026-01-01T00:00:01.000Z',
    timings: {},
    sink: { mode: 'append', path: output, partitionBy: [], columns: [], exists, compression: 'zstd', rowGroupSize: 1 },
  };
}
