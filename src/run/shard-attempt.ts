/** One attempt at scoring a shard: what it takes from the first batch of rows to the scores file and the manifest. */
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import type { StagingPlaces } from '../commit/places.js';
import { ColonnadeError } from '../errors.js';
import type { Model } from '../model/engine.js';
import type { Encoder } from '../parquet/encode.js';
import { ScoresWriter } from '../parquet/scores.js';
import type { Plan, Shard } from '../plan/plan.js';
import { ShardScorer, type CallWatch, type RowGroupMemory, type ScoredPart, type ShardCounts } from '../score/shard.js';
import { systemError } from '../system-errors.js';
import { shardFiles } from './shard-files.js';

/**
 * A shard that is done. Also the content of the shard's manifest. Neither it nor the scores are synced: after a power cut
 * one of them may be missing or damaged, which size and hash tell, and the shard is scored again.
 */
export interface ShardResult {
  readonly shard: number;
  readonly planHash: string;
  readonly counts: ShardCounts;
  readonly scores: { readonly bytes: number; readonly sha256: string };
}

/** What all attempts of a worker have in common. */
interface AttemptTask {
  readonly plan: Plan;
  readonly planHash: string;
  readonly staging: StagingPlaces;
}

/**
 * Begin it, `add` all rows of the shard, `finish`; or `abort` it at any point. All of it happens while the caller waits, as
 * the caller is a scan that waits for its batch to be taken.
 */
export class ShardAttempt {
  readonly #task: AttemptTask;
  readonly #shard: Shard;
  readonly #writer: ScoresWriter;
  readonly #scorer: ShardScorer;
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
    this.#writer = new ScoresWriter(this.#draft, tools.encoder);
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

  /** An attempt that is given up must never leave a file under the name of a whole one. */
  get #draft(): string {
    return `${shardFiles(this.#task.staging.shards, this.#shard.index).scores}.${process.pid}.tmp`;
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
   * Leaves scores and manifest under their names.
   * @throws ColonnadeError as {@link ShardScorer.finish}; `LEDGER_UNBALANCED`; `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`.
   */
  finish(): ShardResult {
    const { plan, planHash, staging } = this.#task;
    const { index, file, rows } = this.#shard;
    const { scores, manifest } = shardFiles(staging.shards, index);
    const counts = this.#scorer.finish();
    const written = this.#writer.close();
    if (written.rows !== rows) {
      throw new ColonnadeError(
        'LEDGER_UNBALANCED',
        `${plan.files[file]!.path}: ${written.rows} scores written for ${rows} rows`,
        { phase: 'score' },
      );
    }
    try {
      renameSync(this.#draft, scores);
    } catch (error) {
      throw systemError(error, 'score', 'naming', scores);
    }
    const result: ShardResult = {
      shard: index,
      planHash,
      counts,
      scores: { bytes: written.bytes, sha256: written.sha256 },
    };
    writeManifest(manifest, JSON.stringify(result));
    return result;
  }

  /** Gives the shard up. Never throws. */
  abort(): void {
    this.#writer.abort();
  }
}

/** Under its own name from the start: a manifest that was cut off is no JSON, and counts as none. */
function writeManifest(path: string, text: string): void {
  try {
    const file = openSync(path, 'w');
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw systemError(error, 'score', 'writing', path);
  }
}
