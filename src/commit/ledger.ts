/** The ledger: for every file and for the run, `rows = scored + quarantined + nulled + filtered`, or the run fails. */
import { ColonnadeError } from '../errors.js';
import type { Plan } from '../plan/plan.js';

/** Rows of one file of the source by what became of them. */
export interface LedgerEntry {
  readonly file: string;
  /** Rows that the footer tells. */
  readonly rows: number;
  readonly scored: number;
  readonly quarantined: number;
  readonly nulled: number;
  readonly filtered: number;
  /** Rows written to the output for this file; null where the sink writes all files' rows together. */
  readonly written: number | null;
}

export interface Ledger {
  readonly files: readonly LedgerEntry[];
  readonly rows: number;
  readonly scored: number;
  readonly quarantined: number;
  readonly nulled: number;
  readonly filtered: number;
  /** Rows of the output. */
  readonly written: number;
  /** Rows of the quarantine. */
  readonly quarantineWritten: number;
}

/**
 * Rows that the output must have: an append keeps every row, the other sinks leave out what was quarantined or
 * filtered.
 */
export function expectedRows(
  mode: Plan['sink']['mode'],
  entry: Pick<LedgerEntry, 'rows' | 'scored' | 'nulled'>,
): number {
  return mode === 'append' ? entry.rows : entry.scored + entry.nulled;
}

/**
 * Adds up the files and checks every sum.
 * @throws ColonnadeError `LEDGER_UNBALANCED` naming the file and both sides.
 */
export function balance(
  mode: Plan['sink']['mode'],
  files: readonly LedgerEntry[],
  written: number,
  quarantineWritten: number,
): Ledger {
  for (const entry of files) {
    const accounted = entry.scored + entry.quarantined + entry.nulled + entry.filtered;
    if (accounted !== entry.rows) {
      throw unbalanced(
        `${entry.file}: ${entry.rows} rows in the footer, ${accounted} accounted for (${inWords(entry)})`,
      );
    }
    const expected = expectedRows(mode, entry);
    if (entry.written !== null && entry.written !== expected) {
      throw unbalanced(`${entry.file}: ${entry.written} rows written, ${expected} expected (${inWords(entry)})`);
    }
  }
  const total = (of: (entry: LedgerEntry) => number): number => files.reduce((sum, entry) => sum + of(entry), 0);
  const ledger: Ledger = {
    files,
    rows: total(({ rows }) => rows),
    scored: total(({ scored }) => scored),
    quarantined: total(({ quarantined }) => quarantined),
    nulled: total(({ nulled }) => nulled),
    filtered: total(({ filtered }) => filtered),
    written,
    quarantineWritten,
  };
  const expected = expectedRows(mode, ledger);
  if (written !== expected)
    throw unbalanced(`the output has ${written} rows, ${expected} were expected (${inWords(ledger)})`);
  if (quarantineWritten !== ledger.quarantined) {
    throw unbalanced(`the quarantine has ${quarantineWritten} rows, ${ledger.quarantined} were expected`);
  }
  return ledger;
}

function inWords(counts: Pick<LedgerEntry, 'scored' | 'quarantined' | 'nulled' | 'filtered'>): string {
  return `${counts.scored} scored, ${counts.quarantined} quarantined, ${counts.nulled} nulled, ${counts.filtered} filtered`;
}

function unbalanced(message: string): ColonnadeError {
  return new ColonnadeError('LEDGER_UNBALANCED', message, {
    phase: 'commit',
    hint: 'nothing was published; run it again with --fresh, and report it if it stays',
  });
}
