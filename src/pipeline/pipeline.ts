/**
 * A pipeline file after parsing: complete, frozen, every default filled in, every path absolute.
 * What the file may say is defined in `schema.ts`; this is what the rest of the program sees.
 */
import type { Position } from '../errors.js';

export const ON_INVALID = ['quarantine', 'null', 'fail'] as const;
export const SINK_MODES = ['append', 'partition', 'predictions'] as const;
export const IF_EXISTS = ['fail', 'replace'] as const;
export const ENGINES = ['auto', 'onnxruntime', 'trees'] as const;
export const REDUCTIONS = ['max', 'argmax', 'margin', 'entropy'] as const;
export const COMPRESSIONS = ['snappy', 'zstd', 'gzip', 'lz4', 'none'] as const;
export const INFINITE = ['invalid', 'allow'] as const;

/** The column of positions that DuckDB adds to a Parquet file, counted from 0. No other column of that name can be read. */
export const ROW_NUMBER = 'file_row_number';

export type OnInvalid = (typeof ON_INVALID)[number];
export type SinkMode = (typeof SINK_MODES)[number];
export type IfExists = (typeof IF_EXISTS)[number];
export type EngineChoice = (typeof ENGINES)[number];
export type Reduction = (typeof REDUCTIONS)[number];
export type Compression = (typeof COMPRESSIONS)[number];

/** A column of the source, or an SQL expression over its columns, that the model is fed with. */
export interface Feature {
  readonly name: string;
  /** One SQL expression of DuckDB; absent where the feature is the column of that name. */
  readonly sql?: string;
}

/** What is taken from a model output. */
export type Take =
  | { readonly kind: 'whole' }
  | { readonly kind: 'class'; readonly label: string | number | boolean }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'reduce'; readonly reduce: Reduction }
  | { readonly kind: 'list' };

/** A column that the run adds, and the model output that it is made from. */
export interface OutputColumn {
  readonly name: string;
  /** Position in {@link Pipeline.models} of the model that it is made by. */
  readonly model: number;
  /** Where it stands in the file: `outputs.churn`, or `models.champion.outputs.churn`. */
  readonly key: string;
  readonly from: string;
  readonly take: Take;
}

/** When a value of a column makes its row invalid. NULL, NaN and infinities do unless said otherwise. */
export interface Rule {
  readonly min?: number;
  readonly max?: number;
  /**
   * What NULL and NaN mean: `invalid`, the row is not scored; `nan`, the model gets NaN; a value, the model gets that
   * value (a number, or a text for a string feature, written as `{ value: … }` in the file where the two could be confused).
   */
  readonly missing: 'invalid' | 'nan' | { readonly value: number | string };
  readonly infinite: (typeof INFINITE)[number];
}

/** Seconds that a model may take for a batch where the pipeline does not say. */
export const DEFAULT_TIMEOUT_S = 600;

/** A limit for invalid rows or NaN: a share of all rows in [0, 1], or a count. */
export type InvalidLimit = { readonly share: number } | { readonly count: number };

/** A model that rows are given to, and how the features feed it. */
export interface PipelineModel {
  /** Its name under `models`; absent for the one under `model`. */
  readonly name?: string;
  /** Where it stands in the file: `model`, or `models.champion`. */
  readonly key: string;
  /** Absolute path. */
  readonly path: string;
  /** Hash that the model file must have, lower-case hex. */
  readonly sha256?: string;
  /** The features that it is fed with, in its order; all of them when absent. */
  readonly features?: readonly string[];
  /** Model input → names of the features that feed it, in order. */
  readonly inputs?: Readonly<Record<string, readonly string[]>>;
  readonly batchSize: 'auto' | number;
  readonly engine: EngineChoice;
}

export interface Pipeline {
  /** The absolute path of the pipeline file. */
  readonly file: string;
  /** Values that were given in place of those under `vars`, as by `--var`. What the environment says is not kept. */
  readonly vars?: Readonly<Record<string, string>>;
  readonly version: 1;
  readonly name: string;
  readonly source: {
    /** Absolute files, folders and globs, in the order of the file. A folder that exists is no glob, whatever its name. */
    readonly paths: readonly string[];
    readonly key: readonly string[];
    readonly where?: string;
  };
  readonly features: readonly Feature[];
  /** At least one; each scores all rows. */
  readonly models: readonly PipelineModel[];
  /** New columns, in the order of the file. */
  readonly outputs: readonly OutputColumn[];
  readonly validate: {
    readonly onInvalid: OnInvalid;
    readonly maxInvalid?: InvalidLimit;
    /** For the NaN of each new column. */
    readonly maxNan?: InvalidLimit;
    /** Rules by the name of a feature or of a column of the source. */
    readonly rules: Readonly<Record<string, Rule>>;
  };
  readonly sink: {
    readonly mode: SinkMode;
    /** Absolute path of the folder that the output is in. */
    readonly path: string;
    /** `partition` only; empty otherwise. */
    readonly partitionBy: readonly string[];
    /** `partition` only: the columns that are written; all when absent. */
    readonly columns?: readonly string[];
    readonly exists: IfExists;
    readonly compression: Compression;
    /** Rows of a row group in the files that are written anew (`partition`, `predictions`). */
    readonly rowGroupSize: number;
  };
  readonly run: {
    readonly workers: 'auto' | number;
    /** Threads of DuckDB in each worker; as many as suit the processors when absent. */
    readonly threads?: number;
    /** How often a shard is tried again after a fault that may pass. */
    readonly retries: number;
    /** Seconds that a model may take for a batch; null for any; {@link DEFAULT_TIMEOUT_S} when absent. */
    readonly timeout?: number | null;
    /** Bytes that one worker may use for data: DuckDB's buffers and what is scored. */
    readonly memory: number;
  };
  /** sha256, hex, of what the pipeline says once variables and environment are filled in; comments do not count. */
  readonly hash: string;
  /** Where each key stands in the file, by its path, as in `features[2].sql`. */
  readonly positions: Readonly<Record<string, Position>>;
  /** The text of the file, for excerpts in errors that are found after parsing. */
  readonly text: string;
}
