/** How many workers, of which kind, with how many threads. */
import { availableParallelism } from 'node:os';
import type { StagingPlaces } from '../commit/places.js';
import type { Model } from '../model/engine.js';
import { secondsPerRow } from '../model/probe.js';
import type { Plan } from '../plan/plan.js';
import { groupShards } from '../plan/shards.js';
import type { Database } from '../source/database.js';
import { openLocalWorker, openPlannedModels, type ShardWorker } from './shard-worker.js';

/**
 * Seconds of model time that are worth more processes: starting them takes some tenths of a second, in which the one that
 * is there already scores millions of rows with a simple model. (5 M rows, linear model, two cores: 0.9 s with one process,
 * 1.0 s with two.)
 */
const WORTH_PROCESSES_S = 2;
/** The same where the main process scores as well, while the others start. */
const WORTH_HELPERS_S = 0.5;
/** Threads of DuckDB in one worker: more would decode faster than one thread of JavaScript can take. */
const MOST_THREADS = 4;
/** Rows that the model's time is measured with: enough to tell models apart, in a hundredth of a second. */
const MEASURED_ROWS = 1024;

/** Seconds for a row that a model is taken for which cannot be measured, as it refuses empty texts: with texts it takes about that. */
const UNMEASURED_S = 1e-6;

/** What the number of threads follows from. */
interface Scanning {
  readonly onInvalid: Plan['onInvalid'];
  readonly run: Pick<Plan['run'], 'threads'>;
}

/**
 * Threads of the database that one of so many workers scans with. One worker has all cores to itself: DuckDB decodes on some
 * while the model runs on another.
 */
export function scanThreads({ onInvalid, run }: Scanning, workers = 1): number {
  // One thread reads row groups in order: then the invalid row that ends the run is the first of the shard.
  if (onInvalid === 'fail') return 1;
  if (run.threads !== undefined) return run.threads;
  return Math.min(MOST_THREADS, Math.max(1, Math.floor(availableParallelism() / workers)));
}

/** What scores the shards of a run. */
export interface WorkerChoice {
  readonly workers: number;
  /**
   * Whether the first of them is the main process. It is where it is the only one; with others beside it where nothing native
   * scores, as a crash would end the run.
   */
  readonly mainScores: boolean;
  /** The models, where they were opened to be measured and the main process scores. */
  readonly models?: readonly Model[];
}

/**
 * What `workers: auto` stands for depends on how long the model takes here and now, which changes no byte of the output.
 * @param mainDied the main process has died while it scored this plan: it is not to do so again
 */
export async function chooseWorkers(plan: Plan, requested?: number, mainDied = false): Promise<WorkerChoice> {
  const isApart = mainDied || scoresApart(plan);
  const wanted = requested ?? plan.run.workers;
  const most = atMost(plan, wanted === 'auto' ? availableParallelism() : wanted);
  if (wanted !== 'auto') return { workers: most, mainScores: most === 1 && !isApart };
  if (most === 1) return { workers: 1, mainScores: !isApart };
  // To open one that killed this process once is a risk as well.
  if (mainDied || plan.models.some(({ signature }) => signature.mayHang === true))
    return { workers: most, mainScores: false };
  const models = await openPlannedModels(plan);
  let perRow = 0;
  for (const [i, { inputs, batchSize, fixedBatch }] of plan.models.entries()) {
    const rows = fixedBatch ? batchSize : Math.min(batchSize, MEASURED_ROWS);
    perRow += secondsPerRow(models[i]!, inputs, rows) ?? UNMEASURED_S;
  }
  const seconds = perRow * plan.expected.rows;
  if (!isApart) {
    if (models.every(({ isNative }) => !isNative))
      return { workers: seconds < WORTH_HELPERS_S ? 1 : most, mainScores: true, models };
    if (seconds < WORTH_PROCESSES_S) return { workers: 1, mainScores: true, models };
  }
  for (const model of models) await model.release();
  return { workers: seconds < WORTH_PROCESSES_S ? 1 : most, mainScores: false };
}

/**
 * Whether models are to be run in processes that can be ended, be it one: where a deadline was asked for, and where one may
 * hang. Without either a model of few rows is scored in the main process, in which nothing could stop it.
 */
export function scoresApart({ run, models }: Pick<Plan, 'run' | 'models'>): boolean {
  return typeof run.timeout === 'number' || models.some(({ signature }) => signature.mayHang === true);
}

/** As many of so many workers as there is something to hand over to. */
function atMost({ shards, files }: Plan, workers: number): number {
  return Math.max(1, Math.min(workers, groupShards(shards, files, workers).length));
}

/** What the workers of a run are opened for. */
interface WorkersTask extends WorkerChoice {
  readonly plan: Plan;
  readonly planHash: string;
  readonly staging: StagingPlaces;
  /** A database with {@link scanThreads} that may read the files of the plan, where one is open already. */
  readonly database?: Database;
}

/** Opens a worker: in this process where `mainScores`, with the models and the database that are open already. */
export async function openWorker(task: WorkersTask, signal: AbortSignal): Promise<ShardWorker> {
  const { workers, mainScores, models, database, ...rest } = task;
  const threads = scanThreads(task.plan, workers);
  if (mainScores) {
    return openLocalWorker({ ...rest, threads }, signal, {
      ...(models === undefined ? {} : { models }),
      ...(database === undefined ? {} : { database }),
    });
  }
  // It serves for nothing beside worker processes.
  await database?.close();
  const { openChildWorker } = await import('./child-worker.js');
  return openChildWorker({ ...rest, threads });
}
