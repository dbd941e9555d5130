/** Where the files of a run lie (design: the output folder holds data and `_SUCCESS`, all else is beside it). */
import { join } from 'node:path';

export interface Places {
  /** What readers see. */
  readonly output: string;
  /** Beside the output, on the same file system: `<output>.colonnade`. */
  readonly state: string;
  readonly manifest: string;
  /** Tells that publishing has begun and how to finish it. */
  readonly journal: string;
  readonly epochs: string;
  readonly quarantine: string;
  readonly staging: StagingPlaces;
}

/** What one plan has under way; a later run of the same plan finds its scores here. */
export interface StagingPlaces {
  readonly root: string;
  /** Scores and manifests of shards. */
  readonly shards: string;
  /** Becomes the output. */
  readonly output: string;
  /** Becomes the quarantine. */
  readonly quarantine: string;
  /** Is there while the main process scores: where it is found later, that process has died in the middle of it. */
  readonly mainScores: string;
  /** Files that a sink makes on the way. */
  readonly work: string;
  /** DuckDB's spill files. */
  readonly spill: string;
  /** An earlier output on its way out. */
  readonly previous: string;
  readonly previousQuarantine: string;
}

/** @param output absolute path of the output folder. */
export function placesOf(output: string, planHash: string): Places {
  const state = `${output}.colonnade`;
  const root = join(state, 'staging', planHash.slice(0, 16));
  return {
    output,
    state,
    manifest: join(state, 'manifest.json'),
    journal: join(state, 'publish.json'),
    epochs: join(state, 'epochs'),
    quarantine: join(state, 'quarantine'),
    staging: {
      root,
      shards: join(root, 'shards'),
      output: join(root, 'output'),
      quarantine: join(root, 'quarantine'),
      mainScores: join(root, 'main-scores'),
      work: join(root, 'work'),
      spill: join(root, 'spill'),
      previous: join(root, 'previous'),
      previousQuarantine: join(root, 'previous-quarantine'),
    },
  };
}
