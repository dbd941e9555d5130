/** How many workers, of which kind, with how many threads. */
import { availableParallelism } from 'node:os';
import type { StagingPlaces } from '../commit/places.js';
import type { Model } from '../model/engine.js';
import { secondsPerRow } from '../model/probe.js';
import type { Plan } from '../plan/plan.js';
import { openLocalWorker, openPlannedModels, type ShardWorker } from './shard-worker.js';

/**
 * Seconds of model time that are worth more processes: starting them takes some tenths of a second, in which the one that
 * is there already scores millions of rows with a simple model. (5 M rows, linear model, two cores: 0.9 s with one process,
 * 1.0 s with two.)
 */
const WORTH_PROCESSES_S = 2;
/** Threads of DuckDB in one worker: more would decode faster than one thread of JavaScript can take. */
const MOST_THREADS = 4;
/** Rows that the model's time is measured with: enough to tell models apart, in a hundredth of a second. */
const MEASURED_ROWS = 1024;

/** Seconds for a row that a model is taken for which cannot be measured, as it refuses empty texts: with texts it takes about that. */
const UNMEASURED_S = 1e-6;

/** What scores the shards of a run. */
export interface WorkerChoice {
  /** Worker processes; 1 means that the main process scores itself. */
  readonly workers: number;
  /** The models, where they were opened to be measured and the main process scores itself. */
  readonly models?: readonly Model[];
}

/**
 * What `workers: auto` stands for depends on how long the model takes here and now, which changes no byte of the output.
 */
export async function chooseWorkers(plan: Plan, requested?: number): Promise<WorkerChoice> {
  const wanted = requested ?? plan.run.workers;
  const useful = Math.max(1, plan.shards.length);
  if (wanted !== 'auto') return { workers: Math.min(wanted, useful) };
  const most = Math.min(availableParallelism(), useful);
  if (most === 1) return { workers: 1 };
  const models = await openPlannedModels(plan);
  let perRow = 0;
  for (const [i, { inputs, batchSize, fixedBatch }] of plan.models.entries()) {
    const rows = fixedBatch ? batchSize : Math.min(batchSize, MEASURED_ROWS);
    perRow += secondsPerRow(models[i]!, inputs, rows) ?? UNMEASURED_S;
  }
  if (perRow * plan.expected.rows < WORTH_PROCESSES_S) return { workers: 1, models };
  for (const model of models) await model.release();
  return { workers: most };
}

/** Threads of DuckDB in each of `workers` workers. One has all cores to itself: DuckDB decodes on some while the model runs on another. */
export function threadsPerWorker(workers: number): number {
  return Math.min(MOST_THREADS, Math.max(1, Math.floor(availableParallelism() / workers)));
}

/** Opens one of `workers` workers: in this process when it is the only one. */
export async function openWorker(
  task: WorkerChoice & { readonly plan: Plan; readonly planHash: string; readonly staging: StagingPlaces },
  signal: AbortSignal,
): Promise<ShardWorker> {
  const { workers, models, ...rest } = task;
  const threads = threadsPerWorker(workers);
  if (workers === 1) return openLocalWorker({ ...rest, threads }, signal, models);
  const { openChildWorker } = await import('./child-worker.js');
  return openChildWorker({ ...rest, threads });
}
