/** `colonnade verify`: whether an output still is what a run has written. */
import { resolve } from 'node:path';
import { ColonnadeError, EXIT } from '../errors.js';
import type { Check, Verification } from '../run/verify.js';
import type { Arguments, Command, Terminal } from './command.js';
import { writeError } from './error-output.js';
import { OUTPUT_FLAGS, readOutputOptions, readVars, VAR_FLAG, wholeNumber } from './flags.js';
import { isFile, noOutput, outputOfPipeline } from './outputs.js';
import { toJson } from './render/json.js';
import { shownPath } from './render/path.js';

const DEFAULT_SAMPLE = 1000;
const MOST_SAMPLE = 1_000_000_000;

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check an output against its manifest and its source',
  about:
    'Checks that exactly the files are there that the manifest lists, with their sizes and hashes; that rows and ledger add up; that the columns of the source are as they are there; that NULL, NaN and the quarantine are as they were counted; and scores a sample of whole model batches again. What cannot be looked at, as the source or the model has changed since, is told and is no failure. Ends with status 1 if something is damaged, with 78 where there is no manifest. Nothing is written.',
  positional: {
    name: 'place',
    describe: 'The folder of an output, or the pipeline file that writes it',
    required: true,
    many: false,
  },
  flags: {
    sample: {
      describe: 'Rows to score again, at least; whole batches are. 0: none',
      group: 'Verify:',
      kind: 'text',
      value: 'N',
      fallback: String(DEFAULT_SAMPLE),
    },
    ...VAR_FLAG,
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade verify out/append', 'all checks, and a sample of rows scored again'],
    ['colonnade verify pipelines/append.yaml --sample 1000000', 'of the output of a pipeline, with a larger sample'],
    ['colonnade verify out/append --json | jq .checks', 'for scripts'],
  ],
  async run(args, terminal) {
    const options = readOutputOptions(args);
    const sample = wholeNumber('--sample', args['sample'] ?? String(DEFAULT_SAMPLE), 0, MOST_SAMPLE);
    const shows = !options.json && !options.quiet;
    const { renderCheck } = await import('./render/verify.js');
    const { stdout, cwd } = terminal;
    const verification = await verify(args, sample, terminal, (check) => {
      if (shows) stdout.write(renderCheck(check, cwd, stdout.colors));
    });
    const damaged = verification.checks.filter(({ state }) => state === 'damaged');
    if (damaged.length === 0) {
      if (options.json) stdout.write(`${toJson(verification)}\n`);
      return EXIT.ok;
    }
    const error = damage(verification, damaged, cwd);
    if (options.json) stdout.write(`${toJson({ ...verification, error: error.toJSON() })}\n`);
    writeError(error, options.logFormat, terminal);
    return error.exitCode;
  },
};

async function verify(
  args: Arguments,
  sample: number,
  terminal: Terminal,
  onCheck: (check: Check) => void,
): Promise<Verification> {
  const { cwd, env, signal } = terminal;
  const given = readVars(args);
  const path = resolve(cwd, String(args['place']));
  const pipeline = (await isFile(path)) ? path : undefined;
  const [{ verifyOutput }, { outputAt }, { loadPipeline }] = await Promise.all([
    import('../run/verify.js'),
    import('../run/find-outputs.js'),
    import('../pipeline/load.js'),
  ]);
  const named = pipeline === undefined ? path : await outputOfPipeline(path, args, terminal);
  const output = await outputAt(named);
  if (output === undefined) throw noOutput(named);
  return verifyOutput(output, {
    sample,
    load: (file, vars) => loadPipeline(file, { env, vars: { ...vars, ...given } }),
    ...(pipeline === undefined ? {} : { pipeline }),
    signal,
    onCheck,
  });
}

/** The error that the command ends with. */
function damage({ output, run_id: run, checks }: Verification, damaged: readonly Check[], cwd: string): ColonnadeError {
  const names = damaged.map(({ name }) => name).join(', ');
  return new ColonnadeError(
    'VERIFY_FAILED',
    `${shownPath(output, cwd)} is not what run ${run} has written: ${damaged.length} of ${checks.length} checks failed (${names})`,
    {
      phase: 'run',
      hint: 'restore it from a copy, or write it again: colonnade run with --replace',
      problems: damaged.flatMap(({ problems }) => problems.map((message) => ({ message }))),
    },
  );
}
