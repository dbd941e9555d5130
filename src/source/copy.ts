/**
 * Writes the result of a query as Parquet.
 *
 * With `partitionBy` and one thread, each partition is one file (up to 1,000 partitions), and the same input gives the same
 * bytes. Its rows come nearly, but not strictly, in the order of the query: DuckDB 1.5 holds back what a chunk has of a
 * partition where that is little. With two threads the order is another one each time.
 */
import type { Compression } from '../pipeline/pipeline.js';
import { quoteIdentifier, quoteString } from '../plan/sql.js';
import type { Database } from './database.js';

export interface CopyOptions {
  readonly compression: Compression;
  /**
   * Rows of a row group: DuckDB ends it with the chunk (of 2,048 rows at most) that brings it there, so that it has up to
   * 2,047 more. The last one has fewer, and with `partitionBy` also one where a part of the query ends.
   */
  readonly rowGroupSize: number;
  /** Key-value metadata of every file that is written. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hive folders, outermost first; the columns go into the paths alone. */
  readonly partitionBy?: readonly string[];
  /** With `partitionBy`: name of the files without `.parquet`; `{i}` is a number that tells them apart. */
  readonly filename?: string;
}

/**
 * @param select the query; without `partitionBy`, its order is the order of the rows in the file.
 * @param target the file, or with `partitionBy` the folder, below one of the database's writable folders.
 * DuckDB writes under this very name and never syncs: stage elsewhere, sync, rename.
 * @returns rows written.
 * @throws ColonnadeError `DISK_FULL`, `IO_FAILED`, `OUT_OF_MEMORY`, and what reading the sources throws.
 */
export async function copyTo(
  database: Database,
  select: string,
  target: string,
  options: CopyOptions,
): Promise<number> {
  const [row] = await database.rows(copySql(select, target, options), { target });
  return Number(row?.['Count'] ?? 0);
}

/** The statement that {@link copyTo} runs. */
export function copySql(select: string, target: string, options: CopyOptions): string {
  const { compression, rowGroupSize, metadata = {}, partitionBy = [], filename } = options;
  const settings = ['FORMAT parquet', `COMPRESSION ${CODECS[compression]}`, `ROW_GROUP_SIZE ${rowGroupSize}`];
  const pairs = Object.entries(metadata).map(([key, value]) => `${quoteString(key)}: ${quoteString(value)}`);
  if (pairs.length > 0) settings.push(`KV_METADATA {${pairs.join(', ')}}`);
  if (partitionBy.length > 0) {
    settings.push(`PARTITION_BY (${partitionBy.map(quoteIdentifier).join(', ')})`);
    settings.push(`FILENAME_PATTERN ${quoteString(filename ?? 'part-{i}')}`);
  }
  return `COPY (${select}) TO ${quoteString(target)} (${settings.join(', ')})`;
}

/** DuckDB's names. `lz4` is the raw variant, which every reader knows. */
const CODECS: Readonly<Record<Compression, string>> = {
  snappy: 'snappy',
  zstd: 'zstd',
  gzip: 'gzip',
  lz4: 'lz4_raw',
  none: 'uncompressed',
};
