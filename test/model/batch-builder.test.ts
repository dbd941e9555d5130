import * as arrow from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchBuilder, type BatchShape } from '../../src/model/batch-builder.js';
import { ARRAYS } from '../../src/plan/elements.js';
import type { Rule } from '../../src/pipeline/pipeline.js';
import { ELEMENT_TYPES, type ElementType } from '../../src/plan/facts.js';
import type { PlannedInput, ProjectedColumn } from '../../src/plan/plan.js';

type Cell = number | bigint | string | null;

const ARROW: Readonly<Record<ElementType, arrow.DataType>> = {
  float32: new arrow.Float32(),
  float64: new arrow.Float64(),
  int8: new arrow.Int8(),
  uint8: new arrow.Uint8(),
  int16: new arrow.Int16(),
  uint16: new arrow.Uint16(),
  int32: new arrow.Int32(),
  uint32: new arrow.Uint32(),
  int64: new arrow.Int64(),
  uint64: new arrow.Uint64(),
  // DuckDB's vectors have a byte for each bool.
  bool: new arrow.Uint8(),
  string: new arrow.Utf8(),
};

function projected(element: ElementType, missing: Rule['missing'] = 'invalid', name = 'f'): ProjectedColumn {
  return { name, role: 'feature', sql: name, element, rule: { missing, infinite: 'invalid' } };
}

function column(type: arrow.DataType, cells: readonly Cell[]): arrow.Data {
  return arrow.vectorFromArray([...cells], type).data[0] ?? new arrow.Data(type, 0, 0);
}

function recordBatch(columns: readonly arrow.Data[]): arrow.RecordBatch {
  const fields = columns.map(({ type }, i) => new arrow.Field(`c${i}`, type, true));
  const struct = arrow.makeData({ type: new arrow.Struct(fields), length: columns[0]!.length, children: [...columns] });
  return new arrow.RecordBatch(new arrow.Schema(fields), struct);
}

function shape(
  input: Partial<PlannedInput> & Pick<PlannedInput, 'type'>,
  batchSize: number,
  fixedBatch = false,
): BatchShape {
  const columns = input.columns ?? [0];
  const planned = { name: 'X', rank: 2, width: columns.length, layout: 'pack', columns, ...input } as const;
  return { inputs: [planned], batchSize, fixedBatch };
}

function values(builder: BatchBuilder): Cell[] {
  return Array.from(builder.take().feeds.get('X')!.data as ArrayLike<Cell>);
}

/** A value of an element type, as the type itself holds it. */
function cellOf(type: ElementType): fc.Arbitrary<Cell> {
  switch (type) {
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 6 });
    case 'bool':
      return fc.constantFrom(0, 1);
    case 'int64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 'uint64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case 'float32':
      return fc.float({ noNaN: true });
    case 'float64':
      return fc.double({ noNaN: true });
    default:
      return fc.integer().map((number) => new ARRAYS[type]([number])[0]!);
  }
}

/** Chunks of a table with its columns in Arrow, and the rows that are kept of each. */
function chunksOf(type: ElementType, width: number): fc.Arbitrary<{ rows: Cell[][]; keep: number[] | undefined }[]> {
  const cell = fc.option(cellOf(type), { nil: null, freq: 4 });
  const row = fc.array(cell, { minLength: width, maxLength: width });
  const chunk = fc.array(row, { minLength: 1, maxLength: 12 }).chain((rows) =>
    fc.record({
      rows: fc.constant(rows),
      keep: fc.option(fc.subarray([...rows.keys()]), { nil: undefined }),
    }),
  );
  return fc.array(chunk, { minLength: 1, maxLength: 4 });
}

const NUMBERS = ELEMENT_TYPES.filter((type) => type !== 'string');

describe('an input that is given column by column', () => {
  it.each(NUMBERS)('has the columns of the matrix that it would be, those that are read: %s', (type) => {
    const width = 3;
    const columns = [0, 1, 2];
    const rule = { value: 1 };
    fc.assert(
      fc.property(chunksOf(type, width), fc.subarray(columns), fc.boolean(), (chunks, reads, fixedBatch) => {
        const projection = columns.map(() => projected(type, rule));
        const matrix = new BatchBuilder(shape({ type, columns }, 100, fixedBatch), projection);
        const builder = new BatchBuilder(
          shape({ type, columns, layout: 'columns', reads }, 100, fixedBatch),
          projection,
        );
        for (const { rows, keep } of chunks) {
          const data = columns.map((k) =>
            column(
              ARROW[type],
              rows.map((row) => row[k]!),
            ),
          );
          for (const each of [matrix, builder]) {
            each.add(recordBatch(data), keep && Uint32Array.from(keep));
            each.own();
          }
          // Memory of a record batch goes away with it.
          for (const { values: memory } of data) {
            const { buffer, byteOffset, byteLength } = memory as Float64Array;
            new Uint8Array(buffer, byteOffset, byteLength).fill(0);
          }
        }
        if (builder.rows === 0) return;
        const given = builder.take();
        const expected = matrix.take();
        expect(given).toMatchObject({ rows: expected.rows, paddedRows: expected.paddedRows });
        expect(given.feeds.size).toBe(0);
        const packed = expected.feeds.get('X')!.data as Float64Array;
        expect(given.columns!.get('X')).toEqual(
          columns.map((k) => (reads.includes(k) ? packed.filter((_, at) => at % width === k) : undefined)),
        );
      }),
    );
  });

  it('lies where it is, if all of the batch is in one record batch', () => {
    const builder = new BatchBuilder(shape({ type: 'float32', columns: [0, 1], layout: 'columns', reads: [1] }, 4), [
      projected('float32'),
      projected('float32'),
    ]);
    const data = [column(ARROW.float32, [1, 2]), column(ARROW.float32, [3, 4])];
    builder.add(recordBatch(data));
    const [unread, read] = builder.take().columns!.get('X')!;
    expect(unread).toBeUndefined();
    expect(read!.buffer).toBe((data[1]!.values as Float32Array).buffer);
  });
});

describe('a matrix of scalar columns', () => {
  it.each(ELEMENT_TYPES)('is the kept rows in order, whatever the columns, chunks and NULLs: %s', (type) => {
    const replacement: Cell = type === 'string' ? 'none' : 1;
    const stored = type === 'int64' || type === 'uint64' ? 1n : replacement;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }).chain((width) => fc.tuple(fc.constant(width), chunksOf(type, width))),
        ([width, chunks]) => {
          const columns = Array.from({ length: width }, (_, k) => k);
          const rule = { value: replacement };
          const builder = new BatchBuilder(
            shape({ type, columns, layout: width === 1 ? 'column' : 'pack' }, 100),
            columns.map(() => projected(type, rule)),
          );
          const expected: Cell[] = [];
          for (const { rows, keep } of chunks) {
            const data = columns.map((k) =>
              column(
                ARROW[type],
                rows.map((row) => row[k]!),
              ),
            );
            builder.add(recordBatch(data), keep === undefined ? undefined : Uint32Array.from(keep));
            for (const i of keep ?? rows.keys()) expected.push(...rows[i]!.map((cell) => cell ?? stored));
          }
          fc.pre(expected.length > 0);
          expect(builder.rows).toBe(expected.length / width);
          const batch = builder.take();
          const tensor = batch.feeds.get('X')!;
          expect(tensor).toMatchObject({ type, dims: [expected.length / width, width] });
          expect(Array.from(tensor.data as ArrayLike<Cell>)).toEqual(expected);
          expect(builder.rows).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is right when it is wider than a block and longer than one', () => {
    const width = 37;
    const rows = 2048;
    const columns = Array.from({ length: width }, (_, k) => k);
    const data = columns.map((k) =>
      arrow.makeData({ type: new arrow.Float32(), data: Float32Array.from({ length: rows }, (_, i) => i * width + k) }),
    );
    const builder = new BatchBuilder(
      shape({ type: 'float32', columns }, 2 * rows),
      columns.map(() => projected('float32')),
    );
    builder.add(recordBatch(data));
    builder.add(recordBatch(data));
    const counted = Array.from({ length: rows * width }, (_, i) => i);
    expect(values(builder)).toEqual([...counted, ...counted]);
  });

  it('takes its columns from where the projection has them, in the order of the model', () => {
    const builder = new BatchBuilder(shape({ type: 'float64', columns: [2, 0] }, 10), [
      projected('float64'),
      projected('uint8'),
      projected('float64'),
    ]);
    builder.add(
      recordBatch([column(ARROW.float64, [1, 2]), column(ARROW.uint8, [9, 9]), column(ARROW.float64, [3, 4])]),
    );
    expect(values(builder)).toEqual([3, 1, 4, 2]);
  });

  it('puts the same numbers into its one buffer again and again', () => {
    const builder = new BatchBuilder(shape({ type: 'float32', columns: [0, 1] }, 4), [
      projected('float32'),
      projected('float32'),
    ]);
    const take = (a: number, b: number): Float32Array => {
      builder.add(recordBatch([column(ARROW.float32, [a]), column(ARROW.float32, [b])]));
      return builder.take().feeds.get('X')!.data as Float32Array;
    };
    const first = take(1, 2);
    const second = take(3, 4);
    expect(second.buffer).toBe(first.buffer);
    expect([...second]).toEqual([3, 4]);
  });
});

describe('missing values', () => {
  const nullAndNaN = [1, null, Number.NaN, 4];

  it.each([
    [{ value: -1 }, [1, -1, -1, 4]],
    ['nan', [1, Number.NaN, Number.NaN, 4]],
  ] as const)('in a float column become what the rule says: %j', (missing, expected) => {
    const builder = new BatchBuilder(shape({ type: 'float32' }, 10), [projected('float32', missing)]);
    builder.add(recordBatch([column(ARROW.float32, nullAndNaN)]));
    expect(values(builder)).toEqual(expected);
  });

  it('that nothing replaces are let through only where they are not kept', () => {
    const builder = new BatchBuilder(shape({ type: 'float32' }, 10), [projected('float32', 'invalid', 'age')]);
    const batch = recordBatch([column(ARROW.float32, [1, null, 3])]);
    builder.add(batch, Uint32Array.of(0, 2));
    expect(values(builder)).toEqual([1, 3]);
    expect(() => builder.add(batch)).toThrow('a row with NULL in age was given to the model');
  });

  it('are found in a batch that was sliced', () => {
    const builder = new BatchBuilder(shape({ type: 'int32' }, 20), [projected('int32', { value: 0 })]);
    const cells = Array.from({ length: 19 }, (_, i) => (i % 3 === 0 ? null : i));
    builder.add(recordBatch([column(ARROW.int32, cells)]).slice(5, 19));
    expect(values(builder)).toEqual(cells.slice(5).map((cell) => cell ?? 0));
  });
});

describe('one column', () => {
  it('is fed without a copy where the batch is one chunk of which every row is kept', () => {
    const data = column(ARROW.float64, [1, 2, 3]);
    const builder = new BatchBuilder(shape({ type: 'float64', layout: 'column', rank: 1 }, 10), [projected('float64')]);
    builder.add(recordBatch([data]));
    const batch = builder.take();
    const tensor = batch.feeds.get('X')!;
    expect(tensor.dims).toEqual([3]);
    expect((tensor.data as Float64Array).buffer).toBe((data.values as Float64Array).buffer);
  });

  it('is copied before its memory goes, when the batch is not full by then', () => {
    const data = column(ARROW.float64, [1, 2, 3]);
    const builder = new BatchBuilder(shape({ type: 'float64', layout: 'column', rank: 1 }, 10), [projected('float64')]);
    builder.add(recordBatch([data]));
    builder.own();
    (data.values as Float64Array).fill(-1);
    expect([...(builder.take().feeds.get('X')!.data as Float64Array)]).toEqual([1, 2, 3]);
    // What was taken is not the builder's any more.
    builder.own();
    expect(builder.rows).toBe(0);
  });

  it('is copied where it is not, and the source keeps its values', () => {
    const data = column(ARROW.float64, [1, 2, 3]);
    const builder = new BatchBuilder(shape({ type: 'float64', layout: 'column' }, 10), [projected('float64')]);
    builder.add(recordBatch([data]));
    builder.add(recordBatch([data]), Uint32Array.of(2));
    const tensor = builder.take().feeds.get('X')!;
    expect([...(tensor.data as Float64Array)]).toEqual([1, 2, 3, 3]);
    expect((tensor.data as Float64Array).buffer).not.toBe((data.values as Float64Array).buffer);
    // Arrow's arrays are longer than their values.
    expect([...(data.values as Float64Array).subarray(0, 3)]).toEqual([1, 2, 3]);
  });
});

describe('a list column', () => {
  const list = new arrow.List(new arrow.Field('item', new arrow.Float32(), true));
  const lists = (rows: readonly (readonly (number | null)[] | null)[]): arrow.Data =>
    arrow.vectorFromArray([...rows] as never[], list).data[0]!;
  const input = { type: 'float32', layout: 'list', width: 2 } as const;

  it('is fed without a copy where its values follow one another', () => {
    const data = lists([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const builder = new BatchBuilder(shape(input, 10), [projected('float32')]);
    builder.add(recordBatch([data]).slice(1));
    const tensor = builder.take().feeds.get('X')!;
    expect(tensor.dims).toEqual([2, 2]);
    expect([...(tensor.data as Float32Array)]).toEqual([3, 4, 5, 6]);
    expect((tensor.data as Float32Array).buffer).toBe((data.children[0]!.values as Float32Array).buffer);
  });

  it('is copied, list by list, where rows are left out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.tuple(fc.float({ noNaN: true }), fc.float({ noNaN: true })), { nil: null }), {
          minLength: 1,
        }),
        (rows) => {
          const kept = [...rows.keys()].filter((i) => rows[i] !== null);
          fc.pre(kept.length > 0);
          const builder = new BatchBuilder(shape(input, 100), [projected('float32')]);
          builder.add(recordBatch([lists(rows)]), Uint32Array.from(kept));
          expect(values(builder)).toEqual(kept.flatMap((i) => rows[i]!));
        },
      ),
    );
  });

  it('never feeds a list of another length, or none', () => {
    const builder = new BatchBuilder(shape(input, 10), [projected('float32', 'invalid', 'vector')]);
    const batch = recordBatch([lists([[1, 2], [3], null])]);
    expect(() => builder.add(batch, Uint32Array.of(0, 1))).toThrow('row 1 of a batch has 1 values in vector, not 2');
    expect(() => builder.add(batch, Uint32Array.of(2))).toThrow('NULL in vector');
  });
});

describe('the builder', () => {
  it('fills a fixed batch with the last row, and says how many count', () => {
    const builder = new BatchBuilder(shape({ type: 'float32', columns: [0, 1] }, 4, true), [
      projected('float32'),
      projected('float32'),
    ]);
    builder.add(recordBatch([column(ARROW.float32, [1, 2]), column(ARROW.float32, [3, 4])]));
    const batch = builder.take();
    expect(batch).toMatchObject({ rows: 2, paddedRows: 4 });
    expect([...(batch.feeds.get('X')!.data as Float32Array)]).toEqual([1, 3, 2, 4, 2, 4, 2, 4]);
  });

  it('fills a fixed batch of a column without touching the source', () => {
    const data = column(ARROW.int64, [5n, 6n]);
    const builder = new BatchBuilder(shape({ type: 'int64', layout: 'column' }, 3, true), [projected('int64')]);
    builder.add(recordBatch([data]));
    expect(values(builder)).toEqual([5n, 6n, 6n]);
  });

  it('refuses more rows than fit, and a batch without rows', () => {
    const builder = new BatchBuilder(shape({ type: 'float32' }, 2), [projected('float32')]);
    expect(() => builder.take()).toThrow('a batch without rows');
    expect(() => builder.add(recordBatch([column(ARROW.float32, [1, 2, 3])]))).toThrow('3 rows do not fit');
    expect(builder.rows).toBe(0);
  });

  it('names a column that is not of the planned type', () => {
    const builder = new BatchBuilder(shape({ type: 'float32' }, 2), [projected('float32', 'invalid', 'age')]);
    expect(() => builder.add(recordBatch([column(ARROW.float64, [1])]))).toThrow(
      'the column age arrived as Float64, not as float32',
    );
    const bits = new BatchBuilder(shape({ type: 'bool' }, 2), [projected('bool', 'invalid', 'new')]);
    expect(() => bits.add(recordBatch([arrow.vectorFromArray([true], new arrow.Bool()).data[0]!]))).toThrow(
      'the column new arrived as Bool, not as bool',
    );
  });
});
