/** Which shard goes to which worker, what is tried again, after how long, and what ends it all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ColonnadeError, ERROR_CODES, type ErrorCode } from '../../src/errors.js';
import { scoreShards, type PoolOptions } from '../../src/run/pool.js';
import type { ShardResult } from '../../src/run/shard-attempt.js';
import { rejection } from './workbench.js';

/** What became of an attempt: an error, or whatever comes once the promise is fulfilled. */
type Outcome = ErrorCode | Error | Promise<unknown> | undefined;

const PASSING: readonly ErrorCode[] = ['IO_FAILED', 'WORKER_DIED', 'OUT_OF_MEMORY', 'MODEL_FAILED'];
const ONCE: readonly ErrorCode[] = ['WORKER_DIED', 'OUT_OF_MEMORY', 'MODEL_FAILED'];

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
    expect((await rejection(staying.score([5, 6]))).code).toBe('IO_FAILED');
    expect(staying.log.scored).toHaveLength(4);
    expect(staying.log.done).toEqual([]);
  });

  for (const code of ONCE) {
    it(`is tried again once where it is ${code}, however many retries there may be`, async () => {
      const passing = pool(failsUntil(2, code), { retries: 100 });
      await passing.score([0]);
      expect(passing.log.retries).toEqual([[0, 1, code]]);
      const staying = pool(() => code, { retries: 100 });
      expect(await rejection(staying.score([0]))).toMatchObject({ code, message: `${code} happened` });
      expect(staying.log.scored).toHaveLength(2);
    });
  }

  it('is not tried again without retries', async () => {
    for (const code of PASSING) {
      const { score, log } = pool(() => code, { retries: 0 });
      expect((await rejection(score([0, 1]))).code).toBe(code);
      expect(log).toMatchObject({ scored: [[0, 0]], retries: [], waited: [] });
    }
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
    for (const code of PASSING) {
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
    expect(staying.log.scored.map(([shard]) => shard)).toEqual([0, 1, 1]);
    expect(staying.log.done).toEqual([0]);
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
    for (const code of PASSING.filter((passing) => passing !== 'WORKER_DIED')) {
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

describe('a fault that will not pass', () => {
  it('ends the run at its first attempt, whatever it is', async () => {
    const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => !PASSING.includes(code));
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
