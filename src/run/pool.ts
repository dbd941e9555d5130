/**
 * Hands groups of shards to workers, as many at once as there are workers, and tries a shard again after a fault that may
 * pass. After a fault in a group, the shards of it that are not done go on one by one: which of them is to blame is seen then.
 *
 * A worker is replaced when it died, when memory ran out or when the model failed: what it holds may be the cause. After a
 * fault that a second try cannot mend (a row that must not be invalid, a model that does not fit) no shard is begun; those
 * under way are finished, so that they need not be scored again.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { setMaxListeners } from 'node:events';
import { ColonnadeError, type ErrorCode } from '../errors.js';
import type { ShardResult } from './shard-attempt.js';
import type { ShardWorker } from './shard-worker.js';

/** Faults that may be gone at the next try. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set(['IO_FAILED', 'WORKER_DIED', 'OUT_OF_MEMORY', 'MODEL_FAILED']);
/** Of these one more attempt is given, on a fresh worker: what fails twice the same way is no accident. */
const ONCE: ReadonlySet<ErrorCode> = new Set(['WORKER_DIED', 'OUT_OF_MEMORY', 'MODEL_FAILED']);
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

export interface PoolOptions {
  readonly workers: number;
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
}

/**
 * Scores the shards of all groups.
 * @param groups each as {@link ShardWorker.score} takes it.
 * @throws ColonnadeError of the first shard that failed for good, or the signal's reason.
 */
export async function scoreShards(groups: readonly (readonly number[])[], options: PoolOptions): Promise<void> {
  const queue = groups.map((shards): HandOver => ({ shards, attempt: 1 }));
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
    const score = async ({ shards, attempt }: HandOver): Promise<HandOver[]> => {
      const left = new Set(shards);
      const take = (result: ShardResult): void => {
        left.delete(result.shard);
        options.onDone(result);
      };
      try {
        worker ??= await options.open();
        // Opening takes a while; a worker that is not there yet cannot be closed by the signal.
        if (!stopped()) await worker.score(shards, { onRows: options.onRows, onDone: take });
        return [];
      } catch (error) {
        if (stopped()) throw error;
        if (hasDied(error)) {
          await close();
          for (const shard of left) {
            const result = await options.findDone(shard);
            if (result === undefined) continue;
            options.onFound(shard, error);
            take(result);
          }
          if (left.size === 0) return [];
        }
        if (!mayRetry(error, attempt, options.retries)) throw error;
        for (const shard of left) options.onRows(shard, 0);
        const delay = delayBefore(attempt, options.random ?? Math.random);
        const [first] = left;
        options.onRetry(first!, attempt, delay, error);
        if (ONCE.has(error.code)) await close();
        await (options.wait ?? sleep)(delay, over);
        return Array.from(left, (shard) => ({ shards: [shard], attempt: attempt + 1 }));
      }
    };
    try {
      for (let next = queue.shift(); next !== undefined && !stopped(); next = queue.shift())
        queue.unshift(...(await score(next)));
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
      failed.abort();
    } finally {
      options.signal?.removeEventListener('abort', abort);
      await close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.workers, groups.length) }, serve));
  options.signal?.throwIfAborted();
  if (failure !== undefined) throw failure;
}

function hasDied(error: unknown): error is ColonnadeError {
  return error instanceof ColonnadeError && error.code === 'WORKER_DIED';
}

function mayRetry(error: unknown, attempt: number, retries: number): error is ColonnadeError {
  if (!(error instanceof ColonnadeError) || !TRANSIENT.has(error.code)) return false;
  return attempt <= Math.min(retries, ONCE.has(error.code) ? 1 : Infinity);
}

/** Exponential backoff with jitter: half of the delay is left to chance, so that workers do not retry in step. */
function delayBefore(attempt: number, random: () => number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random());
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  // It is rejected when the signal is aborted, which whoever waits looks at.
  await sleepFor(ms, undefined, { signal }).catch(() => undefined);
}
