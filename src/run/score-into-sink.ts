/** Scores the shards of a run, and gives what is scored to the sink while others are scored. */
import type { Plan, Shard } from '../plan/plan.js';
import { rowsInWords } from '../plan/quantities.js';
import { groupShards } from '../plan/shards.js';
import type { Sink } from '../sink/sink.js';
import type { RunEvent } from './events.js';
import { Limits } from './limits.js';
import { Meter } from './meter.js';
import { scoreShards } from './pool.js';
import { finishedShard } from './resume.js';
import { scoresOf, scoresPath } from './shard-files.js';
import type { ShardResult } from './shard-attempt.js';
import type { ShardWorker } from './shard-worker.js';
import { sum } from './summary.js';

export interface ScoringContext {
  readonly plan: Plan;
  readonly planHash: string;
  /** Folder of the shards' scores and manifests. */
  readonly folder: string;
  /** Shards of a file, in their order. */
  readonly shardsOf: (file: number) => readonly Shard[];
  /** By shard: those that are done already, at first; in the end all of them. */
  readonly results: Map<number, ShardResult>;
  readonly sink: Sink;
  readonly workers: number;
  readonly open: () => Promise<ShardWorker>;
  readonly emit: (event: RunEvent) => void;
  /** Ends it with its reason. */
  readonly signal: AbortSignal;
  /** Aborts `signal` with a failure, unless it is aborted already. */
  readonly fail: (error: unknown) => void;
}

/**
 * Scores what is not scored yet; gives each shard, and each file once all its shards are there, to the sink.
 * @returns rows written by file, as {@link Sink.addFile} tells them.
 * @throws the first failure of scoring or sink, or the signal's reason.
 */
export async function scoreIntoSink(context: ScoringContext): Promise<Map<number, number | null>> {
  const { plan, planHash, folder, shardsOf, results, sink, emit, signal, fail } = context;
  emit({ type: 'phase', phase: 'scoring' });
  const meter = new Meter(
    plan.expected.rows,
    sum([...results.values()], ({ counts }) => counts.rows),
  );
  const limits = new Limits(plan);
  /** Shards of each file that the sink was given. */
  const given = plan.files.map(() => 0);
  const written = new Map<number, number | null>();
  /** A shard failed for good: nothing will be published. */
  let isLost = false;
  // One shard or file at a time goes to the sink, while the workers go on.
  let sinking = Promise.resolve();
  const inTurn = (work: () => Promise<void> | undefined): void => {
    sinking = sinking
      .then(() => (signal.aborted || isLost ? undefined : work()))
      // The first failure counts: what fails after it, or after an abort, does so because of that.
      .catch(fail);
  };
  /** Gives the sink what has become the next of a file. */
  const offer = (index: number): void => {
    const file = plan.files[index]!;
    const shards = shardsOf(index);
    for (
      let shard = shards[given[index]!];
      shard !== undefined && results.has(shard.index);
      shard = shards[given[index]!]
    ) {
      const scored = shard;
      const scores = scoresPath(folder, results.get(scored.index)!);
      inTurn(() => sink.addShard?.(file, scored, scores));
      given[index]! += 1;
      if (given[index] === shards.length)
        inTurn(async () => {
          written.set(index, await sink.addFile(file, scoresOf(shards, folder, results)));
        });
    }
  };
  for (const result of results.values()) limits.add(result.counts);
  for (const { index } of plan.files) offer(index);
  const report = (shard: number, rows: number): void => {
    const reading = meter.update(shard, rows);
    if (reading !== undefined) emit({ type: 'progress', ...reading });
  };
  const toScore = plan.shards.filter(({ index }) => !results.has(index));
  try {
    await scoreShards(
      groupShards(toScore, plan.files, context.workers).map((group) => group.map(({ index }) => index)),
      {
        workers: context.workers,
        retries: plan.run.retries,
        open: context.open,
        onRows: report,
        onDone: (result) => {
          results.set(result.shard, result);
          report(result.shard, result.counts.rows);
          try {
            limits.add(result.counts);
          } catch (error) {
            fail(error);
          }
          offer(plan.shards[result.shard]!.file);
        },
        findDone: (shard) => finishedShard(plan, planHash, folder, shard),
        onFound: (shard, error) =>
          emit({ type: 'warning', message: `shard ${shard} was done when its worker died: ${error.message}` }),
        onRetry: (shard, attempt, delayMs, error) =>
          emit({ type: 'retry', shard, attempt, delayMs, error: error.toJSON() }),
        onFailed: (shard, error) => {
          isLost = true;
          emit({ type: 'failed', shard, error: error.toJSON() });
        },
        placeOf: (shard) => {
          const { file, firstRow, rows } = plan.shards[shard]!;
          return { file: plan.files[file]!.path, rows: rowsInWords(firstRow, firstRow + rows) };
        },
        done: results.size,
        // It was asked for that the first one does.
        endsRun: ({ code }) => code === 'MODEL_FAILED' && plan.onInvalid === 'fail',
        signal,
      },
    );
  } catch (error) {
    // What waits for the sink is not needed any more.
    fail(error);
  }
  await sinking;
  signal.throwIfAborted();
  return written;
}
