/**
 * Scores groups of shards one at a time: opens database and model once, then turns each shard into a scores file and a
 * manifest of that shard. The same code runs in the main process and in worker processes.
 */
import { join } from 'node:path';
import type { StagingPlaces } from '../commit/places.js';
import { openModel } from '../model/session.js';
import type { Model } from '../model/engine.js';
import { loadEncoder, type Encoder } from '../parquet/encode.js';
import type { Plan, Shard } from '../plan/plan.js';
import { scoresFields } from '../score/row-group-scores.js';
import { RowGroupMemory, type CallWatch } from '../score/shard.js';
import { DATABASE_SHARE, openDatabase, type Database } from '../source/database.js';
import { openScanner, type Scanner } from '../source/scanner.js';
import { ShardAttempt, type ShardResult } from './shard-attempt.js';

/** What a worker needs to know, once. Plain data: it is sent to worker processes. */
export interface WorkerTask {
  readonly plan: Plan;
  readonly planHash: string;
  readonly staging: StagingPlaces;
  /** Threads of DuckDB. */
  readonly threads: number;
}

/** What a worker tells of a group while it scores it. */
export interface GroupEvents {
  /** Rows of a shard of the group that are behind it, while there are some before it. */
  readonly onRows: (shard: number, rows: number) => void;
  /** A shard of the group is done: its scores file and its manifest are there. */
  readonly onDone: (result: ShardResult) => void;
}

/** Something that scores shards, here or in another process. */
export interface ShardWorker {
  /**
   * Scores a group of shards: one, or several that are each all of a file. One group at a time. What is done when it fails
   * stays done.
   */
  score(shards: readonly number[], events: GroupEvents): Promise<void>;
  /** Ends it; a shard under way is given up. */
  close(): Promise<void>;
}

/** Opens the models of a plan for the outputs that the plan takes. */
export async function openPlannedModels({ models, outputs }: Plan): Promise<Model[]> {
  const opening = models.map(({ path, signature, engine }, at) => {
    const taken = outputs.filter(({ model }) => model === at).map(({ from }) => from);
    return openModel(path, { signature, engine, outputs: [...new Set(taken)] });
  });
  try {
    return await Promise.all(opening);
  } catch (error) {
    for (const opened of await Promise.allSettled(opening))
      if (opened.status === 'fulfilled') await opened.value.release();
    throw error;
  }
}

/**
 * Opens database and model in this process.
 * @param opened what is open already; it is the worker's from then on. `watch` is told of each call of a model.
 */
export async function openLocalWorker(
  task: WorkerTask,
  signal?: AbortSignal,
  opened: { readonly models?: readonly Model[]; readonly database?: Database; readonly watch?: CallWatch } = {},
): Promise<ShardWorker> {
  const { plan, staging } = task;
  const openingDatabase =
    opened.database === undefined
      ? openDatabase({
          memoryLimit: Math.round(plan.run.memory * DATABASE_SHARE),
          threads: task.threads,
          spillDirectory: join(staging.spill, String(process.pid)),
          readable: plan.files.map(({ path }) => path),
          writable: [],
        })
      : Promise.resolve(opened.database);
  const openingModels = opened.models === undefined ? openPlannedModels(plan) : Promise.resolve(opened.models);
  try {
    const [database, models, encoder] = await Promise.all([
      openingDatabase,
      openingModels,
      loadEncoder(scoresFields(plan.outputs), plan.sink.compression),
    ]);
    const scanner = await openScanner(database, plan.projection);
    const { watch } = opened;
    const tools = { database, scanner, models, encoder, ...(watch === undefined ? {} : { watch }) };
    return new LocalWorker(task, tools, signal);
  } catch (error) {
    // What did open is closed: the next attempt opens its own.
    const [database, models] = await Promise.allSettled([openingDatabase, openingModels]);
    if (database.status === 'fulfilled') await database.value.close();
    if (models.status === 'fulfilled') for (const model of models.value) await model.release();
    throw error;
  }
}

/** What a worker has open. */
interface Tools {
  readonly database: Database;
  readonly scanner: Scanner;
  readonly models: readonly Model[];
  readonly encoder: Encoder;
  readonly watch?: CallWatch;
}

/** Milliseconds that a query over several shards is to take: asking is little beside it, and signals are heard after it. */
const QUERY_MS = 100;

class LocalWorker implements ShardWorker {
  readonly #task: WorkerTask;
  readonly #tools: Tools;
  readonly #signal: AbortSignal | undefined;
  readonly #memory: RowGroupMemory;
  /** Shards of a group that are scored by one query: at first as few as possible, as nobody knows how long they take. */
  #atOnce = 1;
  /** The group under way, or the last one. */
  #scoring: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(task: WorkerTask, tools: Tools, signal: AbortSignal | undefined) {
    this.#task = task;
    this.#tools = tools;
    this.#signal = signal;
    this.#memory = new RowGroupMemory(task.plan);
  }

  score(shards: readonly number[], events: GroupEvents): Promise<void> {
    const scoring = this.#score(shards, events);
    this.#scoring = scoring.catch(() => undefined);
    return scoring;
  }

  async #score(indices: readonly number[], events: GroupEvents): Promise<void> {
    const shards = indices.map((index) => this.#task.plan.shards[index]!);
    if (shards.length === 1) return this.#scoreTogether(shards, events);
    // A query keeps this thread from all else until it is done: it is asked as much as takes a moment.
    for (let from = 0, to: number; from < shards.length; from = to) {
      to = from + this.#atOnce;
      const start = performance.now();
      await this.#scoreTogether(shards.slice(from, to), events);
      const most = (this.#atOnce * QUERY_MS) / (performance.now() - start);
      this.#atOnce = Math.max(1, Math.floor(Math.min(most, this.#atOnce * 4)));
    }
  }

  /** Scores shards by one query. */
  async #scoreTogether(shards: readonly Shard[], events: GroupEvents): Promise<void> {
    const { plan } = this.#task;
    const { scanner } = this.#tools;
    /** Shards under way, by their place: as many as the scan reads at once. */
    const begun = new Map<number, ShardAttempt>();
    const attemptAt = (at: number): ShardAttempt => {
      const attempt = begun.get(at) ?? new ShardAttempt(this.#task, shards[at]!, this.#tools, this.#memory, events);
      begun.set(at, attempt);
      return attempt;
    };
    const finish = (at: number): void => {
      const result = attemptAt(at).finish();
      begun.delete(at);
      events.onDone(result);
    };
    const common = {
      hiveTypes: plan.hiveTypes,
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    };
    try {
      const [first] = shards;
      if (shards.length === 1) {
        const { file, firstRow, rows } = first!;
        await scanner.scan({ ...common, file: plan.files[file]!, firstRow, rows }, (batch) => attemptAt(0).add(batch));
        finish(0);
        return;
      }
      const files = shards.map(({ file, rows }) => ({ file: plan.files[file]!, rows }));
      await scanner.scanFiles({ ...common, files }, (batch, at) => {
        const attempt = attemptAt(at);
        attempt.add(batch);
        // At once: only what is under way takes memory.
        if (attempt.isComplete) finish(at);
      });
      // Those without rows.
      for (const [at, { rows }] of shards.entries()) if (rows === 0) finish(at);
    } catch (error) {
      for (const attempt of begun.values()) attempt.abort();
      throw error;
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const { database, scanner, models } = this.#tools;
    // To disconnect waits for the query, whose threads wait for this one to take their rows: neither would ever go on.
    await this.#scoring;
    for (const model of models) await model.release();
    scanner.close();
    await database.close();
  }
}
