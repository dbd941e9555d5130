/**
 * A worker process: the entry point that {@link openChildWorker} forks. It opens its own database and model, so that a
 * crash of either costs one shard's attempt and not the run.
 */
import { readFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ColonnadeError, messageOf } from '../errors.js';
import { DEFAULT_TIMEOUT_S } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import type { CallWatch } from '../score/shard.js';
import type { FromWorker, ToWorker } from './child-worker.js';
import { DATABASE_SHARE, openDatabase } from '../source/database.js';
import type { Preview } from './events.js';
import { previewPlan } from './preview-plan.js';
import { openLocalWorker, type ShardWorker } from './shard-worker.js';
import { startWatchdog } from './watchdog.js';

let worker: ShardWorker | undefined;

const send = (message: FromWorker): void => {
  // Where nobody listens any more this process is about to end.
  process.send?.(message, undefined, undefined, () => undefined);
};

/**
 * Ends this process at once. `process.exit` waits for DuckDB's threads, and in the middle of a shard these wait for the
 * main thread to take their rows: neither would ever go on.
 */
const die = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

/**
 * Peak resident memory of this process, bytes. Not by getrusage(2) on Linux: what a process has of it begins with what its
 * parent held when it forked, which may be more than it ever uses itself.
 */
function peakMemory(): number {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(status) ?? [];
  return 1024 * (kilobytes === undefined ? process.resourceUsage().maxRSS : Number(kilobytes));
}

/** Holds the models to the deadline of the plan; undefined where it has none. */
function watchdogFor({ run: { timeout = DEFAULT_TIMEOUT_S } }: Plan): CallWatch | undefined {
  return timeout === null ? undefined : startWatchdog(timeout);
}

async function preview(plan: Plan, count: number): Promise<Preview> {
  const watch = watchdogFor(plan);
  const database = await openDatabase({
    memoryLimit: Math.round(plan.run.memory * DATABASE_SHARE),
    threads: 1,
    // Only made when something is spilled, which nothing here does that reads no more than it shows.
    spillDirectory: join(tmpdir(), `colonnade-${process.pid}`),
    readable: plan.files.map(({ path }) => path),
    writable: [],
  });
  try {
    return await previewPlan(plan, count, database, watch === undefined ? {} : { watch });
  } finally {
    await database.close();
  }
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'open': {
      const watch = watchdogFor(message.task.plan);
      worker = await openLocalWorker(message.task, undefined, watch === undefined ? {} : { watch });
      send({ type: 'ready' });
      return;
    }
    case 'score':
      await worker!.score(message.shards, {
        onRows: (shard, rows) => send({ type: 'rows', shard, rows }),
        onDone: (result) => send({ type: 'done', result }),
      });
      send({ type: 'scored' });
      return;
    case 'preview':
      send({ type: 'preview', preview: await preview(message.plan, message.count) });
      return;
    case 'memory':
      send({ type: 'memory', peak: peakMemory() });
      return;
    case 'close':
      await worker?.close();
      process.exit();
  }
}

process.on('message', (message: ToWorker) => {
  handle(message).catch((error: unknown) => {
    const known =
      error instanceof ColonnadeError ? error : new ColonnadeError('INTERNAL', messageOf(error), { phase: 'score' });
    send({ type: 'failed', error: known.toJSON() });
  });
});
// The main process decides when a run ends; the terminal sends its signals to all processes of the group.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// A main process that is gone needs no scores.
process.on('disconnect', die);
process.on('uncaughtException', (error) => {
  writeSync(2, `${error.stack ?? String(error)}\n`);
  die();
});
