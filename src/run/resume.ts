/** Finds the scores that an unfinished run of the same plan has left, and clears the rest of staging. */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Places } from '../commit/places.js';
import { hashFile } from '../file-hash.js';
import type { Plan } from '../plan/plan.js';
import { systemError } from '../system-errors.js';
import { shardFiles } from './shard-files.js';
import type { ShardResult } from './shard-attempt.js';

/** Shards that are looked at side by side: of small files there may be thousands. */
const SHARDS_AT_ONCE = 8;

/** The shards that are done. @param signal ends it, with its reason: to hash all scores may take a while. */
export async function finishedShards(
  plan: Plan,
  hash: string,
  folder: string,
  signal: AbortSignal,
): Promise<Map<number, ShardResult>> {
  const finished = new Map<number, ShardResult>();
  for (let from = 0; from < plan.shards.length; from += SHARDS_AT_ONCE) {
    signal.throwIfAborted();
    const some = plan.shards.slice(from, from + SHARDS_AT_ONCE);
    for (const result of await Promise.all(some.map(({ index }) => finishedShard(plan, hash, folder, index))))
      if (result !== undefined) finished.set(result.shard, result);
  }
  return finished;
}

/** Whether a shard seems to be done, by its size alone: whoever goes on from it compares the hash. */
export async function hasFinishedShards(plan: Plan, hash: string, folder: string): Promise<boolean> {
  for (const { index } of plan.shards) if ((await shardOfSize(plan, hash, folder, index)) !== undefined) return true;
  return false;
}

/**
 * A shard whose manifest and scores are whole: same plan, same size and hash. Anything else counts as not done.
 */
export async function finishedShard(
  plan: Plan,
  hash: string,
  folder: string,
  index: number,
): Promise<ShardResult | undefined> {
  const result = await shardOfSize(plan, hash, folder, index);
  // Gone meanwhile, or it cannot be read: the shard is scored again.
  const found = result && (await hashFile(shardFiles(folder, index).scores).catch(() => undefined));
  return found === result?.scores.sha256 ? result : undefined;
}

/** A shard of this plan whose scores have the size that its manifest tells. */
async function shardOfSize(plan: Plan, hash: string, folder: string, index: number): Promise<ShardResult | undefined> {
  const { scores, manifest } = shardFiles(folder, index);
  try {
    const result = JSON.parse(await readFile(manifest, 'utf8')) as ShardResult;
    if (result.planHash !== hash || result.shard !== index || result.counts.rows !== plan.shards[index]!.rows) return;
    if ((await stat(scores)).size === result.scores.bytes) return result;
  } catch {
    // Not there, or cut off while it was written: the shard is scored again.
  }
  return undefined;
}

/**
 * Removes what earlier runs have left in staging: all of other plans, and of this one all but its scores (those too
 * with `fresh`). Only the holder of the epoch calls this, so nobody else is at work there.
 */
export async function clearStaging(places: Places, fresh: boolean): Promise<void> {
  const { staging } = places;
  try {
    const parent = dirname(staging.root);
    for (const name of await entries(parent)) {
      const root = join(parent, name);
      if (root !== staging.root || fresh) await rm(root, { recursive: true, force: true });
    }
    for (const name of await entries(staging.root)) {
      const path = join(staging.root, name);
      if (path !== staging.shards) await rm(path, { recursive: true, force: true });
    }
    // Drafts of processes that were killed: large ones would add up until a run is done.
    for (const name of await entries(staging.shards))
      if (name.endsWith('.tmp')) await rm(join(staging.shards, name), { force: true });
  } catch (error) {
    throw systemError(error, 'commit', 'clearing', dirname(staging.root));
  }
}

async function entries(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}
