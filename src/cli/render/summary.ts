/** The end of a run for a person: what became of the rows, where the result is, how to look at it. */
import { alignRows } from '../../plan/layout.js';
import { counted, formatBytes, formatCount, formatShare } from '../../plan/quantities.js';
import type { RunSummary } from '../../run/events.js';
import type { Colors } from '../output.js';
import { formatDuration } from './duration.js';
import { shownPath } from './path.js';
import { printable } from './printable.js';

/** Reasons that are listed before the rest is counted. */
const MOST_REASONS = 5;

/**
 * @param example a data file of the output, to look at; none where the output has no file.
 * @returns lines with an end.
 */
export function renderSummary(summary: RunSummary, example: string | undefined, cwd: string, colors: Colors): string {
  const { rows, scored, elapsed_s, rows_per_s } = summary;
  const path = (name: string): string => printable(shownPath(name, cwd));
  const what = scored === rows ? counted(rows, 'row') : `${formatCount(scored)} of ${counted(rows, 'row')}`;
  const speed = rows_per_s > 0 ? `, ${formatCount(Math.round(rows_per_s))} rows/s` : '';
  const facts: [string, string][] = [
    [
      'output',
      `${path(summary.output)}  ${colors.dim(`${counted(summary.files, 'file')}, ${formatBytes(summary.bytes)}`)}`,
    ],
  ];
  if (scored < rows) facts.push(['rows', countsInWords(summary)]);
  if (summary.resumed_rows > 0)
    facts.push(['resumed', `${counted(summary.resumed_rows, 'row')} from an earlier, unfinished run`]);
  for (const [i, line] of reasonLines(summary).entries()) facts.push([i === 0 ? 'invalid' : '', line]);
  if (summary.quarantine !== undefined) facts.push(['quarantine', path(summary.quarantine)]);
  const nan = Object.entries(summary.nan).filter(([, count]) => count > 0);
  for (const [i, [name, count]] of nan.entries()) {
    facts.push([
      i === 0 ? 'NaN' : '',
      `${counted(count, 'prediction')} in ${printable(name)} ${colors.dim(`(${formatShare(count, scored)})`)}`,
    ]);
  }
  facts.push(['engine', scoredBy(summary)]);
  facts.push(['manifest', path(summary.manifest)]);

  // Done, and yet nothing that anybody wanted: not what a tick is for.
  const mark = scored === 0 && summary.quarantined + summary.nulled > 0 ? colors.yellow('!') : colors.green('✓');
  const lines = [
    `${mark} ${colors.bold(`${printable(summary.pipeline)}: scored ${what}`)} ${colors.dim(`in ${formatDuration(elapsed_s)}${speed}`)}`,
    '',
    ...labelled(facts, colors),
  ];
  if (example !== undefined) lines.push('', colors.bold('Look at it'), ...lookAt(summary, example, path));
  return `${lines.join('\n')}\n`;
}

/** `49,832 scored, 168 quarantined`: what there is none of is left out. */
export function countsInWords({ scored, quarantined, nulled, filtered }: RunSummary): string {
  const counts = [
    [scored, 'scored'],
    [quarantined, 'quarantined'],
    [nulled, 'nulled'],
    [filtered, 'filtered out'],
  ] as const;
  return counts
    .filter(([count], i) => count > 0 || i === 0)
    .map(([count, word]) => `${formatCount(count)} ${word}`)
    .join(', ');
}

/** `onnxruntime in batches of 16,384 rows, 1 worker`; of several models, each with its name. */
function scoredBy({ models, workers }: RunSummary): string {
  const by = models.map(
    ({ name, engine, batch_size }) =>
      `${name === undefined ? '' : `${printable(name)}: `}${engine} in batches of ${counted(batch_size, 'row')}`,
  );
  return [...by, counted(workers, 'worker')].join(', ');
}

/** The reasons with most rows first. */
function reasonLines({ reasons }: RunSummary): string[] {
  const all = Object.entries(reasons).toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  // A line that counts one reason would take as much room as the reason itself.
  const most = all.length === MOST_REASONS + 1 ? all.length : MOST_REASONS;
  const shown = all.slice(0, most).map(([reason, count]) => [formatCount(count), printable(reason)]);
  const rest = all.slice(most);
  const more = rest.reduce((sum, [, count]) => sum + count, 0);
  return alignRows(
    [...shown, ...(rest.length === 0 ? [] : [[formatCount(more), `for ${rest.length} other reasons`]])],
    new Set([0]),
  );
}

function labelled(facts: readonly (readonly [string, string])[], colors: Colors): string[] {
  const width = Math.max(...facts.map(([label]) => label.length));
  return facts.map(([label, text]) => `  ${colors.dim(label.padEnd(width))}  ${text}`);
}

/** Commands that show the result; the first needs nothing but Colonnade. */
function lookAt({ output, quarantine }: RunSummary, example: string, path: (name: string) => string): string[] {
  const glob = sqlText(`${path(output)}/**/*.parquet`);
  const commands = [
    `npx colonnade inspect ${shellWord(path(example))}`,
    `duckdb -c ${shellWord(`FROM ${glob} LIMIT 10`)}`,
    `python -c ${shellWord(`import pyarrow.dataset as d; print(d.dataset(${pythonText(path(output))}, partitioning="hive").head(10).to_pandas())`)}`,
  ];
  if (quarantine !== undefined) {
    commands.push(
      `duckdb -c ${shellWord(`SELECT _file, _row, _reason FROM ${sqlText(`${path(quarantine)}/**/*.parquet`)} LIMIT 10`)}`,
    );
  }
  return commands.map((command) => `  ${command}`);
}

function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function pythonText(text: string): string {
  return JSON.stringify(text);
}

/** A word that a POSIX shell takes as it is. */
function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  // Double quotes read better around SQL; single quotes are safe around everything.
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
