/**
 * The quarantine: rows that were not scored, with all columns of the source and `_file`, `_row` and `_reason`, so that
 * they can be traced, mended and scored again. One file for each file of the source that has any, under its name.
 */
import { join } from 'node:path';
import { REASON_COLUMN, ROW_STATUS, STATUS_COLUMN, type Plan, type PlannedFile } from '../plan/plan.js';
import { shardsOfFile } from '../plan/shards.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import type { Database } from '../source/database.js';
import { ROW_NUMBER, scanSql } from '../source/scan.js';
import type { StagedFile } from './sink.js';
import { stagedFile } from './staged-files.js';
import { makeFolderOf, writeRows } from './write.js';

export interface QuarantineContext {
  /** Folder that becomes the quarantine; made when there is a row for it. */
  readonly folder: string;
  /** Scores files of a file, in the order of its shards. */
  readonly scoresOf: (file: number) => readonly string[];
  /** Rows of a file that were quarantined. */
  readonly quarantinedOf: (file: number) => number;
  /** Opens DuckDB, whose statements end with `signal`. */
  readonly database: () => Promise<Database>;
  readonly signal: AbortSignal;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes the quarantined rows of all files; none where there are none. */
export async function writeQuarantine(plan: Plan, context: QuarantineContext): Promise<readonly StagedFile[]> {
  const written: StagedFile[] = [];
  for (const file of plan.files) {
    if (context.quarantinedOf(file.index) === 0) continue;
    const destination = join(context.folder, file.relativePath);
    await makeFolderOf(destination);
    const query = { select: quarantineSelect(plan, file, context.scoresOf(file.index)), file };
    await writeRows(await context.database(), [query], destination, {
      compression: plan.sink.compression,
      rowGroupSize: plan.sink.rowGroupSize,
      metadata: context.metadata,
    });
    written.push(await stagedFile(context.folder, destination, context.signal));
  }
  return written;
}

function quarantineSelect(plan: Plan, file: PlannedFile, scores: readonly string[]): string {
  const shards = shardsOfFile(plan.shards, file.index);
  const reasons = scores.map((path, i) => {
    // A scores file counts its rows from 0; the shard says where that is in the source's file.
    const row = `${ROW_NUMBER} + ${shards[i]!.firstRow}`;
    return `SELECT ${row} AS place, ${quoteIdentifier(REASON_COLUMN)} AS reason FROM ${scanSql({ path, hive: {} }, {})} WHERE ${quoteIdentifier(STATUS_COLUMN)} = ${ROW_STATUS.quarantined}`;
  });
  // Only names with their table: the source's columns may be called anything.
  return `SELECT rows_of_source.* EXCLUDE (${ROW_NUMBER}), ${quoteString(file.path)} AS _file, rows_of_source.${ROW_NUMBER} AS _row, quarantined.reason AS _reason
    FROM ${scanSql({ path: file.path, hive: {} }, {})} AS rows_of_source
    JOIN (${reasons.join(' UNION ALL ')}) AS quarantined ON rows_of_source.${ROW_NUMBER} = quarantined.place
    ORDER BY rows_of_source.${ROW_NUMBER}`;
}
