/** Holds the invalid rows against `validate.max_invalid` while they come in. */
import { ColonnadeError } from '../errors.js';
import type { Plan } from '../plan/plan.js';
import { counted } from '../plan/quantities.js';
import type { ShardCounts } from '../score/shard.js';

export class InvalidRows {
  #count = 0;
  readonly #reasons = new Map<string, number>();
  readonly #limit: number;

  readonly #plan: Pick<Plan, 'maxInvalid' | 'expected'>;

  constructor(plan: Pick<Plan, 'maxInvalid' | 'expected'>) {
    this.#plan = plan;

    const limit = plan.maxInvalid;
    this.#limit =
      limit === undefined ? Infinity : 'count' in limit ? limit.count : rowsOfShare(limit.share, plan.expected.rows);
  }

  /** @throws ColonnadeError `TOO_MANY_INVALID` as soon as there are more than the limit: no later row can mend that. */
  add(counts: ShardCounts): void {
    this.#count += counts.quarantined + counts.nulled;
    for (const [reason, rows] of Object.entries(counts.reasons))
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + rows);
    if (this.#count <= this.#limit) return;
    const limit = this.#plan.maxInvalid!;
    const allowed =
      'count' in limit
        ? `${counted(limit.count, 'row')} ${limit.count === 1 ? 'is' : 'are'}`
        : `${Number((limit.share * 100).toPrecision(12))}% of ${counted(this.#plan.expected.rows, 'row')} are`;
    const worst = [...this.#reasons].sort(([, a], [, b]) => b - a).slice(0, 5);
    throw new ColonnadeError(
      'TOO_MANY_INVALID',
      `${counted(this.#count, 'row')} or more are invalid, ${allowed} allowed: ${worst.map(([reason, rows]) => `${reason} (${rows})`).join(', ')}`,
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
