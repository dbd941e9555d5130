/** What tuning tells while it goes on, and what it says at the end. */

/** How a pipeline is tuned. */
export interface TuneOptions {
  /** Rows of the sample; when absent as many as a pass of a fraction of a second takes. */
  readonly rows?: number;
  /** Seconds that the measuring may take in all; {@link DEFAULT_SECONDS} when absent. */
  readonly seconds?: number;
  /** Worker processes that are taken as given: no other number is tried. */
  readonly workers?: number;
  /** Ends it, with its reason; then nothing of it is left on the disk. */
  readonly signal?: AbortSignal;
  /** Called whenever something else is measured. */
  readonly onProgress?: (progress: TuneProgress) => void;
}

/** Budget where none is given. */
export const DEFAULT_SECONDS = 20;
/** Budgets that make sense: below, there is no time to measure anything twice. */
export const SECONDS = { least: 2, most: 3600 } as const;
/** Sample sizes that make sense. */
export const SAMPLE_ROWS = { least: 256, most: 100_000_000 } as const;

/** Numbers of workers that make sense. */
export const WORKERS = { least: 1, most: 1024 } as const;

/** What is measured now. */
export interface TuneProgress {
  readonly stage: 'sample' | 'batch_size' | 'check' | 'workers' | 'threads';
  /** The batch size, or the number of workers or threads, that is tried. */
  readonly value?: number;
  /** The model whose batch size is tried, where there are several. */
  readonly model?: string;
  readonly seconds: number;
  /** Of the budget. */
  readonly secondsLeft: number;
}

/** A setting that was measured, or could not be. Keys are those of `--json`. */
export interface Trial {
  /** Rows of the sample in a second, scored and written, start not counted. */
  readonly rows_per_s: number;
  /** Share of the current setting's speed. */
  readonly speedup: number;
  /** What chance alone may make of `speedup`, as a share of it. */
  readonly noise: number;
  /** Peak resident memory of one worker process, bytes. */
  readonly peak_memory: number;
}

/** What went wrong with a setting that fails. */
export interface FailedTrial {
  readonly error: { readonly code: string; readonly message: string };
}

export type BatchSizeTrial = { readonly batch_size: number } & (Trial | FailedTrial);
export type WorkersTrial = { readonly workers: number; readonly threads: number } & (
  | (Trial & {
      /** Expected seconds for scoring all rows of the source with so many workers, their start included. */
      readonly all_s: number;
    })
  | FailedTrial
);

/** Batch sizes of one model. */
export interface TunedBatchSize {
  /** Its name, where there are several. */
  readonly model?: string;
  /** What `auto` stands for. */
  readonly auto: number;
  /** As the pipeline has it. */
  readonly current: number;
  readonly recommended: number | 'auto';
  /** By size; none where the model fixes it, or tuning is worth nothing. */
  readonly tried: readonly BatchSizeTrial[];
}

/** Numbers of workers. */
export interface TunedWorkers {
  /** What `auto` stands for here and now. */
  readonly auto: number;
  readonly current: number;
  readonly recommended: number | 'auto';
  /** By number. */
  readonly tried: readonly WorkersTrial[];
}

export type ThreadsTrial = { readonly threads: number } & (Trial | FailedTrial);

/** Threads of DuckDB in each worker, with the number of workers that is recommended. */
export interface TunedThreads {
  /** What `auto` stands for with so many workers. */
  readonly auto: number;
  readonly current: number;
  readonly recommended: number | 'auto';
  /** By number; none where there is nothing to choose. */
  readonly tried: readonly ThreadsTrial[];
}

/** The end of tuning. Keys are those of `--json`. */
export interface Tuning {
  readonly status: 'done';
  /** The pipeline's name. */
  readonly pipeline: string;
  /**
   * `keep`: nothing is faster by more than the noise. `change`: write {@link Tuning.settings}. `small`: so few rows that no
   * setting is worth anything. `unscored`: no row of the sample goes to the model.
   */
  readonly verdict: 'keep' | 'change' | 'small' | 'unscored';
  /** Rows of the source. */
  readonly rows: number;
  /** The rows that were measured with, and those of them that the model was given; absent where there are no rows. */
  readonly sample?: {
    readonly rows: number;
    readonly scored: number;
    /** Expected seconds for scoring all rows of the source as the pipeline is. */
    readonly all_s: number;
  };
  /** In the order of the pipeline's models. */
  readonly batch_sizes: readonly TunedBatchSize[];
  readonly workers: TunedWorkers;
  readonly threads: TunedThreads;
  /** `run.memory` that the workers need, bytes: as the pipeline has it, unless that does not suffice. */
  readonly memory: number;
  /** What to change, by key of the pipeline file: `model.batch_size`, `run.workers`, `run.threads`. */
  readonly settings: Readonly<Record<string, number | string>>;
  /** {@link Tuning.settings} as lines for the pipeline file; empty where there are none. */
  readonly yaml: string;
  /** What was not tried and why, and what a person should know. */
  readonly notes: readonly string[];
  readonly elapsed_s: number;
}
