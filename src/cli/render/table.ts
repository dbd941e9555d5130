/** The rows of a preview: a table on a terminal, aligned columns elsewhere. */
import Table from 'cli-table3';
import { alignRows, displayWidth } from '../../plan/layout.js';
import type { Preview } from '../../run/events.js';
import type { Colors } from '../output.js';
import { toJson } from './json.js';
import { cut } from './printable.js';

/** Cells of the terminal that a value may take. */
const CELL = 28;
/** Cells of the status, which tells why a row is invalid. */
const STATUS_CELL = 60;
/** Numbers that lists begin with. */
const MOST_ITEMS = 4;

/** A value in a few characters: six significant digits, `NULL`, lists by their beginning. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'string') return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return formatValue(Array.from(value as unknown as Iterable<number | bigint>));
  }
  if (Array.isArray(value)) {
    const shown = value.slice(0, MOST_ITEMS).map(formatValue);
    return `[${[...shown, ...(value.length > MOST_ITEMS ? [`… ${value.length}`] : [])].join(', ')}]`;
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') {
    // DuckDB's values for decimals, dates and the like know their own text.
    const text = (value as { toString: () => string }).toString();
    return text.startsWith('[object ') ? toJson(value) : text;
  }
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- objects have been seen to above
  return String(value);
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  const short = Number(value.toPrecision(6));
  return Math.abs(short) >= 1e-4 && Math.abs(short) < 1e15 ? String(short) : value.toExponential(4);
}

/** Columns of a preview that fit into a width, with how many do not. */
export interface Fitted {
  readonly columns: readonly number[];
  readonly hidden: number;
}

/**
 * Chooses columns for a width: keys, outputs and status always, then features from the first while there is room.
 * @param widths of each column, in characters, without what stands between two columns.
 * @param gap characters between two columns.
 */
export function fitColumns(columns: Preview['columns'], widths: readonly number[], width: number, gap: number): Fitted {
  const cost = (i: number): number => (widths[i] ?? 0) + gap;
  const features = columns.flatMap(({ kind }, i) => (kind === 'feature' ? [i] : []));
  let room = width - columns.reduce((sum, { kind }, i) => (kind === 'feature' ? sum : sum + cost(i)), 1);
  const fitting = new Set<number>();
  for (const i of features) {
    room -= cost(i);
    if (room < 0) break;
    fitting.add(i);
  }
  const chosen = columns.flatMap(({ kind }, i) => (kind !== 'feature' || fitting.has(i) ? [i] : []));
  return { columns: chosen, hidden: columns.length - chosen.length };
}

/** The lines of a preview; `width` of the terminal, or undefined where there is none: then every column is shown. */
export function renderPreview(
  { columns, rows }: Pick<Preview, 'columns' | 'rows'>,
  width: number | undefined,
  colors: Colors,
): string {
  const names = columns.map(({ name }) => cut(name, CELL));
  const cells = rows.map((row) =>
    columns.map(({ kind }, i) => cut(formatValue(row[i]), kind === 'status' ? STATUS_CELL : CELL)),
  );
  const numeric = columns.map(
    (_, i) =>
      rows.some((row) => isNumber(row[i])) &&
      rows.every((row) => row[i] === null || row[i] === undefined || isNumber(row[i])),
  );
  if (width === undefined) {
    const right = new Set(numeric.flatMap((is, i) => (is ? [i] : [])));
    return `${alignRows([names, ...cells], right).join('\n')}\n`;
  }
  const widths = columns.map((_, i) =>
    Math.max(displayWidth(names[i] ?? ''), ...cells.map((row) => displayWidth(row[i] ?? ''))),
  );
  const fitted = fitColumns(columns, widths, width, 3);
  const paint = (kind: Preview['columns'][number]['kind'], text: string): string =>
    ({ key: colors.dim, feature: String, output: colors.cyan, status: statusColor(text, colors) })[kind](text);
  const table = new Table({
    head: fitted.columns.map((i) => colors.bold(names[i] ?? '')),
    colAligns: fitted.columns.map((i) => (numeric[i] === true ? 'right' : 'left')),
    style: { head: [], border: [], compact: true },
    chars: BORDERS,
  });
  for (const row of cells) table.push(fitted.columns.map((i) => paint(columns[i]?.kind ?? 'feature', row[i] ?? '')));
  const note =
    fitted.hidden === 0
      ? ''
      : colors.dim(`${fitted.hidden} of ${columns.length} columns are not shown; --json shows all\n`);
  return `${table.toString()}\n${note}`;
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint';
}

function statusColor(status: string, colors: Colors): (text: string) => string {
  return status === 'scored' ? colors.green : status === 'filtered' ? colors.dim : colors.yellow;
}

/** A line below the head, and space between columns: as much of a table as the eye needs. */
const BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  right: '',
  'right-mid': '',
  mid: '─',
  'mid-mid': '─',
  middle: ' ',
};
