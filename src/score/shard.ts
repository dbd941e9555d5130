/**
 * Scores one shard: slices → batches → validate → tensors → model → columns → one scores file.
 *
 * Batches are windows of `batchSize` rows that start anew with every row group, so their borders depend on the file
 * alone. Within a window the rows to score are gathered and given to the model at once; invalid rows are left out.
 */
import type { RecordBatch } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { Engine } from '../model/engine.js';
import { BatchBuilder } from '../model/batch-builder.js';
import { ROW_STATUS, type Plan, type Shard } from '../plan/plan.js';
import { validateBatch } from '../validate/validate.js';
import { RowGroupScores } from './row-group-scores.js';

/** Rows of a shard by what became of them, with the reasons. */
export interface ShardCounts {
  readonly rows: number;
  readonly scored: number;
  readonly quarantined: number;
  readonly nulled: number;
  readonly filtered: number;
  /** Invalid rows by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** NaN predictions by output column. */
  readonly nan: Readonly<Record<string, number>>;
}

/** A part of a slice: an Arrow batch on DuckDB's memory, of rows that follow one another. */
export interface ScoredPart {
  /** Position of its first row in the file. */
  readonly firstRow: number;
  readonly batch: RecordBatch;
}

/** Where the scores of a shard go, row group by row group. */
export interface ScoresTarget {
  appendRowGroup(scores: RowGroupScores): Promise<void> | void;
}

export interface ScoreOptions {
  /** Called as rows are done, with the rows of the shard that are. */
  readonly onRows?: (rows: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Scores the rows that `parts` delivers, which must be all rows of the shard in order.
 * @throws ColonnadeError `ROW_INVALID` with `on_invalid: fail`, `MODEL_FAILED`, or what `parts` throws.
 */
export async function scoreShard(
  plan: Plan,
  shard: Shard,
  parts: AsyncIterable<ScoredPart>,
  engine: Engine,
  target: ScoresTarget,
  options: ScoreOptions = {},
): Promise<ShardCounts> {
  const scorer = new ShardScorer(plan, shard, engine, target, options);
  for await (const part of parts) {
    options.signal?.throwIfAborted();
    await scorer.add(part);
  }
  return scorer.finish();
}

class ShardScorer {
  readonly #file: Plan['files'][number];
  readonly #builder: BatchBuilder;
  readonly #batchSize: number;
  readonly #invalidStatus: number;
  readonly #counts = { rows: 0, scored: 0, quarantined: 0, nulled: 0, filtered: 0 };
  readonly #reasons = new Map<string, number>();
  readonly #nan = new Map<string, number>();
  #rowGroup: number;
  /** Position of the current row group's first row in the file. */
  #rowGroupStart: number;
  #scores: RowGroupScores;
  /** Rows of the current row group that have been seen. */
  #seen = 0;

  readonly #plan: Plan;
  readonly #shard: Shard;
  readonly #engine: Engine;
  readonly #target: ScoresTarget;
  readonly #options: ScoreOptions;

  constructor(plan: Plan, shard: Shard, engine: Engine, target: ScoresTarget, options: ScoreOptions) {
    this.#plan = plan;
    this.#shard = shard;
    this.#engine = engine;
    this.#target = target;
    this.#options = options;

    this.#file = plan.files[shard.file]!;
    this.#batchSize = plan.model.batchSize;
    this.#builder = new BatchBuilder(plan.model, plan.projection);
    this.#invalidStatus = plan.onInvalid === 'null' ? ROW_STATUS.nulled : ROW_STATUS.quarantined;
    this.#rowGroup = shard.rowGroups[0];
    this.#rowGroupStart = shard.firstRow;
    this.#scores = new RowGroupScores(plan.outputs, this.#rowsOfGroup());
  }

  async add(part: ScoredPart): Promise<void> {
    const { batch } = part;
    let from = 0;
    while (from < batch.numRows) {
      await this.#skipFullRowGroups();
      const windowEnd = Math.min(this.#windowStart() + this.#batchSize, this.#rowsOfGroup());
      const to = Math.min(batch.numRows, from + windowEnd - this.#seen);
      const rows = from === 0 && to === batch.numRows ? batch : batch.slice(from, to);
      this.#take(rows, part.firstRow + from);
      this.#seen += to - from;
      from = to;
      if (this.#seen === windowEnd) await this.#scoreBatch();
    }
  }

  async finish(): Promise<ShardCounts> {
    await this.#skipFullRowGroups();
    if (this.#rowGroup < this.#shard.rowGroups[1] || this.#counts.rows !== this.#shard.rows) {
      throw new ColonnadeError(
        'BAD_PARQUET',
        `${this.#file.path}: ${this.#counts.rows} of ${this.#shard.rows} rows were read from row ${this.#shard.firstRow} on`,
        {
          phase: 'score',
          hint: 'the file does not hold what its footer says; write it again',
        },
      );
    }
    return { ...this.#counts, reasons: Object.fromEntries(this.#reasons), nan: Object.fromEntries(this.#nan) };
  }

  #rowsOfGroup(): number {
    return this.#file.rowGroups[this.#rowGroup]?.rows ?? 0;
  }

  #windowStart(): number {
    return Math.floor(this.#seen / this.#batchSize) * this.#batchSize;
  }

  /** Validates rows of one window and hands those to be scored to the batch. */
  #take(batch: RecordBatch, firstRow: number): void {
    const plan = this.#plan;
    const verdict = validateBatch(batch, plan.projection);
    const start = firstRow - this.#rowGroupStart;
    this.#counts.rows += batch.numRows;
    this.#counts.filtered += verdict.filtered;
    if (verdict.filtered > 0) {
      const where = batch.getChildAt(plan.projection.findIndex(({ role }) => role === 'where'))!.data[0]!
        .values as Uint8Array;
      for (let row = 0; row < batch.numRows; row += 1)
        if (where[row] === 0) this.#scores.mark(start + row, ROW_STATUS.filtered);
    }
    for (const [row, reasons] of verdict.invalid) {
      if (plan.onInvalid === 'fail') throw this.#invalidRow(firstRow + row, reasons.join('; '));
      this.#scores.mark(start + row, this.#invalidStatus, reasons.join('; '));
      for (const reason of reasons) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
    this.#counts[plan.onInvalid === 'null' ? 'nulled' : 'quarantined'] += verdict.invalid.size;
    if (verdict.kept === 0) return;
    this.#counts.scored += verdict.kept;
    this.#builder.add(batch, verdict.keep);
    this.#scores.expect(start, verdict.kept, verdict.keep);
  }

  async #scoreBatch(): Promise<void> {
    if (this.#builder.rows > 0) {
      const outputs = await this.#engine.run(this.#builder.take());
      this.#scores.write(outputs);
    }
    this.#options.onRows?.(this.#counts.rows);
  }

  /** Closes the current row group when all its rows are there, and those without rows after it. */
  async #skipFullRowGroups(): Promise<void> {
    while (this.#rowGroup < this.#shard.rowGroups[1] && this.#seen === this.#rowsOfGroup()) {
      for (const [column, count] of this.#scores.nanCounts())
        this.#nan.set(column, (this.#nan.get(column) ?? 0) + count);
      await this.#target.appendRowGroup(this.#scores);
      this.#rowGroupStart += this.#rowsOfGroup();
      this.#rowGroup += 1;
      this.#seen = 0;
      if (this.#rowGroup < this.#shard.rowGroups[1])
        this.#scores = new RowGroupScores(this.#plan.outputs, this.#rowsOfGroup());
    }
  }

  #invalidRow(row: number, reason: string): ColonnadeError {
    return new ColonnadeError('ROW_INVALID', `${this.#file.path}: row ${row} is invalid: ${reason}`, {
      phase: 'validate',
      hint: 'mend the row, change its rule under validate.rules, or write validate.on_invalid: quarantine',
    });
  }
}
