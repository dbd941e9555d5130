/** `colonnade clean`: sweeps what runs that are over have left. */
import { EXIT } from '../errors.js';
import type { Command } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, VAR_FLAG } from './flags.js';
import { findOutputs, OUTPUTS_ARGUMENT } from './outputs.js';
import { toJson } from './render/json.js';

export const cleanCommand: Command = {
  name: 'clean',
  summary: 'Remove what unfinished runs have left beside outputs',
  about:
    'Finishes an output that a run had half published when it died, and removes what runs that are over have left in staging, and how much that is: with it go the scores that a later run could have gone on from. Never what a run that is at work needs; outputs, manifests, quarantines and records stay. Ends with status 1 if an output could not be cleaned, with 75 if that is because a run is at work.',
  positional: OUTPUTS_ARGUMENT,
  flags: {
    'dry-run': { describe: 'Tell what would be removed, and remove nothing', group: 'Clean:', kind: 'boolean' },
    ...VAR_FLAG,
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade clean --dry-run', 'what could be removed below the working directory'],
    ['colonnade clean pipelines/append.yaml', 'of one pipeline'],
    ['colonnade clean /data/out --json | jq .bytes', 'how much was removed'],
  ],
  async run(args, terminal) {
    const { json, quiet } = readOutputOptions(args);
    const dryRun = args['dry-run'] === true;
    const outputs = await findOutputs(args, terminal);
    const { cleanOutput } = await import('../run/clean.js');
    const cleaned = [];
    for (const output of outputs) {
      terminal.signal.throwIfAborted();
      cleaned.push(await cleanOutput(output, { dryRun }));
    }
    const { stdout, cwd } = terminal;
    const failed = cleaned.flatMap(({ error }) => error ?? []);
    const bytes = cleaned.reduce((sum, each) => sum + each.bytes, 0);
    if (json) {
      const status = failed.length === 0 ? 'done' : 'failed';
      stdout.write(`${toJson({ status, dry_run: dryRun, bytes, outputs: cleaned })}\n`);
    } else if (!quiet || failed.length > 0) {
      const { renderCleaned } = await import('./render/clean.js');
      stdout.write(renderCleaned(cleaned, dryRun, cwd, stdout.colors));
    }
    if (failed.length === 0) return EXIT.ok;
    return failed.every(({ code }) => code === 'OUTPUT_CONFLICT') ? EXIT.tryLater : EXIT.failed;
  },
};
