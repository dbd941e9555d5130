/** Turns what the operating system says into an error that tells a person what to do. */
import { ColonnadeError, messageOf, type ErrorCode, type Phase } from './errors.js';

const CODES: Readonly<Record<string, readonly [code: ErrorCode, what: string, hint: string]>> = {
  ENOSPC: ['DISK_FULL', 'no space is left', 'free some space, or point sink.path at a larger disk; then run it again'],
  EDQUOT: ['DISK_FULL', 'the quota is used up', 'free some space, or point sink.path elsewhere; then run it again'],
  EACCES: ['OUTPUT_NOT_WRITABLE', 'permission is denied', 'let this user write there, or change sink.path'],
  EPERM: ['OUTPUT_NOT_WRITABLE', 'the operation is not permitted', 'let this user write there, or change sink.path'],
  EROFS: ['OUTPUT_NOT_WRITABLE', 'the file system is read-only', 'change sink.path'],
  ENOTDIR: ['OUTPUT_NOT_WRITABLE', 'a part of the path is a file, not a folder', 'change sink.path'],
  EMFILE: ['IO_FAILED', 'too many files are open', 'raise the limit (ulimit -n); then run it again'],
  EIO: ['IO_FAILED', 'the disk reported an error', 'check the disk; then run it again'],
};

/**
 * @param doing what was being done, as in `writing`.
 * @returns a ColonnadeError; one that is given is handed back as it is.
 */
export function systemError(error: unknown, phase: Phase, doing: string, path: string): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  const errno = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  const [code, what, hint] = CODES[errno] ?? ['IO_FAILED', messageOf(error), 'run it again; if it stays, report it'];
  return new ColonnadeError(code, `${doing} ${path}: ${what}${errno === '' ? '' : ` (${errno})`}`, {
    phase,
    hint,
    cause: error,
  });
}
