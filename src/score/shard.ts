/**
 * Scores one shard: batches of rows → validate → tensors → model → columns, row group by row group.
 *
 * Batches of a model are windows of its `batchSize` rows that start anew with every row group, so their borders depend on
 * the file alone. Several models are given the same rows, each in windows of its own. Within a window the rows to score are
 * gathered and given to the model at once; invalid rows are left out. Rows that the model fails on are found by bisection,
 * and another row of the batch stands in for them: the others have the scores that they would have had.
 * Several row groups may be under way at once, as DuckDB reads them in threads of its own.
 */
import type { RecordBatch } from 'apache-arrow';
import { ColonnadeError } from '../errors.js';
import type { Engine, ModelBatch, Tensor } from '../model/engine.js';
import { BatchBuilder } from '../model/batch-builder.js';
import { selectRows } from '../model/batch-rows.js';
import { reasonOf } from '../model/session-errors.js';
import { ROW_STATUS, type Plan, type Shard } from '../plan/plan.js';
import { rowsInWords } from '../plan/quantities.js';
import { validateBatch } from '../validate/validate.js';
import { findRejected, SearchBudget, TooManyRejected } from './rejected-rows.js';
import { RowGroupScores } from './row-group-scores.js';

/** Rows of a shard by what became of them, with the reasons. */
export interface ShardCounts {
  readonly rows: number;
  readonly scored: number;
  readonly quarantined: number;
  readonly nulled: number;
  readonly filtered: number;
  /** Of the quarantined or nulled rows, those that a model failed on. */
  readonly rejected: number;
  /** Invalid rows by reason; what differs from row to row in the words of a model is left out. */
  readonly reasons: Readonly<Record<string, number>>;
  /** NaN predictions by output column. */
  readonly nan: Readonly<Record<string, number>>;
}

/** An Arrow batch of rows that follow one another. */
export interface ScoredPart {
  /** Position of its first row in the file. */
  readonly firstRow: number;
  readonly batch: RecordBatch;
}

/** Where the scores of a shard go: row group by row group, in the order of the file. */
export interface ScoresTarget {
  /** Their memory is used again when it returns. */
  appendRowGroup(scores: RowGroupScores): void;
}

/** Is told of each call of a model, before and after it. Both are called for every batch, and must not throw. */
export interface CallWatch {
  /**
   * @param model position in the plan's models
   * @param file position in the plan's files
   * @param from first row of the batch in the file; `to` is one past the last
   */
  begin(model: number, file: number, from: number, to: number): void;
  end(): void;
}

export interface ScoreOptions {
  /** Memory that an earlier shard of the plan has used. */
  readonly memory?: RowGroupMemory;
  readonly watch?: CallWatch;
  /** Called as rows are done, with the rows of the shard that are. */
  readonly onRows?: (rows: number) => void;
}

/** What a row group under way takes, whatever its rows. */
interface Buffers {
  readonly scores: RowGroupScores;
  /** By model. */
  readonly builders: readonly BatchBuilder[];
}

/**
 * Memory that row groups of a plan use one after the other. As much as are under way at once is ever made; left to the
 * collector, it would add up to more than everything else that a run holds.
 */
export class RowGroupMemory {
  readonly #plan: Plan;
  readonly #free: Buffers[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  take(rows: number): Buffers {
    const buffers = this.#free.pop();
    if (buffers === undefined) {
      const { models, outputs, projection } = this.#plan;
      return {
        scores: new RowGroupScores(outputs, rows),
        builders: models.map((model) => new BatchBuilder(model, projection)),
      };
    }
    buffers.scores.reset(rows);
    return buffers;
  }

  giveBack(buffers: Buffers): void {
    this.#free.push(buffers);
  }
}

/** A row group under way. */
interface OpenRowGroup {
  readonly index: number;
  /** Position of its first row in the file. */
  readonly firstRow: number;
  readonly rows: number;
  readonly buffers: Buffers;
  /** Rows that have been seen. */
  seen: number;
}

/**
 * Takes the rows of a shard, each once: those of one row group in order, row groups in any order, also in turns.
 * `finish` says whether all have come.
 */
export class ShardScorer {
  readonly #file: Plan['files'][number];
  /** By model. */
  readonly #batchSizes: readonly number[];
  readonly #invalidStatus: number;
  readonly #counts = { rows: 0, scored: 0, quarantined: 0, nulled: 0, filtered: 0, rejected: 0 };
  readonly #reasons = new Map<string, number>();
  readonly #nan = new Map<string, number>();
  readonly #open = new Map<number, OpenRowGroup>();
  /** Complete, but a row group before them is not. */
  readonly #complete = new Map<number, Buffers>();
  readonly #memory: RowGroupMemory;
  readonly #budget = new SearchBudget();
  /** First rows of the shard's row groups in the file. */
  readonly #starts: readonly number[];
  /** The next row group to give to the target. */
  #next: number;

  readonly #plan: Plan;
  readonly #shard: Shard;
  readonly #engines: readonly Engine[];
  readonly #target: ScoresTarget;
  readonly #options: ScoreOptions;

  constructor(plan: Plan, shard: Shard, engines: readonly Engine[], target: ScoresTarget, options: ScoreOptions = {}) {
    this.#plan = plan;
    this.#shard = shard;
    this.#engines = engines;
    this.#target = target;
    this.#options = options;
    this.#memory = options.memory ?? new RowGroupMemory(plan);

    this.#file = plan.files[shard.file]!;
    this.#batchSizes = plan.models.map(({ batchSize }) => batchSize);
    this.#invalidStatus = plan.onInvalid === 'null' ? ROW_STATUS.nulled : ROW_STATUS.quarantined;
    const starts: number[] = [];
    let start = shard.firstRow;
    for (const { rows } of this.#file.rowGroups.slice(...shard.rowGroups)) {
      starts.push(start);
      start += rows;
    }
    this.#starts = starts;
    this.#next = shard.rowGroups[0];
    this.#hand();
  }

  /**
   * Scores what the rows complete; the batch's memory is not needed any more when it returns.
   * @throws ColonnadeError `ROW_INVALID` with `on_invalid: fail`; `MODEL_FAILED` where a model fails on all rows of a batch,
   *   or too many, or on one with `on_invalid: fail`; `OUT_OF_MEMORY`.
   */
  add(part: ScoredPart): void {
    const { batch } = part;
    for (let from = 0; from < batch.numRows;) {
      const group = this.#groupOf(part.firstRow + from);
      const ends = this.#batchSizes.map((size) => Math.min(windowStart(group.seen, size) + size, group.rows));
      const to = Math.min(batch.numRows, from + Math.min(...ends) - group.seen);
      const rows = from === 0 && to === batch.numRows ? batch : batch.slice(from, to);
      this.#take(group, rows);
      from = to;
      for (const [model, end] of ends.entries()) {
        if (group.seen === end) this.#scoreBatch(group, model);
        else group.buffers.builders[model]!.own();
      }
      if (ends.includes(group.seen)) this.#options.onRows?.(this.#counts.rows);
      if (group.seen === group.rows) this.#close(group);
    }
  }

  /** @throws ColonnadeError `BAD_PARQUET` where rows are missing. */
  finish(): ShardCounts {
    if (this.#next < this.#shard.rowGroups[1] || this.#counts.rows !== this.#shard.rows) {
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

  /** The row group that a row, the next one of it, lies in. */
  #groupOf(row: number): OpenRowGroup {
    const at = this.#starts.findLastIndex((start) => start <= row);
    const index = this.#shard.rowGroups[0] + at;
    const rows = this.#file.rowGroups[index]?.rows ?? 0;
    let group = this.#open.get(index);
    if (group === undefined && index >= this.#next && !this.#complete.has(index)) {
      group = {
        index,
        firstRow: this.#starts[at]!,
        rows,
        buffers: this.#memory.take(rows),
        seen: 0,
      };
      this.#open.set(index, group);
    }
    if (group === undefined || row !== group.firstRow + group.seen || group.seen === rows) {
      throw new ColonnadeError('INTERNAL', `${this.#file.path}: row ${row} came out of turn`, { phase: 'score' });
    }
    return group;
  }

  /** Validates rows that no window of a model ends within, and hands those to be scored to the batches. */
  #take(group: OpenRowGroup, batch: RecordBatch): void {
    const plan = this.#plan;
    const { buffers, seen: start } = group;
    const { scores, builders } = buffers;
    const verdict = validateBatch(batch, plan.projection);
    group.seen += batch.numRows;
    this.#counts.rows += batch.numRows;
    this.#counts.filtered += verdict.filtered;
    if (verdict.filtered > 0) {
      const where = batch.data.children[plan.projection.findIndex(({ role }) => role === 'where')]!
        .values as Uint8Array;
      for (let row = 0; row < batch.numRows; row += 1)
        if (where[row] === 0) scores.mark(start + row, ROW_STATUS.filtered);
    }
    for (const [row, reasons] of verdict.invalid) {
      if (plan.onInvalid === 'fail') throw this.#invalidRow(group.firstRow + start + row, reasons.join('; '));
      scores.mark(start + row, this.#invalidStatus, reasons.join('; '));
      for (const reason of reasons) this.#countReason(reason);
    }
    this.#counts[this.#invalidKind] += verdict.invalid.size;
    if (verdict.kept === 0) return;
    this.#counts.scored += verdict.kept;
    for (const builder of builders) builder.add(batch, verdict.keep);
    scores.expect(start, verdict.kept, verdict.keep);
  }

  #countReason(reason: string): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }

  get #invalidKind(): 'nulled' | 'quarantined' {
    return this.#plan.onInvalid === 'null' ? 'nulled' : 'quarantined';
  }

  /** Scores the window of a model that ends with the last row that was seen. */
  #scoreBatch(group: OpenRowGroup, model: number): void {
    const { buffers, firstRow, seen } = group;
    const builder = buffers.builders[model]!;
    if (builder.rows === 0) return;
    try {
      const batch = builder.take();
      let outputs: ReadonlyMap<string, Tensor> | undefined;
      try {
        outputs = this.#run(group, model, batch);
      } catch (error) {
        outputs = this.#scoreOthers(group, model, batch, error);
      }
      if (outputs === undefined) buffers.scores.skip(model);
      else buffers.scores.write(model, outputs);
    } catch (error) {
      const start = windowStart(seen - 1, this.#batchSizes[model]!);
      throw this.#placed(error, firstRow + start, firstRow + seen);
    }
  }

  #run({ firstRow, seen }: OpenRowGroup, model: number, batch: ModelBatch): ReadonlyMap<string, Tensor> {
    const engine = this.#engines[model]!;
    const { watch } = this.#options;
    if (watch === undefined) return engine.run(batch);
    watch.begin(model, this.#file.index, firstRow + windowStart(seen - 1, this.#batchSizes[model]!), firstRow + seen);
    try {
      return engine.run(batch);
    } finally {
      watch.end();
    }
  }

  /**
   * Scores a batch that a model fails on without the rows that are to blame, in the shape that it has: a row that is not
   * stands in for them.
   * @returns undefined where no row is left.
   */
  #scoreOthers(
    group: OpenRowGroup,
    model: number,
    batch: ModelBatch,
    failure: unknown,
  ): ReadonlyMap<string, Tensor> | undefined {
    if (!isModelFailure(failure)) throw failure;
    const rejected = this.#findRejected(group, model, batch, failure);
    const good = Array.from({ length: batch.rows }, (_, row) => row).find((row) => !rejected.has(row));
    const outputs =
      good === undefined
        ? undefined
        : this.#run(
            group,
            model,
            selectRows(
              batch,
              Array.from({ length: batch.rows }, (_, row) => (rejected.has(row) ? good : row)),
              batch.paddedRows,
            ),
          );
    // Only now: they are to blame if all others pass together.
    for (const [at, error] of rejected) this.#reject(group, model, at, error);
    return outputs;
  }

  /** Positions in the batch of the rows that a model fails on. @throws ColonnadeError the failure, where it is not some rows */
  #findRejected(
    group: OpenRowGroup,
    model: number,
    batch: ModelBatch,
    failure: ColonnadeError,
  ): ReadonlyMap<number, ColonnadeError> {
    const { fixedBatch } = this.#plan.models[model]!;
    const attempt = (positions: readonly number[]): ColonnadeError | undefined => {
      try {
        this.#run(group, model, selectRows(batch, positions, fixedBatch ? batch.paddedRows : positions.length));
        return undefined;
      } catch (error) {
        if (isModelFailure(error)) return error;
        throw error;
      }
    };
    let why = 'each of its rows passes alone';
    try {
      const rejected = findRejected(batch.rows, failure, attempt, this.#budget);
      if (rejected.size > 0) return rejected;
    } catch (error) {
      if (!(error instanceof TooManyRejected)) throw error;
      why = error.message;
    }
    throw new ColonnadeError('MODEL_FAILED', `${failure.message}; ${why}`, {
      phase: failure.phase,
      cause: failure,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
  }

  /** A row that a model fails on is invalid, as one that a rule excludes. */
  #reject({ buffers, firstRow }: OpenRowGroup, model: number, at: number, error: ColonnadeError): void {
    const plan = this.#plan;
    const { name } = plan.models[model]!;
    const row = buffers.scores.waitingRow(model, at);
    const who = name === undefined ? 'model' : `model ${name}`;
    const said = reasonOf(error);
    const reason = `${who}: ${said}`;
    if (plan.onInvalid === 'fail') {
      throw new ColonnadeError('MODEL_FAILED', `${this.#file.path}: row ${firstRow + row}: ${reason}`, {
        phase: 'model',
        cause: error,
        hint: 'mend the row, add a rule for the feature under validate.rules, or write validate.on_invalid: quarantine',
      });
    }
    if (buffers.scores.reject(row, this.#invalidStatus, reason)) {
      this.#counts.scored -= 1;
      this.#counts.rejected += 1;
      this.#counts[this.#invalidKind] += 1;
    }
    this.#countReason(`${who}: ${withoutValues(said)}`);
  }

  /** What the model is to blame for, with the file and the rows. @param to one past the last row. */
  #placed(error: unknown, from: number, to: number): unknown {
    // One that names its row names the file as well.
    if (!isModelFailure(error) || error.message.startsWith(this.#file.path)) return error;
    return new ColonnadeError(error.code, `${this.#file.path}, ${rowsInWords(from, to)}: ${error.message}`, {
      phase: error.phase,
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }

  /** All rows of a row group are scored. */
  #close({ index, buffers }: OpenRowGroup): void {
    this.#open.delete(index);
    buffers.scores.settle();
    this.#complete.set(index, buffers);
    this.#hand();
  }

  /** Gives the target what is complete, as far as it is the next; row groups without rows are complete by themselves. */
  #hand(): void {
    for (; this.#next < this.#shard.rowGroups[1]; this.#next += 1) {
      const isEmpty = this.#file.rowGroups[this.#next]?.rows === 0;
      const buffers = isEmpty ? this.#memory.take(0) : this.#complete.get(this.#next);
      if (buffers === undefined) return;
      this.#complete.delete(this.#next);
      const { scores } = buffers;
      for (const [column, count] of scores.nanCounts()) this.#nan.set(column, (this.#nan.get(column) ?? 0) + count);
      try {
        this.#target.appendRowGroup(scores);
      } catch (error) {
        // What the model gave may be more than a column can hold.
        const start = this.#starts[this.#next - this.#shard.rowGroups[0]] ?? this.#shard.firstRow;
        throw this.#placed(error, start, start + (this.#file.rowGroups[this.#next]?.rows ?? 0));
      }
      this.#memory.giveBack(buffers);
    }
  }

  #invalidRow(row: number, reason: string): ColonnadeError {
    return new ColonnadeError('ROW_INVALID', `${this.#file.path}: row ${row} is invalid: ${reason}`, {
      phase: 'validate',
      hint: 'mend the row, change its rule under validate.rules, or write validate.on_invalid: quarantine',
    });
  }
}

function isModelFailure(error: unknown): error is ColonnadeError {
  return error instanceof ColonnadeError && error.code === 'MODEL_FAILED';
}

/** Words of a model without the numbers and texts that they quote: there would be as many as rows. */
function withoutValues(said: string): string {
  return said.replaceAll(/'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi, '…');
}

/** Where the window of `size` rows that holds a row begins. */
function windowStart(row: number, size: number): number {
  return Math.floor(row / size) * size;
}
