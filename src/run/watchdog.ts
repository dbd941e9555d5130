/**
 * Ends this process when a model takes too long for a batch: nothing but the end of its process stops a model. A thread of its
 * own looks at what the main thread, which the model keeps, has put down in memory that both see; before and after each call
 * that costs some nanoseconds.
 */
import { Worker } from 'node:worker_threads';
import type { CallWatch } from '../score/shard.js';
import { startThread } from '../v8-flags.js';

/** Descriptor, in a worker process, of the pipe on which it tells the call that it is ended for. */
export const OVERDUE_PIPE = 4;

/** The call that took too long, as it is written to the pipe before the process ends. */
export interface OverdueCall {
  /** Position in the plan's models. */
  readonly model: number;
  /** Position in the plan's files. */
  readonly file: number;
  /** First row of the batch in the file, and one past the last. */
  readonly from: number;
  readonly to: number;
}

/** The thread looks so many times while a call may last, but not more often or more seldom than that. */
const LOOKS = 20;
const LEAST_TICK_MS = 5;
const MOST_TICK_MS = 1000;

/** Words of 32 bits: the number of the call, odd while it is under way; behind it four doubles that say which. */
const BYTES = 8 + 4 * 8;

/**
 * Time is what passes between two looks, and of that no more than two ticks: a process that was stopped for an hour, or a
 * machine that slept, has not computed for an hour.
 */
const THREAD_CODE = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const { memory, timeoutMs, tickMs, pipe } = workerData;
const state = new Int32Array(memory, 0, 1);
const place = new Float64Array(memory, 8);
let seen = 0;
let spent = 0;
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  const passed = Math.min(now - last, 2 * tickMs);
  last = now;
  const call = Atomics.load(state, 0);
  if (call !== seen || (call & 1) === 0) {
    seen = call;
    spent = 0;
    return;
  }
  spent += passed;
  if (spent < timeoutMs) return;
  const [model, file, from, to] = place;
  try {
    writeSync(pipe, JSON.stringify({ model, file, from, to }));
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}, tickMs);
`;

/**
 * @param seconds that a call may take; the process ends up to a tenth later, never before, and tells the call on
 *   {@link OVERDUE_PIPE}, as JSON
 */
export function startWatchdog(seconds: number): CallWatch {
  const timeoutMs = seconds * 1000;
  const memory = new SharedArrayBuffer(BYTES);
  const state = new Int32Array(memory, 0, 1);
  const place = new Float64Array(memory, 8);
  const tickMs = Math.min(MOST_TICK_MS, Math.max(LEAST_TICK_MS, timeoutMs / LOOKS));
  const thread = startThread(
    () =>
      new Worker(THREAD_CODE, {
        eval: true,
        workerData: { memory, timeoutMs, tickMs, pipe: OVERDUE_PIPE },
        env: {},
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 8 },
      }),
  );
  thread.unref();
  return {
    begin: (model, file, from, to) => {
      place[0] = model;
      place[1] = file;
      place[2] = from;
      place[3] = to;
      Atomics.add(state, 0, 1);
    },
    end: () => {
      Atomics.add(state, 0, 1);
    },
  };
}
