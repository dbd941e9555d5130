/**
 * Splits a batch into rows to score and rows that are not: filtered by `where`, or invalid with a reason.
 *
 * Almost all batches are clean, so each column is first looked at as a whole, in one pass over its values without a
 * branch; only where that finds something are rows looked at one by one.
 */
import type { Data, RecordBatch } from 'apache-arrow';
import type { Rule } from '../pipeline/pipeline.js';
import type { ProjectedColumn } from '../plan/plan.js';
import { isValid } from '../plan/validity.js';

/** What became of the rows of a batch, before the model has seen them. */
export interface Verdict {
  /** Positions of the rows to score, ascending; absent when all rows are. */
  readonly keep?: Uint32Array;
  readonly kept: number;
  readonly filtered: number;
  /** Reasons by position, ascending, for invalid rows; each once, in the order of the projection. */
  readonly invalid: ReadonlyMap<number, readonly string[]>;
}

/** A column's values as the checks read them. */
type Numbers =
  Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;
type Integers64 = BigInt64Array | BigUint64Array;

const NO_REASONS: ReadonlyMap<number, readonly string[]> = new Map();

/**
 * Holds the rows of `batch` against the rules. Rows that the filter leaves out are not validated.
 * @param batch columns in the order of the projection.
 */
export function validateBatch(batch: RecordBatch, projection: readonly ProjectedColumn[]): Verdict {
  const rows = batch.numRows;
  let dropped: Uint8Array | undefined;
  let filtered = 0;
  const where = projection.findIndex(({ role }) => role === 'where');
  if (where >= 0) {
    const flags = batch.data.children[where]!.values as Uint8Array;
    for (let row = 0; row < rows; row += 1) filtered += flags[row] === 0 ? 1 : 0;
    if (filtered > 0) {
      dropped = new Uint8Array(rows);
      for (let row = 0; row < rows; row += 1) dropped[row] = flags[row] === 0 ? 1 : 0;
    }
  }
  let invalid: Map<number, string[]> | undefined;
  const report = (row: number, reason: string): void => {
    if (dropped?.[row] === 1) return;
    invalid ??= new Map();
    const known = invalid.get(row);
    if (known === undefined) invalid.set(row, [reason]);
    // A feature that feeds two inputs stands in the projection twice.
    else if (!known.includes(reason)) known.push(reason);
  };
  if (filtered < rows) {
    projection.forEach((column, i) => {
      // The check of a cast stands behind its feature.
      const check =
        projection[i + 1]?.role === 'check' ? (batch.data.children[i + 1]!.values as Uint8Array) : undefined;
      checkColumn(batch.data.children[i]!, column, check, rows, report);
    });
  }
  if (dropped === undefined && invalid === undefined) return { kept: rows, filtered: 0, invalid: NO_REASONS };

  const keep = new Uint32Array(rows);
  let kept = 0;
  for (let row = 0; row < rows; row += 1) {
    if (dropped?.[row] === 1 || invalid?.has(row) === true) continue;
    keep[kept] = row;
    kept += 1;
  }
  const inOrder = invalid === undefined ? NO_REASONS : new Map([...invalid].sort(([a], [b]) => a - b));
  return { keep: keep.subarray(0, kept), kept, filtered, invalid: inOrder };
}

type Report = (row: number, reason: string) => void;

/** True unless the value is NULL. Arrow slices values, but not bitmaps: those count from `offset`. */
/** @param lost 1 where the cast of the column lost a value: what is NULL there was not NULL in the source. */
function checkColumn(
  data: Data,
  column: ProjectedColumn,
  lost: Uint8Array | undefined,
  rows: number,
  report: Report,
): void {
  const { role, name, rule } = column;
  if (role === 'where') return;
  if (role === 'check') {
    const flags = data.values as Uint8Array;
    for (let row = 0; row < rows; row += 1)
      if (flags[row] === 1) report(row, `${name}: cannot be represented in the model's type`);
    return;
  }
  const hasNulls = data.nullCount > 0;
  // Nothing can stand in for a list that is missing as a whole.
  if (hasNulls && (rule.missing === 'invalid' || column.listLength !== undefined)) {
    for (let row = 0; row < rows; row += 1) if (!isValid(data, row) && lost?.[row] !== 1) report(row, `${name}: NULL`);
  }
  if (column.listLength !== undefined) {
    checkLists(data, column, column.listLength, lost, rows, report);
    return;
  }
  if (column.element === 'string') {
    checkTexts(data, name, rows, report);
    return;
  }
  const values = data.values as Numbers | Integers64 | undefined;
  if (values === undefined) return;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    checkIntegers64(values, data, name, rule, rows, report);
    return;
  }
  const floating = values instanceof Float32Array || values instanceof Float64Array;
  if (floating && !allFinite(values, rows)) {
    for (let row = 0; row < rows; row += 1) {
      const value = values[row]!;
      if (Number.isFinite(value) || (hasNulls && !isValid(data, row))) continue;
      if (Number.isNaN(value)) {
        if (rule.missing === 'invalid') report(row, `${name}: NaN`);
      } else if (rule.infinite === 'invalid') report(row, `${name}: infinite`);
    }
  }
  checkRange(values, data, name, rule, rows, report);
}

/**
 * ONNX Runtime's binding for Node (1.30) hands texts over as C strings: `a\0b` would be scored as `a`, without a word.
 * A text that is NULL is empty.
 */
function checkTexts(data: Data, name: string, rows: number, report: Report): void {
  const offsets = data.valueOffsets as Int32Array;
  const bytes = data.values as Uint8Array;
  const end = offsets[rows]!;
  let at = bytes.subarray(0, end).indexOf(0, offsets[0]);
  for (let row = 0; at >= 0 && row < rows; row += 1) {
    if (offsets[row + 1]! <= at) continue;
    report(row, `${name}: holds a NUL character`);
    at = bytes.subarray(0, end).indexOf(0, offsets[row + 1]);
  }
}

/**
 * True where no value is NaN or infinite: x·0 is 0 for finite x and NaN otherwise, so one sum tells.
 * Values under NULLs count too; a false alarm costs a second look.
 */
function allFinite(values: Numbers, rows: number): boolean {
  let sum = 0;
  for (let row = 0; row < rows; row += 1) sum += values[row]! * 0;
  return sum === 0;
}

function checkRange(values: Numbers, data: Data, name: string, rule: Rule, rows: number, report: Report): void {
  if (rule.min === undefined && rule.max === undefined) return;
  // A bound is compared in the column's own precision: 0.1 in the file must not exclude the float32 nearest to 0.1.
  const round = values instanceof Float32Array ? Math.fround : (bound: number): number => bound;
  const min = round(rule.min ?? -Infinity);
  const max = round(rule.max ?? Infinity);
  let outside = 0;
  for (let row = 0; row < rows; row += 1) {
    const value = values[row]!;
    outside += (value < min ? 1 : 0) + (value > max ? 1 : 0);
  }
  if (outside === 0) return;
  for (let row = 0; row < rows; row += 1) {
    const value = values[row]!;
    // An infinity that is not allowed has its reason already.
    if (!isValid(data, row) || (!Number.isFinite(value) && rule.infinite === 'invalid')) continue;
    if (value < min) report(row, `${name}: below min ${rule.min}`);
    else if (value > max) report(row, `${name}: above max ${rule.max}`);
  }
}

function checkIntegers64(values: Integers64, data: Data, name: string, rule: Rule, rows: number, report: Report): void {
  const { min, max } = rule;
  if (min === undefined && max === undefined) return;
  for (let row = 0; row < rows; row += 1) {
    if (!isValid(data, row)) continue;
    const value = values[row]!;
    // JavaScript compares a bigint with a number exactly.
    if (min !== undefined && value < min) report(row, `${name}: below min ${min}`);
    else if (max !== undefined && value > max) report(row, `${name}: above max ${max}`);
  }
}

function checkLists(
  data: Data,
  column: ProjectedColumn,
  length: number,
  lost: Uint8Array | undefined,
  rows: number,
  report: Report,
): void {
  const { name, rule } = column;
  const offsets = data.valueOffsets as Int32Array;
  const child = data.children[0]!;
  const values = child.values as Numbers | Integers64;
  const floating = values instanceof Float32Array || values instanceof Float64Array;
  const suspicious = child.nullCount > 0 || (floating && !allFinite(values, child.length));
  const childIsValid = (i: number): boolean => isValid(child, i);
  for (let row = 0; row < rows; row += 1) {
    if (!isValid(data, row)) continue;
    const from = offsets[row]!;
    const to = offsets[row + 1]!;
    if (to - from !== length) {
      report(row, `${name}: ${to - from} values in the list, the model takes ${length}`);
      continue;
    }
    // What the cast lost is NULL in the list now, and told already.
    if (!suspicious || lost?.[row] === 1) continue;
    for (let i = from; i < to; i += 1) {
      const reason = elementReason(childIsValid(i), values[i]!, rule, floating);
      if (reason === undefined) continue;
      report(row, `${name}: ${reason} in the list`);
      break;
    }
  }
  checkListRange(data, offsets, values, childIsValid, column, rows, report);
}

function elementReason(valid: boolean, value: number | bigint, rule: Rule, floating: boolean): string | undefined {
  // A NULL inside a list has no place in a matrix that is fed as it is.
  if (!valid) return 'NULL';
  if (!floating || Number.isFinite(value)) return undefined;
  if (Number.isNaN(value)) return rule.missing === 'nan' ? undefined : 'NaN';
  return rule.infinite === 'invalid' ? 'infinity' : undefined;
}

function checkListRange(
  data: Data,
  offsets: Int32Array,
  values: Numbers | Integers64,
  childIsValid: (i: number) => boolean,
  { name, rule }: ProjectedColumn,
  rows: number,
  report: Report,
): void {
  const { min, max } = rule;
  if (min === undefined && max === undefined) return;
  const round = values instanceof Float32Array ? Math.fround : (bound: number): number => bound;
  const low = round(min ?? -Infinity);
  const high = round(max ?? Infinity);
  for (let row = 0; row < rows; row += 1) {
    if (!isValid(data, row)) continue;
    for (let i = offsets[row]!; i < offsets[row + 1]!; i += 1) {
      const value = values[i]!;
      // What lies under a NULL means nothing; NaN, and an infinity that is not allowed, have their reason already.
      if ((value >= low && value <= high) || Number.isNaN(value) || !childIsValid(i)) continue;
      if (rule.infinite === 'invalid' && (value === Infinity || value === -Infinity)) continue;
      report(row, value < low ? `${name}: below min ${min} in the list` : `${name}: above max ${max} in the list`);
      break;
    }
  }
}
