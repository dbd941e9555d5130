/** sha256 of files. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/**
 * sha256, hex, of a file's content; read in blocks.
 * @param signal ends it, with its reason.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of createReadStream(path, { highWaterMark: 1 << 20 })) {
    signal?.throwIfAborted();
    hash.update(block as Buffer);
  }
  return hash.digest('hex');
}
