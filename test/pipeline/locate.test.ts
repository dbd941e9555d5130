import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyPath, parentKey } from '../../src/pipeline/key-path.js';
import { parsePipeline } from '../../src/pipeline/load.js';
import { locate, pipelineProblem } from '../../src/pipeline/locate.js';
import { formatProblem } from '../../src/pipeline/problems.js';

const pipeline = parsePipeline(
  `version: 1
source:
  path: customers
features:
  - age
  - { name: b, sql: "a + 1" }
model: { path: churn.onnx }
outputs: { churn: label }
validate:
  rules:
    "odd name":
      min: 0
sink: { mode: append, path: out }
`,
  '/p/churn.yaml',
  { env: {} },
);

describe('locate', () => {
  it('points at list items, at values on the line of their key, and else at the key', () => {
    expect(locate(pipeline, 'features[0]')).toEqual({
      position: { line: 5, column: 5 },
      excerpt: '5 |   - age\n  |     ^',
    });
    expect(locate(pipeline, 'features[1].sql').position).toEqual({ line: 6, column: 21 });
    expect(locate(pipeline, 'source').position).toEqual({ line: 2, column: 1 });
    expect(locate(pipeline, 'validate.rules["odd name"].min').position).toEqual({ line: 12, column: 12 });
  });

  it('points at what is around a key that is not in the file', () => {
    expect(locate(pipeline, 'source.path[0]').position).toEqual({ line: 3, column: 9 });
    expect(locate(pipeline, 'sink.exists').position).toEqual({ line: 13, column: 7 });
    expect(locate(pipeline, 'run.memory')).toEqual({});
  });

  it('makes a problem that is ready to print', () => {
    const problem = pipelineProblem(pipeline, 'features[0]', 'there is no column `age`', 'did you mean `Age`?');
    expect(formatProblem(problem)).toBe(
      '/p/churn.yaml:5:5: there is no column `age`\n    5 |   - age\n      |     ^\n  hint: did you mean `Age`?',
    );
    expect(problem.key).toBe('features[0]');
  });
});

describe('keyPath', () => {
  it('climbs from any path to the root, one segment at a time', () => {
    const segment = fc.oneof(
      fc.nat(99),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('a', 'b-c', 'a.b', '["', '"]', '\\'),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (path) => {
        for (let length = path.length; length > 0; length--) {
          expect(parentKey(keyPath(path.slice(0, length)))).toBe(keyPath(path.slice(0, length - 1)));
        }
        expect(parentKey('')).toBeUndefined();
      }),
    );
  });
});
