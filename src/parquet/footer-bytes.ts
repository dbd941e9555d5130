/**
 * Where the footer of a Parquet file lies, and its bytes, unparsed.
 *
 *     readFooterBytes(path): Promise<{ bytes, place }>     throws ColonnadeError BAD_PARQUET, INPUT_GONE, IO_FAILED
 *     readFooterBytesNow(path): { bytes, place }           the same, while the caller waits
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import type { Fingerprint } from '../plan/facts.js';
import { openForReading, readError, readInto, shrunk } from './blocks.js';
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

/** The bytes of a footer, unparsed. */
export interface FooterBytes {
  readonly bytes: Buffer;
  readonly place: FooterPlace;
}

/** Read from the end of the file at once: most footers fit. */
const TAIL_BYTES = 64 * 1024;
/** Enough to tell what a file is. */
const HEAD_BYTES = 512;
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

/** Blocks of {@link TAIL_BYTES} that nobody uses: there may be many files, and what is kept of each is much less. */
const freeTails: Buffer[] = [];

/**
 * Where the footer of a file lies, its bytes, and what tells whether the file is the one that it was.
 *
 * @throws ColonnadeError `BAD_PARQUET` for what does not begin and end as a Parquet file; `INPUT_GONE`, `IO_FAILED`.
 */
export async function readFooterBytes(path: string): Promise<FooterBytes> {
  const handle = await openForReading(path);
  const tail = freeTails.pop() ?? Buffer.allocUnsafeSlow(TAIL_BYTES);
  try {
    return await readOpenFooter(handle, path, tail);
  } finally {
    freeTails.push(tail);
    await handle.close();
  }
}

async function readOpenFooter(handle: FileHandle, path: string, block: Buffer): Promise<FooterBytes> {
  const stat = await handle.stat({ bigint: true }).catch((error: unknown) => {
    throw readError(error, path);
  });
  const size = sizeOf(stat, path);
  const tail = block.subarray(0, Math.min(size, TAIL_BYTES));
  await readInto(handle, path, size - tail.length, tail);
  const head = headBeside(tail, size);
  if (head.length > 0) await readInto(handle, path, 0, head);
  const found = findFooter(path, size, head.length > 0 ? head : tail, tail);
  if (found.bytes.length < found.length) {
    const bytes = Buffer.allocUnsafe(found.length);
    await readInto(handle, path, found.start, bytes);
    return footerBytes(path, stat, found.start, bytes);
  }
  return footerBytes(path, stat, found.start, Buffer.from(found.bytes));
}

/**
 * As {@link readFooterBytes}, while the caller waits. For files that were read a moment ago, which the system still has in
 * memory: asking for them bit by bit takes several times as long as reading them.
 */
export function readFooterBytesNow(path: string): FooterBytes {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw readError(error, path);
  }
  const block = freeTails.pop() ?? Buffer.allocUnsafeSlow(TAIL_BYTES);
  try {
    const stat = fstatSync(file, { bigint: true });
    const size = sizeOf(stat, path);
    const tail = block.subarray(0, Math.min(size, TAIL_BYTES));
    readIntoNow(file, path, size - tail.length, tail);
    const head = headBeside(tail, size);
    if (head.length > 0) readIntoNow(file, path, 0, head);
    const found = findFooter(path, size, head.length > 0 ? head : tail, tail);
    if (found.bytes.length === found.length) return footerBytes(path, stat, found.start, Buffer.from(found.bytes));
    const bytes = Buffer.allocUnsafe(found.length);
    readIntoNow(file, path, found.start, bytes);
    return footerBytes(path, stat, found.start, bytes);
  } catch (error) {
    throw readError(error, path);
  } finally {
    freeTails.push(block);
    closeSync(file);
  }
}

/** The bytes of the footer of a file that is in memory. @throws ColonnadeError `BAD_PARQUET` as {@link readFooterBytes} */
export function footerBytesIn(path: string, file: Buffer): { readonly bytes: Buffer; readonly start: number } {
  if (file.length === 0) throw badParquet(path, 'it is empty (0 bytes)', WRITE_AGAIN);
  return findFooter(path, file.length, file, file);
}

function readIntoNow(file: number, path: string, offset: number, into: Buffer): void {
  for (let done = 0; done < into.length;) {
    const read = readSync(file, into, done, into.length - done, offset + done);
    if (read === 0) throw shrunk(path, offset + done);
    done += read;
  }
}

function sizeOf(stat: BigIntStats, path: string): number {
  if (stat.isDirectory()) throw badParquet(path, 'it is a folder', 'name its files, or the folder as a source');
  const size = Number(stat.size);
  if (size === 0) throw badParquet(path, 'it is empty (0 bytes)', WRITE_AGAIN);
  return size;
}

/** Memory for the start of the file, where that is not in the tail; empty where it is. */
function headBeside(tail: Buffer, size: number): Buffer {
  return Buffer.allocUnsafe(tail.length === size ? 0 : Math.min(size, HEAD_BYTES));
}

/**
 * Finds the footer by the end of the file.
 * @returns where it begins, its length, and its bytes where all of them are in the tail: a view.
 */
function findFooter(
  path: string,
  size: number,
  head: Buffer,
  tail: Buffer,
): { readonly start: number; readonly length: number; readonly bytes: Buffer } {
  if (size < SMALLEST_FILE) throw notParquet(path, head, size);
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
  const fits = length + 8 <= tail.length;
  // What is parsed of it are views, and the memory of the tail is used again: to be copied.
  return { start, length, bytes: tail.subarray(fits ? tail.length - 8 - length : tail.length, tail.length - 8) };
}

function footerBytes(path: string, stat: BigIntStats, start: number, bytes: Buffer): FooterBytes {
  const size = Number(stat.size);
  const fingerprint = {
    size,
    mtimeNs: String(stat.mtimeNs),
    inode: String(stat.ino),
    footerHash: createHash('sha256').update(bytes).digest('hex'),
  };
  return { bytes, place: { path, size, start, fingerprint } };
}
