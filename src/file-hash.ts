/** sha256 of files. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Bytes that are read at once. */
const BLOCK = 1 << 20;

/**
 * sha256, hex, of a file's content; read in blocks, into one buffer: a stream's, each fresh memory, would have V8 collect
 * all garbage again and again (380 MB: half a second of processor time).
 * @param signal ends it, with its reason.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'r');
  try {
    const block = Buffer.allocUnsafeSlow(BLOCK);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(block, 0, BLOCK, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(block.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
