/**
 * Who may write an output: the owner of its highest epoch.
 *
 * Epochs are files `1.json`, `2.json`, … that only ever grow in number. A run takes the output by creating the next
 * one with `link()`, which fails when it is there already, so of any number of runs one wins. It may do so when the
 * highest epoch is released, or when the process that holds it is gone. The highest epoch is never deleted, so a run
 * that was stopped for long and woken cannot take an old number. No clock decides anything.
 */
import { link, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { makeFolder, writeWhole } from './durable.js';

/** A process, told from all others. */
export interface ProcessName {
  readonly host: string;
  readonly pid: number;
  /** Start of the process in clock ticks since boot, where the system tells: tells a reused pid apart. */
  readonly started: string | null;
}

/** Who holds an epoch. */
interface Owner extends ProcessName {
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

/**
 * Takes the output of which `folder` holds the epochs.
 * @throws ColonnadeError `OUTPUT_CONFLICT` when another run holds it.
 */
export async function takeEpoch(folder: string, output: string, run: string): Promise<Epoch> {
  await makeFolder(folder);
  const highest = await highestEpoch(folder);
  if (highest > 0) {
    const owner = await readOwner(folder, highest);
    if (owner !== undefined && !owner.released && (await isAlive(owner))) throw conflict(output, owner);
  }
  const number = highest + 1;
  const owner: Owner = {
    run,
    ...(await thisProcess()),
    released: false,
  };
  await claim(folder, number, owner, output);
  // The number may have been taken, released and deleted since the folder was read; then a higher one is there.
  const now = await highestEpoch(folder);
  if (now !== number) {
    await rm(join(folder, `${number}.json`), { force: true });
    throw conflict(output, await readOwner(folder, now));
  }
  for (const name of await readdir(folder)) {
    const other = Number.parseInt(name, 10);
    // Drafts are of processes that were killed, or of runs that have lost the race for this number.
    if (other < number || name.startsWith(DRAFT)) await rm(join(folder, name), { force: true });
  }
  return {
    number,
    check: async () => {
      const now = await highestEpoch(folder);
      if (now === number) return;
      const other = await readOwner(folder, now);
      throw conflict(output, other);
    },
    // Looking and writing are two steps, and nobody comes between them: as long as this process is alive and has not
    // released the epoch, no other run takes a higher one. Where one did all the same (by a clean-up by hand, or from a
    // machine whose name was changed), the file that is written here has a lower number than its own, which counts for
    // nothing and is removed by the next.
    release: async () => {
      if ((await highestEpoch(folder)) === number)
        await writeWhole(join(folder, `${number}.json`), JSON.stringify({ ...owner, released: true }));
    },
  };
}

const DRAFT = 'draft-';

async function claim(folder: string, number: number, owner: Owner, output: string): Promise<void> {
  const draft = join(folder, `${DRAFT}${owner.pid}-${owner.run}`);
  try {
    await writeFile(draft, JSON.stringify(owner));
    await link(draft, join(folder, `${number}.json`));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw conflict(output, await readOwner(folder, number));
    // The run that has taken the number, or a higher one, may have swept the draft away.
    const now = code === 'ENOENT' ? await highestEpoch(folder).catch(() => 0) : 0;
    if (now >= number) throw conflict(output, await readOwner(folder, now));
    throw systemError(error, 'commit', 'writing', folder);
  } finally {
    await rm(draft, { force: true });
  }
}

/** 0 where there is none. */
async function highestEpoch(folder: string): Promise<number> {
  const names = await readdir(folder).catch((error: unknown) => {
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
async function readOwner(folder: string, number: number): Promise<Owner | undefined> {
  const path = join(folder, `${number}.json`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
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

/** The name of this process. */
export async function thisProcess(): Promise<ProcessName> {
  return { host: hostname(), pid: process.pid, started: (await statOf(process.pid))?.started ?? null };
}

/**
 * The run that holds an output, as far as can be told without taking it; undefined where nobody does.
 * @throws ColonnadeError `IO_FAILED` and the like where that cannot be read.
 */
export async function holderOf(folder: string): Promise<(ProcessName & { readonly run: string }) | undefined> {
  const highest = await highestEpoch(folder);
  const owner = highest === 0 ? undefined : await readOwner(folder, highest);
  return owner !== undefined && !owner.released && (await isAlive(owner)) ? owner : undefined;
}

/** Whether a process is there and has not ended; one on another machine counts as being there. */
export async function isAlive(owner: ProcessName): Promise<boolean> {
  // Of a process on another machine nothing is known: it counts as alive.
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const now = await statOf(owner.pid);
  // Killed, and not yet waited for by its parent: all its threads are gone, and it writes nothing any more.
  if (now?.state === 'Z' && now.threads <= 1) return false;
  return owner.started === null || now?.started === owner.started;
}

/** Fields 3, 20 and 22 of /proc/PID/stat (proc(5)); undefined where there is no /proc. */
async function statOf(pid: number): Promise<{ state: string; threads: number; started: string } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name, in which there may be anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, threads: Number(fields[17]), started: fields[19]! };
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
