/**
 * Hands groups of shards to workers, as many at once as there are workers, and tries a shard again after a fault that may
 * pass. After a fault in a group, the shards of it that are not done go on one by one: which of them is to blame is seen then.
 *
 * A shard that fails for good is named at the end; the others are scored all the same, so that another run has to try that
 * one alone. Only what concerns the whole run ends it: then no shard is begun, and those under way are finished, so that they
 * need not be scored again. A worker is replaced when it died or memory ran out: what it holds may be the cause.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { setMaxListeners } from 'node:events';
import { ColonnadeError, type ErrorCode } from '../errors.js';
import type { ShardResult } from './shard-attempt.js';
import { ShardFailures, type ShardPlace } from './shard-failures.js';
import type { ShardWorker } from './shard-worker.js';

/** `passing`: it may be gone at the next try. `crash`: a fresh worker may do better. `lasting`: it would be the same again. */
type Fault = 'passing' | 'crash' | 'lasting';

/**
 * Faults of a shard: the others may be sound. Every other code ends the run, as it
 *
 * - would meet each shard: the output (`DISK_FULL`, `OUTPUT_*`), the model file (`MODEL_CHANGED`, `MODEL_INVALID`, …), a fault
 *   of Colonnade's own (`INTERNAL`, `LEDGER_UNBALANCED`);
 * - is an end that was asked for: `ROW_INVALID`, `TOO_MANY_INVALID`, `TOO_MANY_NAN`, signals;
 * - or is mended by what makes another plan, for which nothing scored would count: another input (`INPUT_*`, `BAD_PARQUET`),
 *   another expression (`SQL_FAILED`).
 */
const FAULTS: Partial<Record<ErrorCode, Fault>> = {
  IO_FAILED: 'passing',
  WORKER_DIED: 'crash',
  OUT_OF_MEMORY: 'crash',
  MODEL_TIMEOUT: 'crash',
  MODEL_FAILED: 'lasting',
};

/** More attempts after a crash, whatever `retries` says: what crashes twice is no accident. */
const CRASHES = 1;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

export interface PoolOptions {
  readonly workers: number;
  /** Attempts after the first that a shard has where faults may pass. */
  readonly retries: number;
  readonly open: () => Promise<ShardWorker>;
  readonly onRows: (shard: number, rows: number) => void;
  /** Must not throw: it may be called in the middle of a scan. */
  readonly onDone: (result: ShardResult) => void;
  /**
   * The result of a shard that is whole on disk, though its worker died before it could tell; undefined where it is not.
   */
  readonly findDone: (shard: number) => Promise<ShardResult | undefined>;
  /** A worker died, and its shard was found done. */
  readonly onFound: (shard: number, error: ColonnadeError) => void;
  readonly onRetry: (shard: number, attempt: number, delayMs: number, error: ColonnadeError) => void;
  /** A shard failed for good; the others go on. */
  readonly onFailed: (shard: number, error: ColonnadeError) => void;
  readonly placeOf: (shard: number) => ShardPlace;
  /** Shards that were done before. */
  readonly done: number;
  /** Whether a fault of a shard is to end the run all the same. */
  readonly endsRun?: (error: ColonnadeError) => boolean;
  readonly signal?: AbortSignal;
  /** Waits, but no longer than until the signal is aborted; a test passes its own. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1); spreads the delays. */
  readonly random?: () => number;
}

/** Shards that are handed over together. */
interface HandOver {
  readonly shards: readonly number[];
  /** Counted from 1. */
  readonly attempt: number;
  /** Faults so far that count for what else may be tried. */
  readonly faults: Readonly<Record<Fault, number>>;
}

const NO_FAULTS: HandOver['faults'] = { passing: 0, crash: 0, lasting: 0 };

/**
 * Scores the shards of all groups.
 * @param groups each as {@link ShardWorker.score} takes it.
 * @throws ColonnadeError what ended the run; else of the shards that failed, all of them named, once the others are done (or
 *   some failed alike and none succeeded); or the signal's reason.
 */
export async function scoreShards(groups: readonly (readonly number[])[], options: PoolOptions): Promise<void> {
  const queue = groups.map((shards): HandOver => ({ shards, attempt: 1, faults: NO_FAULTS }));
  const failures = new ShardFailures(
    options.placeOf,
    groups.reduce((sum, { length }) => sum + length, options.done),
    options.done,
  );
  let failure: Error | undefined;
  const failed = new AbortController();
  const over = options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  const stopped = (): boolean => over.aborted;
  // Each worker listens; there may be many.
  setMaxListeners(0, over, ...(options.signal === undefined ? [] : [options.signal]));

  const serve = async (): Promise<void> => {
    let worker: ShardWorker | undefined;
    const close = async (): Promise<void> => {
      const closing = worker;
      worker = undefined;
      // What it has to say at its end changes nothing any more.
      await closing?.close().catch(() => undefined);
    };
    const abort = (): void => {
      void worker?.close().catch(() => undefined);
    };
    options.signal?.addEventListener('abort', abort);
    /** Scores what is handed over. @returns what is to be tried again, one by one. */
    const score = async ({ shards, attempt, faults }: HandOver): Promise<HandOver[]> => {
      const left = new Set(shards);
      const take = (result: ShardResult): void => {
        left.delete(result.shard);
        failures.countDone();
        options.onDone(result);
      };
      try {
        worker ??= await options.open();
        // Opening takes a while; a worker that is not there yet cannot be closed by the signal.
        if (!stopped()) await worker.score(shards, { onRows: options.onRows, onDone: take });
        return [];
      } catch (error) {
        if (stopped() || !(error instanceof ColonnadeError)) throw error;
        const isOpen = worker !== undefined;
        if (error.code === 'WORKER_DIED' || error.code === 'MODEL_TIMEOUT') {
          await close();
          for (const shard of left) {
            const result = await options.findDone(shard);
            if (result === undefined) continue;
            options.onFound(shard, error);
            take(result);
          }
          if (left.size === 0) return [];
        }
        const fault = FAULTS[error.code];
        if (fault === undefined || options.endsRun?.(error) === true) throw error;
        if (fault === 'crash') await close();
        const [first] = left;
        const most = { passing: options.retries, crash: CRASHES, lasting: 0 }[fault];
        // Of several it is not known which is to blame: each is tried by itself.
        const isShared = left.size > 1;
        if (!isShared && faults[fault] >= most) {
          // Where no worker can be opened no shard is to blame.
          if (!isOpen) throw error;
          options.onRows(first!, 0);
          options.onFailed(first!, error);
          if (failures.add(first!, attempt, error)) failed.abort();
          return [];
        }
        for (const shard of left) options.onRows(shard, 0);
        const delay = fault === 'lasting' ? 0 : delayBefore(faults[fault] + 1, options.random ?? Math.random);
        options.onRetry(first!, attempt, delay, error);
        await (options.wait ?? sleep)(delay, over);
        const after = { ...faults, [fault]: faults[fault] + (fault === 'lasting' ? 0 : 1) };
        return Array.from(left, (shard) => ({ shards: [shard], attempt: attempt + 1, faults: after }));
      }
    };
    try {
      for (let next = queue.shift(); next !== undefined && !stopped(); next = queue.shift())
        queue.unshift(...(await score(next)));
    } catch (error) {
      // What fails after it is over does so because of that, or is no news.
      if (!failed.signal.aborted) failure = error instanceof Error ? error : new Error(String(error));
      failed.abort();
    } finally {
      options.signal?.removeEventListener('abort', abort);
      await close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.workers, groups.length) }, serve));
  options.signal?.throwIfAborted();
  if (failure !== undefined) throw failure;
  failures.throwIfAny();
}

/** Exponential backoff with jitter: half of the delay is left to chance, so that workers do not retry in step. */
function delayBefore(retry: number, random: () => number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (retry - 1));
  return Math.round(full / 2 + (full / 2) * random());
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  // It is rejected when the signal is aborted, which whoever waits looks at.
  await sleepFor(ms, undefined, { signal }).catch(() => undefined);
}
