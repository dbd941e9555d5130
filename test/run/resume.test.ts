/** A run goes on from what an unfinished one has left, or says what has changed since. */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { placesOf, stagingFolder } from '../../src/commit/places.js';
import type { RunEvent } from '../../src/run/events.js';
import { startRun } from '../../src/run/run.js';
import type { StagedPlan } from '../../src/run/staged-plan.js';
import { versions } from '../../src/run/versions.js';
import { linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
const FILES = ['a', 'b', 'c'];
const ROWS = 100;
let parts: Parts;
/** The run that has left its scores. */
let unfinished: string;

const writeFile = (name: string, rows = ROWS): Promise<string> =>
  bench.parquet(`data/${name}.parquet`, `SELECT i AS id, i::FLOAT AS x, 1::FLOAT AS y FROM range(${rows}) t(i)`);
const staging = stagingFolder(placesOf(bench.path('out'), ''));

beforeEach(async () => {
  await bench.clear();
  for (const name of FILES) await writeFile(name);
  parts = {
    source: { key: ['id'], where: 'id >= 0' },
    features: ['x', 'y'],
    model: { path: await bench.write('models/linear.onnx', linearModel([1, 2])), batch_size: 64 },
    outputs: { score: 'score' },
    validate: { rules: { x: { min: 0 } } },
  };
  // Fails once everything is scored.
  const run = startRun(await bench.plan(parts));
  const ended = rejection(run.result);
  for await (const event of run)
    if (event.type === 'phase' && event.phase === 'publishing') {
      const [root] = await readdir(staging);
      rmSync(join(staging, root!, 'output'), { recursive: true });
    }
  expect((await ended).exitCode).toBe(1);
  unfinished = run.id;
});

const told = (events: readonly RunEvent[], type: RunEvent['type']): RunEvent[] =>
  events.filter((event) => event.type === type);

describe('a run after an unfinished one', () => {
  it('of the same plan goes on from its scores, and says from whose', async () => {
    const { summary, events } = await bench.run(parts);
    expect(summary.resumed_rows).toBe(3 * ROWS);
    expect(told(events, 'resumed')).toEqual([{ type: 'resumed', rows: 3 * ROWS, shards: 3, runId: unfinished }]);
    expect(told(events, 'startedOver')).toEqual([]);
  });

  it('says nothing of it where it is to start over', async () => {
    const { summary, events } = await bench.run(parts, { fresh: true });
    expect(summary.resumed_rows).toBe(0);
    expect([...told(events, 'resumed'), ...told(events, 'startedOver')]).toEqual([]);
  });

  const CHANGES: Readonly<Record<string, readonly [change: () => Promise<unknown>, changed: () => readonly string[]]>> =
    {
      'a file of the source was written to': [
        () => writeFile('b', ROWS + 1),
        () => [`${bench.path('data/b.parquet')} was written to`],
      ],
      'files came and went': [
        async () => {
          await writeFile('d');
          await rm(bench.path('data/c.parquet'));
        },
        () => [`${bench.path('data/c.parquet')} is not read any more`, `${bench.path('data/d.parquet')} is new`],
      ],
      'the model is another one': [
        () => bench.write('models/linear.onnx', linearModel([1, 3])),
        () => [`the model ${bench.path('models/linear.onnx')} changed`],
      ],
      'its batch size is another one': [
        async () => void (parts = { ...parts, model: { ...parts.model, batch_size: 32 } }),
        () => ['the batch size of the model is 32 instead of 64'],
      ],
      'the pipeline says something else': [
        async () =>
          void (parts = {
            ...parts,
            source: { key: ['id'], where: 'id > 0' },
            features: [{ name: 'x', sql: 'x + 1' }, 'y'],
            validate: { on_invalid: 'null', rules: { x: { min: 1 } } },
            sink: { compression: 'gzip' },
          }),
        () => [
          'the pipeline changed: feature x, validate.rules.x, source.where, validate.on_invalid, sink.compression',
        ],
      ],
      'it has another output': [
        async () => void (parts = { ...parts, outputs: { score: 'score', again: 'score' } }),
        () => ['the pipeline changed: sink.columns, outputs.again'],
      ],
      'it was scored by other versions': [
        async () => {
          // As if that run had been another program's: with other versions the plan has another hash, and so the folder.
          const [root] = await readdir(staging);
          const path = join(staging, root!, 'plan.json');
          const plan = JSON.parse(await readFile(path, 'utf8')) as StagedPlan;
          const was = { ...plan, plan_hash: 'f'.repeat(64), versions: { ...plan.versions, onnxruntime: '1.2.3' } };
          await bench.write(path.slice(bench.folder.length + 1), JSON.stringify(was));
          await rename(dirname(path), join(staging, `1-${'f'.repeat(16)}`));
        },
        () => [`onnxruntime 1.2.3 became ${versions()['onnxruntime']!}`],
      ],
    };
  for (const [what, [change, changed]] of Object.entries(CHANGES))
    it(`starts over and says what has changed: ${what}`, async () => {
      await change();
      const { summary, events } = await bench.run(parts);
      expect(summary.resumed_rows).toBe(0);
      expect(told(events, 'startedOver')).toEqual([
        { type: 'startedOver', runId: unfinished, shards: 3, changed: changed() },
      ]);
      expect(await bench.beside()).not.toContainEqual(expect.stringContaining('staging'));
    });

  it('says how many there are where many files changed', async () => {
    for (let i = 0; i < 10; i += 1) await writeFile(`more-${i}`);
    const { events } = await bench.run(parts);
    const [event] = told(events, 'startedOver') as Extract<RunEvent, { type: 'startedOver' }>[];
    expect(event!.changed).toHaveLength(6);
    expect(event!.changed.at(-1)).toBe('5 more changes');
  });

  it('goes on all the same where nobody knows any more what the scores were made of', async () => {
    const [root] = await readdir(staging);
    await bench.write(`out.colonnade/staging/${root!}/plan.json`, '{"format":');
    const { summary, events } = await bench.run(parts);
    expect(summary.resumed_rows).toBe(3 * ROWS);
    expect(told(events, 'resumed')).toEqual([{ type: 'resumed', rows: 3 * ROWS, shards: 3 }]);
  });
});
