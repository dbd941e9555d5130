/** Names of a shard's files in staging. */
import { join } from 'node:path';
import type { Shard } from '../plan/plan.js';
import type { ShardResult } from './shard-attempt.js';

const stemOf = (shard: number): string => String(shard).padStart(6, '0');

/** The one file whose name decides which attempt at a shard counts. @param folder of all shards' files. */
export function shardManifest(folder: string, shard: number): string {
  return join(folder, `${stemOf(shard)}.json`);
}

/** Name of the scores of one attempt, which no other attempt has. */
export function attemptName(shard: number, attempt: string): string {
  return `${stemOf(shard)}.${attempt}.parquet`;
}

/** Path of the scores that a shard's result tells of. */
export function scoresPath(folder: string, { scores }: ShardResult): string {
  return join(folder, scores.file);
}

/** Scores files of some shards that are done, in their order. */
export function scoresOf(
  shards: readonly Shard[],
  folder: string,
  results: ReadonlyMap<number, ShardResult>,
): string[] {
  return shards.map(({ index }) => scoresPath(folder, results.get(index)!));
}
