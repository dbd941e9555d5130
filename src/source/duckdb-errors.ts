/**
 * What DuckDB reports, told as Colonnade's errors. Databases are opened with `errors_as_json`, so the kind of an error is
 * a field and not a guess at its text; only what DuckDB does not tell apart by kind is read from the text.
 * Source: DuckDB `src/common/exception.cpp` (names of the exception types).
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { ColonnadeError, messageOf, type ErrorCode } from '../errors.js';
import { rowsInWords } from '../plan/quantities.js';
import { hiveSegment } from './hive.js';

/** What was being done when DuckDB failed. */
export interface QueryContext {
  /** The Parquet file that was read. */
  readonly file?: string;
  /** Rows that were asked for: first, and one past the last. */
  readonly rows?: readonly [from: number, to: number];
  /** What a person asked for, in their words: `features[2].sql: ln(age)`. */
  readonly expression?: string;
  /** The file or folder that was written. */
  readonly target?: string;
}

/** An error of DuckDB by its fields. */
export interface DuckDBFault {
  /** As in `Conversion`, `Out of Range`, `IO`. */
  readonly type: string;
  readonly message: string;
  /** Bytes from the start of the statement, where DuckDB tells. */
  readonly position?: number;
}

/** Reads an error that `@duckdb/node-api` threw. */
export function readFault(error: unknown): DuckDBFault {
  const text = messageOf(error);
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === 'object' && fields !== null && 'exception_type' in fields) {
      const { exception_type, exception_message, position } = fields as Record<string, unknown>;
      return {
        type: String(exception_type),
        message: String(exception_message),
        ...(position === undefined ? {} : { position: Number(position) }),
      };
    }
  } catch {
    // Not JSON: errors before `errors_as_json` is set, and those of the binding itself.
  }
  const [, type, message] = /^([A-Z][A-Za-z ]*?) Error: ([^]*)$/.exec(text) ?? [];
  return { type: type ?? 'Unknown', message: message ?? text };
}

/** Kinds of errors that come from computing a value of a row. */
const VALUE_FAULTS = new Set([
  'Conversion',
  'Out of Range',
  'Mismatch Type',
  'Divide by Zero',
  'Decimal',
  'Invalid Type',
]);
const STATEMENT_FAULTS = new Set(['Binder', 'Catalog', 'Parser', 'Syntax']);
/** DuckDB has no kind of its own for a broken Parquet file. */
const BROKEN_FILE =
  /parquet|failed to read file|magic bytes|decompress|thrift|TProtocol|page|dictionary|out of buffer|read beyond|RLE|varint|snappy|zstd|gzip|lz4|brotli/i;

/** True where the fault lies in a value of a row, or may: then the expression that computes it can be told. */
export function isValueFault(fault: DuckDBFault): boolean {
  return VALUE_FAULTS.has(fault.type) || (fault.type === 'Invalid Input' && !BROKEN_FILE.test(fault.message));
}

/** An error of DuckDB as a ColonnadeError; one that is a ColonnadeError already is handed back as it is. */
export function duckdbError(error: unknown, context: QueryContext = {}): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  const fault = readFault(error);
  const [said = fault.message] = fault.message.split('\n');
  const told = (code: ErrorCode, message: string, hint: string): ColonnadeError =>
    new ColonnadeError(code, message, { phase: 'source', hint, cause: error });
  const place = placeOf(context);

  if (fault.type === 'Out of Memory') {
    if (/max_temp_directory_size|temporary directory|temp directory/i.test(fault.message)) {
      return told(
        'DISK_FULL',
        `the folder for spilled data is full${place}: ${said}`,
        'free some space there, or raise run.memory so that less is spilled',
      );
    }
    return told(
      'OUT_OF_MEMORY',
      `DuckDB needs more memory than it may use${place}: ${said}`,
      'raise run.memory in the pipeline, or write the source with smaller row groups',
    );
  }
  if (/no space left|disk full|ENOSPC|quota exceeded/i.test(fault.message)) {
    return told('DISK_FULL', `the disk is full${place}: ${said}`, 'free some space, then run it again');
  }
  const tooLong = folderTooLong(fault);
  if (tooLong !== undefined) {
    const { name, value, bytes } = tooLong;
    return told(
      'COLUMN_TYPE',
      `the value ${shownValue(value)} of ${name} makes a folder whose name of ${bytes} bytes is longer than the file system allows (mostly 255)`,
      `partition by another column, or shorten the values of ${name} in the source; a character that is escaped, as in %2F, takes three bytes or more`,
    );
  }
  const written = context.target !== undefined && fault.message.includes(context.target);
  if ((isGone(fault) && !written) || (context.file !== undefined && !existsSync(context.file))) {
    return told(
      'INPUT_GONE',
      // What DuckDB says of a known file is about a glob that it tried next, and tells nobody anything.
      context.file === undefined ? `a file is not there any more: ${said}` : `${context.file} is not there any more`,
      'let nothing remove or move the source during a run; then run it again',
    );
  }
  if (isValueFault(fault)) {
    const subject = context.expression ?? 'an expression';
    return told(
      'SQL_FAILED',
      `${subject} failed${place}: ${said}`,
      'make it NULL where it has no value: TRY_CAST(… AS …) for casts, try(…) for anything else',
    );
  }
  if (STATEMENT_FAULTS.has(fault.type) && context.expression !== undefined) {
    return told(
      'SQL_INVALID',
      `${context.expression}: ${said}`,
      'write one SQL expression of DuckDB over the columns of the source',
    );
  }
  if (context.file !== undefined && isBroken(fault)) {
    return told(
      'BAD_PARQUET',
      `${context.file} cannot be read${rowsOf(context)}: ${said}`,
      'write the file again, or take it out of source.path',
    );
  }
  if (fault.type === 'IO' || fault.type === 'Permission') {
    return told(
      'IO_FAILED',
      `reading or writing failed${place}: ${said}`,
      'check the disk and the permissions; then run it again',
    );
  }
  return told('INTERNAL', `DuckDB failed${place}: ${said}`, 'run it again; if it stays, report it');
}

/** The hive folder that could not be made as its name is too long. */
function folderTooLong({
  type,
  message,
}: DuckDBFault): { readonly name: string; readonly value: string; readonly bytes: number } | undefined {
  const [, path] = /^Failed to create directory "([^]*)": File name too long/.exec(message) ?? [];
  if (type !== 'IO' || path === undefined) return undefined;
  const folder = basename(path);
  const segment = hiveSegment(folder);
  return segment === null
    ? undefined
    : { name: segment.name, value: segment.value ?? '', bytes: Buffer.byteLength(folder) };
}

/** Characters of a value that an error repeats. */
const MOST_CHARACTERS = 40;

function shownValue(value: string): string {
  const characters = Array.from(value);
  if (characters.length <= MOST_CHARACTERS) return JSON.stringify(value);
  return `${JSON.stringify(characters.slice(0, MOST_CHARACTERS).join(''))}… (${characters.length} characters)`;
}

function isGone(fault: DuckDBFault): boolean {
  return fault.type === 'IO' && /no files found|no such file|does not exist/i.test(fault.message);
}

/** Reading past the end of a file that was cut off is an IO error; a disk that fails is one as well, and says so. */
function isBroken({ type, message }: DuckDBFault): boolean {
  if (type === 'IO') return /could not read|read enough|not enough|end of file/i.test(message);
  // The Thrift decoder's own exceptions: page headers and footers that are no Thrift.
  if (type === 'Invalid') return true;
  // A number of a footer or a page that DuckDB counts on, and does not look at before.
  if (type === 'INTERNAL' && message.startsWith('Information loss on integer cast')) return true;
  return (
    ['Invalid Input', 'Serialization', 'Not implemented', 'Binder', 'Invalid', 'Unknown', 'INTERNAL', 'FATAL'].includes(
      type,
    ) && BROKEN_FILE.test(message)
  );
}

function rowsOf({ rows }: QueryContext): string {
  return rows === undefined ? '' : ` in ${rowsInWords(...rows)}`;
}

function placeOf(context: QueryContext): string {
  if (context.file !== undefined) return ` (${context.file}${rowsOf(context)})`;
  return context.target === undefined ? '' : ` (${context.target})`;
}
