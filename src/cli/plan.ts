/** `colonnade plan`: what a run would do, before a row is scored. */
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Command, Terminal } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, REPLACE_FLAG, VAR_FLAG, WORKERS_FLAG, type OutputOptions } from './flags.js';
import type { Colors } from './output.js';
import { readPipeline } from './pipeline-file.js';
import { toJson } from './render/json.js';
import { shortenPaths } from './render/path.js';
import { printable } from './render/printable.js';
import { unlessAborted } from './signals.js';

export const PIPELINE_ARGUMENT = {
  name: 'pipeline',
  describe: 'The pipeline file (YAML)',
  required: true,
  many: false,
} as const;

export const planCommand: Command = {
  name: 'plan',
  summary: 'Show what a run would do, before a row is scored',
  about:
    'Reads the pipeline, the footers of the data and the model (and the first rows, where they decide), matches them against each other and prints the plan: files, columns that are read, casts, model inputs, outputs, rules, sink, shards, expected bytes and memory. Warns where the output that is there would end a run. Nothing is written. The same as run --dry-run.',
  positional: PIPELINE_ARGUMENT,
  flags: { ...VAR_FLAG, ...WORKERS_FLAG, ...REPLACE_FLAG, ...OUTPUT_FLAGS },
  examples: [
    ['colonnade plan pipelines/append.yaml', 'the plan in words'],
    ['colonnade plan pipelines/predictions.yaml --var until=2026-01-01', 'with a variable of the pipeline set'],
    ['colonnade plan pipelines/append.yaml --json | jq .expected', 'rows, bytes and memory that are expected'],
  ],
  async run(args, terminal) {
    await showPlan(await readPipeline(args, terminal), readOutputOptions(args), terminal);
    return 0;
  },
};

/** Plans a pipeline and writes the plan to stdout; warns on stderr where the output as it is now would end a run. */
export async function showPlan(pipeline: Pipeline, options: OutputOptions, terminal: Terminal): Promise<void> {
  const { stdout, stderr, signal, cwd } = terminal;
  const { preparePlan } = await import('../run/prepare.js');
  const plan = await unlessAborted(signal, preparePlan(pipeline));
  if (options.json) {
    stdout.write(`${toJson(plan)}\n`);
  } else {
    const { explainPlan } = await import('../plan/explain.js');
    stdout.write(colorPlan(printable(explainPlan(plan)), stdout.colors));
  }
  const { outputProblem } = await import('../run/output-problem.js');
  const problem = await outputProblem(plan);
  if (problem === undefined) return;
  const { createLog } = await import('./log.js');
  createLog(options, stderr).warn(
    { code: problem.code },
    `a run would be refused: ${shortenPaths(printable(problem.message), cwd)}`,
  );
}

/** Headings of a plan stand at the margin, labels before the first gap of two spaces. */
function colorPlan(text: string, colors: Colors): string {
  return text
    .split('\n')
    .map((line) =>
      /^\S/.test(line)
        ? colors.bold(line)
        : line.replace(/^( {2})(\S+)(?= {2})/, (_, indent: string, label: string) => indent + colors.cyan(label)),
    )
    .join('\n');
}
