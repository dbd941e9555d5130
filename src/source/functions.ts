/**
 * Which functions of DuckDB an expression may call: those whose value depends on their arguments alone. A prediction
 * must be the same whenever, wherever and in however many pieces it is computed.
 */
import type { Database } from './database.js';
import { forbidden, type Objection } from './syntax-tree.js';

/** Macros that DuckDB brings along and that expand to a value of their arguments; their text holds no query. */
const PURE_MACROS: ReadonlySet<string> = words(`
  array_append array_pop_back array_pop_front array_prepend array_push_back array_push_front array_reverse
  array_to_string date_add days_in_month fdiv fmod json list_any_value list_append list_avg list_bit_and
  list_bit_or list_bit_xor list_bool_and list_bool_or list_count list_entropy list_first list_kurtosis list_last
  list_mad list_max list_median list_min list_mode list_prepend list_product list_reverse list_sem list_skewness
  list_stddev_pop list_stddev_samp list_string_agg list_sum list_var_pop list_var_samp map_contains_entry
  map_contains_value md5_number_lower md5_number_upper nullif round_even roundbankers split_part
`);

/** Scalar functions that DuckDB calls consistent and that look at something else than their arguments. */
const LOOK_ELSEWHERE: ReadonlySet<string> = words(`
  current_setting getvariable getenv version vector_type json_serialize_sql json_deserialize_sql
  json_serialize_plan parse_duckdb_log_message json_execute_serialized_sql
`);

/** Names that mean the clock or the session, with or without parentheses. */
const CLOCK: ReadonlySet<string> = words(`
  current_date current_time current_timestamp current_localtime current_localtimestamp localtime localtimestamp
  now today get_current_time get_current_timestamp transaction_timestamp ago
`);
const SESSION: ReadonlySet<string> = new Set(
  'current_user session_user user current_role current_catalog current_database current_schema current_query'.split(
    ' ',
  ),
);

/** One value for every row: a list as rows would shift them all. */
const ROWS_FROM_LISTS: ReadonlySet<string> = new Set([
  'unnest',
  'unlist',
  'generate_subscripts',
  'regexp_split_to_table',
]);

const DAY_HINT = `say which day is meant: vars: { day: "2026-11-01" }, and in the expression DATE '\${vars.day}'`;

/** What DuckDB's catalog says of a name. */
export interface FunctionFacts {
  /** `scalar`, `aggregate`, `table`, `macro`, `table_macro`, `pragma`. */
  readonly kinds: ReadonlySet<string>;
  /** False where any overload may give different values for the same arguments. */
  readonly consistent: boolean;
  /** True where it takes a lambda. */
  readonly takesLambda: boolean;
}

/** The catalog's entries of the named functions (lower case); a name that it does not know is left out. */
export async function functionFacts(
  database: Database,
  names: ReadonlySet<string>,
): Promise<Map<string, FunctionFacts>> {
  const facts = new Map<string, FunctionFacts>();
  if (names.size === 0) return facts;
  const list = [...names].map((name) => `decode(unhex('${Buffer.from(name).toString('hex')}'))`);
  const rows = await database.rows(
    `SELECT lower(function_name) AS name, list(DISTINCT function_type) AS kinds,
            bool_and(stability IS NULL OR stability = 'CONSISTENT') AS consistent,
            bool_or(list_contains(CAST(parameter_types AS VARCHAR[]), 'LAMBDA')) AS takes_lambda
     FROM duckdb_functions() WHERE lower(function_name) IN (${list.join(', ')}) GROUP BY ALL`,
  );
  for (const row of rows) {
    facts.set(String(row['name']), {
      kinds: new Set(row['kinds'] as string[]),
      consistent: row['consistent'] === true,
      takesLambda: row['takes_lambda'] === true,
    });
  }
  return facts;
}

/**
 * Why a function must not be called; undefined where it may, or where DuckDB knows none of that name and will say so.
 * @param at where it stands in the expression.
 */
export function objectionTo(
  name: string,
  args: number,
  facts: FunctionFacts | undefined,
  at: number | undefined,
): Objection | undefined {
  // With one argument it counts from today.
  if (CLOCK.has(name) || (name === 'age' && args === 1))
    return forbidden(`${name} depends on the time of the run`, DAY_HINT, at);
  if (SESSION.has(name))
    return forbidden(`${name} depends on the session`, 'write the value itself, or pass it with vars', at);
  if (LOOK_ELSEWHERE.has(name) || name.startsWith('__internal')) {
    return forbidden(`${name} looks at more than its arguments`, 'write the value itself, or pass it with vars', at);
  }
  if (ROWS_FROM_LISTS.has(name))
    return forbidden(
      `${name} makes several rows of one`,
      'pick one element, as in list[1], or use list functions such as list_sum',
      at,
    );
  if (facts === undefined) return undefined;
  if (facts.kinds.has('aggregate')) {
    return forbidden(
      `${name === 'count_star' ? 'count' : name} is an aggregate: its value would depend on which rows are read together`,
      'compute it beforehand and write it as a number, or pass it with vars',
      at,
    );
  }
  if (facts.kinds.has('macro')) {
    return PURE_MACROS.has(name)
      ? undefined
      : forbidden(`${name} is a macro that does more than compute a value`, 'use operators and scalar functions', at);
  }
  if (!facts.kinds.has('scalar'))
    return forbidden(
      `${name} is a table function`,
      'name the data in source.path; an expression sees the columns of its row',
      at,
    );
  if (name === 'error') {
    return forbidden(
      'error gives no value, it ends the query',
      'write NULL where there is no value: as a feature it makes its row invalid, unless a rule says otherwise',
      at,
    );
  }
  if (!facts.consistent) {
    return forbidden(
      `${name} may give another value each time it is called`,
      'predictions must be the same for every run: use a column instead, or hash(x) % 1000 of one',
      at,
    );
  }
  return undefined;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
