import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration } from '../../../src/cli/render/duration.js';

const UNIT: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 };

describe('a duration', () => {
  it.each([
    [0, '0.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.6, '1 min 00 s'],
    [200, '3 min 20 s'],
    [3599.7, '1 h 00 min'],
    [3900, '1 h 05 min'],
    [86_390, '1 d 0 h'],
    [97_200, '1 d 3 h'],
  ])('of %d s reads %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it('is right to half of its last unit, and no part is as much as the next larger unit', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 40 * 86_400, noNaN: true }), (seconds) => {
        const parts = [...formatDuration(seconds).matchAll(/([\d.]+) (\w+)/g)].map(
          ([, n, unit]) => [Number(n), UNIT[unit!]!] as const,
        );
        const [last] = parts.slice(-1);
        const step = seconds < 9.95 ? 0.1 : last![1];
        const sum = parts.reduce((total, [n, unit]) => total + n * unit, 0);
        expect(Math.abs(sum - seconds)).toBeLessThanOrEqual(step / 2 + 1e-9);
        if (parts.length === 2) expect(parts[1]![0] * parts[1]![1]).toBeLessThan(parts[0]![1]);
      }),
    );
  });
});
