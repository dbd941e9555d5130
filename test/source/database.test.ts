import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/source/database.js';
import { containing, matching, testDatabase, testFolder } from './folder.js';

const folder = await testFolder();
const open = await testDatabase(folder);
for (const place of ['in', 'in/sub', 'out', 'outside']) await mkdir(join(folder, place));
const data = join(folder, 'in', "it's a [1]*.parquet");
await open.run(
  `COPY (SELECT i AS id, i * 2.0::DOUBLE AS x FROM range(10000) t(i)) TO '${data.replaceAll("'", "''")}' (FORMAT parquet)`,
);
for (const copy of ['in/sub/a.parquet', 'outside/b.parquet', 'in-other.parquet'])
  await copyFile(data, join(folder, copy));

const database = await openDatabase({
  memoryLimit: 150e6,
  threads: 2,
  spillDirectory: join(folder, 'spill'),
  spillLimit: 1e6,
  readable: [data, join(folder, 'in', 'sub'), join(folder, 'in', 'missing.parquet')],
  writable: [join(folder, 'out')],
});
const count = (path: string): Promise<unknown> =>
  database.rows(`SELECT count(*) AS n FROM read_parquet('${path.replaceAll("'", "''")}')`);

describe('openDatabase', () => {
  it('reads the files and folders that it was opened for, whatever their names', async () => {
    expect(await count(data)).toEqual([{ n: 10000n }]);
    expect(await count(join(folder, 'in', 'sub', 'a.parquet'))).toEqual([{ n: 10000n }]);
  });

  it('reads and writes nothing else', async () => {
    const refused = { code: 'IO_FAILED' };
    await expect(count(join(folder, 'outside', 'b.parquet'))).rejects.toMatchObject(refused);
    await expect(count(join(folder, 'in-other.parquet'))).rejects.toMatchObject(refused);
    await expect(count(join(folder, 'in', 'sub', '..', '..', 'outside', 'b.parquet'))).rejects.toMatchObject(refused);
    await expect(database.rows(`SELECT * FROM read_text('/etc/hostname')`)).rejects.toMatchObject(refused);
    await expect(
      database.run(`COPY (SELECT 1) TO '${join(folder, 'outside', 'x.parquet')}' (FORMAT parquet)`),
    ).rejects.toMatchObject(refused);
    await expect(
      database.run(`COPY (SELECT 1) TO '${data.replaceAll("'", "''")}.x' (FORMAT parquet)`),
    ).rejects.toMatchObject(refused);
    await database.run(`COPY (SELECT 1) TO '${join(folder, 'out', 'x.parquet')}' (FORMAT parquet)`);
  });

  it('cannot be unlocked, and loads no extension', async () => {
    for (const statement of [
      'SET enable_external_access = true',
      "SET memory_limit = '1TB'",
      'SET lock_configuration = false',
      'SET threads = 64',
      "SET allowed_directories = ['/']",
      'INSTALL httpfs',
      'LOAD httpfs',
    ]) {
      await expect(database.run(statement), statement).rejects.toThrow();
    }
    const settings = await database.rows(
      `SELECT current_setting('TimeZone') AS zone, current_setting('threads') AS threads, current_setting('memory_limit') AS memory`,
    );
    expect(settings).toEqual([{ zone: 'UTC', threads: 2n, memory: '143.0 MiB' }]);
  });

  it('has the same settings on every connection', async () => {
    const connection = await database.connect();
    try {
      const settings = await connection.runAndReadAll(
        `SELECT current_setting('TimeZone') AS zone, current_setting('errors_as_json') AS json`,
      );
      expect(settings.getRowObjectsJS()).toEqual([{ zone: 'UTC', json: true }]);
      await expect(connection.run('SET threads = 64')).rejects.toThrow();
    } finally {
      connection.closeSync();
    }
  });

  it('runs exactly one statement, and none of several', async () => {
    const target = join(folder, 'out', 'never.parquet');
    await expect(database.run(`COPY (SELECT 1) TO '${target}' (FORMAT parquet); SELECT 1`)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    await expect(database.run(`  -- nothing\n`)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(count(target)).rejects.toMatchObject({ code: 'INPUT_GONE' });
  });

  it('goes on after a statement that failed, and takes several at the same time', async () => {
    const answers = await Promise.allSettled([
      database.rows('SELECT 1 AS a'),
      database.rows('SELECT nope'),
      database.rows('SELECT 2 AS a'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('tells what went wrong by code', async () => {
    const file = join(folder, 'in', 'sub', 'bad.parquet');
    const missing = join(folder, 'in', 'missing.parquet');
    await expect(database.rows(`SELECT * FROM read_parquet('${missing}')`, { file: missing })).rejects.toMatchObject({
      code: 'INPUT_GONE',
      message: containing(missing),
    });
    await writeFile(file, 'PAR1 this is not Parquet PAR1');
    await expect(database.rows(`SELECT * FROM read_parquet('${file}')`, { file })).rejects.toMatchObject({
      code: 'BAD_PARQUET',
      message: containing(file),
    });
    await rm(file);
    await expect(database.rows(`SELECT CAST('x' AS INTEGER)`, { expression: 'features[0].sql' })).rejects.toMatchObject(
      {
        code: 'SQL_FAILED',
        message: matching(/^features\[0\]\.sql failed.*'x'/),
      },
    );
    await expect(database.rows(`SELECT nope`, { expression: 'source.where' })).rejects.toMatchObject({
      code: 'SQL_INVALID',
    });
  });

  it('tells a full spill folder from memory that ran out', async () => {
    const sorted = `SELECT sum(length(s)) FROM (SELECT i::VARCHAR || repeat('x', 200) AS s FROM range(3000000) t(i) ORDER BY hash(i) LIMIT 2900000)`;
    await expect(database.rows(sorted)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(
      database.rows(`SELECT list(i::VARCHAR || repeat('x', 500)) FROM range(1000000) t(i)`),
    ).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      hint: containing('run.memory'),
    });
  });

  it('interrupts what runs when its signal is aborted, and runs nothing afterwards', async () => {
    for (const reason of [new Error('enough'), 'enough']) {
      const controller = new AbortController();
      const { signal } = controller;
      const spillDirectory = join(folder, 'spill');
      const stopped = await openDatabase({
        memoryLimit: 150e6,
        threads: 1,
        spillDirectory,
        readable: [],
        writable: [join(folder, 'out')],
        signal,
      });
      expect(await stopped.rows('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      // Would take years, and is written to a file.
      const endless = stopped.run(
        `COPY (SELECT i FROM range(1000000000000000) t(i)) TO '${join(folder, 'out', 'endless.parquet')}' (FORMAT parquet)`,
      );
      const waiting = stopped.rows('SELECT 2 AS two');
      controller.abort(reason);
      await expect(endless).rejects.toBe(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(stopped.rows('SELECT 3 AS three')).rejects.toBe(reason);
      await stopped.close();
    }
  });
});
