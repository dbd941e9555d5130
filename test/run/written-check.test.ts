/** What was written is read back by another way before it is published. */
import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { placesOf, stagingAt, stagingFolder, type StagingPlaces } from '../../src/commit/places.js';
import type { ColonnadeError } from '../../src/errors.js';
import { planShards } from '../../src/plan/shards.js';
import { startRun } from '../../src/run/run.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
const ROWS = 2000;
let parts: Parts;

beforeEach(async () => {
  await bench.clear();
  parts = {
    source: { key: ['id'] },
    features: ['x'],
    model: { path: await bench.write('models/linear.onnx', linearModel([2])) },
    outputs: { score: 'score' },
  };
  // Files of the same size: one could stand in for the other.
  for (const [i, name] of ['a', 'b'].entries())
    await bench.parquet(
      `data/${name}.parquet`,
      `SELECT i AS id, CASE WHEN i % 100 = 7 THEN NULL ELSE i END::FLOAT AS x, 'n' AS region FROM range(${i * ROWS}, ${(i + 1) * ROWS}) t(i)`,
      `row_group_size 2048, compression uncompressed`,
    );
});

const staging = stagingFolder(placesOf(bench.path('out'), ''));

/** Damages what a run has staged at the last moment before it is published, and gives the error that it ends with. */
async function damagedBy(
  sink: Parts['sink'],
  damage: (staging: StagingPlaces) => void,
  shardRows?: number,
): Promise<ColonnadeError> {
  const planned = await bench.plan({ ...parts, sink: { compression: 'none', ...sink } });
  const plan = { ...planned, shards: planShards(planned.files, shardRows) };
  const run = startRun(plan, { workers: 1 });
  const ended = rejection(run.result);
  for await (const event of run)
    if (event.type === 'phase' && event.phase === 'publishing')
      damage(stagingAt(join(staging, readdirSync(staging)[0]!)));
  const error = await ended;
  expect(await bench.isVisible()).toBe(false);
  return error;
}

const cut = (path: string): void => truncateSync(path, readFileSync(path).length - 10);

/** Overwrites the last place of a file that holds a value: that of the new column. */
function overwrite(path: string, value: number, other: number): void {
  const bytes = readFileSync(path);
  const [from, to] = [value, other].map((each) => Buffer.from(new Float32Array([each]).buffer));
  const at = bytes.lastIndexOf(from!);
  expect(at).toBeGreaterThan(0);
  to!.copy(bytes, at);
  writeFileSync(path, bytes);
}

const DAMAGES: readonly (readonly [what: string, damage: (output: string) => void, file: string, told: string])[] = [
  ['is cut off', (output) => cut(join(output, 'b.parquet')), 'b.parquet', ' were written'],
  ['is gone', (output) => rmSync(join(output, 'a.parquet')), 'a.parquet', 'it is not there any more'],
  ['has company', (output) => writeFileSync(join(output, 'c.parquet'), ''), 'c.parquet', 'nothing that was written'],
  // Twice 3,500, which is no value of the source.
  [
    'holds a value that was not scored',
    (output) => overwrite(join(output, 'b.parquet'), 7000, 7001),
    'b.parquet',
    'score does not hold what was scored',
  ],
  [
    'is another one of the same size',
    (output) => {
      renameSync(join(output, 'a.parquet'), join(output, 'x'));
      renameSync(join(output, 'b.parquet'), join(output, 'a.parquet'));
      renameSync(join(output, 'x'), join(output, 'b.parquet'));
    },
    'a.parquet',
    'score does not hold what was scored',
  ],
  [
    'has a new column of another name',
    (output) => {
      const path = join(output, 'a.parquet');
      const bytes = readFileSync(path);
      for (let at = bytes.indexOf('score'); at >= 0; at = bytes.indexOf('score', at + 1)) bytes.write('scare', at);
      writeFileSync(path, bytes);
    },
    'a.parquet',
    'its new columns are not those that were scored',
  ],
  [
    'has an old column of another name',
    (output) => {
      const path = join(output, 'a.parquet');
      const bytes = readFileSync(path);
      for (let at = bytes.indexOf('region'); at >= 0; at = bytes.indexOf('region', at + 1)) bytes.write('legion', at);
      writeFileSync(path, bytes);
    },
    'a.parquet',
    'its columns are not those of the source',
  ],
];

describe('an output that', () => {
  for (const [what, damage, file, told] of DAMAGES)
    it(`${what} before it is published is not published, the file is named, and the next run goes on from the scores`, async () => {
      const error = await damagedBy({}, ({ output }) => damage(output));
      expect(error).toMatchObject({ code: 'OUTPUT_DAMAGED', exitCode: 1 });
      expect(error.message).toContain(join('output', file));
      expect(error.message).toContain(told);
      expect(error.hint).toContain('nothing was published');
      const { summary } = await bench.run({ ...parts, sink: { compression: 'none' } });
      expect(summary).toMatchObject({ resumed_rows: 2 * ROWS, quarantined: 40 });
    });

  it('has several shards is compared at its beginning, at its end and between', async () => {
    await bench.parquet(
      'data/a.parquet',
      'SELECT i AS id, i::FLOAT AS x FROM range(10000) t(i)',
      'row_group_size 2048, compression uncompressed',
    );
    for (const value of [20, 6000, 19_000]) {
      const error = await damagedBy({}, ({ output }) => overwrite(join(output, 'a.parquet'), value, value + 1), 2048);
      expect(error.message).toContain('a.parquet: read back after it was written, score does not hold what was scored');
    }
  });

  it.each([
    [{ mode: 'predictions' }, 'a.parquet'],
    [{ mode: 'partition', partition_by: ['region'] }, 'region=n/part-0.parquet'],
  ])('DuckDB has written is counted by our own reader: %o', async (sink, file) => {
    const error = await damagedBy(sink, ({ output }) => {
      const bytes = readFileSync(join(output, file));
      // Where the footer begins: the size stays.
      bytes[bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)]! ^= 0xff;
      writeFileSync(join(output, file), bytes);
    });
    expect(error).toMatchObject({ code: 'OUTPUT_DAMAGED' });
    expect(error.message).toMatch(/output.*parquet: read back after it was written, it cannot be read: .*footer/);
  });

  it('has a damaged quarantine is not published either', async () => {
    const error = await damagedBy({}, ({ quarantine }) => cut(join(quarantine, 'a.parquet')));
    expect(error).toMatchObject({ code: 'OUTPUT_DAMAGED' });
    expect(error.message).toContain(join('quarantine', 'a.parquet'));
  });
});

it('files whose columns have the names that tell files and rows apart are read one by one', async () => {
  for (const name of readdirSync(bench.path('data'))) rmSync(bench.path(`data/${name}`));
  for (const name of ['a', 'b'])
    await bench.parquet(`data/${name}.parquet`, `SELECT i::FLOAT AS x, 1 AS file_index FROM range(${ROWS}) t(i)`);
  const { summary } = await bench.run({ features: ['x'], model: parts.model!, outputs: { score: 'score' } });
  expect(summary.scored).toBe(2 * ROWS);
});
