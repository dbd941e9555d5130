/**
 * Who may write an output: the owner of its highest epoch.
 *
 * Epochs are files `1.json`, `2.json`, … that only ever grow in number. A run takes the output by creating the next
 * one with `link()`, which fails when it is there already, so of any number of runs one wins. It may do so when the
 * highest epoch is released, or when the process that holds it is gone. The highest epoch is never deleted, so a run
 * that was stopped for long and woken cannot take an old number. No clock decides anything.
 */
import { join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { makeFolder, writeWhole } from './durable.js';
import { thisSystem, type Files, type ProcessId, type System } from './system.js';

/** Who holds an epoch. */
interface Owner extends ProcessId {
  readonly run: string;
  readonly released: boolean;
}

export interface Epoch {
  readonly number: number;
  /** @throws ColonnadeError `OUTPUT_CONFLICT` when another run has taken the output over. */
  check(): Promise<void>;
  /** Lets others take the output. */
  release(): Promise<void>;
}

export interface EpochOptions {
  /** The epoch gets a higher number: one that is in use though its file is gone, as after a power cut. */
  readonly above?: number;
  readonly system?: System;
}

/**
 * Takes the output of which `folder` holds the epochs.
 * @throws ColonnadeError `OUTPUT_CONFLICT` when another run holds it.
 */
export async function takeEpoch(
  folder: string,
  output: string,
  run: string,
  { above = 0, system = thisSystem }: EpochOptions = {},
): Promise<Epoch> {
  const { files } = system;
  await makeFolder(folder, { durable: true, files });
  const highest = await refuseHeld(folder, output, system);
  const number = Math.max(highest, above) + 1;
  const { host, pid, started } = await system.self();
  const owner: Owner = { run, host, pid, started, released: false };
  await claim(folder, number, owner, output, files);
  // The number may have been taken, released and deleted since the folder was read; then a higher one is there.
  const now = await highestEpoch(folder, files);
  if (now !== number) {
    await files.rm(join(folder, `${number}.json`), { force: true });
    throw conflict(output, await readOwner(folder, now, files));
  }
  for (const name of await files.readdir(folder)) {
    const other = Number.parseInt(name, 10);
    // Drafts are of processes that were killed, or of runs that have lost the race for this number.
    if (other < number || name.startsWith(DRAFT)) await files.rm(join(folder, name), { force: true });
  }
  return {
    number,
    check: async () => {
      const now = await highestEpoch(folder, files);
      if (now === number) return;
      throw conflict(output, await readOwner(folder, now, files));
    },
    // Looking and writing are two steps, and nobody comes between them: as long as this process is alive and has not
    // released the epoch, no other run takes a higher one. Where one did all the same (by a clean-up by hand, or from a
    // machine whose name was changed), the file that is written here has a lower number than its own, which counts for
    // nothing and is removed by the next.
    release: async () => {
      if ((await highestEpoch(folder, files)) === number) {
        await writeWhole(join(folder, `${number}.json`), JSON.stringify({ ...owner, released: true }), {
          sync: false,
          files,
        });
      }
    },
  };
}

/**
 * The highest epoch of an output, 0 where there is none yet.
 * @throws ColonnadeError `OUTPUT_CONFLICT` when a run holds it that is or may be alive.
 */
export async function refuseHeld(folder: string, output: string, system: System = thisSystem): Promise<number> {
  const highest = await highestEpoch(folder, system.files);
  if (highest > 0) {
    const owner = await readOwner(folder, highest, system.files);
    if (owner !== undefined && !owner.released && (await system.isAlive(owner))) throw conflict(output, owner);
  }
  return highest;
}

const DRAFT = 'draft-';

async function claim(folder: string, number: number, owner: Owner, output: string, files: Files): Promise<void> {
  const draft = join(folder, `${DRAFT}${owner.pid}-${owner.run}`);
  try {
    await files.writeFile(draft, JSON.stringify(owner));
    await files.link(draft, join(folder, `${number}.json`));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw conflict(output, await readOwner(folder, number, files));
    // The run that has taken the number, or a higher one, may have swept the draft away.
    const now = code === 'ENOENT' ? await highestEpoch(folder, files).catch(() => 0) : 0;
    if (now >= number) throw conflict(output, await readOwner(folder, now, files));
    throw systemError(error, 'commit', 'writing', folder);
  } finally {
    await files.rm(draft, { force: true });
  }
}

/** 0 where there is none. */
async function highestEpoch(folder: string, files: Files): Promise<number> {
  const names = await files.readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw systemError(error, 'commit', 'reading', folder);
  });
  const numbers = names.map((name) => /^(\d+)\.json$/.exec(name)?.[1]).filter((text) => text !== undefined);
  return Math.max(0, ...numbers.map(Number));
}

/**
 * Who holds an epoch. Undefined where its file is gone meanwhile, because a higher epoch has replaced it, and where it is
 * damaged: it is made whole, but not synced, so that its machine went down, and its owner with it.
 * @throws ColonnadeError where the file cannot be read: its owner may well be alive.
 */
async function readOwner(folder: string, number: number, files: Files): Promise<Owner | undefined> {
  const path = join(folder, `${number}.json`);
  let text: string;
  try {
    text = await files.readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(error, 'commit', 'reading', path);
  }
  try {
    const owner = JSON.parse(text) as Owner | null;
    return typeof owner?.host === 'string' && typeof owner.pid === 'number' ? owner : undefined;
  } catch {
    return undefined;
  }
}

function conflict(output: string, owner: Owner | undefined): ColonnadeError {
  const who = owner === undefined ? 'another run' : `run ${owner.run} (process ${owner.pid} on ${owner.host})`;
  return new ColonnadeError('OUTPUT_CONFLICT', `${output}: ${who} is writing this output`, {
    phase: 'commit',
    hint: 'wait until it is done, or choose another sink.path',
  });
}
