/** Finds the scores that an unfinished run of the same plan has left, and removes what is not whole of them. */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFile } from '../file-hash.js';
import type { Plan } from '../plan/plan.js';
import { systemError } from '../system-errors.js';
import { scoresPath, shardManifest } from './shard-files.js';
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
  const found = result && (await hashFile(scoresPath(folder, result)).catch(() => undefined));
  return found === result?.scores.sha256 ? result : undefined;
}

/** A shard of this plan whose scores have the size that its manifest tells. */
async function shardOfSize(plan: Plan, hash: string, folder: string, index: number): Promise<ShardResult | undefined> {
  try {
    const result = JSON.parse(await readFile(shardManifest(folder, index), 'utf8')) as ShardResult;
    if (result.planHash !== hash || result.shard !== index || result.counts.rows !== plan.shards[index]!.rows) return;
    if (basename(result.scores.file) !== result.scores.file) return;
    if ((await stat(scoresPath(folder, result))).size === result.scores.bytes) return result;
  } catch {
    // Not there, or cut off while it was written: the shard is scored again.
  }
  return undefined;
}

/**
 * Removes what is not of a shard that is done: drafts and scores of attempts that were killed, of which large ones would add
 * up until a run is done, and manifests of scores that are damaged, whose names would be taken. Called before the first
 * attempt.
 */
export async function sweepShards(folder: string, results: ReadonlyMap<number, ShardResult>): Promise<void> {
  const kept = new Set(
    [...results.values()].flatMap((result) => [shardManifest(folder, result.shard), scoresPath(folder, result)]),
  );
  try {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!kept.has(path)) await rm(path, { recursive: true, force: true });
    }
  } catch (error) {
    throw systemError(error, 'commit', 'clearing', folder);
  }
}
