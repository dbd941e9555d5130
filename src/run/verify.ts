/**
 * Holds an output against its manifest and its source, at any later time. Nothing of them is written.
 *
 * The checks go from what needs the files alone to what needs the source, and to what needs the model: what is not there any
 * more, or has changed since, is told as not checked. A sample of whole model batches is scored again (`verify-sample.ts`).
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { balance } from '../commit/ledger.js';
import { readManifest, type Manifest, type WrittenFile } from '../commit/manifest.js';
import { placesOf, type Places } from '../commit/places.js';
import { isPublishing } from '../commit/publish.js';
import { ColonnadeError } from '../errors.js';
import { hashFile } from '../file-hash.js';
import { readFooter } from '../parquet/footer.js';
import { checkUnchanged } from '../parquet/unchanged.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { counted, formatBytes, formatCount } from '../plan/quantities.js';
import { openDatabase } from '../source/database.js';
import { sum } from './summary.js';
import type { Ask } from './by-file.js';
import { planAgain, type PlannedAgain } from './verify-plan.js';
import { checkSample } from './verify-sample.js';
import { checkNewColumns, checkOldColumns, checkQuarantine } from './verify-values.js';

/** One thing that was looked at. */
export interface Check {
  readonly name:
    'files' | 'bytes' | 'rows' | 'ledger' | 'source' | 'old columns' | 'new columns' | 'quarantine' | 'scores';
  readonly state: 'ok' | 'damaged' | 'unchecked';
  /** What was looked at, with counts, or why nothing was. */
  readonly told: string;
  /** What is wrong, each with its place. */
  readonly problems: readonly string[];
}

/** What a check finds. Problems make it damaged. */
export interface Finding {
  readonly told: string;
  readonly problems?: readonly string[];
  /** Nothing could be looked at. */
  readonly unchecked?: boolean;
}

/** Keys are those of `--json`. */
export interface Verification {
  /** `failed` where something is damaged. */
  readonly status: 'done' | 'failed';
  readonly output: string;
  readonly run_id: string;
  readonly finished_at: string;
  readonly checks: readonly Check[];
  readonly elapsed_s: number;
}

export interface VerifyOptions {
  /** Rows to score again at least; none with 0. */
  readonly sample: number;
  /** Loads a pipeline file, with the variables of the run. */
  readonly load: (file: string, vars: Readonly<Record<string, string>>) => Promise<Pipeline>;
  /** The file of the pipeline where it is another one than the manifest says. */
  readonly pipeline?: string;
  readonly signal: AbortSignal;
  /** Called with each check when it is done. */
  readonly onCheck?: (check: Check) => void;
}

/** A file of the source, and whether it still is what it was. */
export interface CheckedInput {
  readonly path: string;
  readonly rows: number;
  readonly fingerprint: Manifest['inputs'][number]['fingerprint'];
  /** Why it cannot be used any more. */
  readonly fault?: string;
}

/** What checks are given. */
export interface VerifyContext {
  readonly manifest: Manifest;
  readonly places: Places;
  readonly inputs: readonly CheckedInput[];
  /** The plan once more, or why there is none. */
  readonly plan: () => Promise<PlannedAgain>;
  readonly ask: Ask;
  /** For files on the way. */
  readonly folder: string;
  readonly sample: number;
  readonly signal: AbortSignal;
}

/** Bytes of DuckDB's buffers. */
const MEMORY = 512e6;

/**
 * Verifies an output.
 * @param output absolute path of its folder.
 * @throws ColonnadeError `OUTPUT_NOT_FOUND` where there is no manifest; the signal's reason.
 */
export async function verifyOutput(output: string, options: VerifyOptions): Promise<Verification> {
  const start = performance.now();
  const { signal } = options;
  const places = placesOf(output, '');
  const manifest = await readManifest(places.manifest);
  if (manifest === undefined) throw await noManifest(places);
  const checks: Check[] = [];
  const check = async (name: Check['name'], look: () => Promise<Finding>): Promise<Check> => {
    signal.throwIfAborted();
    const done = { name, ...(await found(look, signal)) };
    checks.push(done);
    options.onCheck?.(done);
    return done;
  };

  const files = await check('files', () => checkFiles(places, manifest));
  await check('bytes', () => checkBytes(places, manifest, signal));
  const rows = await check('rows', () => checkRows(places, manifest));
  await check('ledger', () => checkLedger(manifest));
  const inputs = manifest.inputs.map(lookAt);
  await check('source', () => Promise.resolve(checkSource(inputs)));

  const folder = await mkdtemp(join(tmpdir(), 'colonnade-verify-'));
  try {
    const database = await openDatabase({
      memoryLimit: MEMORY,
      threads: 1,
      spillDirectory: join(folder, 'spill'),
      readable: [...inputs.map(({ path }) => path), places.output, places.quarantine, folder],
      writable: [],
      signal,
    });
    try {
      let planned: Promise<PlannedAgain> | undefined;
      const context: VerifyContext = {
        manifest,
        places,
        inputs,
        plan: () => (planned ??= planAgain(manifest, options)),
        ask: (sql) => database.rows(sql),
        folder,
        sample: options.sample,
        signal,
      };
      // Whatever reads all files would only say the same once more.
      const whole = files.state === 'ok' && rows.state === 'ok';
      const ifWhole = (look: (context: VerifyContext) => Promise<Finding>) => async (): Promise<Finding> =>
        whole ? look(context) : { told: 'files are missing or cannot be read', unchecked: true };
      await check('old columns', ifWhole(checkOldColumns));
      await check('new columns', ifWhole(checkNewColumns));
      await check('quarantine', ifWhole(checkQuarantine));
      await check('scores', ifWhole(checkSample));
    } finally {
      await database.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return {
    status: checks.some(({ state }) => state === 'damaged') ? 'failed' : 'done',
    output,
    run_id: manifest.run_id,
    finished_at: manifest.finished_at,
    checks,
    elapsed_s: Math.round(performance.now() - start) / 1000,
  };
}

async function found(look: () => Promise<Finding>, signal: AbortSignal): Promise<Omit<Check, 'name'>> {
  try {
    const { told, problems = [], unchecked = false } = await look();
    return { state: problems.length > 0 ? 'damaged' : unchecked ? 'unchecked' : 'ok', told, problems };
  } catch (error) {
    signal.throwIfAborted();
    // What cannot be read is damage; what is wrong with this program is not.
    if (!(error instanceof ColonnadeError)) throw error;
    return { state: 'damaged', told: 'it could not be looked at to the end', problems: [error.message] };
  }
}

async function noManifest(places: Places): Promise<ColonnadeError> {
  const half = await isPublishing(places);
  return new ColonnadeError(
    'OUTPUT_NOT_FOUND',
    half
      ? `${places.output}: a run has died while publishing it, or is publishing it now`
      : `${places.output}: there is no manifest that can be read (${places.manifest}), so no run is done there`,
    {
      phase: 'run',
      hint: half
        ? 'wait until it is done; or colonnade clean finishes it, as the next run does'
        : 'name the folder of an output, or the pipeline file that writes it',
    },
  );
}

/** Files of a kind with the folder that they are in. */
function parts(
  places: Places,
  manifest: Manifest,
): { readonly folder: string; readonly files: readonly WrittenFile[] }[] {
  return [
    { folder: places.output, files: manifest.outputs },
    ...(manifest.quarantine.length === 0 ? [] : [{ folder: places.quarantine, files: manifest.quarantine }]),
  ];
}

/** Exactly the files that the manifest lists are there. */
async function checkFiles(places: Places, manifest: Manifest): Promise<Finding> {
  const problems: string[] = [];
  for (const { folder, files } of parts(places, manifest)) {
    const there = new Set(await filesIn(folder));
    if (folder === places.output && !there.delete('_SUCCESS')) problems.push(`${join(folder, '_SUCCESS')} is missing`);
    for (const { path } of files) if (!there.delete(path)) problems.push(`${join(folder, path)} is missing`);
    for (const path of there) problems.push(`${join(folder, path)} is there, and no run has written it`);
  }
  const set = manifest.quarantine.length === 0 ? '' : `, ${formatCount(manifest.quarantine.length)} of the quarantine`;
  return { told: `${counted(manifest.outputs.length, 'file')}${set}, _SUCCESS, and no others`, problems };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

async function checkBytes(places: Places, manifest: Manifest, signal: AbortSignal): Promise<Finding> {
  const problems: string[] = [];
  let read = 0;
  let shared = 0;
  for (const { folder, files } of parts(places, manifest)) {
    for (const { path, bytes, sha256, shared_bytes: from = 0 } of files) {
      const file = join(folder, path);
      try {
        const { size } = await readFooter(file).catch(() => ({ size: -1 }));
        if (size >= 0 && size !== bytes) {
          problems.push(`${file} has ${counted(size, 'byte')}, ${formatCount(bytes)} were written`);
          continue;
        }
        if ((await hashFile(file, signal, from)) !== sha256)
          problems.push(`${file} has another sha256 than was written`);
        read += bytes - from;
        shared += from;
      } catch (error) {
        signal.throwIfAborted();
        problems.push(`${file} cannot be read: ${(error as Error).message}`);
      }
    }
  }
  const rest = shared === 0 ? '' : `; ${formatBytes(shared)} shared with the source are compared with it below`;
  return { told: `${formatBytes(read)} have the size and the sha256 that were written${rest}`, problems };
}

async function checkRows(places: Places, manifest: Manifest): Promise<Finding> {
  const problems: string[] = [];
  let rows = 0;
  for (const { folder, files } of parts(places, manifest)) {
    for (const file of files) {
      try {
        const footer = await readFooter(join(folder, file.path));
        if (footer.rows !== file.rows)
          problems.push(`${footer.path} has ${counted(footer.rows, 'row')}, ${formatCount(file.rows)} were written`);
        rows += footer.rows;
      } catch (error) {
        if (!(error instanceof ColonnadeError)) throw error;
        problems.push(error.message);
      }
    }
  }
  return { told: `${counted(rows, 'row')} by the footers, as written`, problems };
}

async function checkLedger({ ledger, sink, outputs, quarantine, inputs }: Manifest): Promise<Finding> {
  const balanced = balance(
    sink.mode,
    ledger.files,
    sum(outputs, ({ rows }) => rows),
    sum(quarantine, ({ rows }) => rows),
  );
  const problems = (['rows', 'scored', 'quarantined', 'nulled', 'filtered', 'written', 'quarantineWritten'] as const)
    .filter((key) => balanced[key] !== ledger[key])
    .map((key) => `${key} is ${formatCount(ledger[key])} in all, and ${formatCount(balanced[key])} file by file`);
  for (const [i, { path, rows }] of inputs.entries())
    if (ledger.files[i]?.file !== path || ledger.files[i].rows !== rows)
      problems.push(`${path} has ${counted(rows, 'row')} among the inputs, and another number in the ledger`);
  const { scored, quarantined, nulled, filtered } = ledger;
  const words = [
    `${formatCount(scored)} scored`,
    `${formatCount(quarantined)} quarantined`,
    ...(nulled > 0 ? [`${formatCount(nulled)} nulled`] : []),
    ...(filtered > 0 ? [`${formatCount(filtered)} filtered`] : []),
  ];
  return { told: `${counted(ledger.rows, 'row')} = ${words.join(' + ')}, file by file as well`, problems };
}

function lookAt(input: Manifest['inputs'][number]): CheckedInput {
  try {
    checkUnchanged(input);
    return input;
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    return { ...input, fault: error.message.replace(' while it was read', ' since') };
  }
}

/** A source that changed is no damage of the output: it is told. */
function checkSource(inputs: readonly CheckedInput[]): Finding {
  const faults = inputs.flatMap(({ fault }) => fault ?? []);
  const same = inputs.length - faults.length;
  if (faults.length === 0) return { told: `${counted(inputs.length, 'file')}, all as they were` };
  return {
    told: `${formatCount(same)} of ${counted(inputs.length, 'file')} as they were: ${faults[0]!}${faults.length > 1 ? `, and ${formatCount(faults.length - 1)} more` : ''}`,
    unchecked: true,
  };
}
