import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  THRIFT,
  ThriftError,
  ThriftList,
  ThriftMap,
  ThriftStruct,
  type ThriftType,
  type ThriftValue,
} from '../../src/parquet/thrift.js';
import { parseThrift, serializeThrift } from '../../src/parquet/thrift-compact.js';

const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value) => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
});
const scalars: readonly (readonly [ThriftType, fc.Arbitrary<ThriftValue>])[] = [
  [THRIFT.i8, fc.integer({ min: -128, max: 127 })],
  [THRIFT.i16, fc.integer({ min: -32768, max: 32767 })],
  [THRIFT.i32, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
  [THRIFT.i64, fc.oneof(int64, fc.maxSafeInteger())],
  [THRIFT.double, fc.uint8Array({ minLength: 8, maxLength: 8 })],
  [THRIFT.binary, fc.uint8Array({ maxLength: 200 })],
  [THRIFT.uuid, fc.uint8Array({ minLength: 16, maxLength: 16 })],
];

type Typed = readonly [ThriftType, ThriftValue];
const { tree } = fc.letrec<{ tree: ThriftStruct; typed: Typed; element: readonly [ThriftType, ThriftValue[]] }>(
  (tie) => ({
    typed: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      ...scalars.map(([type, value]) => value.map((drawn): Typed => [type, drawn])),
      fc.boolean().map((value): Typed => [THRIFT.true, value]),
      tie('element').map(([type, values]): Typed => [THRIFT.list, new ThriftList(type, values)]),
      tie('element').map(([type, values]): Typed => [THRIFT.set, new ThriftList(type, values, true)]),
      fc
        .array(fc.tuple(fc.uint8Array({ maxLength: 5 }), int64), { maxLength: 20 })
        .map((entries): Typed => [
          THRIFT.map,
          entries.length === 0 ? new ThriftMap(0, 0, []) : new ThriftMap(THRIFT.binary, THRIFT.i64, entries),
        ]),
      tie('tree').map((struct): Typed => [THRIFT.struct, struct]),
    ),
    element: fc.oneof(
      ...scalars.map(([type, value]) => fc.array(value, { maxLength: 20 }).map((values) => [type, values] as const)),
      fc.array(fc.constantFrom<ThriftValue>(1, 2), { maxLength: 20 }).map((values) => [THRIFT.true, values] as const),
      fc.array(tie('tree'), { maxLength: 3 }).map((values) => [THRIFT.struct, values] as const),
    ),
    tree: fc
      .uniqueArray(fc.tuple(fc.integer({ min: -100, max: 32767 }), tie('typed')), {
        maxLength: 6,
        selector: ([id]) => id,
      })
      .map((fields) => new ThriftStruct(fields.map(([id, [type, value]]) => ({ id, type, value })))),
  }),
);

const hex = (bytes: string): Buffer => Buffer.from(bytes.replaceAll(' ', ''), 'hex');

describe('a Thrift struct', () => {
  it('is the same after it was written and read, and writes the same bytes again', () => {
    fc.assert(
      fc.property(tree, (struct) => {
        const bytes = serializeThrift(struct);
        const { struct: read, length } = parseThrift(bytes);
        expect(length).toBe(bytes.length);
        expect(serializeThrift(read).equals(bytes)).toBe(true);
        expect(normal(read)).toEqual(normal(struct));
      }),
    );
  });

  it('reads the encoding of the specification', () => {
    // field 1: i32 150; field 3: true; field 300 (long form): "hi"
    const { struct } = parseThrift(hex('15 ac02 21 08 d804 02 6869 00'));
    expect(struct.int(1)).toBe(150);
    expect(struct.bool(3)).toBe(true);
    expect(struct.text(300)).toBe('hi');
  });

  it('keeps the extremes of 64 bits exact', () => {
    for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -(2n ** 53n)]) {
      const bytes = serializeThrift(new ThriftStruct([{ id: 1, type: THRIFT.i64, value }]));
      expect(parseThrift(bytes).struct.fields[0]?.value).toBe(value);
    }
  });

  it('puts a new field where its id belongs and leaves the original as it was', () => {
    const struct = new ThriftStruct([1, 9].map((id) => ({ id, type: THRIFT.i32, value: id })));
    expect(struct.with(5, THRIFT.i32, 5).fields.map((field) => field.id)).toEqual([1, 5, 9]);
    expect(struct.with(9, THRIFT.i32, 7).int(9)).toBe(7);
    expect(struct.without(1).has(1)).toBe(false);
    expect(struct.fields).toHaveLength(2);
  });

  it('refuses to give a field as another type than it has', () => {
    const struct = new ThriftStruct([{ id: 1, type: THRIFT.binary, value: Buffer.from('x') }]);
    expect(() => struct.int(1)).toThrow(/field 1 is of type binary/);
  });
});

describe('hostile bytes', () => {
  it('end in a ThriftError or a struct, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          parseThrift(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ThriftError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused when cut off anywhere', () => {
    fc.assert(
      fc.property(tree, fc.nat(), (struct, cut) => {
        const bytes = serializeThrift(struct);
        expect(() => parseThrift(bytes.subarray(0, cut % bytes.length))).toThrow(ThriftError);
      }),
    );
  });

  it.each([
    ['a list that claims two billion elements', '19 f5 ffffffff07'],
    ['a string that claims four billion bytes', '18 ffffffff0f'],
    ['a map that claims two billion entries', '1b ffffffff07 88'],
    ['an integer of eleven bytes', '16 8080808080808080808080'],
    ['an i32 of 40 bits', '15 ffffffffff01'],
    ['a size of six bytes', '18 808080808001'],
    ['a type that does not exist', '1e 00'],
    ['structs within structs without end', '1c'.repeat(10_000)],
    ['lists within lists without end', `19${'19'.repeat(10_000)}`],
  ])('are refused: %s', (_, bytes) => {
    expect(() => parseThrift(hex(bytes))).toThrow(ThriftError);
  });
});

/** Bytes as arrays, so that views and copies compare equal. */
function normal(value: ThriftValue): unknown {
  if (value instanceof ThriftStruct) return value.fields.map(({ id, type, value: inner }) => [id, type, normal(inner)]);
  if (value instanceof ThriftList) return [value.type, value.set, value.values.map(normal)];
  if (value instanceof ThriftMap) return value.entries.map(([key, inner]) => [normal(key), normal(inner)]);
  if (value instanceof Uint8Array) return [...value];
  return value;
}
