/** Makes sure that what was read is what was planned with. */
import { ColonnadeError } from '../errors.js';
import { readFingerprint } from '../parquet/footer.js';
import type { Plan } from '../plan/plan.js';

/**
 * Compares every file with its fingerprint: size, modification time, inode, and the hash of its footer.
 * @throws ColonnadeError `INPUT_CHANGED`, or `INPUT_GONE` when a file is not there any more.
 */
export async function checkInputs(plan: Plan): Promise<void> {
  for (const { path, fingerprint } of plan.files) {
    let now;
    try {
      now = await readFingerprint(path);
    } catch (error) {
      if (error instanceof ColonnadeError && error.code === 'BAD_PARQUET')
        throw changed(path, 'it is no whole Parquet file any more', error);
      throw error;
    }
    if (now.size !== fingerprint.size) throw changed(path, `it had ${fingerprint.size} bytes, it has ${now.size}`);
    if (now.inode !== fingerprint.inode) throw changed(path, 'another file has taken its name');
    if (now.mtimeNs !== fingerprint.mtimeNs || now.footerHash !== fingerprint.footerHash)
      throw changed(path, 'it was written to');
  }
}

function changed(path: string, how: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('INPUT_CHANGED', `${path} changed while it was read: ${how}`, {
    phase: 'run',
    hint: 'nothing was published; run it again once the file is complete',
    cause,
  });
}
