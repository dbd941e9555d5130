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
  /** Records of the runs. */
  readonly runs: string;
  readonly quarantine: string;
  readonly staging: StagingPlaces;
}

/**
 * The folder of one run, under the number of its epoch: no other run writes into it. What a run changes outside of it, it
 * changes by a rename from it or into it; so a run whose folder was taken away changes nothing any more.
 */
export interface StagingPlaces {
  /** `<epoch>-<start of the plan's hash>`, below `staging`. */
  readonly root: string;
  /** Folders of runs that had the output before, taken away from them. */
  readonly earlier: string;
  /** Scores and manifests of shards. A later run of the same plan goes on from them. */
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
  /** An earlier output on its way out, with what belongs to it. */
  readonly previous: string;
  readonly previousQuarantine: string;
  readonly previousManifest: string;
  /** Becomes the journal. */
  readonly journal: string;
  /** A journal that is not needed any more. */
  readonly pastJournal: string;
  /** Becomes the manifest. */
  readonly manifest: string;
}

/**
 * @param output absolute path of the output folder.
 * @param epoch of the run that `staging` is for; 0 for a folder that no run publishes from.
 */
export function placesOf(output: string, planHash: string, epoch = 0): Places {
  const state = `${output}.colonnade`;
  return {
    output,
    state,
    manifest: join(state, 'manifest.json'),
    journal: join(state, 'publish.json'),
    epochs: join(state, 'epochs'),
    runs: join(state, 'runs'),
    quarantine: join(state, 'quarantine'),
    staging: stagingAt(join(state, 'staging', `${epoch}-${planHash.slice(0, 16)}`)),
  };
}

/** @param root wherever it is now. */
export function stagingAt(root: string): StagingPlaces {
  return {
    root,
    earlier: join(root, 'earlier'),
    shards: join(root, 'shards'),
    output: join(root, 'output'),
    quarantine: join(root, 'quarantine'),
    mainScores: join(root, 'main-scores'),
    work: join(root, 'work'),
    spill: join(root, 'spill'),
    previous: join(root, 'previous'),
    previousQuarantine: join(root, 'previous-quarantine'),
    previousManifest: join(root, 'previous-manifest.json'),
    journal: join(root, 'publish.json'),
    pastJournal: join(root, 'published.json'),
    manifest: join(root, 'manifest.json'),
  };
}

/** The folder that the folders of all runs lie in. */
export function stagingFolder({ state }: Pick<Places, 'state'>): string {
  return join(state, 'staging');
}

/** Epoch of a folder of {@link stagingFolder} by its name; undefined for what is no run's. */
export function epochOfStaging(name: string): number | undefined {
  const number = /^(\d+)-[0-9a-f]+$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Whether a folder of a run, by its name, is of this plan. */
export function isOfPlan(name: string, planHash: string): boolean {
  return name.slice(name.indexOf('-') + 1) === planHash.slice(0, 16);
}
