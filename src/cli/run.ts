/** `colonnade run`: scores a pipeline. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { RunSummary } from '../run/events.js';
import type { Arguments, Command, Terminal } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, REPLACE_FLAG, VAR_FLAG, WORKERS_FLAG, type OutputOptions } from './flags.js';
import { readPipeline } from './pipeline-file.js';
import { PIPELINE_ARGUMENT, showPlan } from './plan.js';
import { toJson } from './render/json.js';
import { unlessAborted } from './signals.js';

const RUN = 'Run:';

export const runCommand: Command = {
  name: 'run',
  summary: 'Score the data of a pipeline',
  about:
    'Scores every row and publishes the output whole or not at all. A run that was interrupted or failed is resumed by running it again; what was published before stays until the new output is complete.',
  positional: PIPELINE_ARGUMENT,
  flags: {
    'dry-run': { describe: 'Show the plan and stop, as the command plan does', group: RUN, kind: 'boolean' },
    fresh: { describe: 'Score everything anew, also what an unfinished run has left', group: RUN, kind: 'boolean' },
    ...REPLACE_FLAG,
    ...VAR_FLAG,
    ...WORKERS_FLAG,
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade run pipelines/append.yaml', 'score, and say where the result is'],
    ['colonnade run pipelines/append.yaml --replace', 'in place of an earlier output'],
    ['colonnade run pipelines/predictions.yaml --var until=2026-01-01', 'with a variable of the pipeline set'],
    ['colonnade run pipelines/append.yaml --json | jq .scored', 'for scripts: one JSON object on stdout'],
  ],
  async run(args, terminal) {
    const options = readOutputOptions(args);
    const pipeline = await readPipeline(args, terminal);
    if (args['dry-run'] === true) {
      await showPlan(pipeline, options, terminal);
      return 0;
    }
    const summary = await score(pipeline, args, options, terminal);
    await showSummary(summary, options, terminal);
    return 0;
  },
};

async function score(
  pipeline: Pipeline,
  args: Arguments,
  options: OutputOptions,
  { stderr, signal }: Terminal,
): Promise<RunSummary> {
  const [{ createLog, logStyle }, { ProgressLines }, { reportRun }, { openPlan }, { startRun }, { scanThreads }] =
    await Promise.all([
      import('./log.js'),
      import('./progress.js'),
      import('./report.js'),
      import('../run/prepare.js'),
      import('../run/run.js'),
      import('../run/workers.js'),
    ]);
  const log = createLog(options, stderr);
  const threads = scanThreads({ onInvalid: pipeline.validate.onInvalid, run: pipeline.run });
  const { plan, database } = await unlessAborted(signal, openPlan(pipeline, { threads }));
  for (const note of plan.notes) log.info(note);
  // Called once the signal's own message may be written: above the bar, where there is one.
  signal.addEventListener('abort', () => {
    log.warn(`${signalWord(signal)}: stopping, a moment please; a second signal stops at once`);
  });
  const run = startRun(plan, { signal, fresh: args['fresh'] === true }, database);
  const bar = logStyle(options, stderr) === 'terminal' && !options.quiet;
  const progress = bar
    ? new (await import('./progress-bar.js')).ProgressBar(stderr)
    : new ProgressLines((line, { rowsDone, rowsTotal, rowsPerSecond, secondsLeft }) => {
        log.info(
          {
            run_id: run.id,
            rows_done: rowsDone,
            rows: rowsTotal,
            rows_per_s: Math.round(rowsPerSecond),
            seconds_left: secondsLeft === null ? null : Math.round(secondsLeft),
          },
          line,
        );
      });
  try {
    const [summary] = await Promise.all([run.result, reportRun(run, log, progress, bar ? 'debug' : 'info')]);
    return summary;
  } catch (error) {
    throw resumable(error);
  } finally {
    progress.stop();
    await database.close();
  }
}

function signalWord(signal: AbortSignal): string {
  return signal.reason instanceof ColonnadeError ? signal.reason.code.toLowerCase() : 'interrupted';
}

/** After an interruption, says what is left and how to go on. */
function resumable(error: unknown): unknown {
  if (!(error instanceof ColonnadeError) || (error.code !== 'INTERRUPTED' && error.code !== 'TERMINATED')) return error;
  return new ColonnadeError(error.code, `${error.message}: nothing was published`, {
    phase: error.phase,
    hint: 'run it again to go on where it stopped; --fresh starts over',
    cause: error,
  });
}

async function showSummary(
  summary: RunSummary,
  { json, quiet }: OutputOptions,
  { stdout, cwd }: Terminal,
): Promise<void> {
  if (json) {
    stdout.write(`${toJson(summary)}\n`);
  } else if (!quiet) {
    const { renderSummary } = await import('./render/summary.js');
    stdout.write(renderSummary(summary, await firstFile(summary.output), cwd, stdout.colors));
  }
}

/** A data file of the output, for the command that looks at it; undefined where there is none. */
async function firstFile(folder: string): Promise<string | undefined> {
  const names = await readdir(folder, { recursive: true }).catch((): string[] => []);
  const first = names.filter((name) => name.endsWith('.parquet')).toSorted()[0];
  return first === undefined ? undefined : join(folder, first);
}
