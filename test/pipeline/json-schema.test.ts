import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pipelineJsonSchema } from '../../src/pipeline/json-schema.js';

type Node = { [key: string]: unknown };

const committed = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schema/pipeline.schema.json'), 'utf8'),
) as Node;

const properties = (node: unknown): [string, Node][] =>
  Object.entries((node as Node)['properties'] as Record<string, Node>);
const property = (node: unknown, name: string): Node =>
  ((node as Node)['properties'] as Record<string, Node>)[name] as Node;

describe('the JSON Schema of pipeline files', () => {
  it('is the one that is committed (npm run build && node scripts/write-schema.mjs)', () => {
    expect(committed).toEqual(JSON.parse(JSON.stringify(pipelineJsonSchema())));
  });

  it('says of every key what it is', () => {
    const visit = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if (!Array.isArray(node) && 'properties' in node) {
        for (const [name, inner] of properties(node))
          expect([name, inner['description']]).toEqual([name, expect.any(String)]);
      }
      // A condition describes nothing.
      for (const [key, inner] of Object.entries(node)) if (key !== 'if') visit(inner);
    };
    visit(committed);
  });

  it('knows which keys do not go together', () => {
    const output = property(committed, 'outputs')['additionalProperties'] as { anyOf: Node[] };
    const pairs = output.anyOf.flatMap(({ allOf = [] }) => allOf as { not: { required: string[] } }[]);
    expect(pairs.map(({ not }) => not.required.join(' '))).toContain('class index');
    expect(pairs).toHaveLength(6);
    expect(JSON.stringify(property(committed, 'sink')['allOf'])).toContain('"then":{"required":["partition_by"]}');
  });

  it('offers allowed words and defaults, and lets interpolations stand in their place', () => {
    expect(property(property(committed, 'validate'), 'on_invalid')).toMatchObject({
      default: 'quarantine',
      anyOf: [{ enum: ['quarantine', 'null', 'fail', null] }, { type: 'string', pattern: '\\$\\{' }],
    });
    expect(property(property(committed, 'model'), 'batch_size')['anyOf']).toEqual([
      { type: 'string', const: 'auto' },
      { type: 'integer', minimum: 1, maximum: 16_777_216 },
      { type: 'string', pattern: '\\$\\{' },
    ]);
    expect(property(committed, 'version')).toMatchObject({ const: 1 });
  });

  it('demands the keys without a default and no others', () => {
    expect(committed['required']).toEqual(['version', 'source', 'features', 'sink']);
    expect(committed['oneOf']).toEqual([{ required: ['model', 'outputs'] }, { required: ['models'] }]);
    expect(property(committed, 'sink')['required']).toEqual(['mode', 'path']);
    expect(committed['additionalProperties']).toBe(false);
  });
});
