import fc from 'fast-check';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { cut } from '../../../src/cli/render/printable.js';
import { fitColumns, formatValue, renderPreview } from '../../../src/cli/render/table.js';
import { displayWidth } from '../../../src/plan/layout.js';
import type { Preview } from '../../../src/run/events.js';

const NO_COLORS = pc.createColors(false);
const kinds = fc.array(fc.constantFrom('key', 'feature', 'output', 'status'), { minLength: 1, maxLength: 12 });
const columnsOf = (names: readonly Preview['columns'][number]['kind'][]): Preview['columns'] =>
  names.map((kind, i) => ({ name: `c${i}`, kind }));

describe('a text in a cell', () => {
  it('takes no more cells of the terminal than there are, and loses only its end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'é', 'e\u0301', '日', '한', '😀', '🏛', ' ', '\n', '\u001b', '\u202e'), {
          maxLength: 40,
        }),
        fc.integer({ min: 1, max: 30 }),
        (characters, width) => {
          const text = characters.join('');
          const shown = cut(text, width);
          expect(displayWidth(shown)).toBeLessThanOrEqual(width);
          expect(Buffer.from(shown).toString()).toBe(shown);
          const whole = cut(text, 1000);
          if (displayWidth(whole) <= width) expect(shown).toBe(whole);
          else expect(whole.startsWith(shown.slice(0, -1)) && shown.endsWith('…')).toBe(true);
        },
      ),
    );
  });
});

describe('a table', () => {
  it('has its columns below each other, also beside wide characters', () => {
    const preview: Pick<Preview, 'columns' | 'rows'> = {
      columns: columnsOf(['key', 'feature', 'output']),
      rows: [
        ['日本', 1, 'x'],
        ['a', 12.5, 'y'],
        ['e\u0301😀', null, '한국어'],
      ],
    };
    for (const width of [undefined, 80]) {
      const lines = renderPreview(preview, width, NO_COLORS).trimEnd().split('\n');
      const ends = ['x', 'y', '한'].map((mark) => {
        const line = lines.find((each) => each.includes(mark))!;
        return displayWidth(line.slice(0, line.lastIndexOf(mark)));
      });
      expect(new Set(ends).size).toBe(1);
    }
  });

  it('always has keys, predictions and status, and the first features that the width allows', () => {
    fc.assert(
      fc.property(
        kinds,
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 12, maxLength: 12 }),
        fc.nat(200),
        (names, widths, width) => {
          const columns = columnsOf(names);
          const { columns: chosen, hidden } = fitColumns(columns, widths, width, 3);
          expect(chosen.length + hidden).toBe(columns.length);
          expect([...chosen].sort((a, b) => a - b)).toEqual(chosen);
          const shown = new Set(chosen);
          const features = [...columns.keys()].filter((i) => names[i] === 'feature');
          for (const i of columns.keys()) if (names[i] !== 'feature') expect(shown.has(i)).toBe(true);
          // What is shown of the features is their beginning, and one more would not have fitted.
          const count = features.filter((i) => shown.has(i)).length;
          expect(features.slice(0, count).every((i) => shown.has(i))).toBe(true);
          const cost = (list: readonly number[]): number => list.reduce((sum, i) => sum + widths[i]! + 3, 1);
          if (count > 0) expect(cost(chosen)).toBeLessThanOrEqual(width + 2);
          const next = features[count];
          if (next !== undefined) expect(cost([...chosen, next])).toBeGreaterThan(width);
        },
      ),
    );
  });
});

describe('a value', () => {
  it.each([
    ['NULL', null],
    ['NaN', Number.NaN],
    ['-Infinity', -Infinity],
    ['0.3', 0.1 + 0.2],
    ['0.1', Math.fround(0.1)],
    ['1.2345e-5', 0.000012345],
    ['1e+21', 1e21],
    ['9007199254740993', 9007199254740993n],
    ['true', true],
    ['[1, 2, 3, 4, … 6]', [1, 2, 3, 4, 5, 6]],
    ['[0.5, NULL]', [0.5, null]],
    ['[0.25, 1]', Float32Array.of(0.25, 1)],
    ['1970-01-01T00:00:00.000Z', new Date(0)],
    ['{"a":1}', { a: 1n }],
  ])('is shown as %s', (text, value: unknown) => {
    expect(formatValue(value)).toBe(text);
  });
});
