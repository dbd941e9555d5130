/** `predictions`: only key columns and predictions, file by file, under the names of the source's files. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { projectFile } from '../parquet/project.js';
import { readSameFooter } from '../parquet/unchanged.js';
import { STATUS_COLUMN, type PlannedFile } from '../plan/plan.js';
import { carriedColumns, outputSelect } from './join.js';
import type { Sink, SinkContext, StagedFile } from './sink.js';
import { stagedFile } from './staged-files.js';
import { makeFolderOf, writeRows } from './write.js';

export class PredictionsSink implements Sink {
  readonly #files: { readonly index: number; readonly staged: StagedFile }[] = [];

  readonly #context: SinkContext;

  constructor(context: SinkContext) {
    this.#context = context;
  }

  begin(): void {
    // Nothing can be written before there are scores.
  }

  async addFile(file: PlannedFile, scores: readonly string[]): Promise<number> {
    const { plan, work, output, metadata, signal } = this.#context;
    const joined = join(work, `${String(file.index).padStart(6, '0')}.parquet`);
    const destination = join(output, file.relativePath);
    await makeFolderOf(destination);
    await projectFile({
      source: await readSameFooter(file),
      destination: joined,
      columns: carriedColumns(plan),
      scores,
      scoreColumns: [...plan.outputs.map(({ name }) => name), STATUS_COLUMN],
      signal,
    });
    const query = { select: outputSelect(plan, joined, file), file: file.path };
    await writeRows(await this.#context.database(), [query], destination, {
      compression: plan.sink.compression,
      rowGroupSize: plan.sink.rowGroupSize,
      metadata,
    });
    await rm(joined);
    const staged = await stagedFile(output, destination, signal);
    this.#files.push({ index: file.index, staged });
    return staged.rows;
  }

  async finish(): Promise<readonly StagedFile[]> {
    return [...this.#files].sort((a, b) => a.index - b.index).map(({ staged }) => staged);
  }

  async abort(): Promise<void> {
    // All files are in staging, which the run clears.
  }
}
