/** The JSON Schema of pipeline files, for editors: made from the definition that the reader uses. */
import { z } from 'zod';
import { pipelineSchema } from './schema.js';

/** Any text with an interpolation: what it becomes is known only when the pipeline is run. */
const INTERPOLATED = { type: 'string', pattern: '\\$\\{' };

type JsonSchema = { [key: string]: unknown };

/**
 * The JSON Schema (draft 7) of a pipeline file before interpolation: where the reader wants a number or one of some
 * words, an interpolation such as `${BATCH:-1024}` is allowed as well.
 */
export function pipelineJsonSchema(): object {
  const schema = z.toJSONSchema(pipelineSchema, { target: 'draft-7', io: 'input' }) as JsonSchema;
  const { $schema, ...rest } = schema;
  return {
    $schema,
    title: 'Colonnade pipeline',
    description: 'Scores Parquet data with an ONNX model.',
    ...(allowInterpolation(rest) as JsonSchema),
    oneOf: [{ required: ['model', 'outputs'] }, { required: ['models'] }],
  };
}

/** `schema` with {@link INTERPOLATED} added wherever a scalar is more than any text. */
function allowInterpolation(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(allowInterpolation);
  if (typeof schema !== 'object' || schema === null) return schema;
  const given = schema as JsonSchema;
  if (Array.isArray(given['anyOf'])) {
    const branches = (given['anyOf'] as JsonSchema[]).map((branch) =>
      isNarrow(branch) ? branch : (allowInterpolation(branch) as JsonSchema),
    );
    const narrow =
      branches.some(isNarrow) && !branches.some((branch) => branch['type'] === 'string' && !isNarrow(branch));
    return { ...given, anyOf: narrow ? [...branches, INTERPOLATED] : branches };
  }
  if (isNarrow(given)) {
    const { description, default: preset, ...narrow } = given;
    return {
      ...(description === undefined ? {} : { description }),
      ...(preset === undefined ? {} : { default: preset }),
      anyOf: [narrow, INTERPOLATED],
    };
  }
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, inner(key, value)]));
}

function inner(key: string, value: unknown): unknown {
  if (key === 'properties') {
    return Object.fromEntries(
      Object.entries(value as JsonSchema).map(([name, property]) => [name, allowInterpolation(property)]),
    );
  }
  return key === 'items' || key === 'additionalProperties' ? allowInterpolation(value) : value;
}

/** True for a scalar that an arbitrary text would not fit; the version is always written out. */
function isNarrow(schema: JsonSchema): boolean {
  if (schema['const'] === 1) return false;
  const type = schema['type'];
  if (type === 'integer' || type === 'number' || type === 'boolean') return true;
  return 'enum' in schema || (type === 'string' && ('pattern' in schema || 'const' in schema));
}
