/** Rows that a model fails on: found by bisection, set apart, and the others scored as if these were sound. */
import type { Vector } from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { openModel } from '../../src/model/session.js';
import { ROW_STATUS, type Plan, type Shard } from '../../src/plan/plan.js';
import { findRejected, SearchBudget, TooManyRejected } from '../../src/score/rejected-rows.js';
import { ShardScorer, type ShardCounts } from '../../src/score/shard.js';
import { thrown } from '../model/fixtures.js';
import { onnx } from '../run/onnx.js';
import { openWorkbench } from '../run/workbench.js';
import { batchOf, columnOf } from '../validate/columns.js';

const failure = new ColonnadeError('MODEL_FAILED', 'it failed', { phase: 'model' });

/** Searches a batch in which these rows fail; gives what was found, and how many calls that took. */
function search(rows: number, bad: ReadonlySet<number>, budget = new SearchBudget()) {
  let calls = 0;
  const attempt = (positions: readonly number[]): ColonnadeError | undefined => {
    calls += 1;
    const found = positions.filter((row) => bad.has(row));
    return found.length === 0
      ? undefined
      : new ColonnadeError('MODEL_FAILED', `row ${found.join()}`, { phase: 'model' });
  };
  const found = findRejected(rows, failure, attempt, budget);
  return { found: [...found.keys()], messages: [...found.values()].map(({ message }) => message), calls };
}

const batchWithBad = fc.integer({ min: 1, max: 600 }).chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    bad: fc.uniqueArray(fc.nat(rows - 1), { minLength: 1, maxLength: rows }).map((bad) => new Set(bad)),
  }),
);

describe('the search for rows that fail', () => {
  it('finds these and no others, each by itself, or tells that they are too many', () => {
    fc.assert(
      fc.property(batchWithBad, ({ rows, bad }) => {
        try {
          const { found, messages } = search(rows, bad);
          expect(found).toEqual([...bad].sort((a, b) => a - b));
          if (rows > 1) expect(messages).toEqual(found.map((row) => `row ${row}`));
        } catch (error) {
          if (!(error instanceof TooManyRejected)) throw error;
          expect(bad.size / rows).toBeGreaterThan(0.03);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes about two calls for each halving, and never more than half as many as there are rows', () => {
    expect(search(4096, new Set([1234])).calls).toBeLessThanOrEqual(8 + 2 * 12 + 1);
    const some = Array.from({ length: 40 }, (_, i) => i * 100 + 7);
    expect(search(4096, new Set(some)).calls).toBeLessThanOrEqual(40 * 2 * 8);
    let calls = 0;
    const every = (positions: readonly number[]): ColonnadeError | undefined => {
      calls += 1;
      // The rows that are tried alone at first pass: only bisection tells.
      return positions.length > 1 || positions[0]! % 2 === 1 ? failure : undefined;
    };
    expect(() => findRejected(4096, failure, every, new SearchBudget())).toThrow(TooManyRejected);
    expect(calls).toBe(2048);
  });

  it('is over at once where all of a few rows fail that are spread over the batch', () => {
    const all = new Set(Array.from({ length: 4096 }, (_, i) => i));
    let calls = 0;
    const attempt = (positions: readonly number[]): ColonnadeError | undefined => {
      calls += 1;
      return positions.some((row) => all.has(row)) ? failure : undefined;
    };
    expect(() => findRejected(4096, failure, attempt, new SearchBudget())).toThrow(/8 rows of it, tried one by one/);
    expect(calls).toBe(8);
  });

  it('is over for a shard once its batches have taken many calls together', () => {
    const budget = new SearchBudget();
    const all = (): void => {
      for (let batch = 0; batch < 200_000; batch += 1) search(1, new Set([0]), budget);
    };
    expect(all).toThrow(/131,072 calls/);
  });

  it('finds none where each row passes alone', () => {
    const together = (positions: readonly number[]): ColonnadeError | undefined =>
      positions.length > 1 ? failure : undefined;
    expect(findRejected(50, failure, together, new SearchBudget()).size).toBe(0);
  });
});

const bench = await openWorkbench();
const WEIGHTS = [0.1, -0.7, 3.3];
/** A score that takes all bits of three floats, and a look-up that fails on what is out of range. */
const path = await bench.write(
  'models/lookup.onnx',
  onnx({
    inputs: [
      { name: 'X', type: 'float32', shape: ['N', 3] },
      { name: 'at', type: 'int64', shape: ['N'] },
    ],
    outputs: [
      { name: 'score', type: 'float32', shape: ['N', 1] },
      { name: 'pair', type: 'float32', shape: ['N', 2] },
    ],
    nodes: [
      { op: 'MatMul', inputs: ['X', 'W'], outputs: ['product'] },
      { op: 'Gather', inputs: ['table', 'at'], outputs: ['pair'] },
      { op: 'ReduceSum', inputs: ['pair', 'last'], outputs: ['sum'], attributes: { keepdims: 1 } },
      { op: 'Add', inputs: ['product', 'sum'], outputs: ['raw'] },
      { op: 'Sigmoid', inputs: ['raw'], outputs: ['score'] },
    ],
    constants: [
      { name: 'W', type: 'float32', dims: [3, 1], values: WEIGHTS },
      { name: 'table', type: 'float32', dims: [4, 2], values: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] },
      { name: 'last', type: 'int64', dims: [1], values: [1] },
    ],
  }),
);
await bench.parquet(
  'data/a.parquet',
  'SELECT 1::FLOAT AS x, 2::FLOAT AS y, 3::FLOAT AS z, 1::BIGINT AS at, 1::BIGINT AS too',
);
const features = ['x', 'y', 'z', 'at', 'too'];
const lookup = { path, inputs: { X: ['x', 'y', 'z'], at: 'at' }, batch_size: 1000 };
const outputs = { score: 'score', pair: { from: 'pair', as: 'list' } };
const planned = await bench.plan({
  features,
  models: {
    first: { ...lookup, outputs },
    second: { ...lookup, inputs: { X: ['z', 'y', 'x'], at: 'too' }, outputs: { other: 'score' } },
  },
});
const model = await openModel(path, { signature: planned.models[0]!.signature });
afterAll(() => model.release());

interface Row {
  readonly x: number;
  /** What the first model looks up, and the second. */
  readonly at: number;
  readonly too: number;
}

/** Scores rows as one row group, in batches of these sizes by the two models; gives the columns and the counts. */
function score(rows: readonly Row[], sizes: readonly [number, number], change: Partial<Plan> = {}) {
  const file = planned.files[0]!;
  const plan: Plan = {
    ...planned,
    files: [{ ...file, rows: rows.length, rowGroups: [{ rows: rows.length, bytes: 0 }] }],
    models: planned.models.map((each, i) => ({ ...each, batchSize: sizes[i]! })),
    ...change,
  };
  const shard: Shard = { index: 0, file: 0, rowGroups: [0, 1], firstRow: 0, rows: rows.length };
  const columns = plan.projection.map((column) =>
    columnOf(
      column,
      rows.map(({ x, at, too }) =>
        column.name === 'at' ? BigInt(at) : column.name === 'too' ? BigInt(too) : column.name === 'x' ? x : x / 3 + 0.1,
      ),
      NaN,
    ),
  );
  let vectors: Vector[] = [];
  const scorer = new ShardScorer(plan, shard, [model, model], {
    appendRowGroup: (scores) => {
      const nan = scores.nanCounts();
      expect(nan).toEqual([]);
      vectors = scores.finish();
    },
  });
  scorer.add({ firstRow: 0, batch: batchOf(columns, rows.length) });
  const counts: ShardCounts = scorer.finish();
  const [scores, pairs, others, status, reasons] = vectors as [Vector, Vector, Vector, Vector, Vector];
  const bits = (value: unknown): string | null =>
    value === null ? null : Buffer.from(Float32Array.of(...[value as number].flat()).buffer).toString('hex');
  return {
    counts,
    rows: rows.map((_, i) => {
      const pair = pairs.get(i) as Iterable<number> | null;
      return {
        scores: [bits(scores.get(i)), pair === null ? null : bits(Array.from(pair)), bits(others.get(i))],
        status: status.get(i) as number,
        reason: reasons.get(i) as string | null,
      };
    }),
  };
}

const place = fc.integer({ min: -4, max: 3 });
const sound = fc.record({ x: fc.float({ min: -8, max: 8, noNaN: true }), at: place, too: place });
const outside = fc.constantFrom(99, -5, 4, 2 ** 40);
interface Wrong {
  readonly at?: number;
  readonly too?: number;
}

/** Rows that are sound, and what is wrong with some of them. */
const someRows = fc.array(
  fc.record({
    row: sound,
    wrong: fc.oneof<fc.MaybeWeightedArbitrary<Wrong>[]>(
      { weight: 12, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.record({ at: outside }) },
      { weight: 1, arbitrary: fc.record({ at: outside, too: outside }, { requiredKeys: ['too'] }) },
    ),
  }),
  { minLength: 1, maxLength: 120 },
);
const size = fc.integer({ min: 1, max: 130 });

const said = (name: string, at: number | string, range: string): string =>
  `model ${name}: Gather: indices element out of data bounds, idx=${at} must be within the inclusive range [${range}]`;

describe('a row that a model fails on', () => {
  it('is found, and the scores of all others are bit for bit what they would have been', () => {
    let whole = 0;
    fc.assert(
      fc.property(someRows, fc.tuple(size, size), fc.constantFrom('quarantine', 'null'), (given, sizes, onInvalid) => {
        const undisturbed = score(
          given.map(({ row }) => row),
          sizes,
        );
        let disturbed: ReturnType<typeof score>;
        try {
          disturbed = score(
            given.map(({ row, wrong }) => ({ ...row, ...wrong })),
            sizes,
            { onInvalid },
          );
        } catch (error) {
          // All of eight rows of a batch are bad; that is seldom.
          whole += 1;
          expect(error).toMatchObject({ code: 'MODEL_FAILED' });
          return;
        }
        const status = onInvalid === 'null' ? ROW_STATUS.nulled : ROW_STATUS.quarantined;
        const isBad = ({ wrong }: (typeof given)[0]): boolean => Object.keys(wrong).length > 0;
        expect(disturbed.rows).toEqual(
          given.map((each, i) => {
            if (!isBad(each)) return undisturbed.rows[i];
            const { at, too } = each.wrong;
            const reasons = [
              ...(at === undefined ? [] : [said('first', at, '-4,3')]),
              ...(too === undefined ? [] : [said('second', too, '-4,3')]),
            ];
            const { reason } = disturbed.rows[i]!;
            // By the model whose batch was complete first. What the other one gave does not count.
            expect([reasons.join('; '), reasons.toReversed().join('; ')]).toContain(reason);
            return { scores: [null, null, null], status, reason };
          }),
        );
        const bad = given.filter(isBad).length;
        const reasons = (['first', 'second'] as const).flatMap((name, i): [string, number][] => {
          const count = given.filter(({ wrong }) => [wrong.at, wrong.too][i] !== undefined).length;
          return count === 0 ? [] : [[said(name, '…', '…,…'), count]];
        });
        expect(disturbed.counts).toEqual({
          rows: given.length,
          scored: given.length - bad,
          quarantined: onInvalid === 'null' ? 0 : bad,
          nulled: onInvalid === 'null' ? bad : 0,
          filtered: 0,
          rejected: bad,
          reasons: Object.fromEntries(reasons),
          nan: {},
        });
      }),
      { numRuns: 300 },
    );
    expect(whole).toBeLessThan(10);
  });

  it('ends the shard with on_invalid: fail, which names it', () => {
    const rows = Array.from({ length: 100 }, (_, i) => ({ x: i, at: i % 70 === 60 ? 50 : 0, too: 0 }));
    const error = thrown(() => score(rows, [100, 100], { onInvalid: 'fail' }));
    expect(error).toMatchObject({ code: 'MODEL_FAILED', phase: 'model' });
    expect(error.message).toBe(
      `${bench.path('data/a.parquet')}: row 60: model first: Gather: indices element out of data bounds, idx=50 must be within the inclusive range [-4,3]`,
    );
  });

  it('is one of all where a model fails on everything, which ends the shard at once', () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({ x: i, at: 50, too: 0 }));
    const error = thrown(() => score(rows, [1000, 1000]));
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toMatch(
      /a\.parquet, rows 0 to 999: .*failed on a batch of 1,000 rows: .*; 8 rows of it, tried one by one, fail as well$/,
    );
  });
});
