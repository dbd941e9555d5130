/** Names of a shard's files in staging. */
import { join } from 'node:path';

export function shardFiles(folder: string, shard: number): { readonly scores: string; readonly manifest: string } {
  const stem = join(folder, String(shard).padStart(6, '0'));
  return { scores: `${stem}.parquet`, manifest: `${stem}.json` };
}
