/** Starts a run, and says how it ended. What it does, step by step, stands in `execution.ts`. */
import { randomBytes } from 'node:crypto';
import { ColonnadeError, messageOf } from '../errors.js';
import type { Plan } from '../plan/plan.js';
import type { Database } from '../source/database.js';
import { EventQueue } from './event-queue.js';
import type { Run, RunEvent, RunOptions, RunSummary } from './events.js';
import { Execution } from './execution.js';

/**
 * Runs a plan. The run goes on whether or not its events are read.
 *
 * {@link Run.result} rejects with a ColonnadeError; the output is then as it was before.
 *
 * @param database that the plan was made with and that nothing else uses: where this process scores itself it scans with
 *   it, and closes it.
 */
export function startRun(plan: Plan, options: RunOptions = {}, database?: Database): Run {
  const id = newRunId(new Date());
  const events = new EventQueue<RunEvent>();
  const result = execute(plan, id, options, (event) => events.push(event), database)
    .catch((error: unknown) => {
      throw toldError(error, options.signal);
    })
    .finally(() => events.close());
  // Whoever only reads the events must not be ended by an unhandled rejection.
  result.catch(() => undefined);
  return { id, result, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() };
}

async function execute(
  plan: Plan,
  id: string,
  options: RunOptions,
  emit: (event: RunEvent) => void,
  database: Database | undefined,
): Promise<RunSummary> {
  refuseWorkers(options.workers);
  return new Execution(plan, id, options, emit, database).execute();
}

/** What a run is rejected with, whatever was thrown. */
function toldError(error: unknown, signal: AbortSignal | undefined): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  if (signal?.aborted === true && error === signal.reason) {
    return new ColonnadeError('INTERRUPTED', `the run was aborted: ${messageOf(error)}`, {
      phase: 'run',
      cause: error,
    });
  }
  return new ColonnadeError('INTERNAL', messageOf(error), {
    phase: 'run',
    cause: error,
    hint: 'this is a fault of Colonnade; please report it',
  });
}

/** @throws ColonnadeError `USAGE`: TypeScript does not hold callers in JavaScript, and no worker would score nothing. */
function refuseWorkers(workers: unknown): void {
  if (workers === undefined || (Number.isSafeInteger(workers) && (workers as number) >= 1)) return;
  throw new ColonnadeError('USAGE', `workers is ${JSON.stringify(workers)}; allowed: a whole number from 1`, {
    phase: 'usage',
    hint: 'leave it out to follow run.workers of the pipeline',
  });
}

/** Sorts by time, and differs between runs that begin in the same second. */
function newRunId(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:]|\.\d+Z$/g, '')}-${randomBytes(4).toString('hex')}`;
}
