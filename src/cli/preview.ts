/** `colonnade preview`: scores a few rows for a look. */
import { counted, formatCount } from '../plan/quantities.js';
import type { Command } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, VAR_FLAG, wholeNumber } from './flags.js';
import { readPipeline } from './pipeline-file.js';
import { PIPELINE_ARGUMENT } from './plan.js';
import { toJson } from './render/json.js';

/** All rows are in memory at once. */
const MOST_ROWS = 10_000;

export const previewCommand: Command = {
  name: 'preview',
  summary: 'Score a few rows and show them',
  about:
    'Scores the first rows of the data and shows keys, features and predictions as a table. Nothing is written. Invalid rows show their reason; rows that source.where leaves out are passed over, up to 1,000,000 of them looked at.',
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
    const options = readOutputOptions(args);
    const count = wholeNumber('-n', args['n'] ?? '20', 1, MOST_ROWS);
    const pipeline = await readPipeline(args, terminal);
    const { previewRows } = await import('../run/preview.js');
    const preview = await previewRows(pipeline, count, terminal.signal);
    const { stdout, stderr } = terminal;
    const { looked, of } = preview;
    if (options.json) {
      const rows = preview.rows.map((row) => Object.fromEntries(preview.columns.map(({ name }, i) => [name, row[i]])));
      stdout.write(`${toJson({ status: 'done', columns: preview.columns, rows, looked, of })}\n`);
    } else {
      const { renderPreview } = await import('./render/table.js');
      stdout.write(renderPreview(preview, stdout.interactive ? stdout.columns : undefined, stdout.colors));
    }
    if (preview.rows.length < Math.min(count, looked)) {
      const where =
        looked === of ? `all ${counted(of, 'row')}` : `the first ${formatCount(looked)} of ${counted(of, 'row')}`;
      const { createLog } = await import('./log.js');
      createLog(options, stderr).info(
        { rows: preview.rows.length, looked, of },
        `source.where keeps ${counted(preview.rows.length, 'row')} of ${where}`,
      );
    }
    return 0;
  },
};
