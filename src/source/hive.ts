/**
 * Hive folders: `region=north/` is a column of every row below it.
 * Source: DuckDB documentation, "Hive Partitioning"; Spark, "Partition Discovery" (`__HIVE_DEFAULT_PARTITION__`).
 */
import { ColonnadeError } from '../errors.js';
import { shownNames } from '../plan/names.js';
import type { FoundFile } from './files.js';

/** Folder value that stands for NULL. */
const NULL_VALUE = '__HIVE_DEFAULT_PARTITION__';

/** The column and value that a folder's name stands for; null where it is no hive folder. */
export function hiveSegment(folder: string): { readonly name: string; readonly value: string | null } | null {
  const at = folder.indexOf('=');
  if (at < 1) return null;
  const value = folder.slice(at + 1);
  return { name: decoded(folder.slice(0, at)), value: value === NULL_VALUE ? null : decoded(value) };
}

/** Writers escape what a path cannot hold as `%2F`; a `%` that is no escape stays. */
function decoded(text: string): string {
  return text.replaceAll(/(?:%[\dA-F]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      // No UTF-8.
      return escapes;
    }
  });
}

/**
 * Every file must have the same hive columns: a row without a value would otherwise be told from NULL by no one.
 * @throws ColonnadeError `SCHEMA_DRIFT` naming two files that differ.
 */
export function sameHiveColumns(files: readonly FoundFile[]): void {
  const [first] = files;
  if (first === undefined) return;
  const columnsOf = (file: FoundFile): string => shownNames(Object.keys(file.hive).sort());
  const other = files.find((file) => columnsOf(file) !== columnsOf(first));
  if (other === undefined) return;
  const words = (file: FoundFile): string => `${file.path} (${columnsOf(file) === '' ? 'none' : columnsOf(file)})`;
  throw new ColonnadeError(
    'SCHEMA_DRIFT',
    `the files of the source differ in the columns of their hive folders: ${words(first)}, ${words(other)}`,
    {
      phase: 'source',
      hint: 'read them in runs of their own, or bring the folders into one layout',
    },
  );
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * The narrowest type that every value of a hive column has: `BIGINT` where all are integers as they are written without
 * leading zeros, `DATE` where all are ISO dates, else `VARCHAR`. All files decide, so that the type is one for the run.
 */
export function hiveTypes(files: readonly Pick<FoundFile, 'hive'>[]): Record<string, string> {
  const types: Record<string, string> = {};
  for (const name of Object.keys(files[0]?.hive ?? {})) {
    const values = files.map((file) => file.hive[name]).filter((value) => typeof value === 'string');
    if (values.length === 0) types[name] = 'VARCHAR';
    else if (values.every(isCanonicalInteger)) types[name] = 'BIGINT';
    else types[name] = values.every(isDate) ? 'DATE' : 'VARCHAR';
  }
  return types;
}

function isCanonicalInteger(text: string): boolean {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return false;
  const value = BigInt(text);
  return value >= INT64_MIN && value <= INT64_MAX;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  // Date.parse moves 30 February on to March.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
