/** Whether a file is still the one that it was. */
import { ColonnadeError } from '../errors.js';
import type { Fingerprint } from '../plan/facts.js';
import { readFooter, type Footer } from './footer.js';
import { readFooterPlace } from './footer-bytes.js';

/** A file, and what it was when the run was planned. */
interface KnownFile {
  readonly path: string;
  readonly fingerprint: Fingerprint;
}

/**
 * Compares a file with what it was: size, modification time, inode, and the hash of its footer.
 * @throws ColonnadeError `INPUT_CHANGED`, or `INPUT_GONE` when it is not there any more.
 */
export async function checkUnchanged(file: KnownFile): Promise<void> {
  await readSameFooterStart(file);
}

/** Where the footer of a file begins that is as it was. @throws ColonnadeError as {@link checkUnchanged} */
export async function readSameFooterStart(file: KnownFile): Promise<number> {
  const { fingerprint, start } = await noLessThan(file, readFooterPlace);
  compare(file, fingerprint);
  return start;
}

/** The footer of a file that is as it was. @throws ColonnadeError as {@link checkUnchanged} */
export async function readSameFooter(file: KnownFile): Promise<Footer> {
  const footer = await noLessThan(file, readFooter);
  compare(file, footer.fingerprint);
  return footer;
}

/** Reads what was a whole Parquet file before. */
async function noLessThan<T>({ path }: KnownFile, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
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
