import { rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { placesOf, type Places } from '../../src/commit/places.js';
import { isPublishing, publish, recover } from '../../src/commit/publish.js';
import { leave, takeOutput, type Holding } from '../../src/commit/takeover.js';
import { readManifest, type Manifest } from '../../src/commit/manifest.js';
import { built, runNode } from '../built.js';
import { rejection } from '../run/workbench.js';
import { manifestOf, readTree, testFolder, writeTree } from './folder.js';

const publisher = fileURLToPath(new URL('killed-publisher.mjs', import.meta.url));
const folder = await testFolder();
const output = join(folder, 'results', 'out');
const OLD = { 'a.parquet': 'old a', 'gone/b.parquet': 'old b', _SUCCESS: '' };
const NEW = { 'a.parquet': 'new', 'region=n/c.parquet': 'new c', _SUCCESS: '' };
const OLD_QUARANTINE = { 'a.parquet': 'old quarantine' };
const NEW_QUARANTINE = { 'c.parquet': 'new quarantine' };

let places: Places;

beforeEach(async () => {
  await rm(folder, { recursive: true, force: true });
  places = placesOf(output, 'a'.repeat(64), 1);
});

/** The run whose folder is `places.staging`. */
const holding = (): Holding => ({
  places,
  epoch: { number: 1, check: () => Promise.resolve(), release: () => Promise.resolve() },
});

/** What the next run does with what is there. */
async function recoverNext(at = output, planHash = 'a'.repeat(64)): Promise<Manifest | undefined> {
  const next = await takeOutput(at, planHash, 'next');
  try {
    return await recover(next);
  } finally {
    await rm(next.places.staging.earlier, { recursive: true, force: true });
    await leave(next);
  }
}

/** The journal of the run whose folder is `places.staging`. */
const journalOf = (manifest: Manifest): string =>
  JSON.stringify({ format: 1, staging: basename(places.staging.root), manifest });

/** Lays out an earlier output, where wished, and a staged one. */
async function stage({ earlier = false, earlierQuarantine = false, quarantine = false }): Promise<Manifest> {
  if (earlier) {
    await writeTree(output, OLD);
    await writeTree(places.state, { 'manifest.json': JSON.stringify(manifestOf(output, 'old')) });
  }
  if (earlierQuarantine) await writeTree(places.quarantine, OLD_QUARANTINE);
  await writeTree(places.staging.output, NEW);
  await writeTree(places.staging.shards, { '000000.parquet': 'scores' });
  if (quarantine) await writeTree(places.staging.quarantine, NEW_QUARANTINE);
  return manifestOf(output, 'new', { quarantine });
}

async function expectPublished(manifest: Manifest, quarantine: boolean): Promise<void> {
  expect(await readTree(output)).toEqual(NEW);
  expect(await readTree(places.quarantine)).toEqual(quarantine ? NEW_QUARANTINE : {});
  expect(await readManifest(places.manifest)).toEqual(manifest);
  expect(await isPublishing(places)).toBe(false);
  expect(await readTree(join(places.state, 'staging'))).toEqual({});
}

const CASES = [
  { earlier: false, earlierQuarantine: false, quarantine: false },
  { earlier: false, earlierQuarantine: false, quarantine: true },
  { earlier: true, earlierQuarantine: false, quarantine: false },
  { earlier: true, earlierQuarantine: true, quarantine: true },
  { earlier: true, earlierQuarantine: true, quarantine: false },
];
const inWords = (flags: (typeof CASES)[number]): string =>
  Object.entries(flags)
    .flatMap(([name, is]) => (is ? [name] : []))
    .join(', ') || 'nothing before';

describe('publishing', () => {
  for (const flags of CASES) {
    it(`shows the output whole, with quarantine and manifest, and leaves no staging (${inWords(flags)})`, async () => {
      const manifest = await stage(flags);
      await publish(holding(), manifest);
      await expectPublished(manifest, flags.quarantine);
      expect(await recoverNext()).toBeUndefined();
    });

    it(`is finished by the next run, wherever it was killed, and never half-visible (${inWords(flags)})`, async () => {
      let killed = 0;
      for (const when of ['before', 'after'] as const) {
        for (let n = 1; ; n += 1) {
          await rm(folder, { recursive: true, force: true });
          const manifest = await stage(flags);
          const task = join(folder, 'task.json');
          await writeTree(folder, {
            'task.json': JSON.stringify({ publishModule: built('commit/publish.js'), places, manifest }),
          });
          const ended = await runNode(publisher, [task, String(n), when]);
          if (ended.code === 0) break;
          expect(ended).toMatchObject({ signal: 'SIGKILL', stderr: '' });
          killed += 1;
          const seen = await readTree(output);
          // Between two renames there is none; then the journal tells the next run to go on.
          if (Object.keys(seen).length === 0) expect(flags.earlier ? await isPublishing(places) : true).toBe(true);
          else expect([OLD, NEW]).toContainEqual(seen);
          const begun = await isPublishing(places);
          const recovered = await recoverNext();
          if (begun) expect(recovered).toEqual(manifest);
          if (begun || (await readManifest(places.manifest))?.run_id === 'new') {
            await expectPublished(manifest, flags.quarantine);
          } else {
            expect(await readTree(output)).toEqual(flags.earlier ? OLD : {});
            expect(await readTree(places.quarantine)).toEqual(flags.earlierQuarantine ? OLD_QUARANTINE : {});
          }
        }
      }
      expect(killed).toBeGreaterThan(10);
    });
  }

  it('goes on from a recovery that was killed itself', async () => {
    const manifest = await stage({ earlier: true, earlierQuarantine: true, quarantine: true });
    const task = join(folder, 'task.json');
    await writeTree(folder, {
      'task.json': JSON.stringify({ publishModule: built('commit/publish.js'), places, manifest }),
    });
    // The second and later processes find what the earlier ones have left: publish is recover, but for the journal.
    for (let n = 3; n < 9; n += 1) await runNode(publisher, [task, String(n), 'after']);
    await recoverNext();
    await expectPublished(manifest, true);
  });

  it('is finished from the staging of the plan that began it, not of the one that comes next', async () => {
    const manifest = await stage({ earlier: true });
    await writeTree(places.state, { 'publish.json': journalOf(manifest) });
    expect((await recoverNext(output, 'b'.repeat(64)))?.run_id).toBe('new');
    await expectPublished(manifest, false);
  });

  it('is finished where the folder was moved meanwhile', async () => {
    const manifest = await stage({});
    const moved = placesOf(join(folder, 'elsewhere', 'out'), manifest.plan_hash, 1);
    await writeTree(moved.staging.output, NEW);
    await writeTree(moved.state, { 'publish.json': journalOf(manifest) });
    await recoverNext(moved.output);
    expect(await readTree(moved.output)).toEqual(NEW);
  });

  it('takes all back where the output cannot get its name, and the earlier one stays', async () => {
    const manifest = { ...(await stage({})), sink: { ...manifestOf(output, 'new').sink, exists: 'fail' as const } };
    await writeTree(output, { 'theirs.txt': 'came meanwhile' });
    const error = await rejection(publish(holding(), manifest));
    expect(error.code).toBe('OUTPUT_EXISTS');
    expect(await readTree(output)).toEqual({ 'theirs.txt': 'came meanwhile' });
    expect(await isPublishing(places)).toBe(false);
    expect(await readTree(places.staging.output)).toEqual(NEW);
    expect(await readManifest(places.manifest)).toBeUndefined();
  });

  it('keeps its journal where it fails once the output is visible, so that the next run completes it', async () => {
    const manifest = await stage({ quarantine: true });
    // A folder in the place of its draft.
    await writeTree(places.staging.manifest, { 'in-the-way': '' });
    await rejection(publish(holding(), manifest));
    expect(await readTree(output)).toEqual(NEW);
    expect(await isPublishing(places)).toBe(true);
    await rm(places.staging.manifest, { recursive: true });
    expect(await recoverNext()).toEqual(manifest);
    await expectPublished(manifest, true);
  });

  it('is not called finished where neither the output nor what was staged for it is there', async () => {
    await writeTree(places.state, { 'publish.json': journalOf(manifestOf(output, 'lost')) });
    const error = await rejection(recoverNext());
    expect(error.code).toBe('IO_FAILED');
    expect(error.message).toContain('run lost');
    expect(error.hint).toContain(places.journal);
    expect(await readManifest(places.manifest)).toBeUndefined();
  });

  it('is told where its journal is none, and harms nothing', async () => {
    for (const text of [
      'null',
      '{}',
      '[]',
      '{"format":1',
      journalOf({ ...manifestOf(output, 'x'), sink: null as unknown as Manifest['sink'] }),
      JSON.stringify(manifestOf(output, 'x')),
    ]) {
      await stage({ earlier: true });
      await writeTree(places.state, { 'publish.json': text });
      const error = await rejection(recoverNext());
      expect(error.code).toBe('IO_FAILED');
      expect(error.message).toContain(places.journal);
      expect(await readTree(output)).toEqual(OLD);
    }
  });

  it('fails where what is staged cannot be looked at, and does not take it for published', async () => {
    const manifest = await stage({ earlier: true });
    // A link that leads to itself: to look behind it fails, and says nothing of what is there.
    await rm(places.staging.output, { recursive: true });
    await symlink(places.staging.output, places.staging.output);
    await writeTree(places.state, { 'publish.json': journalOf(manifest) });
    expect((await rejection(recoverNext())).code).toBe('IO_FAILED');
    expect(await isPublishing(places)).toBe(true);
    expect((await readManifest(places.manifest))?.run_id).toBe('old');
    expect(await readTree(output)).toEqual(OLD);
  });

  it('makes the folder above the output', async () => {
    const manifest = await stage({});
    await publish(holding(), manifest);
    expect((await stat(output)).isDirectory()).toBe(true);
  });
});
