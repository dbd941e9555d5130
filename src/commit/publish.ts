/**
 * Makes a staged output visible: whole or not at all.
 *
 * Everything staged is complete, checked and synced before this begins. Then:
 *
 * 1. the journal gets its name, which holds the manifest: from here on the run will be finished, by itself or by the next run;
 * 2. an earlier manifest moves away, then an earlier output (only with `exists: replace`): there is never a manifest of
 *    another output than the one that is seen;
 * 3. the staged output takes its name, `_SUCCESS` in it: readers see it from here on, whole;
 * 4. the quarantine likewise;
 * 5. the manifest gets its name: the run is done;
 * 6. what is in the run's folder goes, with the earlier output; then the journal, then the folder.
 *
 * Each of these is a rename out of the run's folder or into it, so that none is possible any more once another run has
 * taken that folder (`takeover.ts`); the epoch is looked at before the first. After each, the folder that holds the name is
 * synced before the next: a power cut leaves them in this order.
 *
 * What a crash leads to, after each step: before 1, nothing has happened, and the next run goes on from the shards. From 1 on
 * the next run, whatever its plan, goes through the steps again, and each looks at what is there before it acts. Between the
 * two renames of 2 and 3 there is neither output, for as long as it takes until that; without `replace` there is no such
 * moment. After 5 there is the journal of a manifest that is there, and nothing left to do but 6.
 *
 * A failure up to step 3 is rolled back and the journal removed; one after it leaves the journal.
 */
import { basename, dirname, join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { exists, makeFolder, syncFolder, writeWhole } from './durable.js';
import { parseManifest, readManifest, writeManifest, type Manifest } from './manifest.js';
import { stagingFolder, type Places, type StagingPlaces } from './places.js';
import { thisSystem, type Files, type System } from './system.js';
import { findEarlier, type Holding } from './takeover.js';

/** What tells how a publication is finished. */
interface Journal {
  readonly format: 1;
  /** Name of the folder of the run that began it. */
  readonly staging: string;
  readonly manifest: Manifest;
}

/**
 * Publishes what is staged.
 * @throws ColonnadeError `OUTPUT_CONFLICT` when another run has taken the output over; `OUTPUT_EXISTS` when it has come to be
 * meanwhile; `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`.
 */
export async function publish(
  { places, epoch }: Holding,
  manifest: Manifest,
  { files }: System = thisSystem,
): Promise<void> {
  const { staging, output, state } = places;
  const journal: Journal = { format: 1, staging: basename(staging.root), manifest };
  try {
    await makeFolder(dirname(output), { durable: true, files });
    // What is staged is found again after a power cut: its own folders, and those on the way to them.
    for (const folder of [staging.root, stagingFolder(places), state]) await syncFolder(folder, files);
    await epoch.check();
    await writeWhole(places.journal, JSON.stringify(journal), { draft: staging.journal, files });
    await finishPublishing(places, staging, manifest, files);
    // The run is done: what cannot be removed is swept by the next one.
    await clear(staging, files).catch(() => undefined);
    await removeJournal(places, files);
    await files.rm(staging.root, { recursive: true, force: true }).catch(() => undefined);
  } catch (error) {
    // What a rename fails of, when the run's folder was taken away, says nothing to a person.
    await epoch.check();
    throw systemError(error, 'commit', 'publishing', output);
  }
}

/** True while a run publishes, or after it died over that. */
export async function isPublishing(places: Pick<Places, 'journal'>): Promise<boolean> {
  return exists(places.journal);
}

/**
 * Finishes what a run that died while publishing has begun. Called by who has just taken the output.
 * @returns the manifest of that run; undefined when there was nothing to finish.
 * @throws ColonnadeError as {@link publish}; `IO_FAILED` where nothing is left of what was to be published.
 */
export async function recover(
  { places, epoch }: Holding,
  { files }: System = thisSystem,
): Promise<Manifest | undefined> {
  try {
    const text = await readJournal(places, files);
    if (text === undefined) return undefined;
    const { staging: name, manifest } = parseJournal(text, places.journal);
    const staged = await findEarlier(places.staging, name, files);
    await finishPublishing(places, staged ?? places.staging, manifest, files);
    const left = staged?.root ?? places.staging.previousQuarantine;
    await files.rm(left, { recursive: true, force: true });
    await removeJournal(places, files);
    await files.rm(places.staging.pastJournal, { force: true });
    return manifest;
  } catch (error) {
    await epoch.check();
    throw systemError(error, 'commit', 'publishing', places.output);
  }
}

async function readJournal({ journal }: Places, files: Files): Promise<string | undefined> {
  try {
    return await files.readFile(journal, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(error, 'commit', 'reading', journal);
  }
}

/** The journal is written whole: what cannot be read was damaged by another hand. */
function parseJournal(text: string, path: string): Journal {
  try {
    const journal = JSON.parse(text) as Journal;
    if (typeof journal.staging !== 'string') throw new Error('it is no journal');
    parseManifest(JSON.stringify(journal.manifest));
    return journal;
  } catch (error) {
    throw new ColonnadeError('IO_FAILED', `${path}: the journal of a run that died while publishing cannot be read`, {
      phase: 'commit',
      hint: 'look whether the output is whole; then remove the journal and run it again',
      cause: error,
    });
  }
}

/**
 * Steps 2 to 5.
 * @param places of the run that does it: with its own folder.
 * @param staged folder of the run that has begun it: the same, or one that was taken.
 */
async function finishPublishing(
  places: Places,
  staged: StagingPlaces,
  manifest: Manifest,
  files: Files,
): Promise<void> {
  const { staging, output, quarantine, state } = places;
  if ((await readManifest(places.manifest, files))?.run_id !== manifest.run_id) {
    if (await exists(staged.output, files)) await showOutput(places, staged, manifest, files);
    else if (!(await isOutputOf(output, manifest, files))) throw nothingToShow(places, manifest);
    // Also where another process has renamed it: that one may have died before it synced.
    await syncFolder(dirname(output), files);
    if (await exists(quarantine, files)) {
      const isNew = manifest.quarantine.length > 0 && !(await exists(staged.quarantine, files));
      if (!isNew) {
        await files.rm(staged.previousQuarantine, { recursive: true, force: true });
        await files.rename(quarantine, staged.previousQuarantine);
      }
    }
    if (await exists(staged.quarantine, files)) await files.rename(staged.quarantine, quarantine);
    await syncFolder(state, files);
    await writeManifest(places.manifest, manifest, { draft: staging.manifest, files });
  }
}

/** Empties the folder of a run, and leaves it: the journal has yet to go into it. */
async function clear({ root }: StagingPlaces, files: Files): Promise<void> {
  for (const name of await files.readdir(root)) await files.rm(join(root, name), { recursive: true, force: true });
}

/** Gives the staged output its name. A failure takes all of it back: the run has not happened. */
async function showOutput(places: Places, staged: StagingPlaces, manifest: Manifest, files: Files): Promise<void> {
  const { output } = places;
  try {
    if (await exists(places.manifest, files)) {
      await files.rename(places.manifest, staged.previousManifest);
      await syncFolder(places.state, files);
    }
    // Without `replace` the folder is not there or empty, or the rename fails: what came meanwhile is not harmed. Nor is it
    // where an earlier output has left already.
    const replaces = manifest.sink.exists === 'replace' && !(await exists(staged.previous, files));
    if (replaces && (await exists(output, files))) await files.rename(output, staged.previous);
    await files.rename(staged.output, output);
  } catch (error) {
    const isThere = await exists(output, files);
    if (isThere && (await exists(staged.previous, files))) throw cameBetween(places, manifest, error);
    await takeBack(places, staged, files);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new ColonnadeError('OUTPUT_EXISTS', `${output} has come to be while the run was at work`, {
      phase: 'commit',
      hint: 'choose another sink.path, or write sink.exists: replace (--replace on the command line)',
      cause: error,
    });
  }
}

/** What was before is there again, before the journal goes: whoever dies in between goes on from the journal. */
async function takeBack(places: Places, staged: StagingPlaces, files: Files): Promise<void> {
  const { output, manifest } = places;
  if (await exists(staged.previous, files)) {
    await files.rename(staged.previous, output);
    await syncFolder(dirname(output), files);
  }
  if (await exists(staged.previousManifest, files)) await files.rename(staged.previousManifest, manifest);
  await removeJournal(places, files);
}

/** Into the own folder, not from where it lies: a run that was taken over must not remove the journal of another. */
async function removeJournal({ journal, staging, state }: Places, files: Files): Promise<void> {
  await files.rename(journal, staging.pastJournal);
  await syncFolder(state, files);
}

/**
 * Whether an output is that of a manifest. Every file that a run writes names the run in its footer; where it has written
 * none, the mark of success must be all there is.
 */
async function isOutputOf(output: string, { run_id, outputs }: Manifest, files: Files): Promise<boolean> {
  if (!(await exists(output, files))) return false;
  const [first] = outputs;
  if (first === undefined) return (await files.readdir(output)).join() === '_SUCCESS';
  const path = join(output, ...first.path.split('/'));
  if (!(await exists(path, files))) return false;
  const file = await files.open(path, 'r');
  try {
    const { size } = await file.stat();
    // Parquet ends in the length of the footer and its mark, four bytes each.
    const end = Buffer.alloc(Math.min(8, size));
    await file.read(end, 0, end.length, size - end.length);
    const length = end.length < 8 ? size : Math.min(size, end.readUInt32LE(0) + 8);
    const footer = Buffer.alloc(length);
    await file.read(footer, 0, length, size - length);
    return footer.includes(run_id);
  } finally {
    await file.close();
  }
}

function nothingToShow({ output, journal }: Places, { run_id }: Manifest): ColonnadeError {
  return new ColonnadeError(
    'IO_FAILED',
    `${output}: run ${run_id} had died while publishing it, and neither the output nor what was staged for it is there any more`,
    { phase: 'commit', hint: `remove ${journal}, then run it again` },
  );
}

/** Two outputs wait for one name: the earlier one is kept as the new one is, until a person has made room. */
function cameBetween({ output }: Places, { run_id }: Manifest, cause: unknown): ColonnadeError {
  return new ColonnadeError(
    'OUTPUT_EXISTS',
    `${output} has come to be while run ${run_id} was publishing; it is not of any run`,
    {
      phase: 'commit',
      hint: `move ${output} away, then run it again: what was being published is finished then`,
      cause,
    },
  );
}
