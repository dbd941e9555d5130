/** Reads the pipeline file that a command names, with what its flags change. */
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Arguments, Terminal } from './command.js';
import { readVars, readWorkers } from './flags.js';
import { shownPath } from './render/path.js';

/** @throws ColonnadeError `PIPELINE_NOT_FOUND`, `PIPELINE_INVALID`, or `USAGE` for a flag. */
export async function readPipeline(args: Arguments, { env, cwd }: Terminal): Promise<Pipeline> {
  const vars = readVars(args);
  const workers = readWorkers(args);
  const { loadPipeline } = await import('../pipeline/load.js');
  const pipeline = await loadPipeline(shownPath(String(args['pipeline']), cwd), { env, vars });
  return {
    ...pipeline,
    sink: args['replace'] === true ? { ...pipeline.sink, exists: 'replace' } : pipeline.sink,
    run: workers === undefined ? pipeline.run : { ...pipeline.run, workers },
  };
}
