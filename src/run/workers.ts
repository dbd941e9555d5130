/** How many workers, of which kind, with how many threads. */
import { availableParallelism } from 'node:os';
import type { StagingPlaces } from '../commit/places.js';
import type { Plan } from '../plan/plan.js';
import { openLocalWorker, type ShardWorker } from './shard-worker.js';

/** Below this many rows a second process costs more than it saves: starting one takes about a third of a second. */
const ROWS_WORTH_A_PROCESS = 1_000_000;

/** Worker processes of a run; 1 means that the main process scores itself. */
export function workerCount(plan: Plan, requested?: number): number {
  const wanted = requested ?? plan.run.workers;
  const useful = Math.max(1, plan.shards.length);
  if (wanted !== 'auto') return Math.min(wanted, useful);
  if (plan.expected.rows < ROWS_WORTH_A_PROCESS) return 1;
  return Math.min(availableParallelism(), useful);
}

/** Opens one of `workers` workers: in this process when it is the only one. */
export async function openWorker(
  task: { readonly plan: Plan; readonly planHash: string; readonly staging: StagingPlaces; readonly workers: number },
  signal: AbortSignal,
): Promise<ShardWorker> {
  const { workers, ...rest } = task;
  // One worker has all cores to itself: DuckDB reads ahead on one while the model runs on another.
  const threads = Math.max(1, Math.floor(availableParallelism() / workers));
  if (workers === 1) return openLocalWorker({ ...rest, threads }, signal);
  const { openChildWorker } = await import('./child-worker.js');
  return openChildWorker({ ...rest, threads });
}
