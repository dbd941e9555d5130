/** The outputs that the arguments of a command name. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ColonnadeError } from '../errors.js';
import type { Arguments, Terminal } from './command.js';
import { readVars } from './flags.js';
import { shownPath } from './render/path.js';

export const OUTPUTS_ARGUMENT = {
  name: 'place',
  describe: 'Pipeline files, outputs, or folders to look below (by default the working directory)',
  required: false,
  many: true,
} as const;

/** A pipeline file, or else a folder. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => !entry.isDirectory(),
    // A pipeline that is not there is told as such, with the nearest name.
    () => /\.(ya?ml|json)$/i.test(path),
  );
}

/** The output that a pipeline file names. @throws ColonnadeError `PIPELINE_NOT_FOUND`, `PIPELINE_INVALID` */
export async function outputOfPipeline(file: string, args: Arguments, { env, cwd }: Terminal): Promise<string> {
  const { loadPipeline } = await import('../pipeline/load.js');
  return (await loadPipeline(shownPath(file, cwd), { env, vars: readVars(args) })).sink.path;
}

/**
 * Absolute paths of all outputs that are named, each once.
 * @throws ColonnadeError `OUTPUT_NOT_FOUND` where no run has been at a place that is named; the codes of a pipeline.
 */
export async function findOutputs(args: Arguments, terminal: Terminal): Promise<string[]> {
  const { outputAt, outputsBelow } = await import('../run/find-outputs.js');
  const named = (args['place'] as readonly string[] | undefined) ?? [];
  if (named.length === 0) return outputsBelow(terminal.cwd);
  const found: string[] = [];
  for (const place of named) {
    const path = resolve(terminal.cwd, place);
    const one = (await isFile(path)) ? await outputOfPipeline(path, args, terminal) : path;
    const output = await outputAt(one);
    const outputs =
      output === undefined && one === path ? await outputsBelow(path) : [output].filter((each) => each !== undefined);
    if (outputs.length === 0) throw noOutput(one);
    found.push(...outputs);
  }
  return [...new Set(found)];
}

/** There is nothing of a run at a path. */
export function noOutput(path: string): ColonnadeError {
  return new ColonnadeError('OUTPUT_NOT_FOUND', `no run has written to ${path}: there is no ${path}.colonnade`, {
    phase: 'usage',
    hint: 'name the folder of an output, a folder above outputs, or the pipeline file',
  });
}
