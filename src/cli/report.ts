/** Tells what a run tells: events become messages and progress. */
import type { Logger } from 'pino';
import { counted, formatCount } from '../plan/quantities.js';
import type { RunEvent } from '../run/events.js';
import type { Progress } from './progress.js';
import { formatDuration } from './render/duration.js';

/**
 * Follows the events of a run to their end. Never rejects for what the run rejects with: that is told by its result.
 * @param endLevel weight of the message that the run is done: someone who watches reads it in the summary.
 */
export async function reportRun(
  events: AsyncIterable<RunEvent>,
  log: Logger,
  progress: Progress,
  endLevel: 'info' | 'debug' = 'info',
): Promise<void> {
  try {
    for await (const event of events) report(event, log, progress, endLevel);
  } finally {
    progress.stop();
  }
}

function report(event: RunEvent, log: Logger, progress: Progress, endLevel: 'info' | 'debug'): void {
  switch (event.type) {
    case 'started': {
      const { runId, rows, shards, workers } = event;
      const what = `${counted(rows, 'row')} in ${counted(shards, 'shard')}, ${counted(workers, 'worker')}`;
      log.info({ run_id: runId, rows, shards, workers }, `scoring ${what}`);
      progress.begin(rows);
      break;
    }
    case 'resumed': {
      const { rows, shards, runId } = event;
      const what = `${counted(rows, 'row')} in ${counted(shards, 'shard')}`;
      const by = runId === undefined ? 'an earlier, unfinished run' : `run ${runId}, which did not finish`;
      log.info({ rows, shards, resumed_run_id: runId }, `resuming: ${what} were scored by ${by}`);
      progress.resume(rows);
      break;
    }
    case 'startedOver': {
      const { runId, shards, changed } = event;
      log.info(
        { resumed_run_id: runId, shards, changed },
        `starting over: run ${runId} did not finish, and ${counted(shards, 'shard')} that it had scored cannot be used, as ${changed.join('; ')}`,
      );
      break;
    }
    case 'progress':
      progress.update(event);
      break;
    case 'phase':
      progress.phase(event.phase);
      log.debug({ phase: event.phase }, event.phase);
      break;
    case 'retry': {
      const { shard, attempt, delayMs, error } = event;
      const when = formatDuration(delayMs / 1000);
      log.warn(
        { shard, attempt, delay_ms: delayMs, error },
        `shard ${shard} failed (${error.code}: ${error.message}); attempt ${attempt + 1} begins in ${when}`,
      );
      break;
    }
    case 'failed': {
      const { shard, error } = event;
      log.warn({ shard, error }, `shard ${shard} failed (${error.code}: ${error.message}); the others go on`);
      break;
    }
    case 'warning':
      log.warn(event.message);
      break;
    case 'finished': {
      const { run_id, rows, scored, quarantined, nulled, elapsed_s, rows_per_s } = event.summary;
      const invalid = quarantined + nulled;
      if (scored === 0 && invalid > 0) {
        const reasons = Object.entries(event.summary.reasons).toSorted(([, m], [, n]) => n - m);
        log.warn(
          { run_id, rows, scored, invalid },
          `no row was scored: ${counted(invalid, 'invalid row')}${reasons[0] === undefined ? '' : `, most by ${reasons[0][0]}`}; ` +
            'with validate.max_invalid such a run fails',
        );
      }
      const what = `done: ${formatCount(scored)} of ${counted(rows, 'row')} scored`;
      const speed = `${formatDuration(elapsed_s)}, ${formatCount(Math.round(rows_per_s))} rows/s`;
      log[endLevel]({ run_id, rows, scored, elapsed_s, rows_per_s }, `${what} in ${speed}`);
      break;
    }
  }
}
