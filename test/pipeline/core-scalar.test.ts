import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { coreScalar, inexactInteger } from '../../src/pipeline/core-scalar.js';

describe('coreScalar', () => {
  it('gives an unquoted scalar the value that a YAML 1.2 parser gives it', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'0123456789+-.eExXoOabcfnulNULtrTRUaAsSifIF~_'.split('')) });
    const words = fc.constantFrom(
      'null',
      'True',
      'FALSE',
      '.inf',
      '-.INF',
      '.nan',
      '0o17',
      '0xfF',
      '1e3',
      '.5',
      '5.',
      '-0',
      'yes',
      'on',
      '~',
      '012',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          words,
          letters.filter((text) => !/^(?:[-?]$|---|\.\.\.)/.test(text)),
        ),
        (text) => {
          const { a: value } = parse(`a: ${text}`, { version: '1.2', schema: 'core' }) as { a: unknown };
          expect(coreScalar(text)).toEqual(value);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('knows integers that a double would change', () => {
    const inexact = ['9007199254740993', '-9007199254740993', '0xffffffffffffffff', '18446744073709551615'];
    expect(inexact.every((text) => inexactInteger(text)?.message.includes(text))).toBe(true);
    expect(['9007199254740991', '1e30', '0.1', 'text', '-5'].some(inexactInteger)).toBe(false);
  });
});
