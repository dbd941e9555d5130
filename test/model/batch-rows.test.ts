import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectRows } from '../../src/model/batch-rows.js';
import type { ModelBatch, Tensor } from '../../src/model/engine.js';

/** A batch of so many rows, each of whose values tells its row; as many more that repeat the last one. */
function batch(rows: number, padding: number): ModelBatch {
  const paddedRows = rows + padding;
  const row = (i: number): number => Math.min(i, rows - 1);
  const numbers = (width: number): number[] =>
    Array.from({ length: paddedRows * width }, (_, i) => row(Math.floor(i / width)) * 10 + (i % width));
  const feeds = new Map<string, Tensor>([
    ['one', { type: 'int64', dims: [paddedRows], data: BigInt64Array.from(numbers(1).map(BigInt)) }],
    ['matrix', { type: 'float32', dims: [paddedRows, 3], data: Float32Array.from(numbers(3)) }],
    ['texts', { type: 'string', dims: [paddedRows, 2], data: numbers(2).map(String) }],
  ]);
  const columns = new Map([['trees', [Float64Array.from(numbers(1)), undefined, Float64Array.from(numbers(1))]]]);
  return { rows, paddedRows, feeds, columns };
}

describe('rows of a batch', () => {
  it('are a batch of their own, in the order and as often as they are named', () => {
    const some = fc
      .integer({ min: 1, max: 20 })
      .chain((rows) =>
        fc.tuple(fc.constant(rows), fc.array(fc.nat(rows - 1), { minLength: 1, maxLength: 30 }), fc.nat(5), fc.nat(5)),
      );
    fc.assert(
      fc.property(some, ([rows, positions, padding, more]) => {
        const taken = selectRows(batch(rows, padding), positions, positions.length + more);
        const padded = Array.from({ length: positions.length + more }, (_, i) => positions[i] ?? positions.at(-1)!);
        expect(taken).toEqual({
          rows: positions.length,
          paddedRows: padded.length,
          feeds: new Map([
            [
              'one',
              { type: 'int64', dims: [padded.length], data: BigInt64Array.from(padded, (at) => BigInt(at * 10)) },
            ],
            [
              'matrix',
              {
                type: 'float32',
                dims: [padded.length, 3],
                data: Float32Array.from(padded.flatMap((at) => [at * 10, at * 10 + 1, at * 10 + 2])),
              },
            ],
            [
              'texts',
              {
                type: 'string',
                dims: [padded.length, 2],
                data: padded.flatMap((at) => [`${at * 10}`, `${at * 10 + 1}`]),
              },
            ],
          ]),
          columns: new Map([
            [
              'trees',
              [Float64Array.from(padded, (at) => at * 10), undefined, Float64Array.from(padded, (at) => at * 10)],
            ],
          ]),
        });
      }),
    );
  });

  it('keep every bit, those of a NaN among them, and are copies', () => {
    const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x80000000, 0x00000001);
    const data = new Float32Array(bits.buffer);
    const feeds = new Map<string, Tensor>([['X', { type: 'float32', dims: [4], data }]]);
    const taken = selectRows({ rows: 4, paddedRows: 4, feeds }, [3, 2, 1, 0]).feeds.get('X')!.data as Float32Array;
    bits.fill(0);
    expect([...new Uint32Array(taken.buffer)]).toEqual([0x00000001, 0x80000000, 0xffc12345, 0x7fc00001]);
  });
});
