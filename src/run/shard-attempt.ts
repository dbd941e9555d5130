/** One attempt at scoring a shard: what it takes from the first batch of rows to the scores file and the manifest. */
import { createHash } from 'node:crypto';
import { closeSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { StagingPlaces } from '../commit/places.js';
import { ColonnadeError } from '../errors.js';
import type { Model } from '../model/engine.js';
import type { Encoder } from '../parquet/encode.js';
import { ScoresWriter } from '../parquet/scores.js';
import type { Plan, Shard } from '../plan/plan.js';
import { ShardScorer, type CallWatch, type RowGroupMemory, type ScoredPart, type ShardCounts } from '../score/shard.js';
import { systemError } from '../system-errors.js';
import { attemptName, shardManifest } from './shard-files.js';

/**
 * A shard that is done. Also the content of the shard's manifest. Neither it nor the scores are synced: after a power cut
 * one of them may be missing or damaged, which size and hash tell, and the shard is scored again.
 */
export interface ShardResult {
  readonly shard: number;
  readonly planHash: string;
  readonly counts: ShardCounts;
  /** `file`: name in the folder of shards. */
  readonly scores: { readonly file: string; readonly bytes: number; readonly sha256: string };
}

/** What all attempts of a worker have in common. */
interface AttemptTask {
  readonly plan: Plan;
  readonly planHash: string;
  readonly staging: StagingPlaces;
}

/** Attempts of this process so far. */
let attempts = 0;

/**
 * Begin it, `add` all rows of the shard, `finish`; or `abort` it at any point. All of it happens while the caller waits, as
 * the caller is a scan that waits for its batch to be taken.
 *
 * Of two attempts at one shard (a worker that was thought dead may still write) each has a scores file of its own, and the
 * one whose manifest gets its name first counts: `link()` fails where there is one. The other throws its scores away and gives
 * the result of the first.
 */
export class ShardAttempt {
  readonly #task: AttemptTask;
  readonly #shard: Shard;
  readonly #writer: ScoresWriter;
  readonly #scorer: ShardScorer;
  /** Name of the scores file. It counts for nothing until the shard's manifest names it. */
  readonly #name: string;
  #rows = 0;

  constructor(
    task: AttemptTask,
    shard: Shard,
    tools: { readonly models: readonly Model[]; readonly encoder: Encoder; readonly watch?: CallWatch },
    memory: RowGroupMemory,
    events: { readonly onRows: (shard: number, rows: number) => void },
  ) {
    this.#task = task;
    this.#shard = shard;
    attempts += 1;
    this.#name = attemptName(shard.index, `${process.pid}-${attempts}`);
    this.#writer = new ScoresWriter(join(task.staging.shards, this.#name), tools.encoder);
    this.#scorer = new ShardScorer(
      task.plan,
      shard,
      tools.models,
      { appendRowGroup: (group) => this.#writer.appendRowGroup(group.finish()) },
      {
        memory,
        ...(tools.watch === undefined ? {} : { watch: tools.watch }),
        // That all are done is told by the result.
        onRows: (rows) => {
          if (rows < shard.rows) events.onRows(shard.index, rows);
        },
      },
    );
  }

  /** All rows of the shard have come. */
  get isComplete(): boolean {
    return this.#rows === this.#shard.rows;
  }

  /** @throws ColonnadeError as {@link ShardScorer.add} */
  add(part: ScoredPart): void {
    this.#rows += part.batch.numRows;
    this.#scorer.add(part);
  }

  /**
   * Leaves scores and manifest, unless another attempt has done so already.
   * @returns what counts: the result of this attempt, or of the other.
   * @throws ColonnadeError as {@link ShardScorer.finish}; `LEDGER_UNBALANCED`; `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`.
   */
  finish(): ShardResult {
    const { plan, planHash, staging } = this.#task;
    const { index, file, rows } = this.#shard;
    const counts = this.#scorer.finish();
    const written = this.#writer.close();
    if (written.rows !== rows) {
      throw new ColonnadeError(
        'LEDGER_UNBALANCED',
        `${plan.files[file]!.path}: ${written.rows} scores written for ${rows} rows`,
        { phase: 'score' },
      );
    }
    const result: ShardResult = {
      shard: index,
      planHash,
      counts,
      scores: { file: this.#name, bytes: written.bytes, sha256: written.sha256 },
    };
    const counting = nameManifest(shardManifest(staging.shards, index), result, String(attempts));
    if (counting.scores.file !== this.#name) this.#writer.abort();
    return counting;
  }

  /** Gives the shard up. Never throws. */
  abort(): void {
    this.#writer.abort();
  }
}

/**
 * Gives the manifest of an attempt its name, whole, unless there is one already.
 * @returns the content of the one that has the name.
 */
function nameManifest(path: string, result: ShardResult, attempt: string): ShardResult {
  const draft = `${path}.${process.pid}-${attempt}.tmp`;
  try {
    const file = openSync(draft, 'w');
    try {
      const bytes = Buffer.from(JSON.stringify(result));
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    } finally {
      closeSync(file);
    }
    try {
      linkSync(draft, path);
      return result;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const other = wholeResult(path);
    if (other !== undefined) return other;
    renameSync(draft, path);
    return result;
  } catch (error) {
    throw systemError(error, 'score', 'writing', path);
  } finally {
    removeDraft(draft);
  }
}

/** What a manifest tells; undefined where it or its scores are damaged, as on a disk that loses what was written. */
function wholeResult(path: string): ShardResult | undefined {
  try {
    const result = JSON.parse(readFileSync(path, 'utf8')) as ShardResult;
    const scores = readFileSync(join(dirname(path), result.scores.file));
    return createHash('sha256').update(scores).digest('hex') === result.scores.sha256 ? result : undefined;
  } catch {
    return undefined;
  }
}

function removeDraft(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next run removes it.
  }
}
