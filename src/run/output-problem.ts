/** Whether a run could write its output now. */
import { placesOf } from '../commit/places.js';
import { isPublishing } from '../commit/publish.js';
import { checkOutput } from '../commit/preflight.js';
import { ColonnadeError } from '../errors.js';
import type { Plan } from '../plan/plan.js';
import { planHash } from './plan-hash.js';

/** What the output would be refused for if the plan were run now; undefined where nothing is. Nothing is written. */
export async function outputProblem(plan: Plan): Promise<ColonnadeError | undefined> {
  const places = placesOf(plan.sink.path, planHash(plan));
  // A run would first finish what an earlier one has half published.
  if (await isPublishing(places)) return undefined;
  try {
    await checkOutput(plan, places);
    return undefined;
  } catch (error) {
    if (error instanceof ColonnadeError) return error;
    throw error;
  }
}
