import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, nearest } from '../../src/pipeline/nearest.js';

describe('nearest', () => {
  it('finds the name that was meant', () => {
    const keys = ['path', 'inputs', 'batch_size', 'engine', 'from', 'onnxruntime'];
    const meant = {
      batchSize: 'batch_size',
      'batch-size': 'batch_size',
      pth: 'path',
      imputs: 'inputs',
      form: 'from',
      onnx: 'onnxruntime',
    };
    for (const [given, name] of Object.entries(meant)) expect(nearest(given, keys)).toBe(name);
  });

  it('offers nothing that has little in common', () => {
    for (const given of ['x', 'threads', 'zzzz', '', 'k'.repeat(1000)])
      expect(nearest(given, ['path', 'y', 'engine'])).toBeUndefined();
    expect(nearest('age', [])).toBeUndefined();
    expect(didYouMean('threads', ['path'])).toBeUndefined();
    expect(didYouMean('paht', ['path'])).toBe('did you mean `path`?');
  });

  it('always gives one of the candidates, and a name itself where it is among them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1 }),
        fc.string(),
        (names, given) => {
          const found = nearest(given, names);
          if (found !== undefined) expect(names).toContain(found);
          const own = names[0] ?? '';
          expect(nearest(own, [own])).toBe(own);
        },
      ),
    );
  });
});
