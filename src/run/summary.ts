/** What a run says at its end, and the sums that it is made of. */
import type { Manifest } from '../commit/manifest.js';
import type { RunSummary } from './events.js';

/** What the manifest does not tell. */
export interface SummaryContext {
  /** Absolute path of the output folder: where it is now, which may not be where the manifest was made. */
  readonly output: string;
  /** Absolute path of the manifest. */
  readonly manifest: string;
  /** Absolute path of the folder with the quarantined rows. */
  readonly quarantine: string;
  readonly workers: number;
  /** Rows that were not scored by this run. */
  readonly resumedRows: number;
  /** Seconds since the run began. */
  readonly elapsed: number;
}

/** The summary of a run that is published. */
export function summaryOf(manifest: Manifest, context: SummaryContext): RunSummary {
  const { ledger } = manifest;
  const { workers, resumedRows, elapsed } = context;
  return {
    status: 'done',
    run_id: manifest.run_id,
    pipeline: manifest.pipeline.name,
    output: context.output,
    manifest: context.manifest,
    ...(manifest.quarantine.length === 0 ? {} : { quarantine: context.quarantine }),
    rows: ledger.rows,
    scored: ledger.scored,
    quarantined: ledger.quarantined,
    nulled: ledger.nulled,
    filtered: ledger.filtered,
    reasons: manifest.reasons,
    nan: manifest.nan,
    files: manifest.outputs.length,
    bytes: sum(manifest.outputs, ({ bytes }) => bytes),
    models: manifest.models.map(({ name, engine, batch_size }) => ({
      ...(name === undefined ? {} : { name }),
      engine,
      batch_size,
    })),
    workers,
    resumed_rows: resumedRows,
    elapsed_s: round(elapsed),
    rows_per_s: Math.round((ledger.rows - resumedRows) / elapsed),
  };
}

/** Sum of what `of` gives for each item. */
export function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Counts by name, added up by name. */
export function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  // A Map: a column may be called `constructor`.
  const total = new Map<string, number>();
  for (const each of counts)
    for (const [name, count] of Object.entries(each)) total.set(name, (total.get(name) ?? 0) + count);
  return Object.fromEntries(total);
}

/** Seconds with three decimals. */
export function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
