/** What was swept. */
import { counted, formatBytes } from '../../plan/quantities.js';
import type { Cleaned } from '../../run/clean.js';
import type { Colors } from '../output.js';
import { shortenPaths, shownPath } from './path.js';
import { printable } from './printable.js';

/** @returns lines with an end. */
export function renderCleaned(cleaned: readonly Cleaned[], dryRun: boolean, cwd: string, colors: Colors): string {
  if (cleaned.length === 0) return `${colors.dim('no outputs are known here')}\n`;
  const lines = cleaned.flatMap(({ output, error, finished_run: finished, removed, bytes }) => {
    const name = printable(shownPath(output, cwd));
    if (error !== undefined)
      return [`${colors.red('✗')} ${shortenPaths(printable(error.message), cwd)}; nothing was removed`];
    const done = dryRun ? 'would be removed' : 'removed';
    const what = removed.length === 0 ? colors.dim('nothing to remove') : `${formatBytes(bytes)} ${done}`;
    return [
      `${colors.green('✓')} ${name}  ${what}`,
      ...(finished === undefined
        ? []
        : [`    finished  the output of run ${finished}, which had died over publishing it`]),
      ...removed.map(({ path, bytes: size }) => `    ${printable(path)}  ${colors.dim(formatBytes(size))}`),
    ];
  });
  const total = cleaned.reduce((sum, { bytes }) => sum + bytes, 0);
  if (cleaned.length > 1) lines.push('', `${formatBytes(total)} in all, of ${counted(cleaned.length, 'output')}`);
  return `${lines.join('\n')}\n`;
}
