/**
 * A plan: all that a run will do, decided before a row is scored. Plain, frozen data that survives JSON, so that it can
 * be printed, compared, hashed and sent to a worker process.
 */
import type {
  Compression,
  IfExists,
  InvalidLimit,
  OnInvalid,
  Reduction,
  Rule,
  SinkMode,
} from '../pipeline/pipeline.js';
import type { ElementType, EngineName, Fingerprint, ModelSignature, RowGroup, SourceColumn } from './facts.js';

/** A file of the source, with what scoring and sinks need of it. */
export interface PlannedFile {
  /** Position in {@link Plan.files}. */
  readonly index: number;
  readonly path: string;
  readonly relativePath: string;
  readonly fingerprint: Fingerprint;
  readonly rows: number;
  readonly rowGroups: readonly RowGroup[];
  readonly hive: Readonly<Record<string, string | null>>;
}

/** A range of row groups of one file: the unit of work, of retry and of resume. Never depends on the number of workers. */
export interface Shard {
  /** Position in {@link Plan.shards}. */
  readonly index: number;
  readonly file: number;
  /** First row group, and one past the last. */
  readonly rowGroups: readonly [from: number, to: number];
  /** First row of the shard in its file, counted from 0. */
  readonly firstRow: number;
  readonly rows: number;
}

/** A column of the projection that DuckDB computes for every row. */
export interface ProjectedColumn {
  /** The feature's or column's name; `where` for the filter; the feature's name for its check. */
  readonly name: string;
  /**
   * `feature`: feeds the model. `rule`: only validated. `where`: 0 for rows that are not to be scored.
   * `check`: 1 where the value of the feature of the same name cannot be represented in the model's type.
   */
  readonly role: 'feature' | 'rule' | 'where' | 'check';
  /** SQL over the source's columns, already cast to `element`. */
  readonly sql: string;
  /** Type of DuckDB's vector: the model's for features; `uint8` for `where`, `check` and bool features. */
  readonly element: ElementType;
  /** Length that each list must have, for list columns; absent for scalars. */
  readonly listLength?: number;
  readonly rule: Rule;
}

/** How one model input is filled. */
export interface PlannedInput {
  readonly name: string;
  readonly type: ElementType;
  /** 1: `[N]`; 2: `[N, width]`. */
  readonly rank: 1 | 2;
  readonly width: number;
  /**
   * `pack`: scalar columns into one row-major matrix. `column`: one scalar column as it is.
   * `list`: one list column whose child values are the matrix. `columns`: scalar columns, each by itself.
   */
  readonly layout: 'pack' | 'column' | 'list' | 'columns';
  /** Positions in {@link Plan.projection}, in the model's order. */
  readonly columns: readonly number[];
  /** With the layout `columns`: positions in `columns` of those that the engine reads, ascending. */
  readonly reads?: readonly number[];
}

/** How one new column is made from a model output. */
export interface PlannedOutput {
  readonly name: string;
  /** Position in {@link Plan.models}. */
  readonly model: number;
  readonly from: string;
  readonly take:
    | { readonly kind: 'whole' }
    | { readonly kind: 'index'; readonly index: number }
    | { readonly kind: 'reduce'; readonly reduce: Reduction }
    | { readonly kind: 'list' };
  /** Type of the column's values, or of the values of its lists. */
  readonly type: ElementType;
  readonly list: boolean;
}

/** A model that every row is given to. */
export interface PlannedModel {
  /** Its name under `models`; absent where there is one, under `model`. */
  readonly name?: string;
  readonly path: string;
  readonly hash: string;
  readonly engine: EngineName;
  /** Whether ONNX Runtime scores it, or a part of it. */
  readonly usesRuntime: boolean;
  /** Why a model with trees is not scored by the trees engine, or what that one computes. */
  readonly engineNotes: readonly string[];
  readonly signature: ModelSignature;
  readonly inputs: readonly PlannedInput[];
  /** Rows given to the model at once. */
  readonly batchSize: number;
  /** True where the graph fixes the batch size: short batches are padded and the padding is cut off. */
  readonly fixedBatch: boolean;
}

export interface Plan {
  readonly format: 1;
  readonly name: string;
  /** Absolute path of the pipeline file, the hash of what it says, and the variables that were given for it. */
  readonly pipeline: {
    readonly file: string;
    readonly hash: string;
    readonly vars?: Readonly<Record<string, string>>;
  };
  readonly files: readonly PlannedFile[];
  readonly shards: readonly Shard[];
  /** Columns of the source that are read for scoring. */
  readonly columnsRead: readonly string[];
  /** All columns of the source, hive folders last, as DuckDB sees them in the first file. */
  readonly sourceColumns: readonly SourceColumn[];
  readonly key: readonly string[];
  /** Hive columns with their DuckDB types: constants of each file. */
  readonly hiveTypes: Readonly<Record<string, string>>;
  readonly projection: readonly ProjectedColumn[];
  /** At least one. */
  readonly models: readonly PlannedModel[];
  readonly outputs: readonly PlannedOutput[];
  readonly onInvalid: OnInvalid;
  readonly maxInvalid?: InvalidLimit;
  /** For the NaN of each output. */
  readonly maxNan?: InvalidLimit;
  readonly sink: {
    readonly mode: SinkMode;
    readonly path: string;
    readonly partitionBy: readonly string[];
    /** Columns written, in order (`partition`: as chosen or all; `predictions`: keys and predictions; `append`: the new ones). */
    readonly columns: readonly string[];
    readonly exists: IfExists;
    readonly compression: Compression;
    readonly rowGroupSize: number;
  };
  readonly run: {
    readonly workers: number | 'auto';
    /** Threads of DuckDB in each worker; as many as suit the processors when absent. */
    readonly threads?: number;
    readonly retries: number;
    readonly memory: number;
    /** Seconds that a model may take for a batch; null for any; the default when absent. */
    readonly timeout?: number | null;
  };
  readonly expected: {
    readonly rows: number;
    /** Compressed bytes of the columns that are read for scoring. */
    readonly bytesRead: number;
    /** Compressed bytes of the source's files. */
    readonly bytesInFiles: number;
    /** Peak resident memory of one worker, bytes; within the margin that `estimate.ts` states. */
    readonly memory: number;
  };
  /** What a person should know and no rule forbids: rounding casts, inputs matched by order, columns that differ. */
  readonly notes: readonly string[];
  /** What a run should say aloud, as it is not what was hoped for. They are among the notes as well. */
  readonly warnings: readonly string[];
}

/** What became of a row. The numbers are what the scores files hold. */
export const ROW_STATUS = { scored: 0, quarantined: 1, nulled: 2, filtered: 3 } as const;

/** Columns of a scores file beside the outputs. */
export const STATUS_COLUMN = '__colonnade_status';
export const REASON_COLUMN = '__colonnade_reason';
