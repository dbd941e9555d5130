/**
 * `append`: the same files with the new columns spliced in.
 *
 * What is taken over as it is gets copied beside the scoring, file by file and a few files ahead. The scores are written
 * behind the place of it shard by shard, and then the footer, whether or not all of it is there yet: what comes last, scores
 * or copy, leaves little more to wait for than the disk.
 *
 * Where there are many small files, each is put together in memory once it is scored, and a thread writes one after the other.
 */
import { dirname, join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { sharesNoBlocks, startCopy, type StartedCopy } from '../parquet/copy.js';
import { SmallCopies } from '../parquet/small-copies.js';
import { Splice, spliceTail } from '../parquet/splice.js';
import { readSameFooter, readSameFooterStart } from '../parquet/unchanged.js';
import type { PlannedFile, Shard } from '../plan/plan.js';
import type { Sink, SinkContext, StagedFile } from './sink.js';
import { makeFolderOf } from './write.js';

/** Copies that wait for their scores at most: each may hold a thread and an open file. */
const COPIES_AHEAD = 4;

/** Files of this size are written whole: less than it takes to copy one beside the scoring. */
const SMALL_BYTES = 4 << 20;
/** Small files that are worth a thread. */
const MANY_FILES = 8;
/** Small files that wait to be written at most: what is appended to each is held in memory. */
const MOST_WRITING = 32;

interface PreparedFile {
  /** What is copied as it is. */
  readonly prefixBytes: number;
  readonly copy: StartedCopy;
}

export class AppendSink implements Sink {
  readonly #context: SinkContext;
  readonly #prepared = new Map<number, Promise<PreparedFile>>();
  readonly #splices = new Map<number, Splice>();
  readonly #staged = new Map<number, StagedFile>();
  readonly #smallCopies = new SmallCopies();
  /** Files that were found to be small. */
  readonly #small = new Set<number>();
  /** Small files that are being written. */
  readonly #writing = new Set<Promise<void>>();
  /** Folders of the output that were made for small files. */
  readonly #folders = new Set<string>();
  #onFailure: (error: unknown) => void = () => undefined;
  /** Called when a file is complete, so that the next copy can begin. */
  #onRoom: (() => void) | undefined;
  #aborted = false;

  constructor(context: SinkContext) {
    this.#context = context;
  }

  begin(onFailure: (error: unknown) => void): void {
    this.#onFailure = onFailure;
    // Whoever waits for the rest of a copy would wait long where it is large.
    this.#context.signal.addEventListener('abort', () => void this.#stopCopies());
    this.#copyAhead().catch((error: unknown) => {
      if (!this.#aborted) onFailure(error);
    });
  }

  async addShard(file: PlannedFile, _: Shard, scores: string): Promise<void> {
    if (this.#isSmall(file)) return;
    await (await this.#spliceOf(file)).add(scores);
  }

  async addFile(file: PlannedFile, scores: readonly string[]): Promise<number> {
    if (this.#isSmall(file)) return this.#addSmall(file, scores);
    const { copy } = await this.#prepare(file);
    const splice = await this.#spliceOf(file);
    // Read only now: the footers of large files would take more memory than all the rest.
    const { rows } = await splice.finish(readSameFooter(file), this.#context.metadata, () =>
      this.#context.onWritten?.(file),
    );
    this.#splices.delete(file.index);
    await splice.close();
    const digest = await copy.digest();
    this.#prepared.delete(file.index);
    this.#staged.set(file.index, { path: file.relativePath, rows, ...digest });
    this.#onRoom?.();
    return rows;
  }

  /** The splice of a file, begun when there is a file that it is copied to. */
  async #spliceOf(file: PlannedFile): Promise<Splice> {
    let splice = this.#splices.get(file.index);
    if (splice === undefined) {
      const { plan, output } = this.#context;
      const { prefixBytes, copy } = await this.#prepare(file);
      await copy.opened;
      const columns = plan.outputs.map(({ name }) => name);
      const destination = join(output, file.relativePath);
      splice = await Splice.begin({ destination, prefixBytes, columns, copied: copy.copied });
      this.#splices.set(file.index, splice);
    }
    return splice;
  }

  /** Whether a file is written whole: not where its copy has begun, nor where its blocks may be shared. */
  #isSmall(file: PlannedFile): boolean {
    if (this.#small.has(file.index)) return true;
    const { plan, output } = this.#context;
    const isSmall =
      plan.files.length >= MANY_FILES &&
      file.fingerprint.size <= SMALL_BYTES &&
      !this.#prepared.has(file.index) &&
      sharesNoBlocks(file.path, output);
    if (isSmall) this.#small.add(file.index);
    return isSmall;
  }

  /** Puts a small file together, and has it written while others are scored. */
  async #addSmall(file: PlannedFile, scores: readonly string[]): Promise<number> {
    const { plan, output, metadata, signal } = this.#context;
    const destination = join(output, file.relativePath);
    if (!this.#folders.has(dirname(destination))) await makeFolderOf(destination);
    this.#folders.add(dirname(destination));
    const source = readSameFooter(file);
    const columns = plan.outputs.map(({ name }) => name);
    const { bytes: tail, rows } = await spliceTail(source, scores, columns, metadata);
    const size = source.start + tail.length;
    const writing = this.#smallCopies
      .write({ source: file.path, destination, bytes: source.start, tail })
      .then(({ bytes, sha256 }) => {
        if (bytes !== size) throw wrongSize(destination, bytes, size);
        this.#staged.set(file.index, { path: file.relativePath, rows, bytes, sha256 });
        this.#context.onWritten?.(file);
      })
      .catch((error: unknown) => {
        if (!this.#aborted) this.#onFailure(error);
      });
    this.#writing.add(writing);
    void writing.then(() => this.#writing.delete(writing));
    while (this.#writing.size >= MOST_WRITING) await Promise.race(this.#writing);
    signal.throwIfAborted();
    return rows;
  }

  async finish(): Promise<readonly StagedFile[]> {
    await Promise.all(this.#writing);
    await this.#smallCopies.close();
    this.#context.signal.throwIfAborted();
    return [...this.#staged].sort(([a], [b]) => a - b).map(([, staged]) => staged);
  }

  async abort(): Promise<void> {
    this.#aborted = true;
    await this.#smallCopies.close();
    for (const splice of this.#splices.values()) await splice.close().catch(() => undefined);
    await this.#stopCopies();
  }

  /** Begins no copy any more, and ends those under way. */
  async #stopCopies(): Promise<void> {
    this.#aborted = true;
    this.#onRoom?.();
    await Promise.all(
      [...this.#prepared.values()].map(async (prepared) => {
        const { copy } = await prepared.catch(() => ({ copy: undefined }));
        await copy?.abort().catch(() => undefined);
      }),
    );
  }

  async #copyAhead(): Promise<void> {
    for (const file of this.#context.plan.files) {
      while (this.#prepared.size >= COPIES_AHEAD && !this.#aborted) {
        await new Promise<void>((resolve) => {
          this.#onRoom = resolve;
        });
      }
      if (this.#aborted) return;
      if (this.#staged.has(file.index) || this.#isSmall(file)) continue;
      // One after the other: two copies at once would only make the disk seek.
      const { copy } = await this.#prepare(file);
      await copy.copied;
    }
  }

  /** Starts the copy of a file, once. */
  #prepare(file: PlannedFile): Promise<PreparedFile> {
    let prepared = this.#prepared.get(file.index);
    if (prepared === undefined) {
      prepared = this.#start(file);
      prepared.catch(() => undefined);
      this.#prepared.set(file.index, prepared);
    }
    return prepared;
  }

  async #start(file: PlannedFile): Promise<PreparedFile> {
    const prefixBytes = readSameFooterStart(file);
    const destination = join(this.#context.output, file.relativePath);
    await makeFolderOf(destination);
    this.#context.signal.throwIfAborted();
    const copy = startCopy({ source: file.path, destination, bytes: prefixBytes });
    copy.copied.catch(() => undefined);
    return { prefixBytes, copy };
  }
}

function wrongSize(path: string, found: number, expected: number): ColonnadeError {
  return new ColonnadeError('IO_FAILED', `${path}: ${found} bytes were written, ${expected} were meant to be`, {
    phase: 'sink',
    hint: 'something else writes to the staging folder; run it again when it does not',
  });
}
