/** Plans once more what a manifest tells of, so that rows can be scored again as they were. */
import type { Manifest } from '../commit/manifest.js';
import { ColonnadeError } from '../errors.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import { preparePlan } from './prepare.js';
import { versions } from './versions.js';

/** The plan of a run, made anew; or why it cannot be. */
export type PlannedAgain =
  | {
      readonly plan: Plan;
      /** Versions of what computes that are others now, in words. */
      readonly versionsSince: readonly string[];
    }
  | { readonly reason: string };

interface PlanningOptions {
  readonly load: (file: string, vars: Readonly<Record<string, string>>) => Promise<Pipeline>;
  readonly pipeline?: string;
}

/** Versions that scores may depend on. */
const COMPUTING = ['colonnade', 'onnxruntime', 'duckdb'] as const;

export async function planAgain(manifest: Manifest, { load, pipeline: given }: PlanningOptions): Promise<PlannedAgain> {
  const { file, hash, vars = {} } = manifest.pipeline;
  const path = given ?? file;
  try {
    const pipeline = await load(path, vars);
    if (pipeline.hash !== hash) {
      return {
        reason: `${path} (with its variables) does not say any more what it said for this run`,
      };
    }
    const plan = await preparePlan(pinned(pipeline, manifest));
    for (const [i, model] of manifest.models.entries()) {
      const now = plan.models[i]!;
      if (now.hash !== model.hash) return { reason: `the model ${now.path} has changed since` };
      if (now.engine !== model.engine || now.batchSize !== model.batch_size)
        return { reason: `the model ${now.path} would be scored by ${now.engine} in batches of ${now.batchSize} now` };
    }
    return {
      plan,
      versionsSince: COMPUTING.filter((name) => manifest.versions[name] !== versions()[name]).map(
        (name) => `${name} ${manifest.versions[name] ?? 'unknown'} is ${versions()[name] ?? 'unknown'} now`,
      ),
    };
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    return { reason: `it cannot be planned any more: ${error.message}` };
  }
}

/** What `auto` stood for depends on the rows that there were. */
function pinned(pipeline: Pipeline, { models }: Manifest): Pipeline {
  return {
    ...pipeline,
    models: pipeline.models.map((model, i) => ({
      ...model,
      engine: models[i]?.engine === 'trees' ? 'trees' : 'onnxruntime',
      batchSize: models[i]?.batch_size ?? model.batchSize,
    })),
  };
}
