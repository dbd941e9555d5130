import type { Vector } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/model/engine.js';
import { REASON_COLUMN, ROW_STATUS, STATUS_COLUMN, type PlannedOutput } from '../../src/plan/plan.js';
import { RowGroupScores, scoresFields } from '../../src/score/row-group-scores.js';

const OUTPUTS: readonly PlannedOutput[] = [
  { name: 'label', model: 0, from: 'label', take: { kind: 'whole' }, type: 'string', list: false },
  { name: 'second', model: 0, from: 'p', take: { kind: 'index', index: 1 }, type: 'float32', list: false },
  { name: 'best', model: 0, from: 'p', take: { kind: 'reduce', reduce: 'argmax' }, type: 'int64', list: false },
  { name: 'all', model: 0, from: 'p', take: { kind: 'list' }, type: 'float32', list: true },
];

/** What a model gives for rows of these numbers. */
function outputsOf(rows: readonly number[]): Map<string, Tensor> {
  return new Map<string, Tensor>([
    ['label', { type: 'string', dims: [rows.length], data: rows.map((row) => `row ${row}`) }],
    ['p', { type: 'float32', dims: [rows.length, 2], data: Float32Array.from(rows.flatMap((row) => [row, 10 - row])) }],
  ]);
}

const plain = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Array.from(value as Iterable<unknown>) : value;

function read(vectors: readonly Vector[]): unknown[][] {
  return Array.from({ length: vectors[0]!.length }, (_, row) => vectors.map((vector) => plain(vector.get(row))));
}

/** Windows of rows as validation leaves them: each part has its first row, its length, and what became of its rows. */
const fate = fc.constantFrom('scored', 'scored', 'scored', 'filtered', 'invalid');
const part = fc.oneof(
  fc.array(fate, { minLength: 1, maxLength: 12 }),
  fc.array(fc.constant('scored' as const), { minLength: 1, maxLength: 12 }),
);
const windows = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 5 });

describe('the scores of a row group', () => {
  it('stand at the rows that they were made for, whatever was left out between them', () => {
    fc.assert(
      fc.property(windows, fc.nat(3), (given, behind) => {
        const fates = given.flat(2);
        // Rows at the end that nobody has spoken of count as scored, without a score.
        const scores = new RowGroupScores(OUTPUTS, fates.length + behind);
        let start = 0;
        for (const window of given) {
          const together: number[] = [];
          for (const rows of window) {
            const keep = [...rows.keys()].filter((row) => rows[row] === 'scored');
            rows.forEach((each, row) => {
              if (each === 'filtered') scores.mark(start + row, ROW_STATUS.filtered);
            });
            rows.forEach((each, row) => {
              if (each === 'invalid') scores.mark(start + row, ROW_STATUS.quarantined, `§ ${start + row}`);
            });
            if (keep.length > 0)
              scores.expect(start, keep.length, keep.length === rows.length ? undefined : Uint32Array.from(keep));
            together.push(...keep.map((row) => start + row));
            start += rows.length;
          }
          if (together.length > 0) scores.write(0, outputsOf(together));
        }
        const want = [...fates, ...Array.from({ length: behind }, () => 'unknown' as const)].map((each, row) =>
          each === 'scored'
            ? [`row ${row}`, 10 - row, row < 5 ? 1n : 0n, [row, 10 - row], ROW_STATUS.scored, null]
            : [
                null,
                null,
                null,
                null,
                each === 'filtered'
                  ? ROW_STATUS.filtered
                  : each === 'invalid'
                    ? ROW_STATUS.quarantined
                    : ROW_STATUS.scored,
                each === 'invalid' ? `§ ${row}` : null,
              ],
        );
        expect(read(scores.finish())).toEqual(want);
      }),
      { numRuns: 500 },
    );
  });

  it('have their columns in the order of the fields, status and reason last', () => {
    const fields = scoresFields(OUTPUTS);
    expect(fields.map(({ name }) => name)).toEqual(['label', 'second', 'best', 'all', STATUS_COLUMN, REASON_COLUMN]);
    const vectors = new RowGroupScores(OUTPUTS, 3).finish();
    expect(vectors.map(({ type }) => String(type))).toEqual(fields.map(({ type }) => String(type)));
    expect(fields.every(({ nullable }) => nullable)).toBe(true);
  });

  it('of clean row groups of one length share what is the same, and none of it is left in others', () => {
    const finished = (rows: number, mark?: number): Vector[] => {
      const scores = new RowGroupScores(OUTPUTS, rows);
      if (mark !== undefined) scores.mark(mark, ROW_STATUS.nulled, 'why');
      return scores.finish().slice(-2);
    };
    const clean = finished(4);
    expect(finished(4)).toEqual(clean);
    expect(read(finished(4, 2))).toEqual([
      [0, null],
      [0, null],
      [ROW_STATUS.nulled, 'why'],
      [0, null],
    ]);
    expect(read(finished(4))).toEqual(Array.from({ length: 4 }, () => [0, null]));
    expect(finished(5)[0]).toHaveLength(5);
  });

  it('are counted where they are NaN, which no left-out row is', () => {
    const scores = new RowGroupScores(OUTPUTS, 4);
    scores.mark(0, ROW_STATUS.filtered);
    scores.expect(0, 3, Uint32Array.of(1, 2, 3));
    scores.write(
      0,
      new Map<string, Tensor>([
        ['label', { type: 'string', dims: [3], data: ['a', 'b', 'c'] }],
        ['p', { type: 'float32', dims: [3, 2], data: Float32Array.of(0, NaN, 0, 1, NaN, NaN) }],
      ]),
    );
    // A list counts each of its values.
    expect(Object.fromEntries(scores.nanCounts())).toEqual({ second: 2, all: 3 });
  });
});
