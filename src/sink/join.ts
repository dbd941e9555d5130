/** SQL over narrow files that hold the wanted source columns and the scores side by side (see parquet/project.ts). */
import { ROW_STATUS, STATUS_COLUMN, type Plan, type PlannedFile } from '../plan/plan.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import { scanSql } from '../source/scan.js';

/** Columns of the output that the source's files hold themselves; hive columns come as constants. */
export function carriedColumns(plan: Plan): string[] {
  const own = new Set(plan.sourceColumns.filter(({ hive }) => !hive).map(({ name }) => name));
  return plan.sink.columns.filter((name) => own.has(name));
}

/**
 * SELECT of the output's columns from a joined file: rows that were scored or nulled. Quarantined rows are in the
 * quarantine, filtered ones were not asked for.
 */
export function outputSelect(plan: Plan, path: string, file: PlannedFile): string {
  const columns = plan.sink.columns.map((name) => outputColumn(plan, name)).join(', ');
  const kept = `${quoteIdentifier(STATUS_COLUMN)} IN (${ROW_STATUS.scored}, ${ROW_STATUS.nulled})`;
  return `SELECT ${columns} FROM ${scanSql({ path, hive: file.hive }, plan.hiveTypes)} WHERE ${kept}`;
}

/** The name of the folder of rows whose value is NULL. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__';

/**
 * A column of the output. A text that folders are named by and that is the name of NULL's own folder becomes NULL: every
 * reader would see it as that, and DuckDB would write one of the two over the other.
 */
function outputColumn(plan: Plan, name: string): string {
  const column = quoteIdentifier(name);
  const isText =
    plan.sourceColumns.some((source) => source.name === name && source.type === 'VARCHAR') ||
    plan.outputs.some((output) => output.name === name && output.type === 'string');
  return plan.sink.partitionBy.includes(name) && isText
    ? `NULLIF(${column}, ${quoteString(NULL_FOLDER)}) AS ${column}`
    : column;
}
