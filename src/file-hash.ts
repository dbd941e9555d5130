/** sha256 of files. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Read at once at most. */
const BLOCK_BYTES = 1 << 20;

/**
 * sha256, hex, of a file's content; read in blocks, which for a small file are no larger than that.
 * @param signal ends it, with its reason.
 * @param from bytes at the start that are left out.
 */
export async function hashFile(path: string, signal?: AbortSignal, from = 0): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, size + 1));
    for (let bytes = -1, at = from; bytes !== 0; at += bytes) {
      signal?.throwIfAborted();
      bytes = (await handle.read(block, 0, block.length, at)).bytesRead;
      hash.update(block.subarray(0, bytes));
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}
