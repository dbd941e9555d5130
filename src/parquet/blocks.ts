/**
 * Reading and appending bytes in blocks of bounded size.
 *
 *     openForReading(path): Promise<FileHandle>
 *     readExactly(handle, path, offset, length): Promise<Buffer>
 *     new RangeReader(handle, path).read(offset, length): Promise<Buffer>
 *     new Appender(handle, path, position): position, write(bytes), copy(from, path, offset, length), flush()
 */
import type { Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';

/** Bytes moved at once; why not more stands in copy.ts. */
export const BLOCK_BYTES = 512 << 10;

/** What a failed read of an input means. */
export function readError(error: unknown, path: string): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT') {
    return new ColonnadeError('INPUT_GONE', `${path}: there is no such file`, {
      phase: 'source',
      hint: 'put it back, or leave it out of source.path',
      cause: error,
    });
  }
  const reasons: Record<string, string> = {
    EACCES: 'permission is denied',
    EISDIR: 'it is a folder',
    EIO: 'the disk reported an error',
  };
  const reason = reasons[code ?? ''] ?? (error instanceof Error ? error.message : String(error));
  return new ColonnadeError('IO_FAILED', `reading ${path}: ${reason}`, {
    phase: 'source',
    hint: 'make the file readable and run it again',
    cause: error,
  });
}

/** The error for an input that is shorter than it was when its footer was read. */
export function shrunk(path: string, offset: number): ColonnadeError {
  return new ColonnadeError(
    'INPUT_CHANGED',
    `${path}: it ended at byte ${offset} while it was being read; it was longer before`,
    {
      phase: 'source',
      hint: 'something rewrote the file during the run; run it again when the file is at rest',
    },
  );
}

/** @throws ColonnadeError `INPUT_GONE`, `IO_FAILED` */
export async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw readError(error, path);
  }
}

/** Fills all of `into` from `offset` on. @throws ColonnadeError `INPUT_CHANGED` where the file ends before that. */
export async function readInto(handle: FileHandle, path: string, offset: number, into: Uint8Array): Promise<void> {
  for (let done = 0; done < into.length;) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(into, done, into.length - done, offset + done));
    } catch (error) {
      throw readError(error, path);
    }
    if (bytesRead === 0) throw shrunk(path, offset + done);
    done += bytesRead;
  }
}

/** `length` bytes at `offset`. @throws ColonnadeError `INPUT_CHANGED`, `IO_FAILED` */
export async function readExactly(handle: FileHandle, path: string, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  await readInto(handle, path, offset, bytes);
  return bytes;
}

/** Serves many small ranges in rising order from few large reads. */
export class RangeReader {
  private window: Buffer = Buffer.alloc(0);
  private start = 0;
  private readonly handle: FileHandle;
  private readonly path: string;
  private readonly limit: number;

  /** @param limit one past the last byte that may be read: windows end there. */
  constructor(handle: FileHandle, path: string, limit: number) {
    this.handle = handle;
    this.path = path;
    this.limit = limit;
  }

  /** A view that holds until the next read. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (offset < this.start || offset + length > this.start + this.window.length) {
      const ahead = Math.min(Math.max(length, 1 << 20), this.limit - offset);
      this.window = await readExactly(this.handle, this.path, offset, Math.max(length, ahead));
      this.start = offset;
    }
    return this.window.subarray(offset - this.start, offset - this.start + length);
  }
}

/** Appends to a file through one block of memory, and to a hash where one is given. */
export class Appender {
  private readonly handle: FileHandle;
  private readonly path: string;
  private readonly hash: Hash | undefined;
  private readonly block = Buffer.allocUnsafe(BLOCK_BYTES);
  private filled = 0;
  private written: number;

  /** @param position where the file ends now. */
  constructor(handle: FileHandle, path: string, position: number, hash?: Hash) {
    this.handle = handle;
    this.path = path;
    this.hash = hash;
    this.written = position;
  }

  /** Where the next byte will lie in the file. */
  get position(): number {
    return this.written + this.filled;
  }

  /** @throws ColonnadeError `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED` */
  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.filled === this.block.length) await this.flush();
      const part = bytes.subarray(done, done + this.block.length - this.filled);
      this.block.set(part, this.filled);
      this.filled += part.length;
      done += part.length;
    }
  }

  /** Appends a range of another file. */
  async copy(from: FileHandle, fromPath: string, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      if (this.filled === this.block.length) await this.flush();
      const part = Math.min(length - done, this.block.length - this.filled);
      await readInto(from, fromPath, offset + done, this.block.subarray(this.filled, this.filled + part));
      this.filled += part;
      done += part;
    }
  }

  /** Hands everything to the operating system. */
  async flush(): Promise<void> {
    const bytes = this.block.subarray(0, this.filled);
    this.hash?.update(bytes);
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await this.handle.write(bytes, done, bytes.length - done, this.written + done)).bytesWritten;
      }
    } catch (error) {
      throw systemError(error, 'sink', 'writing', this.path);
    }
    this.written += this.filled;
    this.filled = 0;
  }

  /** {@link flush}, then waits until the disk has it. */
  async sync(): Promise<void> {
    await this.flush();
    try {
      await this.handle.sync();
    } catch (error) {
      throw systemError(error, 'sink', 'syncing', this.path);
    }
  }
}
