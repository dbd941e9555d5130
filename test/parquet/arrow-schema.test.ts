import {
  Dictionary,
  Field,
  Float32,
  Int32,
  List,
  MessageReader,
  Schema,
  Struct,
  Table,
  TimeUnit,
  Timestamp,
  Utf8,
  tableToIPC,
  type Message,
} from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrowSchemaError, editArrowSchema, readArrowSchema } from '../../src/parquet/arrow-schema.js';

/** The schema message of an Arrow stream, as Parquet's writers store it. */
function encode(schema: Schema): string {
  const stream = Buffer.from(tableToIPC(new Table(schema), 'stream'));
  return stream.subarray(0, 8 + stream.readInt32LE(4)).toString('base64');
}

function decode(base64: string): Schema {
  const message = new MessageReader(Buffer.from(base64, 'base64')).readMessage() as Message;
  return message.header() as Schema;
}

const fields = [
  new Field('zoned', new Timestamp(TimeUnit.MICROSECOND, 'Europe/Berlin'), true, new Map([['unit', 'h']])),
  new Field('kind', new Dictionary(new Utf8(), new Int32(), 7, true), true),
  new Field('nested', new Struct([new Field('a', new List(new Field('item', new Float32(), true)), false)]), true),
];
const old = new Schema(
  fields,
  new Map([
    ['owner', 'me'],
    ['pandas', '{"columns": []}'],
  ]),
);
const added = new Schema([
  new Field('p', new Float32(), true),
  new Field('l', new List(new Field('element', new Utf8(), true)), true),
]);
const words = (schema: Schema): string[] =>
  schema.fields.map((field) => `${String(field)} ${JSON.stringify([...field.metadata])}`);

describe('an Arrow schema', () => {
  it('takes fields of another at its end and keeps its own, with their metadata', () => {
    const edited = decode(editArrowSchema(encode(old), { add: { from: encode(added), names: ['l', 'p'] } }));
    expect(words(edited)).toEqual([...words(old), ...words(added).reverse()]);
    expect([...edited.metadata]).toEqual([...old.metadata]);
    expect((edited.fields[1]!.type as Dictionary).id).toBe(7);
    expect((edited.fields[1]!.type as Dictionary).isOrdered).toBe(true);
  });

  it('changes the metadata that it is told to, whatever its text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        const wellFormed = Buffer.from(text).toString();
        const change = (key: string): string | undefined => (key === 'pandas' ? wellFormed : undefined);
        const edited = editArrowSchema(encode(old), { change });
        expect([...decode(edited).metadata]).toEqual([
          ['owner', 'me'],
          ['pandas', wellFormed],
        ]);
        expect(readArrowSchema(edited).metadata.map(({ key, value }) => [key, value])).toEqual([
          ['owner', 'me'],
          ['pandas', wellFormed],
        ]);
      }),
    );
  });

  it('can be edited again and again', () => {
    let schema = encode(old);
    for (let round = 0; round < 5; round += 1) {
      const more = new Schema([new Field(`p${round}`, new Float32(), true)]);
      schema = editArrowSchema(schema, { add: { from: encode(more), names: [`p${round}`] } });
    }
    expect(decode(schema).fields.map((field) => field.name)).toEqual([
      'zoned',
      'kind',
      'nested',
      'p0',
      'p1',
      'p2',
      'p3',
      'p4',
    ]);
  });

  it('is told by the form of before Arrow 0.15, too', () => {
    const bytes = Buffer.from(encode(old), 'base64').subarray(4).toString('base64');
    expect(readArrowSchema(bytes).fields.map((field) => field.name)).toEqual(['zoned', 'kind', 'nested']);
  });

  it('is refused with an ArrowSchemaError where it is none, cut off or damaged', () => {
    const bytes = Buffer.from(encode(old), 'base64');
    const attempt = (changed: Buffer): void => {
      try {
        readArrowSchema(changed.toString('base64'));
      } catch (error) {
        expect(error).toBeInstanceOf(ArrowSchemaError);
      }
    };
    expect(() => readArrowSchema('')).toThrow(ArrowSchemaError);
    expect(() => editArrowSchema(encode(old), { add: { from: encode(added), names: ['none'] } })).toThrow(
      /no such field/,
    );
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => readArrowSchema(bytes.subarray(0, length).toString('base64'))).toThrow(ArrowSchemaError);
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        attempt(changed);
      }),
      { numRuns: 1000 },
    );
  });
});
