/**
 * Colonnade as a library: load a pipeline, plan it, run it.
 *
 * ```ts
 * import { load, plan, run } from 'colonnade';
 *
 * const pipeline = await load('pipelines/predictions.yaml', { vars: { until: '2026-01-01' } });
 * const planned = await plan(pipeline);
 * const scoring = run(planned);
 * for await (const event of scoring) if (event.type === 'progress') console.log(event.rowsDone, event.rowsTotal);
 * console.log((await scoring.result).scored);
 * ```
 */
export {
  ColonnadeError,
  ERROR_CODES,
  EXIT,
  type ErrorCode,
  type Phase,
  type Position,
  type Problem,
} from './errors.js';
export type { Pipeline } from './pipeline/pipeline.js';
export { loadPipeline as load, type LoadOptions } from './pipeline/load.js';
export { pipelineJsonSchema } from './pipeline/json-schema.js';
export type { Plan, PlannedFile, PlannedInput, PlannedOutput, ProjectedColumn, Shard } from './plan/plan.js';
export { explainPlan } from './plan/explain.js';
export { preparePlan as plan } from './run/prepare.js';
export { startRun as run } from './run/run.js';
export { previewRows as preview } from './run/preview.js';
export { tunePlan as tune } from './run/tune.js';
export { inspectFile as inspect, type Inspection } from './run/inspect.js';
export type { Preview, RowCounts, Run, RunEvent, RunOptions, RunSummary } from './run/events.js';
export type {
  BatchSizeTrial,
  FailedTrial,
  Trial,
  TunedBatchSize,
  TunedWorkers,
  TuneOptions,
  TuneProgress,
  Tuning,
  WorkersTrial,
} from './run/tuning.js';
