/**
 * SQL that puts rows of the source and their scores side by side.
 *
 * Both are read in their order, by one thread, and joined by position: nothing is hashed, nothing is held, and neither is
 * copied before. (5 M rows × 17 columns: 0.1 s of 2.4; a hash join by row number 2 s.) That they are in step is not taken
 * on trust: every row's position is compared.
 */
import { ROW_STATUS, STATUS_COLUMN, type Plan, type PlannedFile, type Shard } from '../plan/plan.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import { FILE_INDEX, ROW_NUMBER, hiveLiteral, readSql } from '../source/scan.js';

/** A shard with its scores file. */
export interface ScoredShard {
  readonly shard: Shard;
  readonly scores: string;
}

/** What DuckDB says where rows and scores are not in step; {@link writeRows} knows it by this. */
export const OUT_OF_STEP = 'rows and scores are out of step';

/**
 * SELECTs of the output's columns, which together, in this order, give the rows of some shards that were scored or nulled.
 * Quarantined rows are in the quarantine, filtered ones were not asked for.
 * @param shards of `file`, each beginning where the one before it ends.
 */
export function outputSelects(plan: Plan, file: PlannedFile, shards: readonly ScoredShard[]): string[] {
  // An output of that name hides the column that tells scores files apart: then each is read by itself.
  const hidden = plan.outputs.some(({ name }) => name.toLowerCase() === FILE_INDEX);
  return hidden ? shards.map((shard) => outputSelect(plan, file, [shard])) : [outputSelect(plan, file, shards)];
}

function outputSelect(plan: Plan, file: PlannedFile, shards: readonly ScoredShard[]): string {
  const first = shards[0]!.shard.firstRow;
  const rows = shards.reduce((sum, { shard }) => sum + shard.rows, 0);
  const own = plan.sourceColumns.filter(({ name, hive }) => !hive && plan.sink.columns.includes(name));
  // DuckDB reads the two without holding one of them as long as each is a scan alone: its columns as the file has them, the
  // one that is filtered by first, nothing computed.
  const source = `SELECT ${[ROW_NUMBER, ...own.map(({ name }) => quoteIdentifier(name))].join(', ')}
    FROM ${readSql([file.path])} WHERE ${ROW_NUMBER} BETWEEN ${first} AND ${first + rows - 1}`;
  const outputs = plan.outputs.map(({ name }) => name).filter((name) => plan.sink.columns.includes(name));
  const places = shards.length === 1 ? [] : [FILE_INDEX];
  const scores = `SELECT ${[...[...outputs, STATUS_COLUMN].map(quoteIdentifier), ROW_NUMBER, ...places].join(', ')}
    FROM ${readSql(shards.map((shard) => shard.scores))}`;
  // A scores file counts its rows from 0; the shard says where that is in the source's file.
  const start =
    shards.length === 1
      ? String(first)
      : `[${shards.map(({ shard }) => `${shard.firstRow}::BIGINT`).join(', ')}][s.${FILE_INDEX}::BIGINT + 1]`;
  const columns = plan.sink.columns.map((name) => outputColumn(plan, file, name)).join(', ');
  const status = `s.${quoteIdentifier(STATUS_COLUMN)}`;
  return `SELECT ${columns} FROM (${source}) AS r POSITIONAL JOIN (${scores}) AS s
    WHERE CASE WHEN r.${ROW_NUMBER} IS NOT DISTINCT FROM s.${ROW_NUMBER} + ${start}
      THEN ${status} IN (${ROW_STATUS.scored}, ${ROW_STATUS.nulled}) ELSE error(${quoteString(OUT_OF_STEP)}) END`;
}

/** The name of the folder of rows whose value is NULL. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__';

/**
 * A column of the output. A text that folders are named by and that is the name of NULL's own folder becomes NULL: every
 * reader would see it as that, and DuckDB would write one of the two over the other.
 */
function outputColumn(plan: Plan, file: PlannedFile, name: string): string {
  const column = quoteIdentifier(name);
  const source = plan.sourceColumns.find((candidate) => candidate.name === name);
  const value =
    source === undefined
      ? `s.${column}`
      : source.hive
        ? hiveLiteral(file.hive[name], plan.hiveTypes[name]!)
        : `r.${column}`;
  const isText =
    source === undefined
      ? plan.outputs.some((output) => output.name === name && output.type === 'string')
      : source.type === 'VARCHAR';
  return plan.sink.partitionBy.includes(name) && isText
    ? `NULLIF(${value}, ${quoteString(NULL_FOLDER)}) AS ${column}`
    : `${value} AS ${column}`;
}
