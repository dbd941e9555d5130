/**
 * Finds the Parquet files that a pipeline names, and reads the hive folders (`region=north/`) on the way to them.
 *
 * Order is deterministic: by given path, then by the bytes of the relative path, so that shards and their numbers do not
 * depend on the file system.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { ColonnadeError, messageOf } from '../errors.js';
import { hiveSegment, sameHiveColumns } from './hive.js';

/** A data file of the source. */
export interface FoundFile {
  /** Absolute. */
  readonly path: string;
  /** Relative to the folder that was named, the fixed part of the glob, or the file's own folder; slashes. */
  readonly relativePath: string;
  /**
   * Values by hive column; null for `__HIVE_DEFAULT_PARTITION__`. Below a named folder every `k=v` folder counts, the
   * named folder itself and those above do not. For a file or a glob, the `k=v` folders right above it (above the
   * glob's fixed part) count as well, as in DuckDB.
   */
  readonly hive: Readonly<Record<string, string | null>>;
}

const EXTENSIONS = ['.parquet', '.parq', '.pq'] as const;
const LOOKED_FOR = EXTENSIONS.map((extension) => `*${extension}`).join(', ');
/** How many names an error lists of what is there instead. */
const LISTED = 8;

/** A file before its place among the others is known. */
interface Candidate {
  readonly path: string;
  /** The folder that `relativePath` starts at. */
  readonly root: string;
  /** True where `k=v` folders that end at the root count. */
  readonly hiveAboveRoot: boolean;
}

/**
 * @param paths absolute (or relative to the working directory): files of any name, folders, globs. A path that exists
 * is taken literally, even with `*` or `[` in its name. In folders and globs, names that start with `_` or `.`
 * (`_temporary`, `_SUCCESS`; but not `_a=1`) and `*.colonnade` folders are passed over, as they hold no data.
 * A file that is found twice counts once, at its first place.
 * @throws ColonnadeError `NO_INPUT` where a path leads to no file, or two files have one relative path;
 * `SCHEMA_DRIFT` where files differ in their hive columns; `COLUMN_AMBIGUOUS` where two folders on one path stand for
 * the same column; `IO_FAILED` where a folder cannot be read.
 */
export async function findFiles(paths: readonly string[]): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>();
  for (const given of paths) {
    const candidates = await candidatesOf(resolve(given), given);
    const files = candidates
      .map(foundFile)
      .sort((a, b) => Buffer.compare(Buffer.from(a.relativePath), Buffer.from(b.relativePath)));
    for (const file of files) if (!found.has(file.path)) found.set(file.path, file);
  }
  const files = [...found.values()];
  refuseSameNames(files);
  sameHiveColumns(files);
  return files;
}

async function candidatesOf(path: string, given: string): Promise<Candidate[]> {
  const entry = await statOrNull(path);
  if (entry?.isFile() === true) return [{ path, root: dirname(path), hiveAboveRoot: true }];
  if (entry?.isDirectory() === true) {
    const files = await walk(path);
    if (files.length === 0)
      throw noInput(`no Parquet files in ${path} (looked for ${LOOKED_FOR} at any depth)`, await contents(path));
    return files.map((file) => ({ path: file, root: path, hiveAboveRoot: false }));
  }
  if (entry !== null)
    throw noInput(`${path} is neither a file nor a folder`, 'name a Parquet file, a folder or a glob');
  if (isDynamicPattern(given)) return globbed(path);
  const parent = await nearestFolder(path);
  throw noInput(
    `${path} does not exist`,
    parent === dirname(path) ? await contents(parent) : `the nearest folder that exists is ${parent}`,
  );
}

async function globbed(pattern: string): Promise<Candidate[]> {
  const root = fixedPart(pattern);
  if ((await statOrNull(root)) === null) {
    throw noInput(
      `nothing matches ${pattern}: the folder ${root} does not exist`,
      `the nearest folder that exists is ${await nearestFolder(root)}`,
    );
  }
  const inRoot = slashed(relative(root, pattern));
  const matches = await glob(inRoot, {
    cwd: root,
    absolute: true,
    onlyFiles: false,
    dot: false,
    expandDirectories: false,
  }).catch((error: unknown) => {
    throw unreadable(root, error);
  });
  // `*` alone means data, whatever else lies there; a pattern with a dot, as in `*.snappy`, names its files itself.
  const anyName = basename(pattern).includes('.');
  const files = new Set<string>();
  for (const match of matches) {
    const path = resolve(match);
    if (relative(root, path).split(sep).some(isHidden)) continue;
    const entry = await statOrNull(path);
    if (entry?.isDirectory() === true) for (const file of await walk(path)) files.add(file);
    else if (entry?.isFile() === true && (anyName || isParquetName(path))) files.add(path);
  }
  if (files.size === 0) throw noInput(`nothing matches ${pattern}`, await contents(root));
  return [...files].map((path) => ({ path, root, hiveAboveRoot: true }));
}

/** Parquet files below a folder; links are followed, but never into a folder that they lie in. */
async function walk(folder: string, above: ReadonlySet<string> = new Set()): Promise<string[]> {
  const entries = await entriesOf(folder);
  const real = await realpath(folder);
  if (above.has(real)) return [];
  const here = new Set([...above, real]);
  const files: string[] = [];
  for (const entry of entries) {
    if (isHidden(entry.name)) continue;
    const path = join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? await statOrNull(path) : entry;
    if (kind?.isDirectory() === true) files.push(...(await walk(path, here)));
    else if (kind?.isFile() === true && isParquetName(entry.name)) files.push(path);
  }
  return files;
}

function foundFile({ path, root, hiveAboveRoot }: Candidate): FoundFile {
  const relativePath = slashed(relative(root, path));
  const above: string[] = [];
  for (let folder = root; hiveAboveRoot && hiveSegment(basename(folder)) !== null; folder = dirname(folder))
    above.unshift(basename(folder));
  const hive: Record<string, string | null> = {};
  for (const folder of [...above, ...relativePath.split('/').slice(0, -1)]) {
    const column = hiveSegment(folder);
    if (column === null) continue;
    const other = Object.keys(hive).find((name) => name.toLowerCase() === column.name.toLowerCase());
    if (other !== undefined) {
      throw new ColonnadeError(
        'COLUMN_AMBIGUOUS',
        `${path}: two folders on the way to it stand for the column ${column.name}`,
        {
          phase: 'source',
          hint: 'rename one of them',
        },
      );
    }
    hive[column.name] = column.value;
  }
  return { path, relativePath, hive };
}

/** The output of an append keeps relative paths, so two files must not share one. */
function refuseSameNames(files: readonly FoundFile[]): void {
  const names = new Map<string, FoundFile>();
  for (const file of files) {
    const other = names.get(file.relativePath);
    if (other !== undefined) {
      throw new ColonnadeError(
        'NO_INPUT',
        `two files of the source have the same place in the output, ${file.relativePath}: ${other.path} and ${file.path}`,
        {
          phase: 'source',
          hint: 'name the folder above both as source.path, or a glob that starts there',
        },
      );
    }
    names.set(file.relativePath, file);
  }
}

/** Data lies in neither; Spark's rule, by which `_a=1` is a hive folder. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || (name.startsWith('_') && !name.includes('=')) || name.endsWith('.colonnade');
}

function isParquetName(name: string): boolean {
  const lower = name.toLowerCase();
  return EXTENSIONS.some((extension) => lower.endsWith(extension));
}

/** The folders of a glob up to the first that holds a wildcard. */
function fixedPart(pattern: string): string {
  let fixed = dirname(pattern);
  for (let folder = fixed; dirname(folder) !== folder; folder = dirname(folder))
    if (isDynamicPattern(basename(folder))) fixed = dirname(folder);
  return fixed;
}

async function nearestFolder(path: string): Promise<string> {
  let folder = dirname(path);
  while ((await statOrNull(folder))?.isDirectory() !== true && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** What a folder holds, in a sentence for an error. */
async function contents(folder: string): Promise<string> {
  const names = (await entriesOf(folder)).map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  if (names.length === 0) return `${folder} is empty`;
  const more = names.length > LISTED ? `, … (${names.length} names)` : '';
  return `${folder} holds ${names.slice(0, LISTED).join(', ')}${more}`;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
}

/** What a path leads to; null for nothing, as for a link that leads nowhere. */
async function statOrNull(path: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  return new ColonnadeError('IO_FAILED', `cannot read ${path}: ${messageOf(error)}`, {
    phase: 'source',
    hint: 'let this user read it',
    cause: error,
  });
}

function noInput(message: string, hint: string): ColonnadeError {
  return new ColonnadeError('NO_INPUT', message, { phase: 'source', hint });
}

function slashed(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/');
}
