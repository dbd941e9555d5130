/** `predictions`: only key columns and predictions, file by file, under the names of the source's files. */
import { join } from 'node:path';
import type { PlannedFile } from '../plan/plan.js';
import { shardsOfFile } from '../plan/shards.js';
import { outputSelects } from './join.js';
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
    const { plan, output, metadata, signal } = this.#context;
    const destination = join(output, file.relativePath);
    await makeFolderOf(destination);
    const shards = shardsOfFile(plan.shards, file.index).map((shard, i) => ({ shard, scores: scores[i]! }));
    const queries = outputSelects(plan, file, shards).map((select) => ({ select, file }));
    await writeRows(await this.#context.database(), queries, destination, {
      compression: plan.sink.compression,
      rowGroupSize: plan.sink.rowGroupSize,
      metadata,
    });
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
