import { describe, expect, it } from 'vitest';
import { balance, expectedRows, type LedgerEntry } from '../../src/commit/ledger.js';
import { ColonnadeError } from '../../src/errors.js';

const entry = (change: Partial<LedgerEntry> = {}): LedgerEntry => ({
  file: '/data/a.parquet',
  rows: 10,
  scored: 4,
  quarantined: 3,
  nulled: 2,
  filtered: 1,
  written: 10,
  ...change,
});

function unbalanced(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ColonnadeError);
    expect(error).toMatchObject({ code: 'LEDGER_UNBALANCED', exitCode: 1, phase: 'commit' });
    return (error as Error).message;
  }
  throw new Error('it balanced');
}

describe('the ledger', () => {
  it('adds up files, and says how many rows each mode writes', () => {
    const other = entry({
      file: '/data/b.parquet',
      rows: 5,
      scored: 5,
      quarantined: 0,
      nulled: 0,
      filtered: 0,
      written: 5,
    });
    expect(balance('append', [entry(), other], 15, 3)).toMatchObject({
      rows: 15,
      scored: 9,
      quarantined: 3,
      nulled: 2,
      filtered: 1,
      written: 15,
    });
    expect(expectedRows('append', entry())).toBe(10);
    expect(expectedRows('partition', entry())).toBe(6);
    expect(expectedRows('predictions', entry())).toBe(6);
    expect(balance('partition', [entry({ written: null })], 6, 3).written).toBe(6);
    expect(balance('append', [], 0, 0).rows).toBe(0);
  });

  it('fails by file where a row is not accounted for', () => {
    expect(unbalanced(() => balance('append', [entry({ scored: 3 })], 10, 3))).toBe(
      '/data/a.parquet: 10 rows in the footer, 9 accounted for (3 scored, 3 quarantined, 2 nulled, 1 filtered)',
    );
  });

  it('fails by file where more or fewer rows were written', () => {
    expect(unbalanced(() => balance('append', [entry({ written: 9 })], 9, 3))).toMatch(
      '/data/a.parquet: 9 rows written, 10 expected',
    );
    expect(unbalanced(() => balance('predictions', [entry({ written: 10 })], 10, 3))).toMatch(
      '10 rows written, 6 expected',
    );
  });

  it('fails where the output or the quarantine as a whole has other rows', () => {
    expect(unbalanced(() => balance('partition', [entry({ written: null })], 7, 3))).toMatch(
      'the output has 7 rows, 6 were expected',
    );
    expect(unbalanced(() => balance('append', [entry()], 10, 2))).toMatch('the quarantine has 2 rows, 3 were expected');
  });
});
