/** The manifest: what a run read, wrote and counted. Written last; a run is done when it is there. */
import type { ElementType, Fingerprint } from '../plan/facts.js';
import type { Plan } from '../plan/plan.js';
import { writeWhole, type WriteOptions } from './durable.js';
import type { Ledger } from './ledger.js';
import { thisSystem, type Files } from './system.js';

/** A file that a run wrote. */
export interface WrittenFile {
  /** Relative to the folder that it is in; slashes. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** sha256, hex, of the file; of what is behind the shared bytes where there are such. */
  readonly sha256: string;
  /** Bytes at the start that are blocks of the source, which the file system shares: they were neither read nor written. */
  readonly shared_bytes?: number;
}

export interface Manifest {
  readonly format: 1;
  readonly run_id: string;
  readonly plan_hash: string;
  /** `vars`: variables that were given for it, without those of the environment. */
  readonly pipeline: {
    readonly name: string;
    readonly file: string;
    readonly hash: string;
    readonly vars?: Readonly<Record<string, string>>;
  };
  /** In the order of the pipeline; without a name where there is one. */
  readonly models: readonly {
    readonly name?: string;
    readonly path: string;
    readonly hash: string;
    readonly engine: string;
    readonly batch_size: number;
  }[];
  readonly inputs: readonly { readonly path: string; readonly rows: number; readonly fingerprint: Fingerprint }[];
  readonly output: string;
  readonly outputs: readonly WrittenFile[];
  /** The new columns. */
  readonly columns: readonly { readonly name: string; readonly type: ElementType; readonly list: boolean }[];
  readonly quarantine: readonly WrittenFile[];
  readonly ledger: Ledger;
  readonly reasons: Readonly<Record<string, number>>;
  readonly nan: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly started_at: string;
  readonly finished_at: string;
  /** Seconds by phase. */
  readonly timings: Readonly<Record<string, number>>;
  readonly sink: Plan['sink'];
}

export async function writeManifest(path: string, manifest: Manifest, options?: WriteOptions): Promise<void> {
  await writeWhole(path, `${JSON.stringify(manifest, null, 2)}\n`, options);
}

/**
 * Reads a manifest from its text. Manifests are written whole by this program; what is looked at is only what another
 * file of that name, or an edited one, would lack.
 * @throws Error where it is none.
 */
export function parseManifest(text: string): Manifest {
  const value: unknown = JSON.parse(text);
  const { format, plan_hash: hash, outputs, quarantine, ledger, sink } = (value ?? {}) as Record<string, unknown>;
  const isWhole =
    format === 1 &&
    typeof hash === 'string' &&
    [outputs, quarantine].every((files) => Array.isArray(files)) &&
    [ledger, sink].every((part) => typeof part === 'object' && part !== null);
  if (!isWhole) throw new Error('it is no manifest of a run');
  return value as Manifest;
}

/** The manifest at `path`; undefined where there is none that can be read. */
export async function readManifest(
  path: string,
  files: Pick<Files, 'readFile'> = thisSystem.files,
): Promise<Manifest | undefined> {
  try {
    return parseManifest(await files.readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
