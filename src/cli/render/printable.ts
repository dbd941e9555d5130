/** Text from files and data on its way to a terminal. */
import { displayWidth } from '../../plan/layout.js';

/**
 * The text without control and format characters, which become `·`: a column name or a value must not move the cursor,
 * recolour the terminal or reverse the text. Line ends stay.
 */
export function printable(text: string): string {
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, '·');
}

/** The text on one line, cut to the cells of a terminal that `width` is, with `…`. */
export function cut(text: string, width: number): string {
  const line = printable(text.replaceAll('\n', '·'));
  if (displayWidth(line) <= width) return line;
  let shown = '';
  let room = width - 1;
  // By characters: half of one would be shown as a replacement mark.
  for (const character of line) {
    room -= displayWidth(character);
    if (room < 0) break;
    shown += character;
  }
  return `${shown}…`;
}
