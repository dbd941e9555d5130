/** The rules that rows are checked by, in words. */
import type { InvalidLimit, Rule } from '../pipeline/pipeline.js';
import type { ElementType } from './facts.js';
import { alignRows } from './layout.js';
import type { Plan } from './plan.js';
import { counted, formatShare } from './quantities.js';

/** Columns with one rule that are listed before the rest is counted. */
const MOST_NAMES = 16;

const ON_INVALID = {
  quarantine: 'quarantined: not scored, and written aside with the reason',
  null: 'nulled: kept with NULL for every prediction',
  fail: 'not accepted: the run fails at the first',
} as const;

/** What happens to invalid rows, then one line a column that is checked. */
export function explainRules(plan: Plan): string[] {
  const { maxInvalid, maxNan } = plan;
  const inWords = (limit: InvalidLimit, noun: string): string =>
    'share' in limit ? `${formatShare(limit.share, 1)} of the rows` : counted(limit.count, noun);
  const checked = new Map<string, string>();
  for (const { name, role, rule, element } of plan.projection) {
    if (role === 'feature' || role === 'rule') checked.set(name, ruleInWords(rule, element));
  }
  // Columns with the same rule share a line: most have the default one.
  const byRule = new Map<string, string[]>();
  for (const [name, words] of checked) {
    byRule.set(words, [...(byRule.get(words) ?? []), name]);
  }
  return alignRows([
    ['invalid', `rows are ${ON_INVALID[plan.onInvalid]}`],
    ...(plan.onInvalid === 'fail'
      ? []
      : [
          [
            'at most',
            maxInvalid === undefined
              ? 'any number of invalid rows'
              : `${inWords(maxInvalid, 'row')}; above it the run fails`,
          ],
        ]),
    ...(maxNan === undefined
      ? []
      : [['NaN', `at most for ${inWords(maxNan, 'prediction')} of each new column; above it the run fails`]]),
    ...[...byRule].map(([words, names]) => ['check', `${listed(names)}: ${words}`]),
  ]);
}

function listed(names: readonly string[]): string {
  return names.length <= MOST_NAMES
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`;
}

/** `0 to 120, not missing, finite`; only floats can be infinite. */
function ruleInWords({ min, max, missing, infinite }: Rule, element: ElementType): string {
  const range =
    min !== undefined && max !== undefined
      ? `${min} to ${max}`
      : min !== undefined
        ? `at least ${min}`
        : max !== undefined
          ? `at most ${max}`
          : '';
  const gaps =
    missing === 'invalid'
      ? 'not missing'
      : missing === 'nan'
        ? 'missing becomes NaN'
        : `missing becomes ${JSON.stringify(missing.value)}`;
  const isFloat = element === 'float32' || element === 'float64';
  const infinity = !isFloat ? '' : infinite === 'allow' ? 'may be infinite' : 'finite';
  return [range, gaps, infinity].filter((part) => part !== '').join(', ');
}
