/**
 * Holds what shards tell against the limits of the plan while it comes in: invalid rows, NaN among the predictions, and rows
 * that models fail on where none is scored. What is too much stays too much, so that a run ends as soon as it is.
 */
import { ColonnadeError } from '../errors.js';
import type { InvalidLimit } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import { counted } from '../plan/quantities.js';
import type { ShardCounts } from '../score/shard.js';

/**
 * Rows that models may fail on before any is scored. Larger batches tell by themselves that they fail as a whole; of those of
 * a few rows, and of small files, a model that fails on everything would leave nothing but a quarantine.
 */
const MOST_REJECTED = 64;
/** Reasons that are told. */
const MOST_REASONS = 5;

export class Limits {
  #invalid = 0;
  #rejected = 0;
  #scored = 0;
  readonly #reasons = new Map<string, number>();
  /** By output column. */
  readonly #nan = new Map<string, number>();

  readonly #plan: Pick<Plan, 'maxInvalid' | 'maxNan' | 'expected'>;

  constructor(plan: Pick<Plan, 'maxInvalid' | 'maxNan' | 'expected'>) {
    this.#plan = plan;
  }

  /**
   * Takes what a shard tells.
   * @throws ColonnadeError `TOO_MANY_INVALID`, `TOO_MANY_NAN`; `MODEL_FAILED` where the models have failed on all rows so far
   */
  add(counts: ShardCounts): void {
    this.#invalid += counts.quarantined + counts.nulled;
    this.#rejected += counts.rejected;
    this.#scored += counts.scored;
    for (const [reason, rows] of Object.entries(counts.reasons)) addTo(this.#reasons, reason, rows);
    for (const [column, count] of Object.entries(counts.nan)) addTo(this.#nan, column, count);
    this.#checkModel();
    this.#checkInvalid();
    this.#checkNan();
  }

  #checkModel(): void {
    if (this.#scored > 0 || this.#rejected < MOST_REJECTED) return;
    throw new ColonnadeError(
      'MODEL_FAILED',
      `the model failed on each of the ${counted(this.#rejected, 'row')} that it was given so far: ${this.#worst()}`,
      { phase: 'model', hint: 'feed it as it was trained: check the features, their order and their units' },
    );
  }

  #checkInvalid(): void {
    const limit = this.#plan.maxInvalid;
    if (limit === undefined || this.#invalid <= this.#allowed(limit)) return;
    throw new ColonnadeError(
      'TOO_MANY_INVALID',
      `${counted(this.#invalid, 'row')} or more are invalid, ${this.#inWords(limit, 'row')} allowed: ${this.#worst()}`,
      {
        phase: 'validate',
        hint: 'mend the data or the rules under validate.rules, or raise validate.max_invalid',
      },
    );
  }

  #checkNan(): void {
    const limit = this.#plan.maxNan;
    if (limit === undefined) return;
    const allowed = this.#allowed(limit);
    const over = [...this.#nan].filter(([, count]) => count > allowed);
    if (over.length === 0) return;
    const columns = over.map(([column, count]) => `${column} (${count})`).join(', ');
    throw new ColonnadeError(
      'TOO_MANY_NAN',
      `predictions that are NaN, ${this.#inWords(limit, 'prediction')} allowed for each column: ${columns} or more`,
      {
        phase: 'validate',
        hint: 'see what feeds the model where it gives NaN (preview shows rows), or raise validate.max_nan',
      },
    );
  }

  /** Shares are of all rows, whatever becomes of them. */
  #allowed(limit: InvalidLimit): number {
    return 'count' in limit ? limit.count : rowsOfShare(limit.share, this.#plan.expected.rows);
  }

  #inWords(limit: InvalidLimit, noun: string): string {
    return 'count' in limit
      ? `${counted(limit.count, noun)} ${limit.count === 1 ? 'is' : 'are'}`
      : `${Number((limit.share * 100).toPrecision(12))}% of ${counted(this.#plan.expected.rows, 'row')} are`;
  }

  #worst(): string {
    const worst = [...this.#reasons].sort(([, a], [, b]) => b - a).slice(0, MOST_REASONS);
    return worst.map(([reason, rows]) => `${reason} (${rows})`).join(', ');
  }
}

function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}

/** Whole rows of a share. 29% of 100 is 28.999… in doubles and means 29, so the product may be off by its last bits. */
function rowsOfShare(share: number, rows: number): number {
  return Math.floor(share * rows * (1 + 4 * Number.EPSILON));
}
