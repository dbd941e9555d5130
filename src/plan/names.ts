/** Names of columns in sentences. */

/** A name that would be taken for something else in a list, or break the line, is quoted and escaped. */
export function shownName(name: string): string {
  const plain = name !== '' && name.trim() === name && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp},"]/u.test(name);
  return plain ? name : JSON.stringify(name);
}

/** Names with commas between them, as many as `most` and then their number. */
export function shownNames(names: readonly string[], most = names.length): string {
  const shown = names.slice(0, most).map(shownName).join(', ');
  return names.length > most ? `${shown}, … (${names.length} in all)` : shown;
}
