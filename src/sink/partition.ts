/**
 * `partition`: the chosen columns and the predictions in hive layout, written by DuckDB.
 *
 * Each file's wanted column chunks are copied beside its scores into a narrow file, without decoding; one COPY over all
 * of these then writes the folders. It runs in one thread: then each folder has one file (up to 1,000 folders, which are
 * open at once) and the same input gives the same bytes, which with several threads it does not. Within a folder rows come
 * about in the order of the source; DuckDB holds small parts back, so a strict order is not promised.
 */
import { join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { projectFile } from '../parquet/project.js';
import { readSameFooter } from '../parquet/unchanged.js';
import { STATUS_COLUMN, type PlannedFile } from '../plan/plan.js';
import { carriedColumns, outputSelect } from './join.js';
import type { Sink, SinkContext, StagedFile } from './sink.js';
import { stagedFiles } from './staged-files.js';
import { makeFolderOf, writeRows } from './write.js';

/** DuckDB collects the rows of every folder by itself, so what takes its memory up is the number of folders. */
function tooManyFolders(error: unknown, partitionBy: readonly string[]): unknown {
  if (!(error instanceof ColonnadeError) || error.code !== 'OUT_OF_MEMORY') return error;
  return new ColonnadeError(error.code, error.message, {
    phase: 'sink',
    hint: `each folder takes memory until it is written: partition by fewer values than ${partitionBy.join(', ')} has, write fewer sink.columns, or raise run.memory`,
    cause: error,
  });
}

export class PartitionSink implements Sink {
  readonly #joined: { readonly path: string; readonly file: PlannedFile }[] = [];

  readonly #context: SinkContext;

  constructor(context: SinkContext) {
    this.#context = context;
  }

  begin(): void {
    // Nothing can be written before there are scores.
  }

  async addFile(file: PlannedFile, scores: readonly string[]): Promise<null> {
    const { plan, work, signal } = this.#context;
    const path = join(work, `${String(file.index).padStart(6, '0')}.parquet`);
    await makeFolderOf(path);
    await projectFile({
      source: await readSameFooter(file),
      destination: path,
      columns: carriedColumns(plan),
      scores,
      scoreColumns: [...plan.outputs.map(({ name }) => name), STATUS_COLUMN],
      signal,
    });
    this.#joined.push({ path, file });
    return null;
  }

  async finish(): Promise<readonly StagedFile[]> {
    const { plan, output, metadata, signal } = this.#context;
    // Files are joined as they are scored; the output follows the order of the source.
    const joined = [...this.#joined].sort((a, b) => a.file.index - b.file.index);
    if (joined.length > 0) {
      const queries = joined.map(({ path, file }) => ({ select: outputSelect(plan, path, file), file: file.path }));
      const database = await this.#context.database();
      try {
        await writeRows(database, queries, output, {
          compression: plan.sink.compression,
          rowGroupSize: plan.sink.rowGroupSize,
          metadata,
          partitionBy: plan.sink.partitionBy,
        });
      } catch (error) {
        throw tooManyFolders(error, plan.sink.partitionBy);
      }
    }
    return stagedFiles(output, signal);
  }

  async abort(): Promise<void> {
    // All files are in staging, which the run clears.
  }
}
