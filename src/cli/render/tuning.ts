/** The end of tuning for a person: what each setting has shown, and what to write into the pipeline file. */
import { alignRows, displayWidth } from '../../plan/layout.js';
import { counted, formatBytes, formatCount } from '../../plan/quantities.js';
import type { Trial, TunedBatchSize, TunedThreads, TunedWorkers, Tuning } from '../../run/tuning.js';
import type { Colors } from '../output.js';
import { formatDuration } from './duration.js';
import { shortenPaths, shownPath } from './path.js';
import { printable } from './printable.js';

/** Cells of the longest bar, and of the shortest that is worth drawing. */
const BAR = { most: 40, least: 6 } as const;
/** Parts of a cell, from one eighth on. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/**
 * @param file the pipeline file, as the user named it.
 * @param width of a line, in cells.
 * @returns lines with an end.
 */
export function renderTuning(tuning: Tuning, file: string, width: number, cwd: string, colors: Colors): string {
  const { bold, dim, green, yellow } = colors;
  const { verdict, sample, notes, yaml } = tuning;
  const mark = { keep: green('✓'), change: yellow('!'), small: green('✓'), unscored: yellow('!') }[verdict];
  const with_ = sample === undefined ? '' : ` with ${counted(sample.rows, 'row')} of ${formatCount(tuning.rows)}`;
  const blocks: string[][] = [
    [
      `${mark} ${bold(`${printable(tuning.pipeline)}: ${verdictInWords(tuning)}`)}`,
      dim(`  measured in ${formatDuration(tuning.elapsed_s)}${with_}`),
    ],
    ...tuning.batch_sizes.map((size) => (size.tried.length === 0 ? [] : batchSizeLines(size, width, colors))),
    tuning.workers.tried.length === 0 ? [] : workersLines(tuning.workers, width, colors),
    tuning.threads.tried.length === 0 ? [] : threadsLines(tuning.threads, width, colors),
    notes.map((note) => dim(`- ${shortenPaths(printable(note), cwd)}`)),
    ...(yaml === ''
      ? []
      : [[bold(`Write into ${printable(shownPath(file, cwd))}`)], yaml.trimEnd().split('\n').map(printable)]),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function verdictInWords({ verdict, batch_sizes, workers, threads, sample, settings }: Tuning): string {
  const settled = [...batch_sizes, workers, threads];
  const allAuto = settled.every(({ auto, current }) => auto === current);
  const now = [
    ...batch_sizes.map(
      ({ model, current, auto }) =>
        `batches of ${counted(current, 'row')}${model === undefined ? '' : ` for ${printable(model)}`}${current === auto ? '' : ' (as written)'}`,
    ),
    counted(workers.current, 'worker'),
  ].join(', ');
  switch (verdict) {
    case 'keep':
      return allAuto
        ? 'auto is as fast as anything that was tried: nothing to write'
        : 'nothing that was tried is faster than what the pipeline has: nothing to write';
    case 'change':
      return `faster with ${Object.entries(settings)
        .map(([key, value]) => `${printable(key)}: ${value}`)
        .join(', ')}`;
    case 'small': {
      const time = sample === undefined ? '' : `: scoring all rows takes ${formatDuration(sample.all_s)}`;
      return `too few rows for tuning to be worth anything${time}. It stays with ${now}`;
    }
    case 'unscored':
      return `nothing to measure. It stays with ${now}`;
  }
}

function batchSizeLines(size: TunedBatchSize, width: number, colors: Colors): string[] {
  const { model, tried } = size;
  const most = Math.max(...tried.map((trial) => ('error' in trial ? 0 : trial.rows_per_s)));
  return table(
    ['batch size', 'rows/s', '', 'memory', ''],
    tried.map((trial) => {
      const value = formatCount(trial.batch_size);
      if ('error' in trial) return { cells: [value, '', '', '', `failed: ${trial.error.code}`] };
      return {
        cells: [
          value,
          formatCount(trial.rows_per_s),
          '',
          formatBytes(trial.peak_memory),
          remark(trial.batch_size, trial, size),
        ],
        bar: { at: 2, share: trial.rows_per_s / most },
      };
    }),
    { width, title: model === undefined ? undefined : `model ${printable(model)}`, colors },
  );
}

function workersLines(workers: TunedWorkers, width: number, colors: Colors): string[] {
  const most = Math.max(...workers.tried.map((trial) => ('error' in trial ? 0 : trial.rows_per_s)));
  return table(
    ['workers', 'threads', 'rows/s', '', 'all rows', 'memory each', ''],
    workers.tried.map((trial) => {
      const [count, threads] = [formatCount(trial.workers), formatCount(trial.threads)];
      if ('error' in trial) return { cells: [count, threads, '', '', '', '', `failed: ${trial.error.code}`] };
      return {
        cells: [
          count,
          threads,
          formatCount(trial.rows_per_s),
          '',
          formatDuration(trial.all_s),
          formatBytes(trial.peak_memory),
          remark(trial.workers, trial, workers),
        ],
        bar: { at: 3, share: trial.rows_per_s / most },
      };
    }),
    { width, title: undefined, colors },
  );
}

function threadsLines(threads: TunedThreads, width: number, colors: Colors): string[] {
  const most = Math.max(...threads.tried.map((trial) => ('error' in trial ? 0 : trial.rows_per_s)));
  return table(
    ['threads of DuckDB', 'rows/s', '', 'memory each', ''],
    threads.tried.map((trial) => {
      const count = formatCount(trial.threads);
      if ('error' in trial) return { cells: [count, '', '', '', `failed: ${trial.error.code}`] };
      return {
        cells: [
          count,
          formatCount(trial.rows_per_s),
          '',
          formatBytes(trial.peak_memory),
          remark(trial.threads, trial, threads),
        ],
        bar: { at: 2, share: trial.rows_per_s / most },
      };
    }),
    { width, title: undefined, colors },
  );
}

/** `−12% ±2%`, or what the pipeline has. */
function remark(
  value: number,
  { speedup, noise }: Trial,
  { auto, current }: { auto: number; current: number },
): string {
  const percent = Math.round(100 * (speedup - 1));
  const difference = `${percent < 0 ? '−' : '+'}${Math.abs(percent)}% ±${Math.max(1, Math.round(100 * noise))}%`;
  return [value === current ? 'now' : difference, ...(value === auto ? ['auto'] : [])].join(', ');
}

interface Row {
  readonly cells: readonly string[];
  /** A bar in place of a cell, as long as its share of the longest. */
  readonly bar?: { readonly at: number; readonly share: number };
}

/** Numbers flush right, the last cell flush left; bars take what the width leaves, and none where that is too little. */
function table(
  head: readonly string[],
  rows: readonly Row[],
  { width, title, colors }: { readonly width: number; readonly title: string | undefined; readonly colors: Colors },
): string[] {
  const barAt = rows.find(({ bar }) => bar !== undefined)?.bar?.at;
  const right = new Set(head.slice(0, -1).flatMap((_, i) => (i === barAt ? [] : [i])));
  const plain = alignRows([head, ...rows.map(({ cells }) => cells)], right);
  const room = width - Math.max(...plain.map(displayWidth)) - 1;
  const cells = Math.min(BAR.most, room);
  const drawn = rows.map(({ cells: texts, bar }) => {
    if (bar === undefined || cells < BAR.least) return texts;
    return texts.map((text, i) => (i === bar.at ? drawBar(bar.share, cells) : text));
  });
  const [first = '', ...lines] = alignRows([head, ...drawn], right);
  return [
    ...(title === undefined ? [] : [colors.bold(title)]),
    colors.dim(first),
    ...lines.map((line) => line.replace(/[█▏▎▍▌▋▊▉]+/, (bar) => colors.cyan(bar))),
  ];
}

/** A bar of full cells and, at its end, an eighth of one or more; never none. */
function drawBar(share: number, cells: number): string {
  const eighths = Math.max(1, Math.round(share * cells * 8));
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]!;
}
