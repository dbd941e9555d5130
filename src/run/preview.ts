/** Scores the first rows of a source for a look, in memory: nothing is written. */
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Preview } from './events.js';
import { usePlan } from './prepare.js';
import { previewPlan } from './preview-plan.js';
import { scoresApart } from './workers.js';

/**
 * Scores the first `count` rows that `source.where` keeps. An invalid row shows its reason, also with `on_invalid: fail`.
 * The rows go through the model together, so that last bits may differ from a run, whose batches are larger. A model that
 * may hang is run in a process of its own, and held to the deadline of the pipeline, as in a run.
 * @param signal ends it, with its reason.
 * @throws ColonnadeError as planning and scoring do; `MODEL_TIMEOUT`
 */
export async function previewRows(pipeline: Pipeline, count: number, signal?: AbortSignal): Promise<Preview> {
  return usePlan(
    pipeline,
    async (plan, database) => {
      if (!scoresApart(plan)) return previewPlan(plan, count, database, signal === undefined ? {} : { signal });
      const { previewInChild } = await import('./child-worker.js');
      return previewInChild(plan, count, signal);
    },
    signal,
  );
}
