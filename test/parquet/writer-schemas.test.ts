import { describe, expect, it } from 'vitest';
import { ELEMENT_TYPES } from '../../src/plan/facts.js';
import { extendWriterSchema, type AddedColumn } from '../../src/parquet/writer-schemas.js';

const columns: readonly AddedColumn[] = [
  { name: 'p', type: 'float32', list: false },
  { name: 'tags', type: 'string', list: true },
];
const extend = (key: string, document: object, added = columns): unknown => {
  const json = extendWriterSchema(key, JSON.stringify(document), added);
  return json === undefined ? undefined : (JSON.parse(json) as unknown);
};
const SPARK = 'org.apache.spark.sql.parquet.row.metadata';

describe('the schema that a writer left as JSON', () => {
  it('of Spark gets fields, each type as Spark reads it', () => {
    const old = { type: 'struct', fields: [{ name: 'id', type: 'long', nullable: true, metadata: { comment: 'x' } }] };
    expect(extend(SPARK, old)).toEqual({
      type: 'struct',
      fields: [
        ...old.fields,
        { name: 'p', type: 'float', nullable: true, metadata: {} },
        {
          name: 'tags',
          type: { type: 'array', elementType: 'string', containsNull: true },
          nullable: true,
          metadata: {},
        },
      ],
    });
    const all = extend(
      SPARK,
      { type: 'struct', fields: [] },
      ELEMENT_TYPES.map((type) => ({ name: type, type, list: false })),
    ) as { fields: { type: string }[] };
    expect(all.fields.map((field) => field.type)).toEqual([
      'float',
      'double',
      'byte',
      'short',
      'short',
      'integer',
      'integer',
      'long',
      'long',
      'decimal(20,0)',
      'boolean',
      'string',
    ]);
  });

  it('of pandas gets columns, and its names are texts from then on', () => {
    const index = { name: null, field_name: null, pandas_type: 'int64', numpy_type: 'int64', metadata: null };
    const extended = extend('pandas', { index_columns: ['i'], column_indexes: [index], columns: [] }) as Record<
      string,
      unknown
    >;
    expect(extended.index_columns).toEqual(['i']);
    expect(extended.column_indexes).toEqual([
      { ...index, pandas_type: 'unicode', numpy_type: 'object', metadata: { encoding: 'UTF-8' } },
    ]);
    expect(extended.columns).toEqual([
      { name: 'p', field_name: 'p', pandas_type: 'float32', numpy_type: 'float32', metadata: null },
      { name: 'tags', field_name: 'tags', pandas_type: 'list[unicode]', numpy_type: 'object', metadata: null },
    ]);
  });

  it('of Avro gets optional fields, unless a name would make it unreadable', () => {
    const old = { type: 'record', name: 'r', fields: [{ name: 'id', type: 'long' }] };
    expect(extend('parquet.avro.schema', old)).toEqual({
      ...old,
      fields: [
        ...old.fields,
        { name: 'p', type: ['null', 'float'], default: null },
        { name: 'tags', type: ['null', { type: 'array', items: ['null', 'string'] }], default: null },
      ],
    });
    expect(extend('parquet.avro.schema', old, [{ name: 'no good', type: 'bool', list: false }])).toBeUndefined();
  });

  it('is left alone where it is not what its writer would have written', () => {
    expect(extendWriterSchema('pandas', 'not JSON', columns)).toBeUndefined();
    expect(extendWriterSchema('pandas', 'null', columns)).toBeUndefined();
    expect(extend('pandas', { columns: 'all' })).toBeUndefined();
    expect(extend(SPARK, { type: 'array', fields: [] })).toBeUndefined();
    expect(extend('someone else', { fields: [] })).toBeUndefined();
  });
});
