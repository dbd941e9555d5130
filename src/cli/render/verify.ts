/** The checks of an output, a line each. */
import { formatCount } from '../../plan/quantities.js';
import type { Check } from '../../run/verify.js';
import type { Colors } from '../output.js';
import { shortenPaths } from './path.js';
import { printable } from './printable.js';

/** Problems of a check that are listed before the rest is counted. */
const MOST = 5;
/** Width of the names. */
const NAME = 12;

/** @returns lines with an end. */
export function renderCheck({ name, state, told, problems }: Check, cwd: string, colors: Colors): string {
  const mark = { ok: colors.green('✓'), damaged: colors.red('✗'), unchecked: colors.yellow('–') }[state];
  const text = (words: string): string => shortenPaths(printable(words), cwd);
  const about = { ok: text(told), damaged: 'damaged', unchecked: `not checked: ${text(told)}` }[state];
  const shown = problems.slice(0, MOST).map((problem) => `    ${text(problem)}`);
  const more = problems.length - shown.length;
  return `${[`${mark} ${name.padEnd(NAME)} ${about}`, ...shown, ...(more > 0 ? [`    … and ${formatCount(more)} more`] : [])].join('\n')}\n`;
}
