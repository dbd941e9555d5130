/**
 * Schemas that other writers leave in a file's metadata as JSON, with columns added: Spark's and Avro's take precedence
 * over Parquet's own schema in their readers, and pandas' tells its types.
 *
 *     extendWriterSchema(key, json, columns): string | undefined       undefined: nothing to change
 *     WRITER_SCHEMA_KEYS
 */
import type { ElementType } from '../plan/facts.js';

/** A column to be told of. */
export interface AddedColumn {
  readonly name: string;
  readonly type: ElementType;
  /** True where it holds lists of that type. */
  readonly list: boolean;
}

type Json = Record<string, unknown>;
type Extend = (document: Json, columns: readonly AddedColumn[]) => Json | undefined;

/** Spark has no unsigned integers: it reads them as the next wider type. */
const SPARK_TYPES: Readonly<Record<ElementType, string>> = {
  float32: 'float',
  float64: 'double',
  int8: 'byte',
  uint8: 'short',
  int16: 'short',
  uint16: 'integer',
  int32: 'integer',
  uint32: 'long',
  int64: 'long',
  uint64: 'decimal(20,0)',
  bool: 'boolean',
  string: 'string',
};

const AVRO_TYPES: Readonly<Record<ElementType, string>> = {
  float32: 'float',
  float64: 'double',
  int8: 'int',
  uint8: 'int',
  int16: 'int',
  uint16: 'int',
  int32: 'int',
  uint32: 'int',
  int64: 'long',
  uint64: 'long',
  bool: 'boolean',
  string: 'string',
};

function arrayOf(document: Json, key: string): readonly Json[] | undefined {
  const value = document[key];
  return Array.isArray(value) && value.every((entry) => typeof entry === 'object' && entry !== null)
    ? (value as Json[])
    : undefined;
}

const spark: Extend = (document, columns) => {
  const fields = arrayOf(document, 'fields');
  if (document.type !== 'struct' || fields === undefined) return undefined;
  const added = columns.map(({ name, type, list }) => {
    const scalar = SPARK_TYPES[type];
    return {
      name,
      type: list ? { type: 'array', elementType: scalar, containsNull: true } : scalar,
      nullable: true,
      metadata: {},
    };
  });
  return { ...document, fields: [...fields, ...added] };
};

const avro: Extend = (document, columns) => {
  const fields = arrayOf(document, 'fields');
  if (document.type !== 'record' || fields === undefined) return undefined;
  const added = columns.map(({ name, type, list }) => {
    const scalar = AVRO_TYPES[type];
    return { name, type: ['null', list ? { type: 'array', items: ['null', scalar] } : scalar], default: null };
  });
  // Avro's names are narrower than Parquet's; a schema with another name in it would not parse at all.
  if (columns.some(({ name }) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))) return undefined;
  return { ...document, fields: [...fields, ...added] };
};

const pandas: Extend = (document, columns) => {
  const entries = arrayOf(document, 'columns');
  if (entries === undefined) return undefined;
  const added = columns.map(({ name, type, list }) => {
    const scalar = type === 'string' ? 'unicode' : type;
    return {
      name,
      field_name: name,
      pandas_type: list ? `list[${scalar}]` : scalar,
      numpy_type: list || type === 'string' ? 'object' : type,
      metadata: null,
    };
  });
  // Names that were numbers or dates are turned back into such on reading, all of them; a new name cannot be.
  const indexes = arrayOf(document, 'column_indexes');
  const named = indexes?.map((index) =>
    index.pandas_type === 'unicode' || index.pandas_type === 'string' || index.pandas_type === 'empty'
      ? index
      : { ...index, pandas_type: 'unicode', numpy_type: 'object', metadata: { encoding: 'UTF-8' } },
  );
  return { ...document, columns: [...entries, ...added], ...(named === undefined ? {} : { column_indexes: named }) };
};

const EXTENSIONS: Readonly<Record<string, Extend>> = {
  'org.apache.spark.sql.parquet.row.metadata': spark,
  'parquet.avro.schema': avro,
  'avro.schema': avro,
  pandas,
};

/** Keys of metadata that list the file's columns, apart from Arrow's. */
export const WRITER_SCHEMA_KEYS: ReadonlySet<string> = new Set(Object.keys(EXTENSIONS));

/**
 * The value of a key of {@link WRITER_SCHEMA_KEYS} with columns added at the end; undefined for other keys, and where the
 * value is not what its writer would have written: readers pass over that, and so do we.
 */
export function extendWriterSchema(key: string, json: string, columns: readonly AddedColumn[]): string | undefined {
  const extend = EXTENSIONS[key];
  if (extend === undefined) return undefined;
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  const extended = extend(document as Json, columns);
  return extended === undefined ? undefined : JSON.stringify(extended);
}
