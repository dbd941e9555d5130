/** What a run tells while it goes on, and what it says at the end. */
import type { SerializedError } from '../errors.js';

/** Rows by what became of them: `rows = scored + quarantined + nulled + filtered` always. */
export interface RowCounts {
  readonly rows: number;
  readonly scored: number;
  readonly quarantined: number;
  readonly nulled: number;
  readonly filtered: number;
}

/** The end of a run that is done. Keys are those of `--json`. */
export interface RunSummary extends RowCounts {
  readonly status: 'done';
  readonly run_id: string;
  readonly pipeline: string;
  /** Absolute path of the output folder. */
  readonly output: string;
  /** Absolute path of the manifest. */
  readonly manifest: string;
  /** Absolute path of the folder with the quarantined rows, where there are any. */
  readonly quarantine?: string;
  /** Invalid rows by reason; a row with two reasons counts under both. */
  readonly reasons: Readonly<Record<string, number>>;
  /** NaN among the predictions, by output column; only columns that have any. */
  readonly nan: Readonly<Record<string, number>>;
  readonly files: number;
  /** Bytes of the output's files. */
  readonly bytes: number;
  /** In the order of the pipeline; without a name where there is one. */
  readonly models: readonly { readonly name?: string; readonly engine: string; readonly batch_size: number }[];
  readonly workers: number;
  /** Rows whose scores an earlier, unfinished run had left. */
  readonly resumed_rows: number;
  readonly elapsed_s: number;
  readonly rows_per_s: number;
}

export type RunEvent =
  | {
      readonly type: 'started';
      readonly runId: string;
      readonly rows: number;
      readonly shards: number;
      readonly workers: number;
    }
  /** Scores of an earlier, unfinished run of the same plan are used. */
  | {
      readonly type: 'resumed';
      readonly rows: number;
      readonly shards: number;
      /** The run that had left them, where that is known. */
      readonly runId?: string;
    }
  /** Scores of an earlier, unfinished run are of no use: what `changed` says in words has changed since. */
  | {
      readonly type: 'startedOver';
      readonly runId: string;
      readonly shards: number;
      readonly changed: readonly string[];
    }
  /** `rowsDone` never falls, but for a shard that is tried again. */
  | {
      readonly type: 'progress';
      readonly rowsDone: number;
      readonly rowsTotal: number;
      readonly rowsPerSecond: number;
      readonly secondsLeft: number | null;
    }
  /** `attempt` is the one that failed, counted from 1; the next begins in `delayMs`. */
  | {
      readonly type: 'retry';
      readonly shard: number;
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: SerializedError;
    }
  /** A shard failed for good. The others go on, for another run to use them; this one will fail. */
  | { readonly type: 'failed'; readonly shard: number; readonly error: SerializedError }
  | { readonly type: 'phase'; readonly phase: 'scoring' | 'writing' | 'publishing' }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'finished'; readonly summary: RunSummary };

/**
 * A run that is under way: its events, each given once and kept until then, and its end. Events have one reader at a time:
 * to iterate beside another loop throws a ColonnadeError `USAGE`.
 */
export interface Run extends AsyncIterable<RunEvent> {
  readonly id: string;
  /** Rejects with a ColonnadeError; then nothing of the run is visible in the output. */
  readonly result: Promise<RunSummary>;
}

export interface RunOptions {
  /** Worker processes; overrides the pipeline. */
  readonly workers?: number;
  /** Ignores the scores that an unfinished run of the same plan has left. */
  readonly fresh?: boolean;
  /**
   * Aborts the run: no new shard is begun and nothing is published. {@link Run.result} rejects with the reason where
   * that is a ColonnadeError, else with `INTERRUPTED`.
   */
  readonly signal?: AbortSignal;
}

/** A few rows, scored for a look. */
export interface Preview {
  /** Keys, features, then outputs, then `_status`; a name that is there already has a number added (`_status_2`). */
  readonly columns: readonly { readonly name: string; readonly kind: 'key' | 'feature' | 'output' | 'status' }[];
  /** What JavaScript has exactly as it is, everything else (decimals, times, blobs) as DuckDB's text. */
  readonly rows: readonly (readonly unknown[])[];
  /** Rows of the source that were looked through for these, filtered ones too. */
  readonly looked: number;
  /** Rows of the source. */
  readonly of: number;
}
