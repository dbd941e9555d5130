/**
 * How a value of a column becomes an element of a tensor. A cast that loses something is never silent: either it
 * cannot lose anything, or it rounds (which the plan shows), or a check finds the rows that would be changed, or it is
 * refused.
 */
import { DUCKDB_TYPES } from './elements.js';
import type { ElementType, Half, NumericRange } from './facts.js';
import { writtenIdentifier } from './sql.js';
import { columnType, type ColumnType } from './types.js';

/** The cast of one feature, or why there is none. */
export type Cast =
  | {
      readonly ok: true;
      /** SQL of the value in the model's type. */
      readonly sql: string;
      /** SQL that is 1 where the value cannot be represented, else 0; absent where that cannot happen. */
      readonly check?: string;
      /** Type of DuckDB's vector: the element itself, but `uint8` for bool. */
      readonly element: ElementType;
      /** True where values are rounded to the nearest that the model's type holds. */
      readonly rounds: boolean;
    }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** Integers up to this size are exact in the float type (IEEE 754: 24 and 53 bits of significand). */
const EXACT_INTEGER = { float32: 2 ** 24, float64: 2 ** 53 } as const;
/** Of floats of 16 bits: bits of the significand, and the least size that is rounded to an infinity. */
const HALVES = {
  float16: { bits: 11, infinite: 65520 },
  bfloat16: { bits: 8, infinite: 3.3961775292304957e38 },
} as const;
const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * @param value SQL of the value, `"age"` for a column.
 * @param type DuckDB's name for its type.
 * @param element the model's element type.
 * @param range what the footers say of the values, where they do; it spares the check where all values fit.
 * @param half what the model makes of a float32.
 */
export function castTo(
  value: string,
  type: string,
  element: ElementType,
  range: NumericRange | undefined,
  half?: Half,
): Cast {
  const from = columnType(type);
  if (from.kind === 'list')
    return { ok: false, reason: `a list (${type}) where one number is needed`, hint: listHint(value) };
  return narrowed(castScalar(value, type, from, element, range), value, from, range, half);
}

/** The cast of a list column whose values are the rows of a matrix of `element`. */
export function castList(value: string, type: string, element: ElementType, half?: Half): Cast {
  const from = columnType(type);
  if (from.kind !== 'list') return { ok: false, reason: `${type} where a list is needed`, hint: 'name a list column' };
  const to = DUCKDB_TYPES[element];
  const child = narrowed(
    castScalar('x', typeOfChild(type), from.child, element, undefined),
    'x',
    from.child,
    undefined,
    half,
  );
  if (!child.ok) {
    const hint =
      from.child.kind === 'text'
        ? `write { name: …, sql: "list_transform(${bare(value)}, lambda x: TRY_CAST(x AS ${to}))" }`
        : 'make a list of numbers of it with list_transform(…), or take single values of it';
    return { ok: false, reason: child.reason.replace(typeOfChild(type), type), hint };
  }
  // An ARRAY is read as a list, so that both have one layout.
  const needsCast = typeOfChild(type) !== to || from.length !== undefined;
  const sql = needsCast ? `TRY_CAST(${value} AS ${to}[])` : value;
  const check =
    child.check === undefined
      ? undefined
      : `CAST(COALESCE(list_bool_or(list_transform(${value}, lambda x: (${child.check}) = 1)), false) AS UTINYINT)`;
  return { ok: true, sql, element: child.element, rounds: child.rounds, ...(check === undefined ? {} : { check }) };
}

function castScalar(
  value: string,
  type: string,
  from: ColumnType,
  element: ElementType,
  range: NumericRange | undefined,
): Cast {
  const to = DUCKDB_TYPES[element];
  const done = (sql: string, options: { check?: string; rounds?: boolean } = {}): Cast => ({
    ok: true,
    sql,
    element: element === 'bool' ? 'uint8' : element,
    rounds: options.rounds ?? false,
    ...(options.check === undefined ? {} : { check: options.check }),
  });
  const plain = type === to ? value : `CAST(${value} AS ${to})`;
  switch (element) {
    case 'string':
      if (from.kind === 'text') return done(plain);
      return refused(type, 'text', `write { name: …, sql: "CAST(${bare(value)} AS VARCHAR)" }`);
    case 'bool':
      if (from.kind === 'boolean') return done(plain);
      return refused(
        type,
        'bool',
        `write the condition, as in { name: …, sql: "${bare(value)} ${from.kind === 'text' ? "= 'yes'" : '<> 0'}" }`,
      );
    case 'float32':
    case 'float64': {
      if (from.kind === 'boolean') return done(plain);
      if (from.kind === 'integer') {
        const exact = BigInt(EXACT_INTEGER[element]);
        if (within(from, -exact, exact) || inRange(range, EXACT_INTEGER[element])) return done(plain);
        return done(plain, {
          check: `CAST(TRY_CAST(${plain} AS HUGEINT) IS DISTINCT FROM CAST(${value} AS HUGEINT) AS UTINYINT)`,
        });
      }
      if (from.kind === 'decimal') return done(plain, { rounds: true });
      if (from.kind === 'float') {
        if (element === 'float64' || from.bits === 32) return done(plain);
        if (inRange(range, FLOAT32_MAX)) return done(plain, { rounds: true });
        const tried = `TRY_CAST(${value} AS FLOAT)`;
        return done(tried, { rounds: true, check: isLost(value, tried) });
      }
      if (from.kind === 'text') {
        return refused(
          type,
          element,
          `write { name: …, sql: "TRY_CAST(${bare(value)} AS DOUBLE)" }, where text that is no number becomes NULL`,
        );
      }
      return refused(type, element, timeHint(type, value));
    }
    default: {
      if (from.kind === 'boolean') return done(plain);
      if (from.kind === 'integer') {
        const limits = columnType(to) as Extract<ColumnType, { kind: 'integer' }>;
        if (within(from, limits.min, limits.max)) return done(plain);
        const tried = `TRY_CAST(${value} AS ${to})`;
        return done(tried, { check: isLost(value, tried) });
      }
      if (from.kind === 'float' || from.kind === 'decimal') {
        return refused(
          type,
          element,
          `say how fractions are rounded, as in { name: …, sql: "CAST(round(${bare(value)}) AS ${to})" }`,
        );
      }
      if (from.kind === 'text')
        return refused(type, element, `write { name: …, sql: "TRY_CAST(${bare(value)} AS ${to})" }`);
      return refused(type, element, timeHint(type, value));
    }
  }
}

/** Whether a number keeps its value in 16 bits; fractions are rounded. */
export function halfHolds(half: Half, value: number): boolean {
  const { bits, infinite } = HALVES[half];
  const size = Math.abs(value);
  if (size >= infinite) return false;
  const step = 2 ** Math.max(Math.floor(Math.log2(Math.max(size, 1))) - (bits - 1), 0);
  return !Number.isInteger(value) || size % step === 0;
}

/** A cast to float32 for a model that holds 16 bits of it: what those cannot hold is lost, as it is for wider floats. */
function narrowed(
  cast: Cast,
  value: string,
  from: ColumnType,
  range: NumericRange | undefined,
  half: Half | undefined,
): Cast {
  if (half === undefined || !cast.ok || from.kind === 'boolean') return cast;
  const { bits, infinite } = HALVES[half];
  const size = `abs(CAST(${value} AS DOUBLE))`;
  const checked = (lost: string): string =>
    `CAST(COALESCE(${lost}, false)${cast.check === undefined ? '' : ` OR ${cast.check} = 1`} AS UTINYINT)`;
  if (from.kind === 'integer') {
    const exact = 2 ** bits;
    if (within(from, BigInt(-exact), BigInt(exact)) || inRange(range, exact)) return cast;
    const step = `pow(2, greatest(floor(log2(greatest(${size}, 1))) - ${bits - 1}, 0))`;
    return { ...cast, check: checked(`(${size} >= ${infinite} OR ${size} % ${step} <> 0)`) };
  }
  if (inRange(range, infinite)) return { ...cast, rounds: true };
  return { ...cast, rounds: true, check: checked(`(isfinite(CAST(${value} AS DOUBLE)) AND ${size} >= ${infinite})`) };
}

/** 1 where a cast that gives NULL on failure lost a value that was there. */
function isLost(value: string, tried: string): string {
  return `CAST((${value}) IS NOT NULL AND ${tried} IS NULL AS UTINYINT)`;
}

function within(type: { readonly min: bigint; readonly max: bigint }, min: bigint, max: bigint): boolean {
  return type.min >= min && type.max <= max;
}

/** Ranges are widened to double, so that 2^53 + 1 reads as 2^53: only what lies below the limit is sure to. */
function inRange(range: NumericRange | undefined, limit: number): boolean {
  return range !== undefined && range.min > -limit && range.max < limit;
}

function refused(type: string, element: string, hint: string): Cast {
  return { ok: false, reason: `${type} cannot become ${element} without loss`, hint };
}

function timeHint(type: string, value: string): string {
  const said = `say which number is meant, as in { name: …, sql: "epoch(${bare(value)})`;
  if (/^(DATE|TIMESTAMP)/.test(type)) return `${said} / 86400" } for days since 1970`;
  if (/^TIME\b/.test(type)) return `${said}" } for seconds since midnight`;
  return type === 'INTERVAL'
    ? `${said}" } for seconds`
    : `make a number of it with an expression: { name: …, sql: "…" }`;
}

function listHint(value: string): string {
  return `pick one element, as in { name: …, sql: "${bare(value)}[1]" }, or feed the list alone to an input of rank 2`;
}

/** The type of a list's elements as DuckDB spells it. */
function typeOfChild(type: string): string {
  return type.slice(0, type.lastIndexOf('['));
}

/** A quoted identifier, or an expression, as a person would write it inside a double-quoted YAML text. */
function bare(value: string): string {
  const name = /^"([^"]*)"$/.exec(value)?.[1];
  // The projection wraps each expression of a pipeline in TRY.
  const expression = value.startsWith('TRY(') ? value.slice('TRY('.length, -1) : value;
  const written = name === undefined ? expression : writtenIdentifier(name);
  return written.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
