/**
 * Where the footer of a Parquet file lies, and its bytes, unparsed.
 *
 *     readFooterPlace(path): Promise<FooterPlace>          throws ColonnadeError BAD_PARQUET, INPUT_GONE, IO_FAILED
 *     readFooterBytes(path): Promise<{ bytes, place }>     the same, with the bytes
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import type { Fingerprint } from '../plan/facts.js';
import { openForReading, readError, readExactly } from './blocks.js';
import { ENCRYPTED_MAGIC, MAGIC } from './format.js';
import { looksLike } from './magic.js';

/** Where the bytes of a footer come from. */
export interface FooterPlace {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Offset of the footer's first byte: all before it is data, indexes and filters. */
  readonly start: number;
  readonly fingerprint: Fingerprint;
}

/** Read from the end of the file at once: most footers fit. */
const TAIL_BYTES = 64 * 1024;
/** Larger footers than this are refused: no reader could hold what they describe. */
const MAX_FOOTER_BYTES = 1 << 30;
const SMALLEST_FILE = 12;

/** The error for a file that is no whole, readable Parquet file. */
export function badParquet(path: string, what: string, hint: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('BAD_PARQUET', `${path}: ${what}`, { phase: 'source', hint, cause });
}

/** What to do with a file that was damaged. */
export const WRITE_AGAIN = 'write or download the file again';

/** What can be told of a file that does not end as a Parquet file. */
function notParquet(path: string, head: Buffer, size: number): ColonnadeError {
  if (head.toString('latin1', 0, 4) === MAGIC) {
    return badParquet(
      path,
      `it begins as Parquet but ends without a footer after ${size} bytes; it was cut off, or is still being written`,
      'wait until its writer is done, or copy the whole file again',
    );
  }
  return badParquet(
    path,
    `it is not Parquet; it looks like ${looksLike(head)}`,
    'convert it to Parquet, or leave it out of source.path',
  );
}

/**
 * Where the footer of a file lies, and what tells whether the file is the one that it was, without parsing the footer.
 *
 * @throws ColonnadeError `BAD_PARQUET` for what does not begin and end as a Parquet file; `INPUT_GONE`, `IO_FAILED`.
 */
export async function readFooterPlace(path: string): Promise<FooterPlace> {
  return (await readFooterBytes(path)).place;
}

/** @throws ColonnadeError as {@link readFooterPlace} */
export async function readFooterBytes(path: string): Promise<{ readonly bytes: Buffer; readonly place: FooterPlace }> {
  const handle = await openForReading(path);
  try {
    return await readOpenFooter(handle, path);
  } finally {
    await handle.close();
  }
}

async function readOpenFooter(
  handle: FileHandle,
  path: string,
): Promise<{ readonly bytes: Buffer; readonly place: FooterPlace }> {
  const stat = await handle.stat({ bigint: true }).catch((error: unknown) => {
    throw readError(error, path);
  });
  if (stat.isDirectory()) throw badParquet(path, 'it is a folder', 'name its files, or the folder as a source');
  const size = Number(stat.size);
  if (size === 0) throw badParquet(path, 'it is empty (0 bytes)', WRITE_AGAIN);
  const head = await readExactly(handle, path, 0, Math.min(size, 512));
  if (size < SMALLEST_FILE) throw notParquet(path, head, size);
  const tail = await readExactly(handle, path, Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
  const magic = tail.toString('latin1', tail.length - 4);
  if (magic === ENCRYPTED_MAGIC) {
    throw badParquet(
      path,
      'its footer is encrypted (it ends in PARE)',
      'decrypt it first: write it again with the tool that has the keys',
    );
  }
  if (magic !== MAGIC) throw notParquet(path, head, size);
  if (head.toString('latin1', 0, 4) !== MAGIC) {
    throw badParquet(path, 'it ends in PAR1 but does not begin so; its start is missing or overwritten', WRITE_AGAIN);
  }
  const length = tail.readUInt32LE(tail.length - 8);
  const start = size - 8 - length;
  if (start < 4)
    throw badParquet(
      path,
      `its footer claims ${length} bytes at byte ${size - 8}, more than the file's ${size}`,
      WRITE_AGAIN,
    );
  if (length > MAX_FOOTER_BYTES) {
    throw badParquet(
      path,
      `its footer claims ${length} bytes; more than ${MAX_FOOTER_BYTES} are not read`,
      'write it with fewer row groups',
    );
  }
  const bytes =
    length + 8 <= tail.length
      ? // A copy: what is parsed of it are views, which would keep all of the tail in memory.
        Buffer.from(tail.subarray(tail.length - 8 - length, tail.length - 8))
      : await readExactly(handle, path, start, length);
  const fingerprint = {
    size,
    mtimeNs: String(stat.mtimeNs),
    inode: String(stat.ino),
    footerHash: createHash('sha256').update(bytes).digest('hex'),
  };
  return { bytes, place: { path, size, start, fingerprint } };
}
