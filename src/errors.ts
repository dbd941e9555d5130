/**
 * The one error type that Colonnade shows to people, and the table of its codes.
 *
 * A code is stable: scripts may match on it. Its row here fixes the exit status of the command line, so that the two
 * never drift apart. The message says what was found and where, `hint` what to do about it.
 */

/** Exit statuses of the command line. */
export const EXIT = {
  ok: 0,
  failed: 1,
  checkFailed: 3,
  usage: 64,
  tryLater: 75,
  mismatch: 78,
  interrupted: 130,
  terminated: 143,
} as const;

/** Every code with the exit status that it leads to. */
export const ERROR_CODES = {
  USAGE: EXIT.usage,
  PIPELINE_NOT_FOUND: EXIT.mismatch,
  PIPELINE_INVALID: EXIT.mismatch,
  NO_INPUT: EXIT.mismatch,
  BAD_PARQUET: EXIT.mismatch,
  SCHEMA_DRIFT: EXIT.mismatch,
  COLUMN_MISSING: EXIT.mismatch,
  COLUMN_AMBIGUOUS: EXIT.mismatch,
  COLUMN_EXISTS: EXIT.mismatch,
  COLUMN_TYPE: EXIT.mismatch,
  SQL_INVALID: EXIT.mismatch,
  SQL_FORBIDDEN: EXIT.mismatch,
  SQL_FAILED: EXIT.mismatch,
  MODEL_NOT_FOUND: EXIT.mismatch,
  MODEL_INVALID: EXIT.mismatch,
  MODEL_UNSUPPORTED: EXIT.mismatch,
  MODEL_MISMATCH: EXIT.mismatch,
  MODEL_FAILED: EXIT.failed,
  MODEL_TIMEOUT: EXIT.failed,
  MODEL_CHANGED: EXIT.failed,
  NOT_SPLICEABLE: EXIT.mismatch,
  OUTPUT_EXISTS: EXIT.mismatch,
  OUTPUT_OVERLAPS: EXIT.mismatch,
  OUTPUT_NOT_WRITABLE: EXIT.mismatch,
  OUTPUT_CONFLICT: EXIT.tryLater,
  OUTPUT_NOT_FOUND: EXIT.mismatch,
  INPUT_CHANGED: EXIT.failed,
  INPUT_GONE: EXIT.failed,
  ROW_INVALID: EXIT.checkFailed,
  TOO_MANY_INVALID: EXIT.checkFailed,
  TOO_MANY_NAN: EXIT.checkFailed,
  LEDGER_UNBALANCED: EXIT.failed,
  OUTPUT_DAMAGED: EXIT.failed,
  VERIFY_FAILED: EXIT.failed,
  DISK_FULL: EXIT.failed,
  OUT_OF_MEMORY: EXIT.failed,
  IO_FAILED: EXIT.failed,
  WORKER_DIED: EXIT.failed,
  INTERRUPTED: EXIT.interrupted,
  TERMINATED: EXIT.terminated,
  INTERNAL: EXIT.failed,
} as const satisfies Record<string, number>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The stage that an error belongs to; the folder of the code that found it. */
export type Phase =
  'usage' | 'pipeline' | 'plan' | 'source' | 'model' | 'validate' | 'score' | 'sink' | 'commit' | 'run';

/** A place in a text file, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One of the things that are wrong, when an error gathers several. */
export interface Problem {
  /** What was found, where, and what is allowed. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  /** The file that the problem is in, as the user named it. */
  readonly file?: string;
  readonly position?: Position;
  /** The key of the pipeline file, as in `features[2].sql`. */
  readonly key?: string;
  /** The line of the file and a caret under the place, ready to print. */
  readonly excerpt?: string;
}

/** What a {@link ColonnadeError} is made of, apart from its code and message. */
export interface ErrorDetails {
  readonly phase: Phase;
  /** What to do about it, one sentence or two. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Several findings under one code, as in a pipeline file with three mistakes. */
  readonly problems?: readonly Problem[];
}

/**
 * An error that was foreseen: it has a stable code, says what, where and why, and what to do.
 * Anything else that is thrown is a fault of Colonnade's own and is reported as `INTERNAL`.
 */
export class ColonnadeError extends Error {
  readonly code: ErrorCode;
  readonly phase: Phase;
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ColonnadeError';
    this.code = code;
    this.phase = details.phase;
    this.hint = details.hint;
    this.problems = details.problems ?? [];
  }

  /** The exit status that the command line ends with. */
  get exitCode(): number {
    return ERROR_CODES[this.code];
  }

  /** Plain data that {@link ColonnadeError.fromJSON} turns back into the same error: crosses process borders. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      phase: this.phase,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.problems.length === 0 ? {} : { problems: this.problems }),
    };
  }

  static fromJSON(error: SerializedError): ColonnadeError {
    return new ColonnadeError(error.code, error.message, {
      phase: error.phase,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.problems === undefined ? {} : { problems: error.problems }),
    });
  }
}

/** A {@link ColonnadeError} as plain data. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly phase: Phase;
  readonly message: string;
  readonly hint?: string;
  readonly problems?: readonly Problem[];
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
