/** Text from files and data on its way to a terminal. */

/**
 * The text without control and format characters, which become `·`: a column name or a value must not move the cursor,
 * recolour the terminal or reverse the text. Line ends stay.
 */
export function printable(text: string): string {
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, '·');
}

/** The text on one line, cut to a width with `…`. */
export function cut(text: string, width: number): string {
  const line = printable(text.replaceAll('\n', '·'));
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
