/**
 * Makes a staged output visible: whole or not at all.
 *
 * Everything staged is complete, checked and synced before this begins. Then:
 *
 * 1. the journal is written: from here on the run will be finished, by itself or by the next run;
 * 2. an earlier output moves away (only with `exists: replace`);
 * 3. the staged output takes its name, `_SUCCESS` in it: readers see it from here on, whole;
 * 4. the quarantine likewise;
 * 5. the manifest is written: the run is done;
 * 6. journal, earlier output and staging are removed.
 *
 * Each step looks at what is there before it acts, so that going through them again after a crash is harmless.
 */
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemError } from '../system-errors.js';
import { makeFolder, syncFolder, writeWhole } from './durable.js';
import { writeManifest, type Manifest } from './manifest.js';
import type { Places } from './places.js';

/** What finishing the publication needs: the places of the run that began it, and its manifest. */
interface Journal {
  readonly places: Places;
  readonly manifest: Manifest;
}

/** Publishes what is staged. */
export async function publish(places: Places, manifest: Manifest): Promise<void> {
  await makeFolder(dirname(places.output));
  await writeWhole(places.journal, JSON.stringify({ places, manifest } satisfies Journal));
  await finishPublishing({ places, manifest });
}

/**
 * Finishes what a run that died while publishing has begun.
 * @returns the id of that run; undefined when there was nothing to finish.
 */
export async function recover(places: Places): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(places.journal, 'utf8');
  } catch {
    return undefined;
  }
  const journal = JSON.parse(text) as Journal;
  await finishPublishing(journal);
  return journal.manifest.run_id;
}

async function finishPublishing({ places, manifest }: Journal): Promise<void> {
  const { staging } = places;
  const parent = dirname(places.output);
  try {
    if (await exists(staging.output)) {
      if (await exists(places.output)) {
        await rm(staging.previous, { recursive: true, force: true });
        await rename(places.output, staging.previous);
      }
      try {
        await rename(staging.output, places.output);
      } catch (error) {
        // The earlier output must not be the price of a failure.
        if (await exists(staging.previous)) await rename(staging.previous, places.output);
        await rm(places.journal, { force: true });
        throw error;
      }
      await syncFolder(parent);
    }
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
    await rm(staging.root, { recursive: true, force: true });
    await syncFolder(places.state);
  } catch (error) {
    throw systemError(error, 'commit', 'publishing', places.output);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
