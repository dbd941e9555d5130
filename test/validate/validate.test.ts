import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../src/pipeline/pipeline.js';
import { ELEMENT_TYPES, type ElementType } from '../../src/plan/facts.js';
import type { ProjectedColumn } from '../../src/plan/plan.js';
import { validateBatch } from '../../src/validate/validate.js';
import { batchOf, columnOf, type Cell, type Scalar } from './columns.js';

interface Table {
  readonly projection: readonly ProjectedColumn[];
  /** Cells by column, then by row. */
  readonly cells: readonly (readonly Cell[])[];
  readonly garbage: readonly Scalar[];
  readonly rows: number;
  /** The part of the batch that is validated, as windows cut it out. */
  readonly from: number;
  readonly to: number;
}

const isFloat = (element: ElementType): boolean => element === 'float32' || element === 'float64';

/** What the documentation says of one value, the slow and obvious way. What a cast lost is told by its check alone. */
function reasonsOf({ name, role, element, listLength, rule }: ProjectedColumn, cell: Cell, lost: boolean): string[] {
  if (role === 'where') return [];
  if (role === 'check') return cell === 1 ? [`${name}: cannot be represented in the model's type`] : [];
  if (cell === null) return !lost && (rule.missing === 'invalid' || listLength !== undefined) ? [`${name}: NULL`] : [];
  const bound = (value: number): number => (element === 'float32' ? Math.fround(value) : value);
  const outside = (value: Scalar, where: string): string[] => {
    if (value === null || typeof value === 'string' || Number.isNaN(value)) return [];
    if ((value === Infinity || value === -Infinity) && rule.infinite === 'invalid') return [];
    if (rule.min !== undefined && value < bound(rule.min)) return [`${name}: below min ${rule.min}${where}`];
    if (rule.max !== undefined && value > bound(rule.max)) return [`${name}: above max ${rule.max}${where}`];
    return [];
  };
  if (listLength === undefined) {
    if (typeof cell === 'string' && cell.includes('\0')) return [`${name}: holds a NUL character`];
    if (Number.isNaN(cell)) return rule.missing === 'invalid' ? [`${name}: NaN`] : [];
    if ((cell === Infinity || cell === -Infinity) && rule.infinite === 'invalid') return [`${name}: infinite`];
    return outside(cell as Scalar, '');
  }
  const values = cell as readonly Scalar[];
  const range = values.flatMap((value) => outside(value, ' in the list')).slice(0, 1);
  if (values.length !== listLength)
    return [`${name}: ${values.length} values in the list, the model takes ${listLength}`, ...range];
  const gap = values.flatMap((value) => {
    if (value === null) return [`${name}: NULL in the list`];
    if (Number.isNaN(value)) return rule.missing === 'nan' ? [] : [`${name}: NaN in the list`];
    const infinite = value === Infinity || value === -Infinity;
    return infinite && rule.infinite === 'invalid' ? [`${name}: infinity in the list`] : [];
  });
  return [...(lost ? [] : gap.slice(0, 1)), ...range];
}

function expected({ projection, cells, from, to }: Table) {
  const keep: number[] = [];
  const invalid: [number, string[]][] = [];
  let filtered = 0;
  for (let row = from; row < to; row += 1) {
    const where = projection.findIndex(({ role }) => role === 'where');
    if (where >= 0 && cells[where]![row] === 0) {
      filtered += 1;
      continue;
    }
    const lost = (i: number): boolean => projection[i + 1]?.role === 'check' && cells[i + 1]![row] === 1;
    const reasons = [...new Set(projection.flatMap((column, i) => reasonsOf(column, cells[i]![row]!, lost(i))))];
    if (reasons.length === 0) keep.push(row - from);
    else invalid.push([row - from, reasons]);
  }
  return { keep, kept: keep.length, filtered, invalid };
}

function validated({ projection, cells, garbage, rows, from, to }: Table) {
  const batch = batchOf(
    projection.map((column, i) => columnOf(column, cells[i]!, garbage[i]!)),
    rows,
  );
  const verdict = validateBatch(from === 0 && to === rows ? batch : batch.slice(from, to), projection);
  const all = Array.from({ length: to - from }, (_, row) => row);
  return {
    keep: verdict.keep === undefined ? all : [...verdict.keep],
    kept: verdict.kept,
    filtered: verdict.filtered,
    invalid: [...verdict.invalid],
  };
}

/** Near the bounds that rules are given, and what no number is near to. */
const NUMBERS = [-5, -1, -0, 0, 0.1, Math.fround(0.1), 0.1 + 2 ** -40, 1, 5, 100, 120, 121, 1e30];
const BOUNDS = [-5, -1, 0, 0.1, 1, 5, 120];

function scalarOf(element: ElementType): fc.Arbitrary<Scalar> {
  switch (element) {
    case 'float32':
      return fc.constantFrom(...NUMBERS.map(Math.fround), NaN, Infinity, -Infinity);
    case 'float64':
      return fc.constantFrom(...NUMBERS, NaN, Infinity, -Infinity);
    case 'string':
      return fc.constantFrom('', 'NULL', 'nan', 'Straße', '\0', 'a\0b', 'Straße\0', '\0a');
    case 'bool':
      return fc.constantFrom(0, 1);
    case 'int64':
      return fc.constantFrom(0n, -1n, -5n, 5n, 120n, 121n, 2n ** 53n + 1n, -(2n ** 63n));
    case 'uint64':
      return fc.constantFrom(0n, 1n, 5n, 120n, 121n, 2n ** 64n - 1n);
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return fc.constantFrom(0, 1, 5, 120, 121, 255);
    default:
      return fc.constantFrom(0, 1, -1, -5, 5, 120, 121, -128);
  }
}

const bound = fc.option(fc.constantFrom(...BOUNDS), { nil: undefined });

function ruleOf(element: ElementType, isList: boolean): fc.Arbitrary<Rule> {
  const missing: Rule['missing'][] = ['invalid'];
  if (isFloat(element)) missing.push('nan');
  if (!isList) missing.push({ value: element === 'string' ? 'none' : 1 });
  return fc
    .record({
      min: element === 'string' ? fc.constant(undefined) : bound,
      max: element === 'string' ? fc.constant(undefined) : bound,
      missing: fc.constantFrom(...missing),
      infinite: fc.constantFrom('invalid' as const, 'allow' as const),
    })
    .map(({ min, max, ...rule }) => ({
      ...rule,
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
    }));
}

const DEFAULT: Rule = { missing: 'invalid', infinite: 'invalid' };

/** A column of the projection, its cells, and what lies under its NULLs. */
function columnWithCells(rows: number, name: string) {
  const feature = fc
    .record({
      element: fc.constantFrom(...ELEMENT_TYPES),
      isList: fc.boolean(),
      role: fc.constantFrom('feature' as const, 'rule' as const),
    })
    .chain(({ element, isList: wanted, role }) => {
      const isList = wanted && element !== 'string' && element !== 'bool';
      const scalar = scalarOf(element);
      // Of most columns almost all rows are fine, as in data: the first look at a column must not miss the one that is not.
      const value = fc.oneof(
        { weight: 6, arbitrary: fc.constant(isText(element) ? 'a' : big(element) ? 1n : 1) },
        { weight: 1, arbitrary: scalar },
      );
      const item: fc.Arbitrary<Scalar> = fc.option(value, { nil: null, freq: 12 });
      const list = fc.oneof(
        { weight: 8, arbitrary: fc.array(item, { minLength: 3, maxLength: 3 }) },
        { weight: 1, arbitrary: fc.array(item, { maxLength: 5 }) },
      );
      const cell: fc.Arbitrary<Cell> = fc.option<Cell>(isList ? list : value, { nil: null, freq: 8 });
      return fc.record({
        column: ruleOf(element, isList).map((rule): ProjectedColumn => ({
          name,
          role,
          sql: name,
          element,
          rule,
          ...(isList ? { listLength: 3 } : {}),
        })),
        cells: fc.array(cell, { minLength: rows, maxLength: rows }),
        garbage: scalar,
      });
    });
  const flags = (role: 'where' | 'check') =>
    fc.record({
      column: fc.constant<ProjectedColumn>({
        name: role === 'where' ? 'where' : name,
        role,
        sql: name,
        element: 'uint8',
        rule: DEFAULT,
      }),
      cells: fc.array(fc.constantFrom<Cell>(...(role === 'where' ? [1, 1, 1, 0] : [0, 0, 0, 1])), {
        minLength: rows,
        maxLength: rows,
      }),
      garbage: fc.constant<Scalar>(1),
    });
  return { feature, where: flags('where'), check: flags('check') };
}

function isText(element: ElementType): boolean {
  return element === 'string';
}

function big(element: ElementType): boolean {
  return element === 'int64' || element === 'uint64';
}

const table: fc.Arbitrary<Table> = fc.integer({ min: 1, max: 40 }).chain((rows) => {
  const columns = fc.integer({ min: 1, max: 4 }).chain((count) =>
    fc.tuple(
      ...Array.from({ length: count }, (_, i) => {
        const { feature, check } = columnWithCells(rows, `f${i}`);
        return fc.tuple(feature, fc.option(check, { nil: undefined, freq: 4 }));
      }),
    ),
  );
  return fc
    .record({
      columns,
      where: fc.option(columnWithCells(rows, 'w').where, { nil: undefined }),
      // A feature that feeds two inputs stands in the projection twice.
      twice: fc.boolean(),
      cut: fc.option(fc.tuple(fc.nat(rows), fc.nat(rows)), { nil: undefined, freq: 2 }),
    })
    .map(({ columns: parts, where, twice, cut }) => {
      const flat = parts.flatMap(([feature, check]) => (check === undefined ? [feature] : [feature, check]));
      const all = [...flat, ...(twice ? [flat[0]!] : []), ...(where === undefined ? [] : [where])];
      const [from, to] = cut === undefined ? [0, rows] : [Math.min(...cut), Math.max(...cut)];
      return {
        projection: all.map(({ column }) => column),
        cells: all.map(({ cells }) => cells),
        garbage: all.map(({ garbage }) => garbage),
        rows,
        from,
        to,
      };
    });
});

describe('a batch', () => {
  it('is split into what a look at every single value says', () => {
    fc.assert(
      fc.property(table, (each) => {
        expect(validated(each)).toEqual(expected(each));
      }),
      { numRuns: 3000 },
    );
  });

  it('loses no row, and names each once, in order', () => {
    fc.assert(
      fc.property(table, (each) => {
        const { keep, kept, filtered, invalid } = validated(each);
        expect(keep).toHaveLength(kept);
        expect(kept + filtered + invalid.length).toBe(each.to - each.from);
        const marked = invalid.map(([row]) => row);
        for (const rows of [keep, marked]) expect([...rows].sort((a, b) => a - b)).toEqual(rows);
        expect(new Set([...keep, ...marked]).size).toBe(kept + marked.length);
        for (const [, reasons] of invalid) {
          expect(reasons.length).toBeGreaterThan(0);
          expect(new Set(reasons).size).toBe(reasons.length);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is cut where one likes: parts say of their rows what the whole says', () => {
    fc.assert(
      fc.property(table, (each) => {
        const whole = validated({ ...each, from: 0, to: each.rows });
        const parts = [
          [0, each.from],
          [each.from, each.to],
          [each.to, each.rows],
        ].map(([from, to]) => ({ from: from!, ...validated({ ...each, from: from!, to: to! }) }));
        expect(parts.flatMap(({ from, keep }) => keep.map((row) => row + from))).toEqual(whole.keep);
        expect(parts.flatMap(({ from, invalid }) => invalid.map(([row, reasons]) => [row + from, reasons]))).toEqual(
          whole.invalid,
        );
        expect(parts.reduce((sum, { filtered }) => sum + filtered, 0)).toBe(whole.filtered);
      }),
      { numRuns: 500 },
    );
  });
});

function verdictOf(
  column: Partial<ProjectedColumn> & Pick<ProjectedColumn, 'element'>,
  cells: readonly Cell[],
  garbage: Scalar,
) {
  const projected: ProjectedColumn = { name: 'f', role: 'feature', sql: 'f', rule: DEFAULT, ...column };
  return validateBatch(batchOf([columnOf(projected, cells, garbage)], cells.length), [projected]);
}

describe('a clean batch', () => {
  it('is told from others without a list of positions, also where garbage lies under its NULLs', () => {
    const rule: Rule = { min: 0, max: 10, missing: { value: 5 }, infinite: 'invalid' };
    for (const garbage of [NaN, Infinity, 99]) {
      expect(verdictOf({ element: 'float32', rule }, [1, null, 10, 0, null], garbage)).toEqual({
        kept: 5,
        filtered: 0,
        invalid: new Map(),
      });
    }
    expect(verdictOf({ element: 'int64', rule }, [1n, null, 10n], 99n).keep).toBeUndefined();
  });
});

describe('a bound', () => {
  it('is compared with 64-bit integers to the last digit', () => {
    const rule: Rule = { ...DEFAULT, max: 2 ** 53 };
    const { invalid } = verdictOf({ element: 'int64', rule }, [2n ** 53n, 2n ** 53n + 1n], 0n);
    expect([...invalid.keys()]).toEqual([1]);
  });

  it('is rounded as the column is: 0.1 is the float32 nearest to it, and no other', () => {
    const near = Math.fround(0.1);
    const above = new Float32Array(new Uint32Array([new Uint32Array(Float32Array.of(near).buffer)[0]! + 1]).buffer)[0]!;
    const rule: Rule = { ...DEFAULT, min: 0.1, max: 0.1 };
    expect([...verdictOf({ element: 'float32', rule }, [near, above], 0).invalid]).toEqual([[1, ['f: above max 0.1']]]);
    // In double precision the float32 is another number, a little above.
    expect([...verdictOf({ element: 'float64', rule }, [0.1, near], 0).invalid]).toEqual([[1, ['f: above max 0.1']]]);
  });

  it('holds for infinities where these are allowed', () => {
    const rule: Rule = { missing: 'invalid', infinite: 'allow', max: 1e300 };
    expect([...verdictOf({ element: 'float64', rule }, [-Infinity, Infinity], 0).invalid]).toEqual([
      [1, ['f: above max 1e+300']],
    ]);
  });
});
