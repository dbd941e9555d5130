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
import type { Plan, PlannedFile, Shard } from '../plan/plan.js';
import { systemError } from '../system-errors.js';
import { outputSelects, type ScoredShard } from './join.js';
import { rangesOf } from './ranges.js';
import type { Sink, SinkContext, StagedFile } from './sink.js';
import { filesBelow, stagedFile, syncFile } from './staged-files.js';
import { makeFolderOf, writeRows, type SourceQuery } from './write.js';

/** Shards that are written by one COPY. */
interface Range {
  /** Told in the names of its files. */
  readonly name: string;
  /** Each with its scores once it is scored. */
  readonly shards: { readonly shard: Shard; scores?: string }[];
  /** Shards that are to be scored yet. */
  missing: number;
  /** No other range was written at any time while this one was. */
  alone: boolean;
}

export class PartitionSink implements Sink {
  readonly #context: SinkContext;
  /** By shard. */
  readonly #rangeOf: readonly Range[];
  /** Ranges that are scored, and that nobody writes yet. */
  readonly #ready: Range[] = [];
  /** Ranges that DuckDB writes. */
  readonly #copying = new Set<Range>();
  /** What goes on for ranges from their COPY until their files are staged; never rejected. */
  readonly #under = new Set<Promise<void>>();
  readonly #staged: StagedFile[] = [];
  /** Ranges that may be written at once: beside the scoring there is room for one. */
  #most = 1;
  #shortOfMemory = false;
  #failure: { readonly error: unknown } | undefined;
  #onFailure: (error: unknown) => void = () => undefined;

  constructor(context: SinkContext) {
    this.#context = context;
    const ranges = rangesOf(context.plan);
    const digits = String(ranges.length - 1).length;
    this.#rangeOf = ranges.flatMap((shards, i) => {
      const name = String(i).padStart(digits, '0');
      const range: Range = { name, shards: shards.map((shard) => ({ shard })), missing: shards.length, alone: true };
      return shards.map(() => range);
    });
  }

  begin(onFailure: (error: unknown) => void): void {
    this.#onFailure = onFailure;
  }

  addShard(_: PlannedFile, shard: Shard, scores: string): Promise<void> {
    const range = this.#rangeOf[shard.index]!;
    range.shards[shard.index - range.shards[0]!.shard.index]!.scores = scores;
    range.missing -= 1;
    if (range.missing === 0) {
      this.#ready.push(range);
      this.#writeNext();
    }
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

  #writeNext(): void {
    while (this.#copying.size < this.#most && this.#failure === undefined && !this.#context.signal.aborted) {
      const range = this.#ready.shift();
      if (range === undefined) return;
      for (const other of this.#copying) other.alone = false;
      range.alone = this.#copying.size === 0;
      this.#copying.add(range);
      const under = this.#write(range).catch((error: unknown) => {
        if (this.#context.signal.aborted) return;
        this.#failure ??= { error };
        this.#onFailure(error);
      });
      this.#under.add(under);
      void under.then(() => this.#under.delete(under));
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
      this.#ready.unshift(range);
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
      await writeRows(line, queriesOf(plan, shards), folder, {
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
      // Not all at the end, when nothing is left to do beside it.
      await syncFile(place);
      this.#staged.push(await stagedFile(output, place, signal));
    }
    await remove(folder);
  }
}

/** A query for each file of which a range has shards. */
function queriesOf(plan: Plan, shards: Range['shards']): SourceQuery[] {
  const byFile = new Map<number, ScoredShard[]>();
  for (const { shard, scores } of shards) {
    const scored = { shard, scores: scores! };
    const others = byFile.get(shard.file);
    if (others === undefined) byFile.set(shard.file, [scored]);
    else others.push(scored);
  }
  return [...byFile].flatMap(([index, scored]) => {
    const file = plan.files[index]!;
    return outputSelects(plan, file, scored).map((select) => ({ select, file }));
  });
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
