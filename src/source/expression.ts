/**
 * SQL expressions of a pipeline, checked and bound: each is one value computed from the columns of its row. The syntax
 * tree is DuckDB's own; what it may hold is an allow-list.
 */
import type { Problem } from '../errors.js';
import { didYouMean } from '../pipeline/nearest.js';
import type { Expression, SourceColumn } from '../plan/facts.js';
import { Findings } from '../plan/findings.js';
import { shownNames } from '../plan/names.js';
import { isReserved, quoteIdentifier } from '../plan/sql.js';
import { columnType } from '../plan/types.js';
import { describeColumns, hiveTypesBeside } from './columns.js';
import type { Database } from './database.js';
import { readFault } from './duckdb-errors.js';
import { functionFacts, objectionTo, type FunctionFacts } from './functions.js';
import { scanSql, type ScannedFile } from './scan.js';
import { forbidden, invalid, parseExpression, type Objection, type SyntaxNode } from './syntax-tree.js';

/** An expression as the pipeline has it. */
export interface ExpressionSource {
  /** Its key in the pipeline file, as in `features[2].sql`. */
  readonly key: string;
  readonly sql: string;
  /** True where it must be BOOLEAN, as `where` must. */
  readonly boolean?: boolean;
}

/** Classes of nodes that compute a value from values. */
const VALUE_CLASSES: ReadonlySet<string> = new Set(
  'BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR TYPE'.split(' '),
);

/** What the other classes are, and the way out. */
const OTHER_CLASSES: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  SUBQUERY: ['a sub-query', 'an expression sees the columns of its own row; join other data in before'],
  WINDOW: ['a window function', 'its value would depend on which rows are read together; compute it beforehand'],
  STAR: ['a star', 'name the columns'],
  PARAMETER: ['a parameter', 'write the value itself, or ${vars.name}'],
  DEFAULT: ['DEFAULT', 'write the value itself'],
  POSITIONAL_REFERENCE: ['a column by position', 'name the column'],
};

/**
 * Checks and binds expressions, in their order.
 * @param file any file of the source; all have the same columns.
 * @param hiveTypes hive columns with their types.
 * @returns `sql` as it was given, trimmed: it stays one value when it is put between parentheses.
 * @throws ColonnadeError with all that is wrong, each problem with its key and a caret: `SQL_INVALID` (does not parse,
 * fit the columns' types, or is not BOOLEAN), `SQL_FORBIDDEN` (more than a value of its row), `COLUMN_MISSING`.
 */
export async function bindExpressions(
  database: Database,
  file: ScannedFile,
  hiveTypes: Readonly<Record<string, string>>,
  expressions: readonly ExpressionSource[],
): Promise<Expression[]> {
  if (expressions.length === 0) return [];
  const columns = await describeColumns(database, file, hiveTypes);
  const scan = scanSql(file, hiveTypesBeside(columns, hiveTypes));
  const findings = new Findings();
  const bound: Expression[] = [];
  for (const expression of expressions) {
    const sql = expression.sql.trim();
    const result = await bind(database, scan, columns, sql, expression.boolean === true);
    if ('type' in result) bound.push({ sql, ...result });
    else for (const objection of result) findings.add(objection.code, problemOf(expression.key, sql, objection));
  }
  findings.throwIfAny();
  return bound;
}

/** A {@link Objection} that may also be about a column. */
type Finding = Omit<Objection, 'code'> & { readonly code: Objection['code'] | 'COLUMN_MISSING' };

async function bind(
  database: Database,
  scan: string,
  columns: readonly SourceColumn[],
  sql: string,
  boolean: boolean,
): Promise<Omit<Expression, 'sql'> | readonly Finding[]> {
  const parsed = await parseExpression(database, sql);
  if ('code' in parsed) return [quotesMissing(parsed, sql, columns) ?? parsed];
  const functions = await functionFacts(database, functionNames(parsed.node));
  const walk = new ExpressionWalk(sql, columns, functions);
  walk.visit(parsed.node, new Set());
  if (walk.findings.length > 0) return walk.findings;
  const prefix = 'DESCRIBE SELECT (';
  try {
    const [described] = await database.rows(`${prefix}${sql}) AS value FROM ${scan}`);
    const type = String(described!['column_type']);
    if (boolean && type !== 'BOOLEAN') {
      return [
        invalid(`the condition is ${type}, not BOOLEAN`, `compare it with something, as in ${conditionOn(sql, type)}`),
      ];
    }
    return { type, columns: [...walk.columns] };
  } catch (error) {
    const fault = readFault((error as Error).cause ?? error);
    const [said = fault.message] = fault.message.split('\n');
    const bytes = fault.position === undefined ? undefined : fault.position - prefix.length;
    return [
      invalid(said, 'see DuckDB’s documentation for the functions and casts that there are', charactersAt(sql, bytes)),
    ];
  }
}

/** What does not parse where a column is named by a reserved word. */
function quotesMissing(fault: Objection, sql: string, columns: readonly SourceColumn[]): Objection | undefined {
  const [word = ''] = /^\w+/.exec(sql.slice(fault.at ?? sql.length)) ?? [];
  if (!isReserved(word) || !columns.some(({ name }) => name.toLowerCase() === word.toLowerCase())) return undefined;
  return { ...fault, hint: `where the column is meant, it stands in double quotes: ${quoteIdentifier(word)}` };
}

/** A condition that a value of this type can stand in. */
function conditionOn(sql: string, type: string): string {
  const value = /^(\w+|"[^"]*")$/.test(sql) ? sql : `(${sql})`;
  switch (columnType(type).kind) {
    case 'integer':
    case 'decimal':
    case 'float':
      return `${value} <> 0`;
    case 'text':
      return `${value} = 'yes'`;
    case 'list':
      return `len(${value}) > 0`;
    default:
      return type === 'DATE' || type.startsWith('TIMESTAMP') ? `${value} >= DATE '2026-01-01'` : `${value} IS NOT NULL`;
  }
}

/** Walks a tree with all that may be in it; an object of an unknown class is refused wherever it hangs. */
class ExpressionWalk {
  readonly findings: Finding[] = [];
  /** Columns that are read, spelt as in the source. */
  readonly columns = new Set<string>();
  readonly #sql: string;
  /** The source's columns by their names in lower case. */
  readonly #known: ReadonlyMap<string, string>;
  readonly #functions: ReadonlyMap<string, FunctionFacts>;

  constructor(sql: string, columns: readonly SourceColumn[], functions: ReadonlyMap<string, FunctionFacts>) {
    this.#sql = sql;
    this.#known = new Map(columns.map(({ name }) => [name.toLowerCase(), name]));
    this.#functions = functions;
  }

  /** @param parameters names that lambdas around the value have introduced, lower case. */
  visit(value: unknown, parameters: ReadonlySet<string>): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, parameters);
    } else if (isNode(value)) {
      this.#node(value, parameters);
    } else if (typeof value === 'object' && value !== null) {
      this.#fields(value, parameters);
    }
  }

  #fields(value: object, parameters: ReadonlySet<string>): void {
    for (const field of Object.values(value)) if (typeof field === 'object') this.visit(field, parameters);
  }

  #node(node: SyntaxNode, parameters: ReadonlySet<string>): void {
    const at = locationOf(node, this.#sql);
    if (!VALUE_CLASSES.has(node.class) || node.type === 'GROUPING_FUNCTION' || node.type === 'OPERATOR_UNPACK') {
      const [what, hint] = OTHER_CLASSES[node.class] ?? [
        node.type.toLowerCase(),
        'use columns, operators and scalar functions',
      ];
      // The star inside *COLUMNS(*) says what is wrong better than the asterisk before it.
      if (node.type === 'OPERATOR_UNPACK') this.#fields(node, parameters);
      else this.findings.push(forbidden(`${what} cannot stand in an expression`, hint, at));
    } else if (node.class === 'COLUMN_REF') {
      this.#column(node['column_names'] as readonly string[], parameters, at);
    } else if (node.class === 'FUNCTION') {
      this.#function(node, parameters, at);
    } else {
      this.#fields(node, parameters);
    }
  }

  #column(path: readonly string[], parameters: ReadonlySet<string>, at: number | undefined): void {
    const [name = ''] = path;
    const lower = name.toLowerCase();
    if (parameters.has(lower)) return;
    const column = this.#known.get(lower);
    if (column !== undefined) {
      this.columns.add(column);
      return;
    }
    // Some functions are called without parentheses; DuckDB finds them where there is no such column.
    const objection = path.length === 1 ? objectionTo(lower, 0, undefined, at) : undefined;
    const names = [...this.#known.values()];
    const dotted = path
      .map((_, i) =>
        this.#known.get(
          path
            .slice(0, i + 1)
            .join('.')
            .toLowerCase(),
        ),
      )
      .find((one) => one !== undefined);
    this.findings.push(
      objection ?? {
        code: 'COLUMN_MISSING',
        message: `there is no column ${name}; there are ${shownNames(names)}`,
        hint:
          dotted !== undefined
            ? `a name with a dot stands in double quotes: ${quoteIdentifier(dotted)}`
            : (didYouMean(name, names) ?? (name === '' ? 'name a column' : `text stands in single quotes: '${name}'`)),
        ...(at === undefined ? {} : { at }),
      },
    );
  }

  #function(node: SyntaxNode, parameters: ReadonlySet<string>, at: number | undefined): void {
    const name = nameOf(node);
    const children = (node['children'] ?? []) as readonly SyntaxNode[];
    const facts = this.#functions.get(name);
    const schema = (node['schema'] as string | undefined) ?? '';
    // The parser itself writes `main` before functions that it makes of syntax, `extract(…)` for one.
    if ((schema !== '' && schema !== 'main') || (node['catalog'] ?? '') !== '') {
      const hint = `write ${name}(${schema}, …) where ${schema} is a column`;
      this.findings.push(forbidden(`${schema}.${name}(…) names a function of a schema`, hint, at));
      return;
    }
    const objection = objectionTo(name, children.length, facts, at);
    if (objection !== undefined) {
      this.findings.push(objection);
      return;
    }
    if (node['distinct'] === true || (node['filter'] ?? null) !== null || ordersOf(node).length > 0) {
      this.findings.push(
        forbidden(`DISTINCT, FILTER and ORDER BY in ${name}(…) belong to aggregates`, 'use scalar functions', at),
      );
      return;
    }
    children.forEach((child, i) => {
      // `x -> …` is a lambda only as the second argument of a function that takes one; elsewhere it reads from JSON.
      const lambda = child.class === 'LAMBDA' && i === 1 && facts?.takesLambda === true;
      if (lambda) this.visit(child['expr'], new Set([...parameters, ...lambdaParameters(child['lhs'])]));
      else this.visit(child, parameters);
    });
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'class' in value && typeof value.class === 'string';
}

function nameOf(node: SyntaxNode): string {
  return (node['function_name'] as string).toLowerCase();
}

function ordersOf(node: SyntaxNode): readonly unknown[] {
  return (node['order_bys'] as { readonly orders?: readonly unknown[] } | null | undefined)?.orders ?? [];
}

/** `x` or `(x, i)`, which DuckDB has as `row(x, i)`. */
function lambdaParameters(lhs: unknown): string[] {
  if (!isNode(lhs)) return [];
  if (lhs.class === 'FUNCTION') return ((lhs['children'] ?? []) as readonly unknown[]).flatMap(lambdaParameters);
  return lhs.class === 'COLUMN_REF' ? (lhs['column_names'] as readonly string[]).map((name) => name.toLowerCase()) : [];
}

function functionNames(value: unknown, names = new Set<string>()): Set<string> {
  if (isNode(value) && value.class === 'FUNCTION') names.add(nameOf(value));
  if (typeof value === 'object' && value !== null)
    for (const field of Object.values(value)) functionNames(field, names);
  return names;
}

/** Where a node stands in the expression, in characters; undefined where the parser made it up. */
function locationOf(node: SyntaxNode, sql: string): number | undefined {
  const bytes = (node.query_location ?? Infinity) - 'SELECT ('.length;
  return charactersAt(sql, bytes);
}

/** Characters before a byte of the text; undefined where the byte is outside. */
function charactersAt(sql: string, bytes: number | undefined): number | undefined {
  const encoded = Buffer.from(sql);
  if (bytes === undefined || bytes < 0 || bytes > encoded.length) return undefined;
  return encoded.subarray(0, bytes).toString().length;
}

function problemOf(key: string, sql: string, finding: Finding): Problem {
  return {
    message: `${key}: ${finding.message}`,
    hint: finding.hint,
    key,
    ...(finding.at === undefined ? {} : { excerpt: excerptOf(sql, finding.at) }),
  };
}

/** The line of the expression and a caret under the place. */
function excerptOf(sql: string, at: number): string {
  const start = sql.lastIndexOf('\n', at - 1) + 1;
  const [line = ''] = sql.slice(start).split('\n');
  return `  ${line}\n  ${' '.repeat(at - start)}^`;
}
