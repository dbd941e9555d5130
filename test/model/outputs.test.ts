import * as arrow from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outputField } from '../../src/plan/arrow-types.js';
import { ARRAYS } from '../../src/plan/elements.js';
import type { Tensor } from '../../src/model/engine.js';
import { OutputColumnBuilder } from '../../src/model/outputs.js';
import type { Reduction } from '../../src/pipeline/pipeline.js';
import { ELEMENT_TYPES, type ElementType } from '../../src/plan/facts.js';
import type { PlannedOutput } from '../../src/plan/plan.js';
import { rejection } from './fixtures.js';

function planned(take: PlannedOutput['take'], type: ElementType): PlannedOutput {
  return { name: 'column', model: 0, from: 'output', take, type, list: take.kind === 'list' };
}

const WHOLE = { kind: 'whole' } as const;
const LIST = { kind: 'list' } as const;

function tensor(type: ElementType, dims: readonly number[], values: readonly (number | bigint | string)[]): Tensor {
  if (type === 'string') return { type, dims, data: values as string[] };
  return { type, dims, data: new ARRAYS[type](values as never) };
}

/** The column as JavaScript values, after a way through Arrow's own file format. */
function cells(builder: OutputColumnBuilder): unknown[] {
  const data = builder.finish();
  expect(data.length).toBe(builder.rows);
  const vector = new arrow.Vector([data]);
  const table = arrow.tableFromIPC(arrow.tableToIPC(new arrow.Table({ column: vector }), 'file'));
  const read = table.getChild('column')!;
  const typed = new arrow.Field('column', outputField('c', builder.output.type, builder.output.list).type, true);
  expect(String(table.schema.fields[0])).toBe(String(typed));
  expect(read.nullCount).toBe(data.nullCount);
  return Array.from(read, (cell: unknown) =>
    cell instanceof arrow.Vector ? Array.from(cell as Iterable<unknown>) : cell,
  );
}

function built(take: PlannedOutput['take'], type: ElementType, value: Tensor): unknown[] {
  const builder = new OutputColumnBuilder(planned(take, type), value.dims[0]!);
  builder.write(value, 0, value.dims[0]!);
  return cells(builder);
}

const SAMPLES: Readonly<Record<ElementType, readonly (number | bigint | string)[]>> = {
  float32: [0.5, -0.25, 8],
  float64: [0.1, 1e300, -5e-324],
  int8: [-128, 127, 0],
  uint8: [0, 255, 1],
  int16: [-32768, 32767, 0],
  uint16: [0, 65535, 1],
  int32: [-(2 ** 31), 2 ** 31 - 1, 0],
  uint32: [0, 2 ** 32 - 1, 1],
  int64: [-(2n ** 63n), 2n ** 63n - 1n, 0n],
  uint64: [0n, 2n ** 64n - 1n, 1n],
  bool: [1, 0, 1],
  string: ['', 'é', '🏛 text'],
};

describe('a column of a whole output', () => {
  it.each(ELEMENT_TYPES)('has the type and values of the output: %s', (type) => {
    const expected = type === 'bool' ? SAMPLES[type].map(Boolean) : SAMPLES[type];
    expect(built(WHOLE, type, tensor(type, [3], SAMPLES[type]))).toEqual(expected);
    expect(built(WHOLE, type, tensor(type, [3, 1], SAMPLES[type]))).toEqual(expected);
  });

  it.each(ELEMENT_TYPES)('has NULL where a row was not scored: %s', (type) => {
    const builder = new OutputColumnBuilder(planned(WHOLE, type), 11);
    builder.write(tensor(type, [3], SAMPLES[type]), Uint32Array.of(1, 8, 9));
    const [a, b, c] = type === 'bool' ? SAMPLES[type].map(Boolean) : SAMPLES[type];
    expect(cells(builder)).toEqual([null, a, null, null, null, null, null, null, b, c, null]);
  });

  it('is the same in however many pieces and places it is written', () => {
    const output = fc.record({ positions: fc.uniqueArray(fc.nat(63), { maxLength: 64 }), split: fc.nat(64) });
    fc.assert(
      fc.property(output, ({ positions, split }) => {
        const builder = new OutputColumnBuilder(planned(WHOLE, 'float64'), 64);
        const expected = Array<number | null>(64).fill(null);
        for (const row of positions) expected[row] = row / 3;
        for (const part of [positions.slice(0, split), positions.slice(split)]) {
          builder.write(
            tensor(
              'float64',
              [part.length],
              part.map((row) => row / 3),
            ),
            Uint32Array.from(part),
          );
        }
        expect(cells(builder)).toEqual(expected);
      }),
    );
  });

  it('may be empty', () => {
    expect(cells(new OutputColumnBuilder(planned(WHOLE, 'float32'), 0))).toEqual([]);
    expect(cells(new OutputColumnBuilder(planned(LIST, 'string'), 0))).toEqual([]);
    expect(cells(new OutputColumnBuilder(planned(LIST, 'float32'), 2))).toEqual([null, null]);
  });
});

describe('one column of a matrix', () => {
  it('is taken by its position', () => {
    const scores = tensor('float32', [2, 3], [0.25, 0.5, 1, 2, 4, 8]);
    expect(built({ kind: 'index', index: 1 }, 'float32', scores)).toEqual([0.5, 4]);
    expect(built({ kind: 'index', index: 2 }, 'float32', scores)).toEqual([1, 8]);
  });

  it('goes where the rows belong', () => {
    const builder = new OutputColumnBuilder(planned({ kind: 'index', index: 1 }, 'float32'), 4);
    builder.write(tensor('float32', [2, 2], [1, 2, 3, 4]), Uint32Array.of(3, 0));
    expect(cells(builder)).toEqual([4, null, null, 2]);
  });

  it('is the output itself where that has one value a row', () => {
    expect(built({ kind: 'index', index: 0 }, 'float32', tensor('float32', [2], [1, 2]))).toEqual([1, 2]);
  });
});

describe('a list column', () => {
  it('has all values of a row, those of a tensor of higher rank one after the other', () => {
    expect(built(LIST, 'float32', tensor('float32', [2, 2], [1, 2, 3, 4]))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(built(LIST, 'int64', tensor('int64', [1, 2, 2], [1n, 2n, 3n, 4n]))).toEqual([[1n, 2n, 3n, 4n]]);
    expect(built(LIST, 'string', tensor('string', [2, 1], ['a', 'b']))).toEqual([['a'], ['b']]);
  });

  it.each(['float32', 'string', 'bool', 'int64'] as const)(
    'has NULL, and no values, for rows not scored: %s',
    (type) => {
      const builder = new OutputColumnBuilder(planned(LIST, type), 5);
      const sample = SAMPLES[type].slice(0, 2);
      builder.write(tensor(type, [1, 2], sample), Uint32Array.of(3));
      builder.write(tensor(type, [1, 2], [...sample].reverse()), 1, 1);
      const expected = type === 'bool' ? sample.map(Boolean) : sample;
      expect(cells(builder)).toEqual([null, [...expected].reverse(), null, expected, null]);
      expect(builder.finish().children[0]!.length).toBe(4);
    },
  );
});

describe('reductions', () => {
  const reduced = (reduce: Reduction, type: ElementType, value: Tensor): unknown[] =>
    built({ kind: 'reduce', reduce }, type, value);
  const scores = tensor('float64', [3, 3], [0.25, 0.5, 0.25, 0, 1, 0, 0.4, 0.2, 0.4]);

  it('take the greatest value, its position, its lead, and the entropy', () => {
    expect(reduced('max', 'float64', scores)).toEqual([0.5, 1, 0.4]);
    expect(reduced('argmax', 'int64', scores)).toEqual([1n, 1n, 0n]);
    expect(reduced('margin', 'float64', scores)).toEqual([0.25, 1, 0]);
    const [even, sure, split] = reduced('entropy', 'float64', scores) as number[];
    expect(even).toBeCloseTo(1.5 * Math.LN2, 15);
    expect(sure).toBe(0);
    expect(split).toBeCloseTo(-(0.8 * Math.log(0.4) + 0.2 * Math.log(0.2)), 15);
  });

  it('of integers keep them exact', () => {
    const big = tensor('int64', [1, 3], [2n ** 62n, 2n ** 62n + 1n, -1n]);
    expect(reduced('max', 'int64', big)).toEqual([2n ** 62n + 1n]);
    expect(reduced('argmax', 'int64', big)).toEqual([1n]);
  });

  it('of NaN are NaN, and argmax points to it', () => {
    const row = tensor('float32', [1, 3], [0.5, Number.NaN, 0.75]);
    expect(reduced('max', 'float32', row)).toEqual([Number.NaN]);
    expect(reduced('margin', 'float32', row)).toEqual([Number.NaN]);
    expect(reduced('entropy', 'float32', row)).toEqual([Number.NaN]);
    expect(reduced('argmax', 'int64', row)).toEqual([1n]);
  });

  it('agree with sorting', () => {
    const row = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(row, (values) => {
        const [first, second] = [...values].sort((a, b) => b - a);
        const value = tensor('float64', [1, values.length], values);
        expect(reduced('max', 'float64', value)[0] === first).toBe(true);
        expect(reduced('argmax', 'int64', value)).toEqual([BigInt(values.findIndex((x) => x === first))]);
        expect(reduced('margin', 'float64', value)[0] === first! - second!).toBe(true);
      }),
    );
  });
});

describe('NaN predictions', () => {
  it('are counted, in lists too, and not for rows that were not scored', () => {
    const builder = new OutputColumnBuilder(planned(WHOLE, 'float32'), 5);
    builder.write(tensor('float32', [3], [1, Number.NaN, Number.NaN]), Uint32Array.of(0, 2, 4));
    expect(builder.nanCount).toBe(2);
    const lists = new OutputColumnBuilder(planned(LIST, 'float64'), 3);
    lists.write(tensor('float64', [1, 2], [Number.NaN, 0]), 2, 1);
    expect(lists.nanCount).toBe(1);
    // The next row group, of which no row is scored.
    lists.reset(3);
    expect(lists.nanCount).toBe(0);
    expect(lists.finish()).toMatchObject({ length: 3, nullCount: 3 });
    const labels = new OutputColumnBuilder(planned(WHOLE, 'string'), 1);
    labels.write(tensor('string', [1], ['NaN']), 0, 1);
    expect(labels.nanCount).toBe(0);
  });
});

describe('an output that is not as planned', () => {
  it.each([
    ['fewer rows', planned(WHOLE, 'float32'), tensor('float32', [1], [1])],
    ['another type', planned(WHOLE, 'float32'), tensor('float64', [2], [1, 2])],
    ['several values', planned(WHOLE, 'float32'), tensor('float32', [2, 2], [1, 2, 3, 4])],
    ['too few columns', planned({ kind: 'index', index: 1 }, 'float32'), tensor('float32', [2, 1], [1, 2])],
    [
      'no number to reduce',
      planned({ kind: 'reduce', reduce: 'max' }, 'float32'),
      tensor('string', [2, 1], ['a', 'b']),
    ],
    ['a scalar', planned(WHOLE, 'float32'), tensor('float32', [], [1])],
  ])('fails the run: %s', async (_, output, value) => {
    const builder = new OutputColumnBuilder(output, 2);
    const error = await rejection(Promise.resolve().then(() => builder.write(value, 0, 2)));
    expect(error).toMatchObject({ code: 'MODEL_FAILED', phase: 'model' });
    expect(error.message).toContain(`${value.type}[${value.dims.join(', ')}] as output for 2 rows`);
  });

  it('fails the run where there is not one entry for each row, and says that this is what it takes', async () => {
    for (const dims of [[1, 1], [3, 1], []]) {
      const builder = new OutputColumnBuilder(planned(WHOLE, 'float32'), 2);
      const value = tensor('float32', dims, [1, 2, 3].slice(0, dims[0] ?? 1));
      const error = await rejection(Promise.resolve().then(() => builder.write(value, 0, 2)));
      expect(error.hint).toMatch(/one entry for each row/);
    }
  });

  it('fails the run where the lists change their length', () => {
    const builder = new OutputColumnBuilder(planned(LIST, 'float32'), 2);
    builder.write(tensor('float32', [1, 2], [1, 2]), 0, 1);
    expect(() => builder.write(tensor('float32', [1, 1], [1]), 1, 1)).toThrow('does not make the column');
  });

  it('is not written past the end of the row group', () => {
    const builder = new OutputColumnBuilder(planned(WHOLE, 'float32'), 2);
    expect(() => builder.write(tensor('float32', [2], [1, 2]), 1, 2)).toThrow('outside a row group of 2 rows');
    expect(() => builder.write(tensor('float32', [1], [1]), Uint32Array.of(2))).toThrow(
      'outside a row group of 2 rows',
    );
  });
});
