/** `colonnade tune`: which batch size and how many workers are fastest here. */
import { counted, formatCount } from '../plan/quantities.js';
import { DEFAULT_SECONDS, SAMPLE_ROWS, SECONDS, WORKERS, type TuneProgress, type Tuning } from '../run/tuning.js';
import type { Arguments, Command, Terminal } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, VAR_FLAG, wholeNumber, type OutputOptions } from './flags.js';
import { readPipeline } from './pipeline-file.js';
import { PIPELINE_ARGUMENT } from './plan.js';
import { formatDuration } from './render/duration.js';
import { toJson } from './render/json.js';
import { unlessAborted } from './signals.js';

const TUNE = 'Tune:';

export const tuneCommand: Command = {
  name: 'tune',
  summary: 'Measure which batch size and how many workers are fastest',
  about:
    'Scores a sample of the data with batch sizes from 256 to 65,536 and with other numbers of worker processes, each in turn with what the pipeline has, and shows rows per second and peak memory. Where something is faster by more than the noise, prints the lines to write into the pipeline file; where it is not, says so: auto is meant to need no tuning. The output is not touched; scores of the sample go to a temporary folder that is removed.',
  positional: PIPELINE_ARGUMENT,
  flags: {
    seconds: {
      describe: 'Seconds that measuring may take in all',
      group: TUNE,
      kind: 'text',
      value: 'N',
      fallback: String(DEFAULT_SECONDS),
    },
    rows: {
      describe: 'Rows of the sample',
      group: TUNE,
      kind: 'text',
      value: 'N',
      fallback: 'as many as take some tenths of a second',
    },
    workers: { describe: 'Worker processes; no other number is tried', group: TUNE, kind: 'text', value: 'N' },
    ...VAR_FLAG,
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade tune pipelines/append.yaml', 'what is fastest here, in about 20 seconds'],
    ['colonnade tune pipelines/append.yaml --seconds 120', 'with more time to tell small differences apart'],
    ['colonnade tune pipelines/append.yaml --json | jq .settings', 'for scripts: what to change, by key'],
  ],
  async run(args, terminal) {
    const options = readOutputOptions(args);
    const numbers = {
      ...numberFlag(args, 'seconds', SECONDS.least, SECONDS.most),
      ...numberFlag(args, 'rows', SAMPLE_ROWS.least, SAMPLE_ROWS.most),
      ...numberFlag(args, 'workers', WORKERS.least, WORKERS.most),
    };
    const tuning = await measure(args, numbers, options, terminal);
    const { stdout, cwd } = terminal;
    if (options.json) {
      stdout.write(`${toJson(tuning)}\n`);
    } else {
      const { renderTuning } = await import('./render/tuning.js');
      stdout.write(renderTuning(tuning, String(args['pipeline']), stdout.columns, cwd, stdout.colors));
    }
    return 0;
  },
};

async function measure(
  args: Arguments,
  numbers: { readonly seconds?: number; readonly rows?: number; readonly workers?: number },
  options: OutputOptions,
  terminal: Terminal,
): Promise<Tuning> {
  const { stderr, signal } = terminal;
  const pipeline = await readPipeline(args, terminal);
  const [{ createLog, logStyle }, { StatusLine }, { preparePlan }, { tunePlan }] = await Promise.all([
    import('./log.js'),
    import('./status-line.js'),
    import('../run/prepare.js'),
    import('../run/tune.js'),
  ]);
  const log = createLog(options, stderr);
  const plan = await unlessAborted(signal, preparePlan(pipeline));
  const status = logStyle(options, stderr) === 'terminal' && !options.quiet ? new StatusLine(stderr) : undefined;
  try {
    return await tunePlan(plan, {
      ...numbers,
      signal,
      onProgress: (progress) => {
        const { stage, value, model, seconds, secondsLeft } = progress;
        const line = `${progressText(progress)}, ${formatDuration(secondsLeft)} left`;
        if (status === undefined)
          log.info({ stage, value, model, seconds: round(seconds), seconds_left: round(secondsLeft) }, line);
        else status.show(line);
      },
    });
  } finally {
    status?.clear();
  }
}

function progressText({ stage, value = 0, model }: TuneProgress): string {
  const of = model === undefined ? '' : ` of ${model}`;
  switch (stage) {
    case 'sample':
      return 'looking for a sample';
    case 'batch_size':
      return `measuring batch size ${formatCount(value)}${of}`;
    case 'check':
      return 'measuring once more what was fastest';
    case 'workers':
      return `measuring ${counted(value, 'worker')}`;
    case 'threads':
      return `measuring ${counted(value, 'thread')} of DuckDB`;
  }
}

/** @throws ColonnadeError `USAGE` for anything but a whole number between `least` and `most`. */
function numberFlag<Name extends string>(
  args: Arguments,
  name: Name,
  least: number,
  most: number,
): Partial<Record<Name, number>> {
  const value = args[name];
  if (value === undefined) return {};
  return { [name]: wholeNumber(`--${name}`, value, least, most) } as Partial<Record<Name, number>>;
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
