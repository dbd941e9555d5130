/** Places in a text, and how they are shown: the line with its number, and a caret below. */
import type { Position } from '../errors.js';

/** Characters of a line that are shown; longer lines are cut around the place. */
const WIDTH = 100;

/** Line starts of a text, so that many offsets can be turned into positions. Lines end at `\n`; a `\r` before it is not shown. */
export class LineIndex {
  private readonly starts: number[] = [0];
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.starts.push(at + 1);
  }

  /** Line and column, from 1, of an offset in UTF-16 units; offsets past the end are at the end. */
  position(offset: number): Position {
    const place = Math.min(Math.max(offset, 0), this.text.length);
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: place - (this.starts[low] ?? 0) + 1 };
  }

  /** The text of a line, counted from 1, without its end. */
  line(number: number): string {
    const start = this.starts[number - 1];
    if (start === undefined) return '';
    const next = this.starts[number];
    return this.text.slice(start, next === undefined ? undefined : next - 1).replace(/\r$/, '');
  }
}

/**
 * The line at `position` and a caret below the place, ready to print:
 *
 *     12 |   batchsize: 5
 *        |   ^
 *
 * Control characters are shown as `·`, so that a file cannot write escape sequences to a terminal.
 */
export function excerptAt(lines: LineIndex, position: Position): string {
  const whole = lines
    .line(position.line)
    .replaceAll(/\t/g, ' ')
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '·');
  const from = position.column <= WIDTH - 20 ? 0 : position.column - WIDTH / 2;
  const lead = from === 0 ? '' : '…';
  const rest = whole.length - from > WIDTH ? '…' : '';
  const shown = lead + whole.slice(from, from + WIDTH) + rest;
  const number = String(position.line);
  const caret = ' '.repeat(lead.length + position.column - 1 - from) + '^';
  return `${number} | ${shown}\n${' '.repeat(number.length)} | ${caret}`;
}
