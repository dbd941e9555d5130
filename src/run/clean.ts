/** Sweeps what runs that are over have left beside their outputs. */
import { randomBytes } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { refuseHeld } from '../commit/epoch.js';
import { placesOf, stagingFolder, type Places } from '../commit/places.js';
import { isPublishing, recover } from '../commit/publish.js';
import { goOnFromEarlier, leave, takeOutput } from '../commit/takeover.js';
import { ColonnadeError, type SerializedError } from '../errors.js';
import { recordRecovered } from './run-record.js';

/** Something that is removed. */
export interface SweptPath {
  /** Relative to what lies beside the output. */
  readonly path: string;
  readonly bytes: number;
}

/** What was done with one output. Keys are those of `--json`. */
export interface Cleaned {
  /** Absolute path of the output folder. */
  readonly output: string;
  /** Why nothing was done: a run that is at work (`OUTPUT_CONFLICT`), for one. */
  readonly error?: SerializedError;
  /** A run that had died while publishing, whose output is whole now. */
  readonly finished_run?: string;
  readonly removed: readonly SweptPath[];
  readonly bytes: number;
}

/** No plan's: nothing is gone on from. */
const NO_PLAN = '0'.repeat(64);

/**
 * Finishes what a run that died while publishing has begun, and removes what runs that are over have left in staging, with
 * the scores that a later run could have gone on from. It takes the output as a run does, so that no run that is at work is
 * disturbed.
 * @param output absolute.
 * @param options `dryRun`: nothing is changed, and what would be removed is told.
 */
export async function cleanOutput(output: string, { dryRun }: { readonly dryRun: boolean }): Promise<Cleaned> {
  try {
    return await (dryRun ? wouldClean(output) : clean(output));
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    return { output, error: error.toJSON(), removed: [], bytes: 0 };
  }
}

async function wouldClean(output: string): Promise<Cleaned> {
  const places = placesOf(output, NO_PLAN);
  await refuseHeld(places.epochs, output);
  const staging = await sizesIn(places, stagingFolder(places));
  // What is to be published stays.
  const removed = [...((await isPublishing(places)) ? [] : staging), ...(await drafts(places))];
  return cleaned(output, removed, undefined);
}

async function clean(output: string): Promise<Cleaned> {
  const id = `clean-${randomBytes(4).toString('hex')}`;
  const holding = await takeOutput(output, NO_PLAN, id);
  const { places } = holding;
  try {
    const recovered = await recover(holding);
    if (recovered !== undefined) await recordRecovered(places, recovered, id);
    const removed = [...(await sizesIn(places, places.staging.earlier)), ...(await drafts(places))];
    await goOnFromEarlier(places, NO_PLAN, { fresh: true });
    for (const { path } of await drafts(places)) await rm(join(places.state, path), { force: true });
    return cleaned(output, removed, recovered?.run_id);
  } finally {
    await leave(holding);
  }
}

function cleaned(output: string, removed: readonly SweptPath[], finished: string | undefined): Cleaned {
  const named = removed.map(({ path, bytes }) => ({ path: path.replace(/^.*\/earlier\//, 'staging/'), bytes }));
  return {
    output,
    ...(finished === undefined ? {} : { finished_run: finished }),
    removed: named,
    bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** What lies in a folder, with the bytes of all that is in it. */
async function sizesIn({ state }: Places, folder: string): Promise<SweptPath[]> {
  const names = (await readdir(folder).catch((): string[] => [])).sort();
  return Promise.all(
    names.map(async (name) => ({
      path: relative(state, join(folder, name)),
      bytes: await bytesOf(join(folder, name)),
    })),
  );
}

async function bytesOf(path: string): Promise<number> {
  const entry = await lstat(path).catch(() => undefined);
  if (entry === undefined) return 0;
  if (!entry.isDirectory()) return entry.size;
  const names = await readdir(path).catch((): string[] => []);
  let bytes = 0;
  for (const name of names) bytes += await bytesOf(join(path, name));
  return bytes;
}

/** Drafts of small files, which processes have left that were killed. Those of epochs go when the output is taken. */
async function drafts(places: Places): Promise<SweptPath[]> {
  const found: SweptPath[] = [];
  for (const folder of [places.state, places.epochs, places.runs])
    for (const { path, bytes } of await sizesIn(places, folder))
      if (/\.tmp$|^epochs\/draft-/.test(path)) found.push({ path, bytes });
  return found;
}
