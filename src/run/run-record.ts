/** How a run ended, for its record. */
import type { Manifest } from '../commit/manifest.js';
import type { Places } from '../commit/places.js';
import { recordOf, writeRecord, type RunRecord } from '../commit/records.js';
import { ColonnadeError, messageOf, type ErrorCode } from '../errors.js';

export type RunEnd = Pick<RunRecord, 'state' | 'ledger' | 'error'>;

/** The end of a run that is published. */
export function doneRecord({ ledger }: Manifest): RunEnd {
  const { scored, quarantined, nulled, filtered } = ledger;
  return { state: 'done', ledger: { scored, quarantined, nulled, filtered } };
}

/** The end of a run that failed or was stopped. */
export function failedRecord(error: unknown, signal: AbortSignal | undefined): RunEnd {
  const code: ErrorCode =
    error instanceof ColonnadeError
      ? error.code
      : signal?.aborted === true && error === signal.reason
        ? 'INTERRUPTED'
        : 'INTERNAL';
  const isStop = code === 'INTERRUPTED' || code === 'TERMINATED';
  return { state: isStop ? 'interrupted' : 'failed', error: { code, message: messageOf(error) } };
}

/** Says of a run that had died while publishing that another one has finished it. */
export async function recordRecovered(places: Places, manifest: Manifest, by: string): Promise<void> {
  const record = await recordOf(places, manifest.run_id);
  if (record === undefined) return;
  await writeRecord(places, {
    ...record,
    ...doneRecord(manifest),
    finished_at: new Date().toISOString(),
    finished_by: by,
  });
}
