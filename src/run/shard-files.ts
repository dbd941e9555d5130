/** Names of a shard's files in staging. */
import { join } from 'node:path';
import type { Shard } from '../plan/plan.js';

/** @param folder of all shards' files. */
export function shardFiles(folder: string, shard: number): { readonly scores: string; readonly manifest: string } {
  const stem = join(folder, String(shard).padStart(6, '0'));
  return { scores: `${stem}.parquet`, manifest: `${stem}.json` };
}

/** Scores files of some shards, in their order. */
export function scoresOf(shards: readonly Shard[], folder: string): string[] {
  return shards.map(({ index }) => shardFiles(folder, index).scores);
}
