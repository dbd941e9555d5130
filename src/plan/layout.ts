/** Plain text in columns. */

/**
 * Rows with their cells below each other, two spaces apart; the last cell of a row may be as long as it likes.
 * @param right positions of columns that are set flush right, such as numbers.
 */
export function alignRows(rows: readonly (readonly string[])[], right: ReadonlySet<number> = new Set()): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  // The last cell of a row pushes nothing aside, unless it is set flush right.
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(
      0,
      ...rows.map((row) => (column < row.length - 1 || right.has(column) ? displayWidth(row[column] ?? '') : 0)),
    ),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)));
        return right.has(column) ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Cells of a terminal that a text takes: East Asian wide characters and emoji take two, combining marks none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}
