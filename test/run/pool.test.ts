/** Which shard goes to which worker, what is tried again, after how long, and what ends it all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ColonnadeError, ERROR_CODES, type ErrorCode } from '../../src/errors.js';
import { scoreShards, type PoolOptions } from '../../src/run/pool.js';
import type { ShardResult } from '../../src/run/shard-attempt.js';
import { rejection } from './workbench.js';

/** What became of an attempt: an error, or whatever comes once the promise is fulfilled. */
type Outcome = ErrorCode | Error | Promise<unknown> | undefined;

const CRASHES: readonly ErrorCode[] = ['WORKER_DIED', 'OUT_OF_MEMORY', 'MODEL_TIMEOUT'];
const OF_A_SHARD: readonly ErrorCode[] = ['IO_FAILED', 'MODEL_FAILED', ...CRASHES];

/** Workers whose attempts go as `script` says, and a record of what the pool did with them. */
function pool(
  script: (shard: number, attempt: number) => Outcome,
  options: Partial<PoolOptions> & { readonly onOpen?: (worker: number) => Outcome } = {},
) {
  const attempts = new Map<number, number>();
  const log = {
    opened: 0,
    closed: new Set<number>(),
    /** Shard and worker of every attempt. */
    scored: [] as (readonly [shard: number, worker: number])[],
    done: [] as number[],
    rows: [] as (readonly [shard: number, rows: number])[],
    found: [] as number[],
    failed: [] as number[],
    retries: [] as (readonly [shard: number, attempt: number, code: ErrorCode])[],
    delays: [] as number[],
    waited: [] as number[],
    atOnce: 0,
  };
  let busy = 0;
  const happen = async (outcome: Outcome): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (typeof outcome === 'string') throw new ColonnadeError(outcome, `${outcome} happened`, { phase: 'score' });
    if (outcome instanceof Error) throw outcome;
    await outcome;
  };
  /** Scores shards that are handed over one by one, or groups. */
  const score = (shards: readonly (number | readonly number[])[]): Promise<void> =>
    scoreShards(
      shards.map((group) => (typeof group === 'number' ? [group] : group)),
      {
        workers: 1,
        retries: 3,
        open: async () => {
          const worker = log.opened;
          log.opened += 1;
          await happen(options.onOpen?.(worker));
          return {
            score: async (group, { onRows, onDone }) => {
              busy += 1;
              log.atOnce = Math.max(log.atOnce, busy);
              try {
                for (const shard of group) {
                  const attempt = (attempts.get(shard) ?? 0) + 1;
                  attempts.set(shard, attempt);
                  log.scored.push([shard, worker]);
                  onRows(shard, 10);
                  await happen(script(shard, attempt));
                  onDone({ shard } as ShardResult);
                }
              } finally {
                busy -= 1;
              }
            },
            close: async () => void log.closed.add(worker),
          };
        },
        onRows: (shard, rows) => log.rows.push([shard, rows]),
        onDone: ({ shard }) => void log.done.push(shard),
        findDone: async () => undefined,
        onFound: (shard) => void log.found.push(shard),
        onRetry: (shard, attempt, delay, { code }) => {
          log.retries.push([shard, attempt, code]);
          log.delays.push(delay);
        },
        onFailed: (shard) => void log.failed.push(shard),
        placeOf: (shard) => ({ file: `/data/${shard}.parquet`, rows: 'rows 0 to 9' }),
        done: 0,
        wait: async (ms) => void log.waited.push(ms),
        random: () => 0,
        ...options,
      },
    );
  return { score, log };
}

const failsUntil =
  (attempt: number, error: Outcome) =>
  (_shard: number, now: number): Outcome =>
    now < attempt ? error : undefined;

describe('a pool of workers', () => {
  it('scores every shard once, in order, on as many workers at once as it may have', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 5 }), async (shards, workers) => {
        const all = Array.from({ length: shards }, (_, i) => i);
        const { score, log } = pool(() => undefined, { workers });
        await score(all);
        expect(log.scored.map(([shard]) => shard)).toEqual(all);
        expect(log.done.toSorted((a, b) => a - b)).toEqual(all);
        expect(log.atOnce).toBe(Math.min(workers, shards));
        expect(log.opened).toBe(Math.min(workers, shards));
        expect(log.closed.size).toBe(log.opened);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a fault that may pass', () => {
  it('of a disk is tried as often again as retries say, and then told', async () => {
    const passing = pool(failsUntil(4, 'IO_FAILED'));
    await passing.score([5, 6]);
    expect(passing.log.done).toEqual([5, 6]);
    expect(passing.log.retries.slice(0, 3)).toEqual([
      [5, 1, 'IO_FAILED'],
      [5, 2, 'IO_FAILED'],
      [5, 3, 'IO_FAILED'],
    ]);
    const staying = pool(failsUntil(5, 'IO_FAILED'));
    expect(await rejection(staying.score([5]))).toMatchObject({
      code: 'IO_FAILED',
      message: '/data/5.parquet, rows 0 to 9: IO_FAILED happened (4 attempts)',
    });
    expect(staying.log.scored).toHaveLength(4);
    expect(staying.log).toMatchObject({ done: [], failed: [5] });
  });

  for (const code of CRASHES) {
    it(`is tried again once where it is ${code}, however many retries there may be, and be it none`, async () => {
      for (const retries of [0, 100]) {
        const passing = pool(failsUntil(2, code), { retries });
        await passing.score([0]);
        expect(passing.log.retries).toEqual([[0, 1, code]]);
        const staying = pool(() => code, { retries });
        const message = `/data/0.parquet, rows 0 to 9: ${code} happened (2 attempts)`;
        expect(await rejection(staying.score([0]))).toMatchObject({ code, message });
        expect(staying.log.scored).toHaveLength(2);
      }
    });
  }

  it('of a disk is not tried again without retries', async () => {
    const { score, log } = pool(() => 'IO_FAILED', { retries: 0 });
    expect((await rejection(score([0]))).message).toBe('/data/0.parquet, rows 0 to 9: IO_FAILED happened');
    expect(log).toMatchObject({ scored: [[0, 0]], retries: [], waited: [] });
  });

  it('leaves its retries to others: a crash is not counted among those of a disk', async () => {
    const faults: (ErrorCode | undefined)[] = ['IO_FAILED', 'WORKER_DIED', 'IO_FAILED', undefined];
    const { score, log } = pool((_, attempt) => faults[attempt - 1], { retries: 2 });
    await score([0]);
    expect(log.retries).toEqual([
      [0, 1, 'IO_FAILED'],
      [0, 2, 'WORKER_DIED'],
      [0, 3, 'IO_FAILED'],
    ]);
    // Each kind waits by itself.
    expect(log.waited).toEqual([100, 100, 200]);
  });

  it('is none where the model fails on rows: it would do so again', async () => {
    const { score, log } = pool((shard) => (shard === 0 ? 'MODEL_FAILED' : undefined));
    expect((await rejection(score([0, 1]))).code).toBe('MODEL_FAILED');
    expect(log).toMatchObject({ retries: [], waited: [], done: [1], failed: [0] });
  });

  it('counts for its shard alone', async () => {
    const { score, log } = pool(failsUntil(2, 'WORKER_DIED'), { retries: 1 });
    await score([0, 1, 2]);
    expect(log.retries.map(([shard, attempt]) => [shard, attempt])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });

  it('takes the rows of the attempt back', async () => {
    const { score, log } = pool(failsUntil(2, 'IO_FAILED'));
    await score([4]);
    expect(log.rows).toEqual([
      [4, 10],
      [4, 0],
      [4, 10],
    ]);
  });

  it('is tried again on a fresh worker unless it is the disk, and the one before is closed by then', async () => {
    for (const code of ['IO_FAILED', ...CRASHES] as const) {
      const closedBefore: number[] = [];
      const { score, log } = pool(failsUntil(2, code), {
        onOpen: () => void closedBefore.push(log.closed.size),
      });
      await score([0]);
      const fresh = code === 'IO_FAILED' ? 0 : 1;
      expect(closedBefore).toEqual(fresh === 1 ? [0, 1] : [0]);
      expect({ code, scored: log.scored }).toEqual({
        code,
        scored: [
          [0, 0],
          [0, fresh],
        ],
      });
      expect(log.closed.size).toBe(log.opened);
    }
  });

  it('may be that a worker cannot be opened', async () => {
    const { score, log } = pool(() => undefined, { onOpen: (worker) => (worker === 0 ? 'WORKER_DIED' : undefined) });
    await score([0, 1]);
    expect(log).toMatchObject({ opened: 2, done: [0, 1], retries: [[0, 1, 'WORKER_DIED']] });
    // Twice is no fault of a shard: what would be tried on for each of them ends the run.
    const never = pool(() => undefined, { onOpen: () => 'WORKER_DIED' });
    expect((await rejection(never.score([0, 1, 2]))).message).toBe('WORKER_DIED happened');
    expect(never.log).toMatchObject({ opened: 2, scored: [], failed: [] });
  });
});

describe('a fault in a group of shards', () => {
  it('leaves done what was done, and the rest goes on one by one, with one attempt behind it', async () => {
    const { score, log } = pool((shard, now) => (shard === 1 && now < 3 ? 'IO_FAILED' : undefined));
    await score([
      [0, 1, 2],
      [3, 4],
    ]);
    expect(log.scored.map(([shard]) => shard)).toEqual([0, 1, 1, 1, 2, 3, 4]);
    expect(log.done).toEqual([0, 1, 2, 3, 4]);
    expect(log.retries).toEqual([
      [1, 1, 'IO_FAILED'],
      [1, 2, 'IO_FAILED'],
    ]);
    const staying = pool((shard) => (shard === 1 ? 'OUT_OF_MEMORY' : undefined));
    expect((await rejection(staying.score([[0, 1, 2]]))).code).toBe('OUT_OF_MEMORY');
    expect(staying.log.scored.map(([shard]) => shard)).toEqual([0, 1, 1, 2]);
    expect(staying.log).toMatchObject({ done: [0, 2], failed: [1] });
  });

  it('costs none of the others their try, whatever it is and be there no retries', async () => {
    for (const code of OF_A_SHARD) {
      const { score, log } = pool((shard) => (shard === 1 ? code : undefined), { retries: 0 });
      expect((await rejection(score([[0, 1, 2, 3]]))).code).toBe(code);
      expect({ code, ...log }).toMatchObject({ done: [0, 2, 3], failed: [1] });
      // With the others, and by itself.
      expect(log.scored.filter(([shard]) => shard === 1)).toHaveLength(2);
    }
  });

  it('takes the rows back of the shards that are not done, and of no other', async () => {
    const { score, log } = pool((shard, now) => (shard === 1 && now === 1 ? 'IO_FAILED' : undefined));
    await score([[0, 1, 2]]);
    expect(log.rows).toEqual([
      [0, 10],
      [1, 10],
      [1, 0],
      [2, 0],
      [1, 10],
      [2, 10],
    ]);
  });

  it('of a worker that died costs those alone that are not found done', async () => {
    const findDone = (shard: number): Promise<ShardResult | undefined> =>
      Promise.resolve(shard === 1 ? ({ shard } as ShardResult) : undefined);
    const { score, log } = pool((shard, now) => (shard === 1 && now === 1 ? 'WORKER_DIED' : undefined), { findDone });
    await score([[0, 1, 2]]);
    expect(log).toMatchObject({ found: [1], done: [0, 1, 2], retries: [[2, 1, 'WORKER_DIED']] });
    expect(log.scored).toEqual([
      [0, 0],
      [1, 0],
      [2, 1],
    ]);
  });
});

describe('a shard that is found done after a fault', () => {
  const findDone = async (shard: number): Promise<ShardResult> => ({ shard }) as ShardResult;

  it('of a worker that died is not scored again, whatever retries are left, and the next goes to a fresh worker', async () => {
    for (const retries of [0, 3]) {
      const { score, log } = pool((shard) => (shard === 4 ? 'WORKER_DIED' : undefined), { retries, findDone });
      await score([4, 5]);
      expect(log).toMatchObject({ found: [4], done: [4, 5], retries: [], waited: [] });
      expect(log.scored).toEqual([
        [4, 0],
        [5, 1],
      ]);
      expect(log.closed.size).toBe(2);
    }
  });

  it('of any other kind is none: its worker would have told', async () => {
    for (const code of ['IO_FAILED', 'OUT_OF_MEMORY'] as const) {
      const { score, log } = pool(failsUntil(2, code), { findDone });
      await score([4]);
      expect(log.scored.map(([shard]) => shard)).toEqual([4, 4]);
      expect(log).toMatchObject({ found: [], retries: [[4, 1, code]] });
    }
  });
});

describe('the wait before another attempt', () => {
  const delaysWith = async (random: () => number): Promise<number[]> => {
    const { score, log } = pool(failsUntil(10, 'IO_FAILED'), { retries: 9, random });
    await score([0]);
    expect(log.waited).toEqual(log.delays);
    return log.waited;
  };

  it('doubles up to ten seconds, of which half is left to chance', async () => {
    expect(await delaysWith(() => 0)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    expect(await delaysWith(() => 1 - Number.EPSILON)).toEqual([
      200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000,
    ]);
    const chances = [0.5, 0, 0.25, 0.75, 0.5, 0.5, 0.1, 0.9, 0.5];
    expect(await delaysWith(() => chances.shift()!)).toEqual([150, 200, 500, 1400, 2400, 4800, 5500, 9500, 7500]);
  });
});

describe('a shard that fails for good', () => {
  it('is named, and all others are scored', async () => {
    const { score, log } = pool((shard) => (shard === 1 ? 'WORKER_DIED' : undefined), { workers: 2 });
    const error = await rejection(score([0, 1, 2, 3, 4]));
    expect(error).toMatchObject({ code: 'WORKER_DIED', exitCode: 1, problems: [] });
    expect(error.message).toBe(
      '1 of 5 shards failed, the others are done: /data/1.parquet, rows 0 to 9: WORKER_DIED happened (2 attempts)',
    );
    expect(log.done.toSorted()).toEqual([0, 2, 3, 4]);
    expect(log.failed).toEqual([1]);
  });

  it('is named beside the others that do, in the order of the plan', async () => {
    const faults: Record<number, ErrorCode> = { 3: 'IO_FAILED', 1: 'MODEL_FAILED', 4: 'MODEL_TIMEOUT' };
    const { score } = pool((shard) => faults[shard], { workers: 3, retries: 1 });
    const error = await rejection(score([0, 1, 2, 3, 4, 5]));
    expect(error).toMatchObject({ code: 'MODEL_FAILED', message: '3 of 6 shards failed, the others are done' });
    expect(error.problems.map(({ message }) => message)).toEqual([
      '/data/1.parquet, rows 0 to 9: MODEL_FAILED happened',
      '/data/3.parquet, rows 0 to 9: IO_FAILED happened (2 attempts)',
      '/data/4.parquet, rows 0 to 9: MODEL_TIMEOUT happened (2 attempts)',
    ]);
  });

  it('ends the trying where three do so alike and none was done, now or by an earlier run', async () => {
    const shards = Array.from({ length: 20 }, (_, i) => i);
    for (const code of OF_A_SHARD) {
      const { score, log } = pool(() => code, { retries: 0 });
      const error = await rejection(score(shards));
      expect(error.code).toBe(code);
      expect(error.message).toBe('3 of 20 shards failed, 0 are done, 17 were not tried as all failed');
      expect(log.failed).toEqual([0, 1, 2]);
      const resumed = pool(() => code, { retries: 0, done: 1 });
      expect((await rejection(resumed.score(shards))).message).toBe('20 of 21 shards failed, the other is done');
      expect(resumed.log.failed).toEqual(shards);
    }
    const mixed = pool((shard) => OF_A_SHARD[shard % 2], { retries: 0 });
    await rejection(mixed.score(shards));
    expect(mixed.log.failed).toEqual([0, 1, 2, 3, 4]);
  });

  it('ends the run where that is asked for', async () => {
    const { score, log } = pool(() => 'MODEL_FAILED', { endsRun: ({ code }) => code === 'MODEL_FAILED' });
    expect((await rejection(score([0, 1]))).message).toBe('MODEL_FAILED happened');
    expect(log).toMatchObject({ scored: [[0, 0]], failed: [] });
  });

  it('is not told where the run ends for another reason', async () => {
    const { score } = pool((shard) => (shard === 0 ? 'MODEL_FAILED' : 'DISK_FULL'));
    expect((await rejection(score([0, 1, 2]))).message).toBe('DISK_FULL happened');
  });
});

describe('a fault that concerns the whole run', () => {
  it('ends it at its first attempt, whatever it is', async () => {
    const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => !OF_A_SHARD.includes(code));
    expect(codes.length).toBeGreaterThan(30);
    for (const code of codes) {
      const { score, log } = pool(() => code);
      expect((await rejection(score([0, 1]))).code).toBe(code);
      expect(log).toMatchObject({ scored: [[0, 0]], retries: [], waited: [], opened: 1 });
      expect(log.closed.size).toBe(1);
    }
    const unforeseen = new TypeError('x is not a function');
    const { score, log } = pool(() => unforeseen);
    await expect(score([0, 1])).rejects.toBe(unforeseen);
    expect(log.scored).toHaveLength(1);
  });

  it('may be found in the result of a shard, which is not scored again for it', async () => {
    const { score, log } = pool(() => undefined, {
      onDone: () => {
        throw new ColonnadeError('TOO_MANY_INVALID', 'too many', { phase: 'validate' });
      },
    });
    expect((await rejection(score([0, 1]))).code).toBe('TOO_MANY_INVALID');
    expect(log.scored).toEqual([[0, 0]]);
  });

  it('lets the others finish what they have begun, and begin nothing more', async () => {
    let go!: () => void;
    const slow = new Promise<void>((resolve) => (go = resolve));
    const { score, log } = pool((shard) => (shard === 0 ? slow : shard === 1 ? 'ROW_INVALID' : undefined), {
      workers: 2,
    });
    const ended = rejection(score([0, 1, 2, 3]));
    setTimeout(go, 10);
    expect((await ended).code).toBe('ROW_INVALID');
    expect(log.done).toEqual([0]);
    expect(log.scored.map(([shard]) => shard)).toEqual([0, 1]);
    expect(log.closed.size).toBe(2);
  });

  it('does not wait for another worker that waits for its next attempt', async () => {
    const { score, log } = pool((shard) => (shard === 0 ? 'IO_FAILED' : 'ROW_INVALID'), {
      workers: 2,
      wait: waitsForever,
    });
    expect((await rejection(score([0, 1, 2]))).code).toBe('ROW_INVALID');
    expect(log.scored).toHaveLength(2);
  });
});

/** Ends only when it is told to. */
const waitsForever = (_ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });

describe('a pool that is stopped', () => {
  const reason = new ColonnadeError('TERMINATED', 'terminated by SIGTERM', { phase: 'run' });

  it('closes its workers in the middle of their shards, begins no other, and tells the reason', async () => {
    const stop = new AbortController();
    // What a worker tells that is closed while it scores.
    let died!: (error: Error) => void;
    const scoring = new Promise<never>((_resolve, reject) => (died = reject));
    const { score, log } = pool(() => scoring, { signal: stop.signal, workers: 2 });
    const ended = score([0, 1, 2]);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(log.scored).toHaveLength(2);
    stop.abort(reason);
    expect(log.closed.size).toBe(2);
    died(new ColonnadeError('WORKER_DIED', 'a worker process was ended by SIGKILL', { phase: 'run' }));
    await expect(ended).rejects.toBe(reason);
    expect(log).toMatchObject({ retries: [], done: [] });
    expect(log.scored).toHaveLength(2);
  });

  it('does not wait for the next attempt', async () => {
    const stop = new AbortController();
    const { score, log } = pool(() => 'IO_FAILED', {
      signal: stop.signal,
      wait: (ms, signal) => {
        stop.abort(reason);
        return waitsForever(ms, signal);
      },
    });
    await expect(score([0])).rejects.toBe(reason);
    expect(log.scored).toHaveLength(1);
    expect(log.closed.size).toBe(1);
  });

  it('begins no shard on a worker that was opening, and closes it', async () => {
    const stop = new AbortController();
    const { score, log } = pool(() => undefined, {
      signal: stop.signal,
      onOpen: () => {
        stop.abort(reason);
        return undefined;
      },
    });
    await expect(score([0])).rejects.toBe(reason);
    expect(log).toMatchObject({ opened: 1, scored: [] });
    expect(log.closed.size).toBe(1);
  });

  it('before it has begun opens no worker', async () => {
    const { score, log } = pool(() => undefined, { signal: AbortSignal.abort(reason) });
    await expect(score([0])).rejects.toBe(reason);
    expect(log.opened).toBe(0);
  });

  it('once it is done with all shards tells the reason as well', async () => {
    const stop = new AbortController();
    const { score } = pool(() => undefined, {
      signal: stop.signal,
      onDone: () => {
        stop.abort(reason);
      },
    });
    await expect(score([0])).rejects.toBe(reason);
  });
});
