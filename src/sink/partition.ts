/**
 * `partition`: the chosen columns and the predictions in hive layout, written by DuckDB.
 *
 * The source is written in ranges of shards (ranges.ts), each by a COPY of its own with one thread, as soon as its shards
 * are scored, and several at once. A COPY in one thread gives the same bytes each time, which one in several does not; and as
 * the ranges depend on the source alone, so do the files: in each folder one for each range that has rows there. (It is more
 * than one where a range has rows for more than 1,000 folders, which are open at once.) Within a file rows come about in the
 * order of the source; DuckDB holds small parts back, so a strict order is not promised.
 */
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { ColonnadeError } from '../errors.js';
import type { PlannedFile, Shard } from '../plan/plan.js';
import { quoteIdentifier } from '../plan/sql.js';
import { systemError } from '../system-errors.js';
import { outputSelects, type ScoredShard } from './join.js';
import { rangesOf } from './ranges.js';
import type { Sink, SinkContext, StagedFile } from './sink.js';
import { filesBelow, stagedFile } from './staged-files.js';
import { makeFolderOf, readRows, writeRows, type SourceQuery } from './write.js';

/** Shards that are written by one COPY. */
interface Range {
  /** Told in the names of its files. */
  readonly name: string;
  readonly shards: readonly Shard[];
  /** No other range was written at any time while this one was. */
  alone: boolean;
}

export class PartitionSink implements Sink {
  readonly #context: SinkContext;
  /** Scores files of the shards that are scored, by shard. */
  readonly #scores = new Map<number, string>();
  /** Ranges that nobody writes yet, in order; unknown until the first shard is scored. */
  #waiting: Range[] | undefined;
  /** Ranges that DuckDB writes. */
  readonly #copying = new Set<Range>();
  /** What goes on beside the scoring: to find the ranges, and each from its COPY until its files are staged. Never rejected. */
  readonly #under = new Set<Promise<void>>();
  readonly #staged: StagedFile[] = [];
  /** Ranges that may be written at once: beside the scoring there is room for one. */
  #most = 1;
  #shortOfMemory = false;
  #failure: { readonly error: unknown } | undefined;
  #onFailure: (error: unknown) => void = () => undefined;

  constructor(context: SinkContext) {
    this.#context = context;
  }

  begin(onFailure: (error: unknown) => void): void {
    this.#onFailure = onFailure;
  }

  addShard(_: PlannedFile, shard: Shard, scores: string): Promise<void> {
    this.#scores.set(shard.index, scores);
    if (shard.index === 0) this.#goOn(this.#findRanges(shard));
    this.#writeNext();
    return Promise.resolve();
  }

  addFile(): Promise<null> {
    return Promise.resolve(null);
  }

  async finish(): Promise<readonly StagedFile[]> {
    if (!this.#shortOfMemory) this.#most = this.#context.writers;
    this.#writeNext();
    while (this.#under.size > 0) await Promise.race(this.#under);
    this.#context.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#staged.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async abort(): Promise<void> {
    // The signal has ended what DuckDB is at; whoever closes the database must not meet it at work.
    await Promise.all(this.#under);
  }

  /** Goes on with work while others are scored. */
  #goOn(work: Promise<void>): void {
    const under = work.catch((error: unknown) => {
      if (this.#context.signal.aborted) return;
      this.#failure ??= { error };
      this.#onFailure(error);
    });
    this.#under.add(under);
    void under.then(() => this.#under.delete(under));
  }

  /** The first shard tells how many folders there are, about: with many of them, few ranges make few small files. */
  async #findRanges(first: Shard): Promise<void> {
    const { plan, database } = this.#context;
    const line = await (await database()).beside();
    try {
      const [query] = this.#queriesOf([first]);
      const names = plan.sink.partitionBy.map(quoteIdentifier).join(', ');
      const rows = await readRows(
        line,
        query!,
        `SELECT count(*) AS n FROM (SELECT DISTINCT ${names} FROM (${query!.select}))`,
      );
      const ranges = rangesOf(plan, Number(rows[0]!['n']));
      const digits = String(ranges.length - 1).length;
      this.#waiting = ranges.map((shards, i) => ({ name: String(i).padStart(digits, '0'), shards, alone: true }));
    } finally {
      await line.close();
    }
    this.#writeNext();
  }

  /** The first of the ranges that wait whose shards are all scored. */
  #nextScored(): Range | undefined {
    const at = this.#waiting?.findIndex(({ shards }) => shards.every(({ index }) => this.#scores.has(index))) ?? -1;
    return at < 0 ? undefined : this.#waiting!.splice(at, 1)[0];
  }

  #writeNext(): void {
    while (this.#copying.size < this.#most && this.#failure === undefined && !this.#context.signal.aborted) {
      const range = this.#nextScored();
      if (range === undefined) return;
      for (const other of this.#copying) other.alone = false;
      range.alone = this.#copying.size === 0;
      this.#copying.add(range);
      this.#goOn(this.#write(range));
    }
  }

  async #write(range: Range): Promise<void> {
    const folder = join(this.#context.work, `range-${range.name}`);
    try {
      await this.#copy(range, folder);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      if (range.alone) throw tooManyFolders(error, this.#context.plan.sink.partitionBy);
      // What was too much for several may do for one.
      this.#shortOfMemory = true;
      this.#most = 1;
      await remove(folder);
      this.#waiting!.unshift(range);
      return;
    } finally {
      this.#copying.delete(range);
      this.#writeNext();
    }
    await this.#stage(range, folder);
  }

  async #copy({ shards }: Range, folder: string): Promise<void> {
    const { plan, metadata, database } = this.#context;
    await makeFolderOf(join(folder, 'part'));
    const line = await (await database()).beside();
    try {
      await writeRows(line, this.#queriesOf(shards), folder, {
        compression: plan.sink.compression,
        rowGroupSize: plan.sink.rowGroupSize,
        metadata,
        partitionBy: plan.sink.partitionBy,
        filename: '{i}',
      });
    } finally {
      await line.close();
    }
  }

  /** Queries over the files of which there are shards. */
  #queriesOf(shards: readonly Shard[]): SourceQuery[] {
    const byFile = new Map<number, ScoredShard[]>();
    for (const shard of shards) {
      const scored = { shard, scores: this.#scores.get(shard.index)! };
      const others = byFile.get(shard.file);
      if (others === undefined) byFile.set(shard.file, [scored]);
      else others.push(scored);
    }
    const { plan } = this.#context;
    return [...byFile].flatMap(([index, scored]) => {
      const file = plan.files[index]!;
      return outputSelects(plan, file, scored).map((select) => ({ select, file }));
    });
  }

  /** Gives the files of a range their places and names. */
  async #stage({ name }: Range, folder: string): Promise<void> {
    const { output, signal } = this.#context;
    for (const path of await filesBelow(folder)) {
      const i = basename(path, '.parquet');
      const place = join(output, dirname(relative(folder, path)), `part-${name}${i === '0' ? '' : `-${i}`}.parquet`);
      await makeFolderOf(place);
      await rename(path, place).catch((error: unknown) => {
        throw systemError(error, 'sink', 'naming', place);
      });
      this.#staged.push(await stagedFile(output, place, signal));
    }
    await remove(folder);
  }
}

function isOutOfMemory(error: unknown): error is ColonnadeError {
  return error instanceof ColonnadeError && error.code === 'OUT_OF_MEMORY';
}

/** DuckDB collects the rows of every folder by itself, so what takes its memory up is the number of folders. */
function tooManyFolders(error: ColonnadeError, partitionBy: readonly string[]): ColonnadeError {
  return new ColonnadeError(error.code, error.message, {
    phase: 'sink',
    hint: `each folder takes memory until it is written: partition by fewer values than ${partitionBy.join(', ')} has, write fewer sink.columns, or raise run.memory`,
    cause: error,
  });
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
    throw systemError(error, 'sink', 'clearing', folder);
  });
}
