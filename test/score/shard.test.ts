import type { RecordBatch, Vector } from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import type { Engine } from '../../src/model/engine.js';
import { openModel } from '../../src/model/session.js';
import { ROW_STATUS, type Plan, type Shard } from '../../src/plan/plan.js';
import { startRun } from '../../src/run/run.js';
import {
  RowGroupMemory,
  ShardScorer,
  type ScoredPart,
  type ScoreOptions,
  type ScoresTarget,
  type ShardCounts,
} from '../../src/score/shard.js';
import { thrown } from '../model/fixtures.js';
import { batchSumModel, rootModel } from '../run/onnx.js';
import { openWorkbench } from '../run/workbench.js';
import { batchOf, columnOf } from '../validate/columns.js';

const bench = await openWorkbench();

const path = await bench.write('models/sum.onnx', batchSumModel());
const parts = {
  source: { where: 'wanted' },
  features: ['x'],
  model: { path },
  outputs: { y: 'Y', list: { from: 'Y', as: 'list' } },
  validate: { rules: { x: { max: 1000 } } },
};
await bench.parquet('data/a.parquet', 'SELECT 1::FLOAT AS x, true AS wanted');
const { model: _, outputs: __, ...others } = parts;
/** The model twice: its batches are of one size under the first name, and of another under the second. */
const planned = await bench.plan({
  ...others,
  models: {
    first: { path, outputs: parts.outputs },
    second: { path, outputs: { other: 'Y' } },
  },
});
const model = await openModel(path, { signature: planned.models[0]!.signature });
afterAll(() => model.release());

/** A row of the source: what it holds, and whether it is asked for. */
interface Row {
  readonly x: number | null;
  readonly wanted: boolean;
}

interface Case {
  /** Row groups of the file, of which the shard takes some. */
  readonly groups: readonly (readonly Row[])[];
  readonly range: readonly [from: number, to: number];
  readonly batchSize: number;
  /** Of the second model. */
  readonly otherSize: number;
  readonly onInvalid: 'quarantine' | 'null';
}

interface Scored {
  readonly status: number;
  readonly reason: string | null;
  readonly y: number | null;
  /** Of the second model. */
  readonly other: number | null;
}

/** The plan for a file with other row groups than the one that it was made for. */
function planOf({ groups, batchSize, otherSize, onInvalid }: Case): Plan {
  const file = planned.files[0]!;
  const rowGroups = groups.map(({ length }) => ({ rows: length, bytes: 0 }));
  return {
    ...planned,
    files: [{ ...file, rows: groups.flat().length, rowGroups }],
    models: planned.models.map((each, i) => ({ ...each, batchSize: i === 0 ? batchSize : otherSize })),
    onInvalid,
  };
}

function shardOf({ groups, range }: Case): Shard {
  const count = (list: Case['groups']): number => list.flat().length;
  return {
    index: 0,
    file: 0,
    rowGroups: range,
    firstRow: count(groups.slice(0, range[0])),
    rows: count(groups.slice(...range)),
  };
}

function batchOfRows(rows: readonly Row[]): RecordBatch {
  const columns = planned.projection.map((column) =>
    columnOf(
      column,
      rows.map(({ x, wanted }) => (column.role === 'where' ? Number(wanted) : x)),
      NaN,
    ),
  );
  return batchOf(columns, rows.length);
}

/** The rows of the shard as parts that are cut at `cuts`; `views` of one batch, or batches of their own. */
function partsOf(each: Case, cuts: readonly number[], views: boolean): ScoredPart[] {
  const rows = each.groups.slice(...each.range).flat();
  const { firstRow } = shardOf(each);
  const whole = batchOfRows(rows);
  const places = [0, ...[...cuts].sort((a, b) => a - b), rows.length];
  return places.slice(0, -1).map((from, i) => {
    const to = places[i + 1]!;
    return { firstRow: firstRow + from, batch: views ? whole.slice(from, to) : batchOfRows(rows.slice(from, to)) };
  });
}

/** Row groups take turns as `turns` has it, as they do where each is read by a thread of its own. */
function inTurns(each: Case, cuts: readonly number[], views: boolean, turns: readonly number[]): ScoredPart[] {
  const borders: number[] = [];
  let rows = 0;
  for (const group of each.groups.slice(...each.range)) borders.push((rows += group.length));
  const { firstRow } = shardOf(each);
  const queues = borders.map((): ScoredPart[] => []);
  for (const part of partsOf(each, [...cuts, ...borders], views))
    if (part.batch.numRows > 0) queues[borders.findIndex((border) => part.firstRow - firstRow < border)]!.push(part);
  const parts: ScoredPart[] = [];
  for (let i = 0; queues.some((queue) => queue.length > 0); i += 1) {
    const waiting = queues.filter((queue) => queue.length > 0);
    parts.push(waiting[(turns[i] ?? 0) % waiting.length]!.shift()!);
  }
  return parts;
}

function scoreAll(
  plan: Plan,
  shard: Shard,
  given: readonly ScoredPart[],
  engines: readonly Engine[],
  target: ScoresTarget,
  options?: ScoreOptions,
): ShardCounts {
  const scorer = new ShardScorer(plan, shard, engines, target, options);
  for (const part of given) scorer.add(part);
  return scorer.finish();
}

function score(each: Case, given: readonly ScoredPart[], memory?: RowGroupMemory) {
  const groups: Scored[][] = [];
  const steps: number[] = [];
  const counts = scoreAll(
    planOf(each),
    shardOf(each),
    given,
    [model, model],
    {
      appendRowGroup: (scores) => {
        const [y, list, other, status, reason] = scores.finish() as [Vector, Vector, Vector, Vector, Vector];
        groups.push(
          Array.from({ length: status.length }, (_, row) => {
            const values = list.get(row) as Iterable<number> | null;
            // Both outputs are made of the same tensor.
            expect(values === null ? null : Array.from(values)).toEqual(y.get(row) === null ? null : [y.get(row)]);
            return {
              status: status.get(row) as number,
              reason: reason.get(row) as string | null,
              y: y.get(row) as number | null,
              other: other.get(row) as number | null,
            };
          }),
        );
      },
    },
    { onRows: (rows) => steps.push(rows), ...(memory === undefined ? {} : { memory }) },
  );
  return { groups, counts, steps };
}

/** The same by the words of the documentation: windows that begin anew with each row group. */
function expected({ groups, range, batchSize, otherSize, onInvalid }: Case): {
  groups: Scored[][];
  counts: ShardCounts;
} {
  const invalid = onInvalid === 'null' ? ROW_STATUS.nulled : ROW_STATUS.quarantined;
  const scored = groups.slice(...range).map((rows) =>
    rows.map(({ x, wanted }, i): Scored => {
      const none = { y: null, other: null };
      if (!wanted) return { status: ROW_STATUS.filtered, reason: null, ...none };
      if (x === null) return { status: invalid, reason: 'x: NULL', ...none };
      if (x > 1000) return { status: invalid, reason: 'x: above max 1000', ...none };
      const scoreIn = (size: number): number => {
        const together = rows
          .slice(i - (i % size), i - (i % size) + size)
          .filter((row) => row.wanted && row.x !== null && row.x <= 1000);
        return x + together.reduce((sum, row) => sum + row.x!, 0);
      };
      return { status: ROW_STATUS.scored, reason: null, y: scoreIn(batchSize), other: scoreIn(otherSize) };
    }),
  );
  const all = scored.flat();
  const having = (status: number): number => all.filter((row) => row.status === status).length;
  const reasons = all.flatMap(({ reason }) => reason ?? []);
  return {
    groups: scored,
    counts: {
      rows: all.length,
      scored: having(ROW_STATUS.scored),
      quarantined: having(ROW_STATUS.quarantined),
      nulled: having(ROW_STATUS.nulled),
      filtered: having(ROW_STATUS.filtered),
      rejected: 0,
      reasons: Object.fromEntries([...new Set(reasons)].map((r) => [r, reasons.filter((each) => each === r).length])),
      nan: {},
    },
  };
}

const row: fc.Arbitrary<Row> = fc.record({
  x: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 1000 }) }, fc.constantFrom(null, 5000)),
  wanted: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false)),
});
/** Without rows, with one, with less than a batch, with many batches; all fine, all left out, or mixed. */
const rowGroup = fc.oneof(
  fc.constant([]),
  fc.array(row, { minLength: 1, maxLength: 1 }),
  fc.array(row, { maxLength: 40 }),
  fc.array(fc.record({ x: fc.integer({ min: 1, max: 1000 }), wanted: fc.constant(true) }), { maxLength: 40 }),
  fc.array(fc.record({ x: fc.constant(7), wanted: fc.constant(false) }), { maxLength: 20 }),
);
const someCase: fc.Arbitrary<Case> = fc.array(rowGroup, { maxLength: 6 }).chain((groups) =>
  fc.record({
    groups: fc.constant(groups),
    range: fc
      .tuple(fc.nat(groups.length), fc.nat(groups.length))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
    batchSize: fc.integer({ min: 1, max: 24 }),
    otherSize: fc.integer({ min: 1, max: 24 }),
    onInvalid: fc.constantFrom('quarantine' as const, 'null' as const),
  }),
);
/** As shares of the shard's rows. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });

const turns = fc.array(fc.nat(5), { maxLength: 40 });

describe('a shard', () => {
  it('gives the scores that its file and the batch size say, however its rows come in parts', () => {
    fc.assert(
      fc.property(someCase, cuts, fc.boolean(), fc.option(turns), (each, shares, views, order) => {
        const { rows } = shardOf(each);
        const places = shares.map((share) => Math.floor(share * rows));
        const given = order === null ? partsOf(each, places, views) : inTurns(each, places, views, order);
        const { groups, counts, steps } = score(each, given);
        const want = expected(each);
        expect(groups).toEqual(want.groups);
        expect(counts).toEqual(want.counts);
        expect([...steps].sort((a, b) => a - b)).toEqual(steps);
        if (rows > 0) expect(steps.at(-1)).toBe(rows);
      }),
      { numRuns: 600 },
    );
  });

  it('leaves nothing of itself in the memory that the next shard uses', () => {
    const cases = fc.array(someCase, { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 24 }), (several, batchSize) => {
        const same = several.map((each) => ({ ...each, batchSize, otherSize: 7 }));
        const memory = new RowGroupMemory(planOf(same[0]!));
        for (const each of same) {
          const { groups, counts } = score(each, partsOf(each, [], false), memory);
          expect({ groups, counts }).toEqual(expected(each));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('counts NaN among its predictions, by column', async () => {
    const root = await bench.write('models/root.onnx', rootModel());
    const plan = await bench.plan({ ...parts, model: { path: root }, outputs: { root: 'Y', same: 'Y' } });
    const other = await openModel(root, { signature: plan.models[0]!.signature });
    const each: Case = { groups: [[]], range: [0, 1], batchSize: 2, otherSize: 2, onInvalid: 'quarantine' };
    const groups = [[-1, 4, -9].map((x) => ({ x, wanted: true })), [{ x: -1, wanted: true }]];
    const whole = { ...each, groups, range: [0, 2] as const };
    const counts = scoreAll(
      { ...planOf(whole), models: [{ ...plan.models[0]!, batchSize: 2 }], outputs: plan.outputs },
      shardOf(whole),
      partsOf(whole, [], false),
      [other],
      { appendRowGroup: (scores) => void scores.finish() },
    );
    await other.release();
    expect(counts).toMatchObject({ rows: 4, scored: 4, nan: { root: 3, same: 3 } });
  });

  it('stops at the first invalid row where that is wished, and names its place in the file', () => {
    const fine: Row = { x: 1, wanted: true };
    const groups = [
      [fine, fine],
      [fine, { x: null, wanted: false }, { x: null, wanted: true }, fine],
    ];
    const each: Case = { groups, range: [1, 2], batchSize: 2, otherSize: 2, onInvalid: 'quarantine' };
    const error = thrown(() =>
      scoreAll({ ...planOf(each), onInvalid: 'fail' }, shardOf(each), partsOf(each, [], false), [model, model], {
        appendRowGroup: () => undefined,
      }),
    );
    expect(error).toMatchObject({ code: 'ROW_INVALID', phase: 'validate' });
    expect(error.message).toBe(`${bench.path('data/a.parquet')}: row 4 is invalid: x: NULL`);
  });

  it('is not done with fewer rows than its file should have', () => {
    const each: Case = {
      groups: [Array.from({ length: 10 }, (_, x) => ({ x, wanted: true }))],
      range: [0, 1],
      batchSize: 4,
      otherSize: 4,
      onInvalid: 'quarantine',
    };
    for (const missing of [1, 6, 10]) {
      const short = { ...each, groups: [each.groups[0]!.slice(0, -missing)] };
      const closed: number[] = [];
      const error = thrown(() =>
        scoreAll(planOf(each), shardOf(each), partsOf(short, [], false), [model, model], {
          appendRowGroup: () => void closed.push(1),
        }),
      );
      expect(error).toMatchObject({ code: 'BAD_PARQUET', phase: 'score' });
      expect(error.message).toContain(`${10 - missing} of 10 rows`);
      expect(closed).toEqual([]);
    }
  });

  it('names the file and the rows of what the model is to blame for, before a score is kept and after', () => {
    const wanted = Array.from({ length: 25 }, (_, x) => ({ x, wanted: true }));
    const each: Case = { groups: [wanted, wanted], range: [1, 2], batchSize: 10, otherSize: 10, onInvalid: 'null' };
    const fail = (): never => {
      throw new ColonnadeError('MODEL_FAILED', 'too much', { phase: 'model', hint: 'less' });
    };
    const appending = { appendRowGroup: () => undefined };
    const given = partsOf(each, [], false);
    const inModel = thrown(() =>
      scoreAll(
        planOf(each),
        shardOf(each),
        given,
        [{ name: 'onnxruntime', isNative: true, run: fail, release: () => model.release() }, model],
        appending,
      ),
    );
    const inColumns = thrown(() =>
      scoreAll(planOf(each), shardOf(each), given, [model, model], { appendRowGroup: fail }),
    );
    const file = bench.path('data/a.parquet');
    expect(inModel.message).toBe(`${file}, rows 25 to 34: too much; 8 rows of it, tried one by one, fail as well`);
    expect(inColumns.message).toBe(`${file}, rows 25 to 49: too much`);
    expect(inColumns).toMatchObject({ code: 'MODEL_FAILED', phase: 'model', hint: 'less' });
  });

  it('takes no row twice, and none before its turn', () => {
    const rows = (count: number): Row[] => Array.from({ length: count }, (_, x) => ({ x, wanted: true }));
    const each: Case = {
      groups: [rows(4), rows(6)],
      range: [0, 2],
      batchSize: 3,
      otherSize: 3,
      onInvalid: 'quarantine',
    };
    const [a, b, c, d] = partsOf(each, [2, 4, 8], false) as [ScoredPart, ScoredPart, ScoredPart, ScoredPart];
    const wrong: readonly (readonly ScoredPart[])[] = [[a, a], [b], [a, b, b], [c, d, d], [d], [a, c, a]];
    for (const given of wrong) {
      const error = thrown(() =>
        scoreAll(planOf(each), shardOf(each), given, [model, model], { appendRowGroup: () => undefined }),
      );
      expect(error).toMatchObject({ code: 'INTERNAL', phase: 'score' });
      expect(error.message).toMatch(/row \d+ came out of turn/);
    }
  });
});

describe('a file', () => {
  it('has the scores of windows that begin with its row groups, whatever DuckDB reads at once', async () => {
    await bench.parquet(
      'data/a.parquet',
      'SELECT CASE WHEN i % 11 = 0 THEN NULL ELSE i % 100 END::FLOAT AS x, i % 7 > 0 AS wanted, i FROM range(9000) t(i)',
    );
    const plan = await bench.plan({ ...parts, model: { path, batch_size: 700 }, run: { workers: 1 } });
    expect(plan.files[0]!.rowGroups.map(({ rows }) => rows)).toEqual([2048, 2048, 2048, 2048, 808]);
    await startRun(plan).result;
    // By windows of 700 rows in row groups of 2,048.
    const wrong = await bench.rows(`
      WITH source AS (SELECT *, i // 2048 AS g, (i % 2048) // 700 AS w FROM '${bench.path('out/a.parquet')}')
      SELECT i, y, x, sum(x) FILTER (wanted AND x IS NOT NULL) OVER (PARTITION BY g, w) AS together FROM source
      QUALIFY y IS DISTINCT FROM CASE WHEN wanted AND x IS NOT NULL THEN (x + together)::FLOAT END`);
    expect(wrong).toEqual([]);
  });
});
