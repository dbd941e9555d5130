/**
 * DuckDB's own syntax tree of one SQL expression, and what may stand in it: values computed from columns, and nothing
 * that reads files, settings or the clock. What is not known to be harmless is refused.
 * Source: `json_serialize_sql`; DuckDB `src/include/duckdb/common/enums/expression_type.hpp` (classes).
 */
import type { Database } from './database.js';

/** A node of the tree. Every node of an expression has a class; other objects are containers. */
export interface SyntaxNode {
  readonly class: string;
  readonly type: string;
  readonly alias?: string;
  /** Bytes from the start of the statement. */
  readonly query_location?: number;
  readonly [field: string]: unknown;
}

/** What is wrong with an expression, and where. */
export interface Objection {
  readonly code: 'SQL_INVALID' | 'SQL_FORBIDDEN';
  readonly message: string;
  readonly hint: string;
  /** Characters from the start of the expression. */
  readonly at?: number;
}

export type Parsed = { readonly node: SyntaxNode } | Objection;

const ONE_EXPRESSION = 'write one SQL expression over the columns of the source, as in ln(1 + income)';

/**
 * Parses an expression. It must read the same between two kinds of brackets: so it can neither close the bracket that
 * it will stand in (`1) FROM t --`, `1), (2`), nor swallow it (`a --`), nor be a list of values.
 */
export async function parseExpression(database: Database, sql: string): Promise<Parsed> {
  if (sql.trim() === '') return invalid('the expression is empty', ONE_EXPRESSION);
  const round = await statementsOf(database, `SELECT (${sql})`);
  if ('message' in round) {
    const commented = !('message' in (await statementsOf(database, `SELECT (${sql}\n)`)));
    if (commented)
      return forbidden('the expression ends in a comment, which would swallow what follows it', 'take the comment out');
    const at = round.position === undefined ? undefined : Math.min(round.position - 'SELECT ('.length, sql.length);
    if (round.notSelect) return forbidden('the expression holds a statement of its own', ONE_EXPRESSION);
    return invalid(round.message, ONE_EXPRESSION, at);
  }
  const square = await statementsOf(database, `SELECT [${sql}]`);
  if (round.nodes.length !== 1) return forbidden('there is more than one statement', ONE_EXPRESSION);
  const select = round.nodes[0]!;
  const refusal = refuseClauses(select);
  if (refusal !== undefined) return refusal;
  const list =
    'message' in square || square.nodes.length !== 1 ? undefined : square.nodes[0]!.select_list?.[0]?.['children'];
  // A star in a list is a list of columns; what it is says more than how many.
  if (select.select_list![0]!.class === 'STAR') return { node: select.select_list![0]! };
  if (!Array.isArray(list)) return forbidden('the expression closes a bracket that it did not open', ONE_EXPRESSION);
  if (list.length !== 1) return forbidden('there is more than one expression', ONE_EXPRESSION);
  return { node: select.select_list![0]! };
}

/** The node of a SELECT, as far as it can say more than one value. */
interface SelectNode {
  readonly type: string;
  readonly modifiers?: readonly unknown[];
  readonly cte_map?: { readonly map: readonly unknown[] };
  readonly select_list?: readonly SyntaxNode[];
  readonly from_table?: { readonly type: string };
  readonly [clause: string]: unknown;
}

function refuseClauses(select: SelectNode): Objection | undefined {
  if (select.type !== 'SELECT_NODE' || select.select_list === undefined)
    return forbidden('the expression holds a query of its own', ONE_EXPRESSION);
  if (select.select_list.length !== 1) return forbidden('there is more than one expression', ONE_EXPRESSION);
  if (select.from_table?.type !== 'EMPTY') return forbidden('the expression reads from a table', ONE_EXPRESSION);
  const clauses = ['where_clause', 'having', 'sample', 'qualify'].filter((clause) => (select[clause] ?? null) !== null);
  const lists = ['modifiers', 'group_expressions', 'group_sets'].filter(
    (clause) => ((select[clause] ?? []) as unknown[]).length > 0,
  );
  if (clauses.length + lists.length > 0 || (select.cte_map?.map.length ?? 0) > 0) {
    return forbidden('clauses such as WHERE, ORDER BY or LIMIT do not belong into an expression', ONE_EXPRESSION);
  }
  if (select.select_list[0]!.alias !== '')
    return forbidden('the expression has a name of its own', 'give the name with `name:`');
  return undefined;
}

interface SyntaxFault {
  readonly message: string;
  /** Characters from the start of the statement. */
  readonly position?: number;
  /** True where it parses, but is no query. */
  readonly notSelect: boolean;
}

async function statementsOf(
  database: Database,
  statement: string,
): Promise<{ readonly nodes: readonly SelectNode[] } | SyntaxFault> {
  // As hexadecimal, so that no content of the text can end the string that it stands in.
  const hex = Buffer.from(statement).toString('hex');
  const [row] = await database.rows(`SELECT CAST(json_serialize_sql(decode(unhex('${hex}'))) AS VARCHAR) AS tree`);
  // A literal beyond the range of a double stands there as Infinity, which is no JSON.
  const text = String(row!['tree']).replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity/gs, (token) =>
    token.startsWith('"') ? token : 'null',
  );
  const tree = JSON.parse(text) as {
    readonly error: boolean;
    readonly error_type?: string;
    readonly error_message?: string;
    readonly position?: string;
    readonly statements?: readonly { readonly node: SelectNode }[];
  };
  if (!tree.error) return { nodes: (tree.statements ?? []).map(({ node }) => node) };
  return {
    message: tree.error_message ?? 'syntax error',
    notSelect: tree.error_type === 'not implemented',
    ...(tree.position === undefined ? {} : { position: Number(tree.position) }),
  };
}

export function invalid(message: string, hint: string, at?: number): Objection {
  return { code: 'SQL_INVALID', message, hint, ...(at === undefined ? {} : { at }) };
}

export function forbidden(message: string, hint: string, at?: number): Objection {
  return { code: 'SQL_FORBIDDEN', message, hint, ...(at === undefined ? {} : { at }) };
}
