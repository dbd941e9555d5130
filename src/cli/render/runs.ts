/** Runs as a table. */
import { alignRows } from '../../plan/layout.js';
import { formatCount } from '../../plan/quantities.js';
import type { ListedRun } from '../../run/list-runs.js';
import type { Colors } from '../output.js';
import { formatDuration } from './duration.js';
import { shownPath } from './path.js';
import { printable } from './printable.js';

/** @returns lines with an end. */
export function renderRuns(runs: readonly ListedRun[], cwd: string, colors: Colors): string {
  if (runs.length === 0) return `${colors.dim('no runs are known here')}\n`;
  const head = ['RUN', 'STATE', 'STARTED', 'TOOK', 'ROWS', 'SCORED', 'SET ASIDE', 'FILTERED', 'RESUMED FROM', 'OUTPUT'];
  const rows = runs.map((run) => [
    run.run_id,
    stateOf(run),
    `${run.started_at.slice(0, 19).replace('T', ' ')}Z`,
    run.elapsed_s === null ? '' : formatDuration(run.elapsed_s),
    formatCount(run.rows),
    ...(run.ledger === undefined
      ? ['', '', '']
      : [run.ledger.scored, run.ledger.quarantined + run.ledger.nulled, run.ledger.filtered].map(formatCount)),
    resumedFrom(run),
    printable(shownPath(run.output, cwd)),
  ]);
  // What no run has to tell needs no column.
  const shown = head.map((_, column) => column).filter((column) => rows.some((row) => row[column] !== ''));
  const right = new Set(shown.flatMap((column, at) => (NUMBERS.has(column) ? [at] : [])));
  const [first, ...lines] = alignRows(
    [head, ...rows].map((row) => shown.map((column) => row[column]!)),
    right,
  );
  const painted = lines.map((line, i) => line.replace(stateOf(runs[i]!), () => paint(runs[i]!, colors)));
  return `${[colors.bold(first), ...painted].join('\n')}\n`;
}

/** Columns that are set flush right. */
const NUMBERS = new Set([3, 4, 5, 6, 7]);

function stateOf({ state, error, host, pid, finished_by: by }: ListedRun): string {
  if (state === 'failed' && error !== undefined) return `failed ${error.code}`;
  if (state === 'interrupted' && error !== undefined) return error.code.toLowerCase();
  if (state === 'running') return `running (${pid} on ${printable(host)})`;
  if (state === 'done' && by !== undefined) return `done, by ${by}`;
  return state;
}

function resumedFrom({ resumed }: ListedRun): string {
  if (resumed === undefined) return '';
  return `${resumed.run_id ?? 'an earlier run'} (${formatCount(resumed.rows)})`;
}

function paint(run: ListedRun, colors: Colors): string {
  const paints = {
    done: colors.green,
    running: colors.cyan,
    failed: colors.red,
    died: colors.red,
    interrupted: colors.yellow,
  };
  return paints[run.state](stateOf(run));
}
