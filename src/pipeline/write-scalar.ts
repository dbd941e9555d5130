/** Writes values as a pipeline file has them. */
import { stringify } from 'yaml';

/** A text as YAML in one line, quoted where it has to be; a dollar is doubled, as it would begin a variable. */
export function writeScalar(value: string): string {
  return writeKey(withDollars(value));
}

/** A key, in which a dollar is one. */
export function writeKey(key: string): string {
  const written = stringify(key, { lineWidth: 0 }).trim();
  return written.includes('\n') ? JSON.stringify(key) : written;
}

/** A text in double quotes, which may stand anywhere: between brackets too, where commas end a plain text. */
export function writeQuoted(value: string): string {
  return JSON.stringify(withDollars(value));
}

function withDollars(value: string): string {
  return value.replaceAll('$', '$$$$');
}
