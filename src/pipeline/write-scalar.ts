/** Writes values as a pipeline file has them. */
import { stringify } from 'yaml';

/** A text as YAML in one line, quoted where it has to be; a dollar is doubled, as it would begin a variable. */
export function writeScalar(value: string): string {
  return stringify(value.replaceAll('$', '$$$$'), { lineWidth: 0 }).trim();
}
