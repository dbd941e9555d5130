/**
 * Takes an output, so that whoever had it before changes nothing any more, however late it wakes.
 *
 * A run that is taken for dead may live: stopped, in another container, on a machine that was cut off. To look at the epoch
 * before a change does not keep it from making the change afterwards. So each run has a folder of its own, in which all of it
 * happens (`staging/<epoch>-<plan>`), and whatever it changes outside of it, it changes by a rename out of that folder or into
 * it: the output gets its name so, an earlier one leaves so, journal and manifest come and go so. The run that takes the
 * output over first moves these folders into its own. From then on every rename of the other finds nothing, and fails. Which
 * of the two comes first is decided by the file system, rename by rename.
 *
 * This holds because of an order: a run makes its folder, then looks whether its epoch still is the highest, and only then
 * touches anything that others have made. If it is, whoever takes a higher epoch later finds the folder. The folder is never
 * made a second time.
 */
import { basename, dirname, join } from 'node:path';
import { systemError } from '../system-errors.js';
import { exists, makeFolder } from './durable.js';
import { takeEpoch, type Epoch } from './epoch.js';
import {
  epochOfStaging,
  isOfPlan,
  placesOf,
  stagingAt,
  stagingFolder,
  type Places,
  type StagingPlaces,
} from './places.js';
import { thisSystem, type Files, type System } from './system.js';

/** An output that a run has taken. */
export interface Holding {
  readonly epoch: Epoch;
  /** With the run's own folder, which is there. */
  readonly places: Places;
}

/**
 * Takes the output for a run, and the folders of earlier runs away from them.
 * @param output absolute path.
 * @throws ColonnadeError `OUTPUT_CONFLICT` when another run holds it.
 */
export async function takeOutput(
  output: string,
  planHash: string,
  run: string,
  system: System = thisSystem,
): Promise<Holding> {
  const { files } = system;
  const before = placesOf(output, planHash);
  await makeFolder(before.state, { durable: true, files });
  const folder = stagingFolder(before);
  const above = Math.max(0, ...(await namesIn(folder, files)).map((name) => epochOfStaging(name) ?? 0));
  const epoch = await takeEpoch(before.epochs, output, run, { above, system });
  const places = placesOf(output, planHash, epoch.number);
  try {
    await makeRoot(places.staging.root, files);
    await epoch.check();
    for (const name of await namesIn(folder, files)) {
      if (name === basename(places.staging.root)) continue;
      // A higher one belongs to who has taken the output over.
      if ((epochOfStaging(name) ?? 0) > epoch.number) continue;
      await makeFolder(places.staging.earlier, { files });
      await files.rename(join(folder, name), join(places.staging.earlier, name));
    }
  } catch (error) {
    await leave({ epoch, places }, system);
    throw systemError(error, 'commit', 'taking', output);
  }
  return { epoch, places };
}

/** Gives the output back. What lies in the run's folder stays, for the next run to go on from. Never throws. */
export async function leave({ epoch, places }: Holding, { files }: System = thisSystem): Promise<void> {
  // Only empty folders go.
  for (const folder of [places.staging.root, stagingFolder(places)]) await files.rmdir(folder).catch(() => undefined);
  await epoch.release().catch(() => undefined);
}

/**
 * Goes on from the shards that an earlier run of the same plan has left, and sweeps all else that earlier runs have left:
 * they do not hold the output, and nothing that lives looks into what was taken from them. Call it once, after a publication
 * that was begun is finished.
 * @param options `fresh`: the shards are swept as well.
 */
export async function goOnFromEarlier(
  { staging, state }: Places,
  planHash: string,
  { fresh = false, system = thisSystem }: { readonly fresh?: boolean; readonly system?: System } = {},
): Promise<void> {
  const { files } = system;
  try {
    const left = fresh ? [] : await earlierRuns(staging, files);
    for (const { root, shards } of left) {
      if (!isOfPlan(basename(root), planHash) || !(await exists(shards, files))) continue;
      await files.rename(shards, staging.shards);
      break;
    }
    await files.rm(staging.earlier, { recursive: true, force: true });
  } catch (error) {
    throw systemError(error, 'commit', 'clearing', stagingFolder({ state }));
  }
}

/** Where the folder of an earlier run is now; undefined where there is none of that name. */
export async function findEarlier(
  staging: StagingPlaces,
  name: string,
  files: Files,
): Promise<StagingPlaces | undefined> {
  return (await earlierRuns(staging, files)).find(({ root }) => basename(root) === name);
}

/** Folders that were taken from earlier runs, the last first, with those that these had taken themselves. */
export async function earlierRuns(
  { earlier }: StagingPlaces,
  files: Files = thisSystem.files,
): Promise<StagingPlaces[]> {
  const found: StagingPlaces[] = [];
  const names = await namesIn(earlier, files);
  for (const name of names.sort((a, b) => (epochOfStaging(b) ?? 0) - (epochOfStaging(a) ?? 0))) {
    const staging = stagingAt(join(earlier, name));
    found.push(staging, ...(await earlierRuns(staging, files)));
  }
  return found;
}

/** Makes the folder of a run; that above it may be removed in between, by one that leaves. */
async function makeRoot(root: string, files: Files): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await makeFolder(dirname(root), { files });
    try {
      await files.mkdir(root);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && tries < 10) continue;
      throw systemError(error, 'commit', 'making the folder', root);
    }
  }
}

/** Names in a folder; none where it is not there. */
async function namesIn(folder: string, files: Files): Promise<string[]> {
  try {
    return await files.readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw systemError(error, 'commit', 'reading', folder);
  }
}
