/**
 * Scores shards one at a time: opens database and model once, then turns each shard into a scores file and a manifest
 * of that shard. The same code runs in the main process and in worker processes.
 */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../commit/durable.js';
import type { StagingPlaces } from '../commit/places.js';
import { ColonnadeError } from '../errors.js';
import { openModel } from '../model/session.js';
import type { Model } from '../model/engine.js';
import { loadEncoder, type Encoder } from '../parquet/encode.js';
import { ScoresWriter } from '../parquet/scores.js';
import type { Plan } from '../plan/plan.js';
import { scoresFields } from '../score/row-group-scores.js';
import { RowGroupMemory, ShardScorer, type ShardCounts } from '../score/shard.js';
import { DATABASE_SHARE, openDatabase, type Database } from '../source/database.js';
import { systemError } from '../system-errors.js';
import { openScanner, type Scanner } from '../source/scanner.js';
import { shardFiles } from './shard-files.js';

/**
 * A shard that is done. Also the content of the shard's manifest. Neither it nor the scores are synced: after a power cut
 * one of them may be missing or damaged, which size and hash tell, and the shard is scored again.
 */
export interface ShardResult {
  readonly shard: number;
  readonly planHash: string;
  readonly counts: ShardCounts;
  readonly scores: { readonly bytes: number; readonly sha256: string };
}

/** What a worker needs to know, once. Plain data: it is sent to worker processes. */
export interface WorkerTask {
  readonly plan: Plan;
  readonly planHash: string;
  readonly staging: StagingPlaces;
  /** Threads of DuckDB. */
  readonly threads: number;
}

/** Something that scores shards, here or in another process. */
export interface ShardWorker {
  /**
   * Scores a shard and leaves its scores file and manifest on disk. One at a time.
   * @param onRows called with the rows of the shard that are behind it.
   */
  score(shard: number, onRows: (rows: number) => void): Promise<ShardResult>;
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
 * @param opened what is open already; it is the worker's from then on.
 */
export async function openLocalWorker(
  task: WorkerTask,
  signal?: AbortSignal,
  opened: { readonly models?: readonly Model[]; readonly database?: Database } = {},
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
    return new LocalWorker(task, { database, scanner, models, encoder }, signal);
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
}

class LocalWorker implements ShardWorker {
  readonly #task: WorkerTask;
  readonly #tools: Tools;
  readonly #signal: AbortSignal | undefined;
  readonly #memory: RowGroupMemory;
  /** The shard under way, or the last one. */
  #scoring: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(task: WorkerTask, tools: Tools, signal: AbortSignal | undefined) {
    this.#task = task;
    this.#tools = tools;
    this.#signal = signal;
    this.#memory = new RowGroupMemory(task.plan);
  }

  score(index: number, onRows: (rows: number) => void): Promise<ShardResult> {
    const scoring = this.#score(index, onRows);
    this.#scoring = scoring.catch(() => undefined);
    return scoring;
  }

  async #score(index: number, onRows: (rows: number) => void): Promise<ShardResult> {
    const { plan, planHash, staging } = this.#task;
    const { scanner, models, encoder } = this.#tools;
    const shard = plan.shards[index]!;
    const file = plan.files[shard.file]!;
    const { scores, manifest } = shardFiles(staging.shards, index);
    // An attempt that is given up must never leave a file under the name of a whole one.
    const draft = `${scores}.${process.pid}.tmp`;
    const writer = await ScoresWriter.create(draft, encoder);
    try {
      const scorer = new ShardScorer(
        plan,
        shard,
        models,
        { appendRowGroup: (group) => writer.appendRowGroup(group.finish()) },
        { onRows, memory: this.#memory },
      );
      const { firstRow, rows } = shard;
      await scanner.scan(
        {
          file,
          hiveTypes: plan.hiveTypes,
          firstRow,
          rows,
          ...(this.#signal === undefined ? {} : { signal: this.#signal }),
        },
        (part) => scorer.add(part),
      );
      const counts = scorer.finish();
      const written = await writer.close();
      if (written.rows !== shard.rows) {
        throw new ColonnadeError(
          'LEDGER_UNBALANCED',
          `${file.path}: ${written.rows} scores written for ${shard.rows} rows`,
          { phase: 'score' },
        );
      }
      await rename(draft, scores).catch((error: unknown) => {
        throw systemError(error, 'score', 'naming', scores);
      });
      const result: ShardResult = {
        shard: index,
        planHash,
        counts,
        scores: { bytes: written.bytes, sha256: written.sha256 },
      };
      await writeWhole(manifest, JSON.stringify(result), { sync: false });
      return result;
    } catch (error) {
      await writer.abort();
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
