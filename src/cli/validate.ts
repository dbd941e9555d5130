/** `colonnade validate`: checks pipeline files without looking at data or models. */
import { ColonnadeError, EXIT, type SerializedError } from '../errors.js';
import type { Command } from './command.js';
import { writeError } from './error-output.js';
import { OUTPUT_FLAGS, readOutputOptions, readVars, VAR_FLAG } from './flags.js';
import { toJson } from './render/json.js';
import { shownPath } from './render/path.js';
import { printable } from './render/printable.js';

/** What is said of one file; the form of `--json`. */
interface Verdict {
  readonly file: string;
  readonly valid: boolean;
  readonly name?: string;
  readonly error?: SerializedError;
}

export const validateCommand: Command = {
  name: 'validate',
  summary: 'Check pipeline files, without looking at data or models',
  about:
    'Checks syntax, keys, values and variables of each file and tells all that is wrong with it, with line, column and the nearest right name. Ends with status 78 if any file is invalid. Whether pipeline, data and model fit each other is what plan tells.',
  positional: { name: 'pipeline', describe: 'The pipeline files (YAML)', required: true, many: true },
  flags: { ...VAR_FLAG, ...OUTPUT_FLAGS },
  examples: [
    ['colonnade validate pipelines/*.yaml', 'check all of them'],
    ['colonnade validate --json pipelines/*.yaml', 'one JSON object, with every finding'],
  ],
  async run(args, terminal) {
    const { stdout, cwd, env } = terminal;
    const { json, quiet, logFormat } = readOutputOptions(args);
    const vars = readVars(args);
    const { loadPipeline } = await import('../pipeline/load.js');
    const verdicts: Verdict[] = [];
    for (const file of args['pipeline'] as readonly string[]) {
      try {
        const pipeline = await loadPipeline(shownPath(file, cwd), { env, vars });
        verdicts.push({ file, valid: true, name: pipeline.name });
        if (!json && !quiet) {
          const { green, dim } = stdout.colors;
          stdout.write(`${green('✓')} ${printable(file)} ${dim('is valid')}\n`);
        }
      } catch (error) {
        if (!(error instanceof ColonnadeError)) throw error;
        verdicts.push({ file, valid: false, error: error.toJSON() });
        if (!json && !quiet)
          stdout.write(`${stdout.colors.red('✗')} ${printable(file)} ${stdout.colors.dim('is not valid')}\n`);
        writeError(error, logFormat, terminal);
      }
    }
    const valid = verdicts.every((verdict) => verdict.valid);
    if (json) stdout.write(`${toJson({ status: valid ? 'done' : 'failed', files: verdicts })}\n`);
    return valid ? EXIT.ok : EXIT.mismatch;
  },
};
