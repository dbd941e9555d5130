/** Which columns of the source a run needs, and whether all files agree on them. */
import { ColonnadeError } from '../errors.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { shownName } from './names.js';
import { counted } from './quantities.js';
import type { Expression, NumericRange, SourceColumn, SourceFile } from './facts.js';

/** The files that have one and the same schema, as DuckDB sees it. */
export interface SchemaGroup {
  readonly files: readonly SourceFile[];
  /** The file's own columns, then hive columns. */
  readonly columns: readonly SourceColumn[];
}

/** Columns that scoring reads, spelt as in the source: features, `where`, keys and rules. */
export function scoringColumns(
  pipeline: Pipeline,
  columns: ReadonlyMap<string, SourceColumn>,
  expressions: ReadonlyMap<string, Expression>,
): string[] {
  const needed = new Set<string>();
  for (const feature of pipeline.features)
    if (feature.sql === undefined && columns.has(feature.name)) needed.add(feature.name);
  for (const name of Object.keys(pipeline.validate.rules)) if (columns.has(name)) needed.add(name);
  for (const expression of expressions.values()) for (const name of expression.columns) needed.add(name);
  return [...columns.keys()].filter((name) => needed.has(name));
}

/**
 * Holds every schema against the first.
 * @returns notes about columns that differ but are not needed.
 * @throws ColonnadeError `SCHEMA_DRIFT` where a needed column is missing in a file, has another type or is a folder's name in
 *   one and not in another;
 *   `COLUMN_AMBIGUOUS` where two columns of a file are apart only by case and one is needed.
 */
export function compareSchemas(groups: readonly SchemaGroup[], needed: ReadonlySet<string>): string[] {
  const [first, ...others] = groups;
  if (first === undefined) return [];
  for (const group of groups) refuseAmbiguous(group, needed);
  const notes: string[] = [];
  const drifts: Drift[] = [];
  const expected = new Map(first.columns.map((column) => [column.name, column]));
  for (const group of others) {
    const [file] = group.files;
    const found = new Map(group.columns.map((column) => [column.name, column]));
    for (const column of expected.values()) {
      const other = found.get(column.name);
      if (other?.type === column.type && other.hive === column.hive) continue;
      const twin = [...found.keys()].find((name) => name.toLowerCase() === column.name.toLowerCase());
      const what =
        other === undefined
          ? `column ${shownName(column.name)} (${column.type}) is missing${twin === undefined ? '' : `, it has ${shownName(twin)}`}`
          : `column ${shownName(column.name)} is ${placeAndType(other, column)}`;
      const reference = `${first.files[0]!.path} has ${shownName(column.name)} as ${placeAndType(column, other)}`;
      if (needed.has(column.name)) {
        drifts.push(
          ...group.files.map(({ path }) => ({ path, column: column.name, message: `${path}: ${what}; ${reference}` })),
        );
        continue;
      }
      notes.push(`${file!.path}: ${what}; ${reference}; it is not read`);
    }
    for (const column of found.values()) {
      if (!expected.has(column.name))
        notes.push(
          `${file!.path}: column ${shownName(column.name)} (${column.type}) is not in ${first.files[0]!.path}; it is not read`,
        );
    }
  }
  refuseDrift(drifts);
  const shown = 8;
  return notes.length <= shown
    ? notes
    : [...notes.slice(0, shown), `${notes.length - shown} more columns differ between files and are not read`];
}

/** The type of a column; also where it comes from, if that of the other is from elsewhere. */
function placeAndType(column: SourceColumn, other: SourceColumn | undefined): string {
  if (other === undefined || other.hive === column.hive) return column.type;
  return `${column.type}, ${column.hive ? 'from its folder' : 'in the file itself'}`;
}

/** A column that is needed and that a file has in another type than the first file, or not at all. */
interface Drift {
  readonly path: string;
  readonly column: string;
  readonly message: string;
}

/** Differences that an error lists before the rest is counted. */
const LISTED_DRIFTS = 10;

function refuseDrift(drifts: readonly Drift[]): void {
  const [only, ...others] = drifts;
  if (only === undefined) return;
  const details = {
    phase: 'plan',
    hint: 'give all files one schema, or name only the files that agree under source.path',
  } as const;
  if (others.length === 0) throw new ColonnadeError('SCHEMA_DRIFT', only.message, details);
  const files = new Set(drifts.map(({ path }) => path)).size;
  const columns = [...new Set(drifts.map(({ column }) => column))];
  const more = drifts.length - LISTED_DRIFTS;
  throw new ColonnadeError(
    'SCHEMA_DRIFT',
    `${counted(files, 'file differs', 'files differ')} from the first in ${columns.length === 1 ? `the column ${shownName(columns[0]!)}` : `${columns.length} columns`} that the run needs`,
    {
      ...details,
      problems: [
        ...drifts.slice(0, LISTED_DRIFTS).map(({ message }) => ({ message })),
        ...(more > 0 ? [{ message: `… and ${counted(more, 'difference')} more` }] : []),
      ],
    },
  );
}

function refuseAmbiguous(group: SchemaGroup, needed: ReadonlySet<string>): void {
  const path = group.files[0]!.path;
  const wanted = new Set([...needed].map((name) => name.toLowerCase()));
  const seen = new Map<string, string>();
  // The footer's own names: DuckDB renames the second of two that differ only by case.
  for (const { name } of group.files[0]!.columns) {
    const folded = name.toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined && wanted.has(folded)) {
      throw new ColonnadeError(
        'COLUMN_AMBIGUOUS',
        `${path}: columns ${other} and ${name} differ only by case, and ${[...needed].find((n) => n.toLowerCase() === folded)} is needed`,
        {
          phase: 'plan',
          hint: 'rename one of them in the source: SQL does not tell them apart',
        },
      );
    }
    seen.set(folded, name);
  }
  const unnamed = group.columns.find(
    ({ name, hive }) => !hive && needed.has(name) && seen.get(name.toLowerCase()) !== name,
  );
  if (unnamed !== undefined) {
    throw new ColonnadeError(
      'COLUMN_AMBIGUOUS',
      `${path}: no column is called ${unnamed.name} in the file: it is DuckDB's name for one whose own is empty, or another's too`,
      { phase: 'plan', hint: 'give every column of the source a name of its own' },
    );
  }
}

/** Least and greatest value of each numeric column over all files; only where every non-empty file tells. */
export function rangesOf(files: readonly SourceFile[]): Map<string, NumericRange> {
  const ranges = new Map<string, NumericRange>();
  const filled = files.filter(({ rows }) => rows > 0);
  const names = new Set(filled[0]?.columns.map(({ name }) => name));
  for (const name of names) {
    let min = Infinity;
    let max = -Infinity;
    const told = filled.every((file) => {
      const range = file.columns.find((column) => column.name === name)?.range;
      if (range === undefined) return false;
      min = Math.min(min, range.min);
      max = Math.max(max, range.max);
      return true;
    });
    if (told) ranges.set(name, { min, max });
  }
  return ranges;
}
