/**
 * One DuckDB in memory, locked down: it reads the files that it was opened for, writes below the folders that it was
 * opened for, keeps to its share of memory, and nothing that it runs can change that.
 */
import { stat } from 'node:fs/promises';
import type { DuckDBConnection, DuckDBInstance, DuckDBMaterializedResult } from '@duckdb/node-api';
import { ColonnadeError } from '../errors.js';
import { quoteString } from '../plan/sql.js';
import { duckdbError, type QueryContext } from './duckdb-errors.js';

/** Share of `run.memory` that DuckDB may use in a scan; the rest is for batches, tensors and scores. */
export const DATABASE_SHARE = 0.75;

export interface DatabaseOptions {
  /** Bytes of DuckDB's buffers; what Node holds does not count. */
  readonly memoryLimit: number;
  readonly threads: number;
  /** Folder for data that does not fit into memory; DuckDB makes it when it needs it. */
  readonly spillDirectory: string;
  /** Bytes that may be spilled; 16 times the memory limit when absent. */
  readonly spillLimit?: number;
  /** Absolute files and folders that may be read; the database is opened while they are looked for. */
  readonly readable: readonly string[] | Promise<readonly string[]>;
  /** Absolute folders that may be written to (and read). */
  readonly writable: readonly string[];
  /** When it is aborted, the statement that runs is interrupted; that and every later one reject with its reason. */
  readonly signal?: AbortSignal;
}

/** An open database. Statements run one after the other; {@link Database.connect} gives a line of its own. */
export interface Database {
  /**
   * Runs one query and gives its rows by column name; 64-bit integers as bigint, NULL as null.
   * @throws ColonnadeError as {@link duckdbError} makes it of `context`; the reason of the database's signal.
   */
  rows(sql: string, context?: QueryContext): Promise<Record<string, unknown>[]>;
  /**
   * Runs one statement.
   * @throws ColonnadeError `INTERNAL` for none or several statements, before any of them has run; else as `rows`.
   */
  run(sql: string, context?: QueryContext): Promise<void>;
  /** Another connection, for queries that run beside others; to be closed with `closeSync()`. */
  connect(): Promise<DuckDBConnection>;
  /**
   * The same database once more, with a turn of its own: its statements run beside those of others, within the same
   * memory. With `threads: 1` each of them is run by one thread, which is not the others'. To be closed before the
   * database is.
   */
  beside(): Promise<Database>;
  /** Waits for what is running, then ends it. Nothing may be asked of it afterwards; it may be closed twice. */
  close(): Promise<void>;
}

/**
 * Loads DuckDB and opens a database.
 * @throws ColonnadeError as {@link duckdbError} makes it; what `readable` is rejected with.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  let instance: DuckDBInstance | undefined;
  try {
    instance = await DuckDBInstance.create(':memory:', {
      memory_limit: bytes(options.memoryLimit),
      threads: String(options.threads),
      preserve_insertion_order: 'true',
      // A file that is overwritten within one second and keeps its size would be served from the cache.
      enable_external_file_cache: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      // Beyond it, files of partitions are closed and others begun beside them: many files where few were meant.
      partitioned_write_max_open_files: '1000',
    });
    const connection = await instance.connect();
    await connection.run((await lockDown(options, await options.readable)).join('; '));
    return new OpenDatabase(instance, connection, options.signal, true);
  } catch (error) {
    instance?.closeSync();
    throw duckdbError(error);
  }
}

/** The order counts: paths can be allowed only before external access is off, and nothing after the lock. */
async function lockDown(options: DatabaseOptions, readable: readonly string[]): Promise<string[]> {
  const isFolder = await Promise.all(
    readable.map((path) =>
      stat(path).then(
        (entry) => entry.isDirectory(),
        () => false,
      ),
    ),
  );
  const files = readable.filter((_, i) => !isFolder[i]!);
  const folders = [...options.writable, ...readable.filter((_, i) => isFolder[i]!)];
  const list = (paths: readonly string[]): string => `[${paths.map(quoteString).join(', ')}]`;
  return [
    // A file is scanned shard by shard, and its footer need not be read and parsed for each. Loading what is built in makes
    // the setting known.
    'LOAD parquet',
    'SET GLOBAL parquet_metadata_cache = true',
    // It takes the statistics of a Parquet column for all of its values, and NaN is in none: of `x BETWEEN -2 AND 2` it leaves
    // out what the greatest value fulfils, and NaN, greater than any number to DuckDB, passes.
    `SET GLOBAL disabled_optimizers = 'statistics_propagation'`,
    // In this order: a new folder takes the limit back to its default, 90 % of the disk.
    `SET temp_directory = ${quoteString(options.spillDirectory)}`,
    `SET max_temp_directory_size = '${bytes(options.spillLimit ?? 16 * options.memoryLimit)}'`,
    // Both for every connection: without GLOBAL they would hold for the first one alone.
    // Times are computed in one zone wherever the run takes place.
    `SET GLOBAL TimeZone = 'UTC'`,
    'SET GLOBAL errors_as_json = true',
    `SET allowed_directories = ${list(folders)}`,
    `SET allowed_paths = ${list(files)}`,
    'SET enable_external_access = false',
    'SET lock_configuration = true',
  ];
}

function bytes(count: number): string {
  return `${Math.max(1, Math.floor(count))}B`;
}

/** An interrupted statement is interrupted again after this many milliseconds, until it ends. */
const INTERRUPT_EVERY_MS = 50;

class OpenDatabase implements Database {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #signal: AbortSignal | undefined;
  /** False where the instance is another one's to close. */
  readonly #owner: boolean;
  /** The statement that runs, or the last one that did; a connection runs one at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(instance: DuckDBInstance, connection: DuckDBConnection, signal: AbortSignal | undefined, owner: boolean) {
    this.#owner = owner;
    this.#instance = instance;
    this.#connection = connection;
    this.#signal = signal;
  }

  async rows(sql: string, context?: QueryContext): Promise<Record<string, unknown>[]> {
    return this.#inTurn(async () => (await this.#single(sql)).getRowObjectsJS(), context);
  }

  async run(sql: string, context?: QueryContext): Promise<void> {
    await this.#inTurn(() => this.#single(sql), context);
  }

  connect(): Promise<DuckDBConnection> {
    return this.#instance.connect();
  }

  async beside(): Promise<Database> {
    return new OpenDatabase(this.#instance, await this.#instance.connect(), this.#signal, false);
  }

  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.closeSync();
    if (this.#owner) this.#instance.closeSync();
  }

  async #inTurn<T>(work: () => Promise<T>, context: QueryContext | undefined): Promise<T> {
    const turn = this.#last.catch(() => undefined).then(() => this.#interruptible(work));
    this.#last = turn;
    try {
      return await turn;
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw duckdbError(error, context);
    }
  }

  async #interruptible<T>(work: () => Promise<T>): Promise<T> {
    const signal = this.#signal;
    if (signal === undefined) return work();
    signal.throwIfAborted();
    let again: NodeJS.Timeout | undefined;
    // Not once: DuckDB forgets an interrupt that comes before the statement has begun on its thread.
    const interrupt = (): void => {
      this.#connection.interrupt();
      again ??= setInterval(interrupt, INTERRUPT_EVERY_MS);
    };
    signal.addEventListener('abort', interrupt);
    try {
      return await work();
    } finally {
      signal.removeEventListener('abort', interrupt);
      clearInterval(again);
    }
  }

  /** `connection.run` would run every statement of a text; this refuses all but one. */
  async #single(sql: string): Promise<DuckDBMaterializedResult> {
    const statements = await this.#connection.extractStatements(sql);
    if (statements.count !== 1) {
      throw new ColonnadeError('INTERNAL', `${statements.count} statements where one is needed: ${sql}`, {
        phase: 'source',
      });
    }
    const statement = await statements.prepare(0);
    try {
      return await statement.run();
    } finally {
      statement.destroySync();
    }
  }
}
