/** What a sink is: joins the scores of a file with the file, in staging. */
import type { Database } from '../source/database.js';
import type { Plan, PlannedFile, Shard } from '../plan/plan.js';

/** A file that a sink wrote into staging. */
export interface StagedFile {
  /** Relative to the folder that becomes the output; slashes. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** sha256, hex, of the file; of what is behind the shared bytes where there are such. */
  readonly sha256: string;
  /** Bytes at the start that are blocks of the source, which the file system shares: they were neither read nor written. */
  readonly sharedBytes?: number;
}

/** What sinks are given. */
export interface SinkContext {
  readonly plan: Plan;
  /** Folder that becomes the output. */
  readonly output: string;
  /** Folder for files on the way; emptied afterwards. */
  readonly work: string;
  /** `colonnade.*` metadata of written files. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Called when all bytes of a file are in their place, whether or not they are on the disk, where a file of the output is
   * made of one of the source: what is to be checked of it need not wait for the disk, or for the others.
   */
  readonly onWritten?: (file: PlannedFile) => void;
  /** Aborted when the run ends before its output is complete. What is under way ends soon then; what it throws is not told. */
  readonly signal: AbortSignal;
  /** Statements that it is worth to run beside each other; 1 at least. */
  readonly writers: number;
  /** Opens DuckDB, whose statements end with `signal`, for reading sources and staging, and writing into staging; called when it is needed. */
  readonly database: () => Promise<Database>;
}

/**
 * Writes the output of a run into staging. `begin` is called once before scoring, `addFile` once for every file when
 * all its shards are scored, in any order; one call of `addShard` or `addFile` at a time; `finish` once after the last. After a failure of any
 * of them, or of the run, `abort` is called and nothing else.
 */
export interface Sink {
  /**
   * Starts what needs no scores and goes on beside the scoring. Returns at once.
   * @param onFailure called with the ColonnadeError of what goes on by itself, as soon as that fails: the run need not
   *   score what cannot be written. Not called after an abort.
   */
  begin(onFailure: (error: unknown) => void): void;
  /**
   * Takes the scores of a shard ahead of `addFile`, beside the scoring: called once for each shard of a file, in their
   * order, as soon as it and those before it are there. A sink that can do nothing with a part of a file leaves it out.
   */
  addShard?(file: PlannedFile, shard: Shard, scores: string): Promise<void>;
  /**
   * @param scores the scores files of the file's shards, in order.
   * @returns rows written for this file; null where the sink writes all files together in `finish`.
   */
  addFile(file: PlannedFile, scores: readonly string[]): Promise<number | null>;
  /** Completes the output: every file is whole and synced. */
  finish(): Promise<readonly StagedFile[]>;
  abort(): Promise<void>;
}
