/** Whether a file is still the one that it was. It was read a moment ago, so that looking is faster than waiting for others. */
import { ColonnadeError } from '../errors.js';
import type { Fingerprint } from '../plan/facts.js';
import { readFooterNow, type Footer } from './footer.js';
import { readFooterBytesNow } from './footer-bytes.js';

/** A file, and what it was when the run was planned. */
interface KnownFile {
  readonly path: string;
  readonly fingerprint: Fingerprint;
}

/**
 * Compares a file with what it was: size, modification time, inode, and the hash of its footer.
 * @throws ColonnadeError `INPUT_CHANGED`, or `INPUT_GONE` when it is not there any more.
 */
export function checkUnchanged(file: KnownFile): void {
  readSameFooterStart(file);
}

/** Where the footer of a file begins that is as it was. @throws ColonnadeError as {@link checkUnchanged} */
export function readSameFooterStart(file: KnownFile): number {
  const { fingerprint, start } = noLessThan(file, readFooterBytesNow).place;
  compare(file, fingerprint);
  return start;
}

/** The footer of a file that is as it was. @throws ColonnadeError as {@link checkUnchanged} */
export function readSameFooter(file: KnownFile): Footer {
  const footer = noLessThan(file, readFooterNow);
  compare(file, footer.fingerprint);
  return footer;
}

/** Reads what was a whole Parquet file before. */
function noLessThan<T>({ path }: KnownFile, read: (path: string) => T): T {
  try {
    return read(path);
  } catch (error) {
    if (error instanceof ColonnadeError && error.code === 'BAD_PARQUET')
      throw changed(path, 'it is no whole Parquet file any more', error);
    throw error;
  }
}

function compare({ path, fingerprint }: KnownFile, now: Fingerprint): void {
  if (now.size !== fingerprint.size) throw changed(path, `it had ${fingerprint.size} bytes, it has ${now.size}`);
  if (now.inode !== fingerprint.inode) throw changed(path, 'another file has taken its name');
  if (now.mtimeNs !== fingerprint.mtimeNs || now.footerHash !== fingerprint.footerHash)
    throw changed(path, 'it was written to');
}

function changed(path: string, how: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('INPUT_CHANGED', `${path} changed while it was read: ${how}`, {
    phase: 'run',
    hint: 'nothing was published; run it again once the file is complete',
    cause,
  });
}
