/** `colonnade preview`: scores a few rows for a look. */
import type { Command } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, VAR_FLAG, wholeNumber } from './flags.js';
import { readPipeline } from './pipeline-file.js';
import { PIPELINE_ARGUMENT } from './plan.js';
import { toJson } from './render/json.js';
import { unlessAborted } from './signals.js';

/** All rows are in memory at once. */
const MOST_ROWS = 10_000;

export const previewCommand: Command = {
  name: 'preview',
  summary: 'Score a few rows and show them',
  about:
    'Scores the first rows of the data and shows keys, features and predictions as a table. Nothing is written. Invalid rows show their reason.',
  positional: PIPELINE_ARGUMENT,
  flags: {
    n: { describe: 'Rows to show', group: 'Preview:', kind: 'text', value: 'ROWS', fallback: '20', alias: 'rows' },
    ...VAR_FLAG,
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade preview pipelines/append.yaml', 'the first 20 rows'],
    ['colonnade preview pipelines/append.yaml -n 100 | less -S', 'more of them, all columns'],
    ['colonnade preview pipelines/append.yaml --json | jq .rows[0]', 'a row with every digit'],
  ],
  async run(args, terminal) {
    const { json } = readOutputOptions(args);
    const count = wholeNumber('-n', args['n'] ?? '20', 1, MOST_ROWS);
    const pipeline = await readPipeline(args, terminal);
    const { previewRows } = await import('../run/preview.js');
    const preview = await unlessAborted(terminal.signal, previewRows(pipeline, count));
    const { stdout } = terminal;
    if (json) {
      const rows = preview.rows.map((row) => Object.fromEntries(preview.columns.map(({ name }, i) => [name, row[i]])));
      stdout.write(`${toJson({ status: 'done', columns: preview.columns, rows })}\n`);
    } else {
      const { renderPreview } = await import('./render/table.js');
      stdout.write(renderPreview(preview, stdout.interactive ? stdout.columns : undefined, stdout.colors));
    }
    return 0;
  },
};
