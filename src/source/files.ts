/**
 * Finds the Parquet files that a pipeline names, and reads the hive folders (`region=north/`) on the way to them.
 *
 * Order is deterministic: by given path, then by the bytes of the relative path, so that shards and their numbers do not
 * depend on the file system.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, parse, relative, resolve, sep } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { ColonnadeError, messageOf } from '../errors.js';
import { hiveSegment, sameHiveColumns } from './hive.js';

/** A data file of the source. */
export interface FoundFile {
  /** Absolute. */
  readonly path: string;
  /** The folder that was named, the fixed part of the glob, or the file's own folder. Absolute. */
  readonly root: string;
  /** Relative to `root`, behind as many folders above it as tell it from other files; slashes. One for each file. */
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
  readonly root: string;
  /** True where `k=v` folders that end at the root count. */
  readonly hiveAboveRoot: boolean;
}

/**
 * @param paths absolute (or relative to the working directory): files of any name, folders, globs, in
 * which a backslash takes a sign literally. A path, or a folder on it, that exists is taken literally, even with `*` or `[`
 * in its name. In folders and globs, names that start with `_` or `.`
 * (`_temporary`, `_SUCCESS`; but not `_a=1`) and `*.colonnade` folders are passed over, as they hold no data.
 * A file that is found twice, links followed, counts once: where the first of the paths leads to it, and there at the
 * place that no link leads to, if there is one.
 * @throws ColonnadeError `NO_INPUT` where a path leads to no file; `SCHEMA_DRIFT` where files differ in their hive
 * columns; `COLUMN_AMBIGUOUS` where two folders on one path stand for the same column; `OUTPUT_OVERLAPS` where two files
 * cannot have places of their own in the output; `IO_FAILED` where a folder cannot be read.
 */
export async function findFiles(paths: readonly string[]): Promise<FoundFile[]> {
  const taken = new Set<string>();
  const found: FoundFile[] = [];
  for (const given of paths) {
    const candidates = await candidatesOf(resolve(given));
    const files = (await eachOnce(candidates, taken)).map(foundFile);
    found.push(...files.sort((a, b) => Buffer.compare(Buffer.from(a.relativePath), Buffer.from(b.relativePath))));
  }
  sameHiveColumns(found);
  return toldApart(found);
}

/**
 * The candidates that are no file of `taken` by another name, each file once.
 * @param taken real paths of the files that were found before; those of the candidates are added.
 */
async function eachOnce(candidates: readonly Candidate[], taken: Set<string>): Promise<Candidate[]> {
  const byFile = new Map<string, Candidate>();
  const realRoots = new Map<string, string>();
  for (const candidate of candidates) {
    const { path, root } = candidate;
    const real = await realpath(path).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    if (taken.has(real)) continue;
    const realRoot = realRoots.get(root) ?? (await realpath(root));
    realRoots.set(root, realRoot);
    // `latest/a.parquet` and `day=2/a.parquet`, where `latest` is a link: the second one is where the file lies.
    if (!byFile.has(real) || join(realRoot, relative(root, path)) === real) byFile.set(real, candidate);
  }
  for (const real of byFile.keys()) taken.add(real);
  return [...byFile.values()];
}

async function candidatesOf(path: string): Promise<Candidate[]> {
  const literal = (await statOrNull(path)) === null ? unescaped(path) : path;
  const entry = await statOrNull(literal);
  if (entry?.isFile() === true) return [{ path: literal, root: dirname(literal), hiveAboveRoot: true }];
  if (entry?.isDirectory() === true) {
    const files = await walk(literal);
    if (files.length === 0)
      throw noInput(`no Parquet files in ${literal} (looked for ${LOOKED_FOR} at any depth)`, await contents(literal));
    return files.map((file) => ({ path: file, root: literal, hiveAboveRoot: false }));
  }
  if (entry !== null)
    throw noInput(`${literal} is neither a file nor a folder`, 'name a Parquet file, a folder or a glob');
  const { fixed, pattern } = await globOf(path);
  if (pattern !== '') return globbed(fixed, pattern);
  const parent = await nearestFolder(literal);
  throw noInput(
    `${literal} does not exist`,
    parent === dirname(literal) ? await contents(parent) : `the nearest folder that exists is ${parent}`,
  );
}

/**
 * The folders before the first wildcard of a path, and the rest with slashes; empty where there is no wildcard. A folder
 * that exists is taken literally here as well.
 */
async function globOf(path: string): Promise<{ readonly fixed: string; readonly pattern: string }> {
  let fixed = parse(path).root;
  const segments = path.slice(fixed.length).split(sep);
  for (const [i, segment] of segments.entries()) {
    const exists = i < segments.length - 1 && (await statOrNull(join(fixed, segment)))?.isDirectory() === true;
    if (!exists && isWildcard(segment)) return { fixed, pattern: segments.slice(i).join('/') };
    fixed = join(fixed, exists ? segment : unescaped(segment));
  }
  return { fixed, pattern: '' };
}

/** A brace may be closed behind a slash only: `{2025/12,2026}`. */
function isWildcard(segment: string): boolean {
  return isDynamicPattern(segment) || /(?<!\\)\{/.test(segment);
}

/** A path without the backslashes that keep its signs from being wildcards. */
function unescaped(path: string): string {
  return sep === '/' ? path.replaceAll(/\\(.)/g, '$1') : path;
}

async function globbed(root: string, pattern: string): Promise<Candidate[]> {
  const shown = join(root, pattern);
  if ((await statOrNull(root)) === null) {
    throw noInput(
      `nothing matches ${shown}: the folder ${root} does not exist`,
      `the nearest folder that exists is ${await nearestFolder(root)}`,
    );
  }
  const matches = await glob(pattern, {
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
  if (files.size === 0) throw noInput(`nothing matches ${shown}`, await contents(root));
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
  return { path, root, relativePath, hive };
}

/**
 * Gives every file a relative path of its own, as outputs keep them: where two would have the same, all files of both
 * roots get the name of the folder above put in front, and so on until none is told twice.
 */
function toldApart(files: readonly FoundFile[]): FoundFile[] {
  const above = new Map<string, number>();
  for (;;) {
    const placed = files.map((file) => {
      const count = above.get(file.root) ?? 0;
      const prefix = count === 0 ? [] : foldersOf(file.root).slice(-count).map(visible);
      return { ...file, relativePath: [...prefix, file.relativePath].join('/') };
    });
    const roots = clashing(placed);
    if (roots.size === 0) return placed;
    const before = [...roots].filter((root) => (above.get(root) ?? 0) < foldersOf(root).length);
    // Whole paths differ, so that this ends before; but for a folder that is called as `visible` writes another.
    if (before.length === 0) {
      throw new ColonnadeError(
        'OUTPUT_OVERLAPS',
        `files of ${[...roots].join(' and ')} would have the same place in the output, where ${[...roots].map(inOutput).join(' and ')} would be their folders`,
        { phase: 'source', hint: 'rename one of the folders, or read them in runs of their own' },
      );
    }
    for (const root of before) above.set(root, (above.get(root) ?? 0) + 1);
  }
}

function foldersOf(path: string): string[] {
  return path.split(sep).filter((folder) => folder !== '');
}

/** A root as it is told from all others. */
function inOutput(root: string): string {
  return foldersOf(root).map(visible).join('/');
}

/** Roots of files whose relative path is another's too, or a folder on the way to another. */
function clashing(files: readonly FoundFile[]): Set<string> {
  const roots = new Set<string>();
  const byPath = new Map<string, string>();
  const clash = (path: string, root: string): void => {
    const other = byPath.get(path);
    if (other !== undefined && other !== root) roots.add(other).add(root);
  };
  for (const { relativePath, root } of files) {
    clash(relativePath, root);
    byPath.set(relativePath, root);
  }
  for (const { relativePath, root } of files) {
    for (let at = relativePath.indexOf('/'); at >= 0; at = relativePath.indexOf('/', at + 1))
      clash(relativePath.slice(0, at), root);
  }
  return roots;
}

/** A folder's name as readers of an output look into it; other names stay others. */
function visible(folder: string): string {
  if (!isHidden(folder) && (!folder.includes('%') || folder.includes('='))) return folder;
  return folder.replaceAll(/[._%=]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Data lies in neither; Spark's rule, by which `_a=1` is a hive folder. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || (name.startsWith('_') && !name.includes('=')) || name.endsWith('.colonnade');
}

function isParquetName(name: string): boolean {
  const lower = name.toLowerCase();
  return EXTENSIONS.some((extension) => lower.endsWith(extension));
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
