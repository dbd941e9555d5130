/**
 * What a plan is made from, as plain values: footers of the source's files, SQL expressions as DuckDB understands
 * them, and the signature of the model. `source`, `parquet` and `model` produce these; `plan` only reads them.
 */

/** Statistics of a column chunk, as far as they are numbers; widened to double, so only for decisions with a margin. */
export interface NumericRange {
  readonly min: number;
  readonly max: number;
}

/** A leaf or group at the top level of a Parquet schema. */
export interface ParquetColumn {
  readonly name: string;
  /**
   * Parquet's own type in words that tell any two apart: `INT64`, `INT32 (DATE)`, `BYTE_ARRAY (STRING)`,
   * `INT64 (TIMESTAMP(MICROS, UTC))`, `LIST<FLOAT>`, `STRUCT<a: INT32>`.
   */
  readonly type: string;
  /** Least and greatest value over all row groups; absent where a row group has no exact statistics. */
  readonly range?: NumericRange;
  /** NULLs over all row groups; absent where a row group does not tell. */
  readonly nulls?: number;
  /** Compressed bytes of all its column chunks. */
  readonly bytes: number;
}

/** A row group of a Parquet file. */
export interface RowGroup {
  readonly rows: number;
  /** Compressed bytes. */
  readonly bytes: number;
}

/** Says whether a file is still the one that was planned with. */
export interface Fingerprint {
  readonly size: number;
  /** Modification time, nanoseconds since 1970, in decimal (beyond what a number holds). */
  readonly mtimeNs: string;
  readonly inode: string;
  /** sha256, hex, of the Parquet footer. */
  readonly footerHash: string;
}

/** A Parquet file of the source with what its footer says. */
export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  /** Relative to the folder that the source names; slashes. The output of an append keeps it. */
  readonly relativePath: string;
  readonly fingerprint: Fingerprint;
  readonly rows: number;
  readonly columns: readonly ParquetColumn[];
  readonly rowGroups: readonly RowGroup[];
  /** Values of the hive folders on the way to the file, by column; null for `__HIVE_DEFAULT_PARTITION__`. */
  readonly hive: Readonly<Record<string, string | null>>;
  /** Why a column cannot be spliced into this file, if so: `encrypted`, for one. */
  readonly spliceObstacle?: string;
}

/** A column of the source as DuckDB sees it. */
export interface SourceColumn {
  readonly name: string;
  /** DuckDB's name for the type, as in `DECIMAL(12,2)` or `FLOAT[]`. */
  readonly type: string;
  /** True where the column is a hive folder. */
  readonly hive: boolean;
}

/** An SQL expression after DuckDB parsed and bound it. */
export interface Expression {
  readonly sql: string;
  /** DuckDB's name for its type. */
  readonly type: string;
  /** Columns of the source that it reads, spelt as in the source. */
  readonly columns: readonly string[];
}

/** Element types of tensors that cross the border between columns and model. */
export const ELEMENT_TYPES = [
  'float32',
  'float64',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
] as const;
export type ElementType = (typeof ELEMENT_TYPES)[number];

/** A dimension of a tensor: a fixed extent, or null where the model leaves it open. */
export type Dimension = number | null;

/** Floats of 16 bits. */
export type Half = 'float16' | 'bfloat16';

export interface TensorSpec {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
  /** What the model makes of an input before it does anything else: a float32 that its own 16 bits cannot hold is lost. */
  readonly half?: Half;
  /** Values of a row that the model reads at least, where the graph tells: trees do. */
  readonly leastWidth?: number;
}

/** A model output with what its numbers mean. */
export interface OutputSpec extends TensorSpec {
  /** Labels of the classes, in the order of the columns, where the graph tells them. */
  readonly classes?: readonly (string | number)[];
  /** False where the model, when it was tried, gave another number of entries than it was given rows. */
  readonly perRow?: false;
}

/** A column that a model was logged with: MLflow's `ColSpec`. */
export interface LoggedColumn {
  readonly name: string;
  /** MLflow's name of its type: `double`, `float`, `long`, `integer`, `boolean`, `string`, `binary`, `datetime`, or others. */
  readonly type: string;
}

/** An output that no column can be made of. */
export interface UnusableOutput {
  readonly name: string;
  /** What it is. */
  readonly reason: string;
  readonly hint: string;
}

/** What computes a model's outputs. */
export type EngineName = 'onnxruntime' | 'trees';

/** Which engine scores a model, and what it wants. */
export interface EngineFact {
  readonly engine: EngineName;
  /** Why it is not the trees engine that scores a model with trees, going on from "ONNX Runtime: ". */
  readonly reason?: string;
  /** True where the engines do not agree: whoever counts on the speed of the other one should know. */
  readonly disagrees?: true;
  /** What is computed where, in words. */
  readonly details?: readonly string[];
  /**
   * Inputs that the engine takes column by column, with the positions in a row of the columns that it reads, ascending.
   * Others it takes as tensors.
   */
  readonly columns?: Readonly<Record<string, readonly number[]>>;
  /** True where ONNX Runtime computes a part of the model. */
  readonly usesRuntime?: boolean;
}

/** What a model takes and gives, read from its graph and from a session on it. */
export interface ModelSignature {
  readonly path: string;
  /** sha256, hex, of the model file. */
  readonly hash: string;
  /** Bytes of the model file and of its external data. */
  readonly bytes: number;
  readonly producer: string;
  readonly irVersion: number;
  /** Opset by domain; the domain of ONNX itself is `ai.onnx`. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly TensorSpec[];
  /** The columns of the signature that an MLflow folder has, in the order of training. */
  readonly columns?: readonly LoggedColumn[];
  readonly outputs: readonly OutputSpec[];
  /** Outputs that no column can be made of, and what to do about it: the others can be used all the same. */
  readonly unusable: readonly UnusableOutput[];
  /** Names of outputs whose ZipMap was taken out of the graph. */
  readonly zipMaps: readonly string[];
  /** What was changed at the borders of the graph so that columns can be fed to it and made of it, in words. */
  readonly edits: readonly string[];
  /** Operators with the number of their nodes. */
  readonly operators: Readonly<Record<string, number>>;
  readonly parameters: number;
  /** Trees of its tree ensembles. */
  readonly trees: number;
  /**
   * Whether a node repeats a part of the graph until a condition says stop (Loop), so that it may never end. Such a model is
   * only ever run in a process that can be ended.
   */
  readonly mayHang?: true;
  /** Values that a row has after the widest layer of the graph, as far as its constants tell; 0 where they do not. */
  readonly widestLayer: number;
}
