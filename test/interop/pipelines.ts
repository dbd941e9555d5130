/** Writes pipelines, and runs them from the file to the published output. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { loadPipeline } from '../../src/pipeline/load.js';
import type { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Plan, PlannedFile } from '../../src/plan/plan.js';
import type { RunSummary } from '../../src/run/events.js';
import { preparePlan } from '../../src/run/prepare.js';
import { startRun } from '../../src/run/run.js';

/** Absolute path of something in the repository. */
export const inRepository = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** A pipeline file as plain data; `model` and `source.path` absolute. */
export interface PipelineText {
  readonly source: {
    readonly path: string | readonly string[];
    readonly key?: readonly string[];
    readonly where?: string;
  };
  readonly features: readonly (string | { readonly name: string; readonly sql: string })[];
  readonly model: {
    readonly path: string;
    readonly inputs?: Readonly<Record<string, readonly string[]>>;
    readonly batch_size?: number;
  };
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly validate?: object;
  readonly sink: { readonly mode: 'append' | 'partition' | 'predictions'; readonly path: string } & Readonly<
    Record<string, unknown>
  >;
  readonly run?: object;
}

/** What a run was and what it said; what `reference.py` needs to do the same. */
export interface Done {
  readonly pipeline: Pipeline;
  readonly plan: Plan;
  readonly summary: RunSummary;
}

/** Loads a pipeline from a file in `folder`. */
export async function pipelineOf(folder: string, name: string, text: PipelineText): Promise<Pipeline> {
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, stringify({ version: 1, ...text }));
  return loadPipeline(file, { env: {} });
}

export async function runPipeline(pipeline: Pipeline): Promise<Done> {
  const plan = await preparePlan(pipeline);
  return { pipeline, plan, summary: await startRun(plan, { workers: 1 }).result };
}

/** The task of a run for Python: the pipeline as it was understood, the files, and the batch size that was settled on. */
export function taskOf({ pipeline, plan, summary }: Done): object {
  const { source, features, models, outputs, validate, sink } = pipeline;
  const [model] = models;
  return {
    name: pipeline.name,
    pipeline: { source, features, model, outputs, validate, sink },
    batchSize: plan.models[0]!.batchSize,
    files: plan.files.map(({ path, relativePath, hive }: PlannedFile) => ({ path, relativePath, hive })),
    output: summary.output,
    quarantine: summary.quarantine ?? null,
    counts: {
      rows: summary.rows,
      scored: summary.scored,
      quarantined: summary.quarantined,
      nulled: summary.nulled,
      filtered: summary.filtered,
    },
  };
}
