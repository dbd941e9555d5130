/** Where an error is told, and in which form. */
import type { ColonnadeError } from '../errors.js';
import type { Terminal } from './command.js';
import type { LogFormat } from './flags.js';
import { renderError } from './render/error.js';
import { toJson } from './render/json.js';

/**
 * Writes an error to stderr: as text, which is what a person looks for in any log; as one record where the log is JSON
 * by request.
 */
export function writeError(
  error: ColonnadeError,
  format: LogFormat,
  { stderr, cwd }: Pick<Terminal, 'stderr' | 'cwd'>,
): void {
  if (format === 'json') {
    const record = { level: 'error', time: new Date().toISOString(), name: 'colonnade', pid: process.pid };
    stderr.write(`${toJson({ ...record, error: error.toJSON(), msg: error.message })}\n`);
  } else {
    stderr.write(renderError(error, cwd, stderr.colors));
  }
}
