/** A folder for the files of one test file, and DuckDB to make them with. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { openDatabase, type Database } from '../../src/source/database.js';

/** A new folder that is removed after the tests of the file. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'colonnade-source-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A database that may read and write below the folder; closed after the tests of the file. */
export async function testDatabase(
  folder: string,
  options: { threads?: number; memoryLimit?: number } = {},
): Promise<Database> {
  const database = await openDatabase({
    memoryLimit: options.memoryLimit ?? 400e6,
    threads: options.threads ?? 2,
    spillDirectory: join(folder, 'spill'),
    readable: [],
    writable: [folder],
  });
  afterAll(() => database.close());
  return database;
}

/** Matches a text that has this one in it; typed, as vitest's own matchers are `any`. */
export function containing(text: string): unknown {
  return expect.stringContaining(text);
}

export function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
