/** Worker processes that score the same rows again and again, as a run would score them, to see what a setting costs. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { placesOf } from '../commit/places.js';
import type { Plan } from '../plan/plan.js';
import { groupShards } from '../plan/shards.js';
import { openChildWorker, type ProcessWorker } from './child-worker.js';
import type { ShardResult } from './shard-attempt.js';

/** Settings that are tried. */
export interface ContenderTask {
  /** With the shards that are scored. */
  readonly plan: Plan;
  readonly workers: number;
  /** Threads of DuckDB in each worker. */
  readonly threads: number;
  /** An empty private folder for scores, which are written as in a run. */
  readonly folder: string;
}

/** One pass of all workers over some shards. */
export interface Pass {
  /** Rows that all workers together have read. */
  readonly rows: number;
  /** Of these, rows that were given to the model. */
  readonly scored: number;
  /** Until the last worker was done. */
  readonly seconds: number;
}

export class Contender {
  /** Seconds that it took until all workers were ready. */
  readonly openingSeconds: number;
  readonly #workers: readonly ProcessWorker[];

  readonly #task: ContenderTask;

  private constructor(task: ContenderTask, workers: readonly ProcessWorker[], openingSeconds: number) {
    this.#task = task;
    this.#workers = workers;
    this.openingSeconds = openingSeconds;
  }

  /** Starts the workers. @throws ColonnadeError what opening a worker does; then none is left. */
  static async open(task: ContenderTask): Promise<Contender> {
    const { plan, workers, threads, folder } = task;
    const start = performance.now();
    const opening = Array.from({ length: workers }, async (_, worker) => {
      const { staging } = placesOf(join(folder, String(worker)), 'sample');
      for (const path of [staging.shards, staging.spill]) await mkdir(path, { recursive: true });
      return openChildWorker({ plan, planHash: 'sample', staging, threads });
    });
    const opened = await Promise.allSettled(opening);
    const there = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const contender = new Contender(task, there, (performance.now() - start) / 1000);
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed === undefined) return contender;
    await contender.close();
    throw failed.reason;
  }

  /**
   * Scores the shards, every worker all of them: all have the same to do, and are done at about the same time.
   * @throws ColonnadeError of the first worker that failed.
   */
  async pass(shards: readonly number[]): Promise<Pass> {
    const { plan } = this.#task;
    const groups = groupShards(
      shards.map((index) => plan.shards[index]!),
      plan.files,
      1,
    ).map((group) => group.map(({ index }) => index));
    const start = performance.now();
    const counts = await Promise.all(
      this.#workers.map(async (worker) => {
        let [rows, scored] = [0, 0];
        const onDone = ({ counts }: ShardResult): void => {
          rows += counts.rows;
          scored += counts.scored;
        };
        for (const group of groups) await worker.score(group, { onRows: () => undefined, onDone });
        return { rows, scored };
      }),
    );
    return {
      rows: counts.reduce((sum, { rows }) => sum + rows, 0),
      scored: counts.reduce((sum, { scored }) => sum + scored, 0),
      seconds: (performance.now() - start) / 1000,
    };
  }

  /** Peak resident memory of one worker, bytes: that of the largest. */
  async peakMemory(): Promise<number> {
    return Math.max(...(await Promise.all(this.#workers.map((worker) => worker.peakMemory()))));
  }

  /** Ends the workers; one in the middle of a shard is killed. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }
}
