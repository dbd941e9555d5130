/** Whether the rules of features make sense for what the features feed; what does not is told: `COLUMN_TYPE`. */
import { keyPath } from '../pipeline/key-path.js';
import { pipelineProblem } from '../pipeline/locate.js';
import type { Pipeline, Rule } from '../pipeline/pipeline.js';
import { halfHolds } from './cast.js';
import type { ElementType, TensorSpec } from './facts.js';
import type { Findings } from './findings.js';
import { writtenIdentifier } from './sql.js';

/** Whether a rule makes sense for a feature of this type. */
export function checkRule(
  pipeline: Pipeline,
  name: string,
  rule: Rule | undefined,
  { type, half }: TensorSpec,
  findings: Findings,
): void {
  if (rule === undefined) return;
  const report = (message: string, hint: string): void =>
    findings.add('COLUMN_TYPE', pipelineProblem(pipeline, keyPath(['validate', 'rules', name]), message, hint));
  const floating = type === 'float32' || type === 'float64';
  if (type === 'string' && (rule.min !== undefined || rule.max !== undefined)) {
    report(`min and max compare numbers; feature ${name} is text`, 'leave them out');
  }
  if (rule.missing === 'nan' && !floating) {
    report(
      `missing: nan needs a float input; feature ${name} feeds ${type}`,
      type === 'string'
        ? 'name a text that stands for a missing value'
        : type === 'bool'
          ? 'name 1 for true or 0 for false'
          : 'name a number that stands for a missing value',
    );
  }
  if (typeof rule.missing === 'object') {
    const { value } = rule.missing;
    if ((typeof value === 'string') !== (type === 'string')) {
      report(
        `missing: ${JSON.stringify(value)} does not fit feature ${name}, which feeds ${type}`,
        type === 'string'
          ? 'name a text'
          : type === 'bool'
            ? 'name 1 for true or 0 for false'
            : floating
              ? 'name a number, nan or invalid'
              : 'name a number, or invalid',
      );
    } else if (typeof value === 'number' && !(holds(type, value) && (half === undefined || halfHolds(half, value)))) {
      report(
        `missing: ${value} is nothing that ${half ?? type} holds, which feature ${name} feeds`,
        floating
          ? 'name a smaller number'
          : type === 'bool'
            ? 'name 1 for true or 0 for false'
            : `name a whole number that ${type} holds`,
      );
    }
  }
}

/** Nothing stands in for a value of a list: a list with a gap is fed as it is, or not at all. */
export function checkListRule(
  pipeline: Pipeline,
  name: string,
  rule: Rule | undefined,
  type: ElementType,
  findings: Findings,
): void {
  if (
    rule === undefined ||
    rule.missing === 'invalid' ||
    (rule.missing === 'nan' && (type === 'float32' || type === 'float64'))
  )
    return;
  const found = rule.missing === 'nan' ? 'nan' : JSON.stringify(rule.missing.value);
  findings.add(
    'COLUMN_TYPE',
    pipelineProblem(
      pipeline,
      keyPath(['validate', 'rules', name]),
      `missing: ${found} cannot be put into a list; feature ${name} is a list that feeds ${type}`,
      `leave it out, or fill the gaps by sql: list_transform(${writtenIdentifier(name)}, lambda v: coalesce(v, …))`,
    ),
  );
}

/** Least and greatest whole number of the integer types that a number of the pipeline file is exact in. */
const INTEGER_RANGES: Readonly<Partial<Record<ElementType, readonly [min: number, max: number]>>> = {
  bool: [0, 1],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
};

/** Whether a number keeps its value in a type; fractions are rounded to the nearest float. */
function holds(type: ElementType, value: number): boolean {
  const range = INTEGER_RANGES[type];
  if (range !== undefined) return Number.isInteger(value) && value >= range[0] && value <= range[1];
  if (type === 'float64' || !Number.isFinite(value)) return true;
  const rounded = Math.fround(value);
  return Number.isFinite(rounded) && (rounded === value || !Number.isInteger(value));
}
