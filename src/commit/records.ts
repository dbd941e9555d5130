/**
 * Records of runs: a small file a run beside its output, written when it begins and when it ends. Nothing depends on them but
 * who asks what ran when; a record without an end whose process is gone is of a run that died.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SerializedError } from '../errors.js';
import { makeFolder, writeWhole } from './durable.js';
import { readManifest } from './manifest.js';
import type { Places } from './places.js';
import { thisSystem, type ProcessId } from './system.js';

/** Records that are kept of an output. */
const MOST_RECORDS = 100;

export interface RunRecord {
  readonly format: 1;
  readonly run_id: string;
  readonly plan_hash: string;
  readonly pipeline: { readonly name: string; readonly file: string };
  readonly process: ProcessId;
  readonly started_at: string;
  /** Rows of the source, by its footers. */
  readonly rows: number;
  readonly state: 'running' | 'done' | 'failed' | 'interrupted';
  /** Absent while it runs. */
  readonly finished_at?: string;
  /** What became of the rows, of a run that is done. */
  readonly ledger?: {
    readonly scored: number;
    readonly quarantined: number;
    readonly nulled: number;
    readonly filtered: number;
  };
  /** Scores that it went on from; the run that had left them, where that is known. */
  readonly resumed?: { readonly rows: number; readonly run_id?: string };
  /** The run that finished publishing it, where it had died over that. */
  readonly finished_by?: string;
  readonly error?: Pick<SerializedError, 'code' | 'message'>;
}

/** A record with what is known of a run that has not told its end. */
export interface ToldRun extends Omit<RunRecord, 'state'> {
  /** `died`: its process is gone, and it has not said how it ended. */
  readonly state: RunRecord['state'] | 'died';
}

/**
 * Writes a record over the one of the same run that is there. Never fails: a run must not end for it.
 * @param sync whether it must outlive a power cut; of a run that is done the manifest tells.
 */
export async function writeRecord(
  places: Pick<Places, 'runs'>,
  record: RunRecord,
  { sync = false } = {},
): Promise<void> {
  try {
    await makeFolder(places.runs);
    await writeWhole(recordPath(places, record.run_id), `${JSON.stringify(record)}\n`, { sync });
  } catch {
    // No space, for one; whatever it is, the run meets it itself where it matters.
  }
}

/** Removes the oldest records, and drafts of processes that were killed. Only the holder of the epoch calls this. */
export async function sweepRecords(places: Pick<Places, 'runs'>): Promise<void> {
  const names = await readdir(places.runs).catch((): string[] => []);
  // Ids begin with the time.
  const records = names.filter((name) => name.endsWith('.json')).sort();
  const old = records.slice(0, Math.max(0, records.length - MOST_RECORDS));
  for (const name of [...old, ...names.filter((each) => each.endsWith('.tmp'))])
    await rm(join(places.runs, name), { force: true }).catch(() => undefined);
}

/** The runs of an output, in no order. What cannot be read is left out. */
export async function readRecords(places: Pick<Places, 'runs' | 'manifest'>): Promise<ToldRun[]> {
  const names = await readdir(places.runs).catch((): string[] => []);
  const manifest = await readManifest(places.manifest);
  const runs: ToldRun[] = [];
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const record = await readRecord(join(places.runs, name));
    if (record === undefined) continue;
    if (record.state !== 'running') runs.push(record);
    // Its end was lost, or is about to be written: the manifest is there, so it is done.
    else if (manifest?.run_id === record.run_id)
      runs.push({ ...record, state: 'done', finished_at: manifest.finished_at });
    else runs.push((await thisSystem.isAlive(record.process)) ? record : { ...record, state: 'died' });
  }
  return runs;
}

/** The record of a run; undefined where there is none that can be read. */
export async function recordOf(places: Pick<Places, 'runs'>, runId: string): Promise<RunRecord | undefined> {
  return readRecord(recordPath(places, runId));
}

async function readRecord(path: string): Promise<RunRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(path, 'utf8')) as Partial<RunRecord> | null;
    const isWhole = record?.format === 1 && typeof record.run_id === 'string' && typeof record.process === 'object';
    return isWhole ? (record as RunRecord) : undefined;
  } catch {
    return undefined;
  }
}

function recordPath({ runs }: Pick<Places, 'runs'>, runId: string): string {
  return join(runs, `${runId}.json`);
}
