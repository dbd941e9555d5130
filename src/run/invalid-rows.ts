/** Holds the rows that were not scored against `validate.max_invalid`, and against a model that scores none, while they come in. */
import { ColonnadeError } from '../errors.js';
import type { Plan } from '../plan/plan.js';
import { counted } from '../plan/quantities.js';
import type { ShardCounts } from '../score/shard.js';

/**
 * Rows that models may fail on before any is scored. Larger batches tell by themselves that they fail as a whole; of those of
 * a few rows, and of small files, a model that fails on everything would leave nothing but a quarantine.
 */
const MOST_REJECTED = 64;

export class InvalidRows {
  #count = 0;
  #rejected = 0;
  #scored = 0;
  readonly #reasons = new Map<string, number>();
  readonly #limit: number;

  readonly #plan: Pick<Plan, 'maxInvalid' | 'expected'>;

  constructor(plan: Pick<Plan, 'maxInvalid' | 'expected'>) {
    this.#plan = plan;

    const limit = plan.maxInvalid;
    this.#limit =
      limit === undefined ? Infinity : 'count' in limit ? limit.count : rowsOfShare(limit.share, plan.expected.rows);
  }

  /**
   * @throws ColonnadeError `TOO_MANY_INVALID` as soon as there are more than the limit: no later row can mend that;
   *   `MODEL_FAILED` where the models have failed on so many rows and none was scored
   */
  add(counts: ShardCounts): void {
    this.#count += counts.quarantined + counts.nulled;
    for (const [reason, rows] of Object.entries(counts.reasons))
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + rows);
    this.#rejected += counts.rejected;
    this.#scored += counts.scored;
    const worst = [...this.#reasons].sort(([, a], [, b]) => b - a).slice(0, 5);
    const inWords = worst.map(([reason, rows]) => `${reason} (${rows})`).join(', ');
    if (this.#scored === 0 && this.#rejected >= MOST_REJECTED) {
      throw new ColonnadeError(
        'MODEL_FAILED',
        `the model failed on each of the ${counted(this.#rejected, 'row')} that it was given so far: ${inWords}`,
        { phase: 'model', hint: 'feed it as it was trained: check the features, their order and their units' },
      );
    }
    if (this.#count <= this.#limit) return;
    const limit = this.#plan.maxInvalid!;
    const allowed =
      'count' in limit
        ? `${counted(limit.count, 'row')} ${limit.count === 1 ? 'is' : 'are'}`
        : `${Number((limit.share * 100).toPrecision(12))}% of ${counted(this.#plan.expected.rows, 'row')} are`;
    throw new ColonnadeError(
      'TOO_MANY_INVALID',
      `${counted(this.#count, 'row')} or more are invalid, ${allowed} allowed: ${inWords}`,
      {
        phase: 'validate',
        hint: 'mend the data or the rules under validate.rules, or raise validate.max_invalid',
      },
    );
  }
}

/** Whole rows of a share. 29% of 100 is 28.999… in doubles and means 29, so the product may be off by its last bits. */
function rowsOfShare(share: number, rows: number): number {
  return Math.floor(share * rows * (1 + 4 * Number.EPSILON));
}
