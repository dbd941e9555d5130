/** `colonnade runs`: which runs there were, and how they ended. */
import type { Command } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, VAR_FLAG } from './flags.js';
import { findOutputs, OUTPUTS_ARGUMENT } from './outputs.js';
import { toJson } from './render/json.js';

export const runsCommand: Command = {
  name: 'runs',
  summary: 'List the runs of an output, of a pipeline or below a folder',
  about:
    'Shows of each run when it began, how long it took, how it ended (done, failed with its code, interrupted, or died without a word), its rows and what became of them, and which run it went on from. The last 100 runs of each output are known. Nothing is written.',
  positional: OUTPUTS_ARGUMENT,
  flags: { ...VAR_FLAG, ...OUTPUT_FLAGS },
  examples: [
    ['colonnade runs', 'all runs whose outputs lie below the working directory'],
    ['colonnade runs pipelines/append.yaml', 'the runs of a pipeline'],
    ['colonnade runs out/append --json | jq .runs[0].state', 'how the last one ended'],
  ],
  async run(args, terminal) {
    const { json } = readOutputOptions(args);
    const { listRuns } = await import('../run/list-runs.js');
    const runs = await listRuns(await findOutputs(args, terminal));
    const { stdout, cwd } = terminal;
    if (json) {
      stdout.write(`${toJson({ status: 'done', runs })}\n`);
    } else {
      const { renderRuns } = await import('./render/runs.js');
      stdout.write(renderRuns(runs, cwd, stdout.colors));
    }
    return 0;
  },
};
