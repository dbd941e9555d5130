/** Names what determines the bytes of a run, so that scores of an unfinished run are used only for the same plan. */
import { createHash } from 'node:crypto';
import type { Plan } from '../plan/plan.js';
import { versions } from './versions.js';

/**
 * sha256, hex, of everything that predictions and output depend on: files with fingerprints, shards, projection,
 * models, outputs, sink, and versions. Not of workers, memory or limits, which change no score.
 */
export function planHash(plan: Plan): string {
  const { name, files, shards, key, hiveTypes, projection, models, outputs, onInvalid, sink } = plan;
  const { exists: _, ...written } = sink;
  const content = {
    name,
    files,
    shards,
    key,
    hiveTypes,
    projection,
    // Notes are words about it.
    models: models.map(({ engineNotes: __, ...model }) => model),
    outputs,
    onInvalid,
    sink: written,
    versions: versions(),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
