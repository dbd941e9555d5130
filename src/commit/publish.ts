/**
 * Makes a staged output visible: whole or not at all.
 *
 * Everything staged is complete, checked and synced before this begins. Then:
 *
 * 1. the journal is written, which holds the manifest: from here on the run will be finished, by itself or by the next run;
 * 2. an earlier output moves away (only with `exists: replace`);
 * 3. the staged output takes its name, `_SUCCESS` in it: readers see it from here on, whole;
 * 4. the quarantine likewise;
 * 5. the manifest is written: the run is done;
 * 6. journal, earlier output and staging are removed.
 *
 * Each step looks at what is there before it acts, so that going through them again after a crash is harmless. A failure
 * up to step 3 is rolled back and the journal removed; one after it leaves the journal, and the next run goes on from it.
 */
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { makeFolder, sweepDrafts, syncFolder, writeWhole } from './durable.js';
import { parseManifest, writeManifest, type Manifest } from './manifest.js';
import { placesOf, type Places } from './places.js';

/** Publishes what is staged. */
export async function publish(places: Places, manifest: Manifest): Promise<void> {
  await makeFolder(dirname(places.output));
  await writeWhole(places.journal, JSON.stringify(manifest));
  await finishPublishing(places, manifest);
}

/** True while a run publishes, or after it died over that. */
export async function isPublishing(places: Places): Promise<boolean> {
  return exists(places.journal);
}

/**
 * Removes what runs that were killed over the journal or the manifest have left of these. Only the holder of the epoch
 * calls this.
 */
export async function sweepState(places: Places): Promise<void> {
  try {
    for (const path of [places.journal, places.manifest]) await sweepDrafts(path);
  } catch (error) {
    throw systemError(error, 'commit', 'sweeping', places.state);
  }
}

/**
 * Finishes what a run that died while publishing has begun.
 * @returns the manifest of that run; undefined when there was nothing to finish.
 */
export async function recover(places: Places): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readFile(places.journal, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(error, 'commit', 'reading', places.journal);
  }
  const manifest = parseJournal(text, places.journal);
  // Its staging is that of its own plan, which may be another than the present one.
  await finishPublishing(placesOf(places.output, manifest.plan_hash), manifest);
  return manifest;
}

/** The journal is written whole: what cannot be read was damaged by another hand. */
function parseJournal(text: string, path: string): Manifest {
  try {
    return parseManifest(text);
  } catch (error) {
    throw new ColonnadeError('IO_FAILED', `${path}: the journal of a run that died while publishing cannot be read`, {
      phase: 'commit',
      hint: 'look whether the output is whole; then remove the journal and run it again',
      cause: error,
    });
  }
}

async function finishPublishing(places: Places, manifest: Manifest): Promise<void> {
  const { staging } = places;
  try {
    if (await exists(staging.output)) await showOutput(places, manifest);
    else if (!(await exists(places.output))) throw nothingToShow(places, manifest);
    if (await exists(places.quarantine)) {
      const isNew = manifest.quarantine.length > 0 && !(await exists(staging.quarantine));
      if (!isNew) {
        await rm(staging.previousQuarantine, { recursive: true, force: true });
        await rename(places.quarantine, staging.previousQuarantine);
      }
    }
    if (await exists(staging.quarantine)) await rename(staging.quarantine, places.quarantine);
    await syncFolder(places.state);
    await writeManifest(places.manifest, manifest);
    await rm(places.journal, { force: true });
    await rm(dirname(staging.root), { recursive: true, force: true });
    await syncFolder(places.state);
  } catch (error) {
    throw systemError(error, 'commit', 'publishing', places.output);
  }
}

/** Gives the staged output its name. A failure takes all of it back: the run has not happened. */
async function showOutput(places: Places, manifest: Manifest): Promise<void> {
  const { staging, output } = places;
  try {
    // Without `replace` the folder is not there or empty, or the rename fails: what came meanwhile is not harmed.
    if (manifest.sink.exists === 'replace' && (await exists(output))) {
      await rm(staging.previous, { recursive: true, force: true });
      await rename(output, staging.previous);
    }
    await rename(staging.output, output);
  } catch (error) {
    if (!(await exists(output)) && (await exists(staging.previous))) await rename(staging.previous, output);
    await rm(places.journal, { force: true });
    // Before what is staged goes: a journal without it could not be gone on from.
    await syncFolder(places.state);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    throw new ColonnadeError('OUTPUT_EXISTS', `${output} has come to be while the run was at work`, {
      phase: 'commit',
      hint: 'choose another sink.path, or write sink.exists: replace (--replace on the command line)',
      cause: error,
    });
  }
  await syncFolder(dirname(output));
}

function nothingToShow({ output, journal }: Places, { run_id }: Manifest): ColonnadeError {
  return new ColonnadeError(
    'IO_FAILED',
    `${output}: run ${run_id} had died while publishing it, and neither the output nor what was staged for it is there any more`,
    { phase: 'commit', hint: `remove ${journal}, then run it again` },
  );
}

/** False for what is not there alone: what cannot be looked at must not be taken for published already. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw systemError(error, 'commit', 'looking for', path);
  }
}
