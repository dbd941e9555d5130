/**
 * Writes many small files that each begin as another file does.
 *
 *     const copies = new SmallCopies()
 *     await copies.write({ source, destination, bytes, tail })     { bytes, sha256 } of what is in `destination`
 *     copies.close()
 *
 * One thread does it for all of them, one after the other: to make, write and hash a small file takes as long as to score
 * its rows, and to do it by Node's asynchronous calls twice as long. Nothing is synced: whoever publishes the files does.
 */
import type * as crypto from 'node:crypto';
import type * as fs from 'node:fs';
import { Worker } from 'node:worker_threads';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { startThread } from '../v8-flags.js';
import { readError, shrunk } from './blocks.js';

export interface SmallCopyJob {
  readonly source: string;
  /** Made, or written over. */
  readonly destination: string;
  /** Bytes from the start of the source. */
  readonly bytes: number;
  /** What follows them; given away. */
  readonly tail: Buffer;
}

/** What a file holds. */
export interface WrittenCopy {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** What the thread tells of the job that is the next. */
type Answer =
  | { readonly kind: 'written'; readonly bytes: number; readonly sha256: string }
  | { readonly kind: 'short'; readonly offset: number }
  | {
      readonly kind: 'failed';
      readonly side: 'source' | 'destination';
      readonly code: string;
      readonly message: string;
    };

/**
 * The work itself. Its source text is what the thread runs, so it uses nothing but its parameters: this holds for the
 * compiled program as for TypeScript under a test runner, with no second file.
 */
function smallCopyWork(nodeFs: typeof fs, nodeCrypto: typeof crypto): (job: SmallCopyJob) => Answer {
  let block = Buffer.allocUnsafeSlow(262144);
  /** As much of a range of a file as there is; a view that holds until the next is read. */
  const read = (file: number, from: number, length: number): Buffer => {
    if (block.length < length) block = Buffer.allocUnsafeSlow(2 * length);
    let done = 0;
    for (let some = -1; done < length && some !== 0; done += some)
      some = nodeFs.readSync(file, block, done, length - done, from + done);
    return block.subarray(0, done);
  };
  const write = (file: number, bytes: Uint8Array): void => {
    for (let done = 0; done < bytes.length;) done += nodeFs.writeSync(file, bytes, done);
  };
  return ({ source, destination, bytes, tail }) => {
    let side: 'source' | 'destination' = 'source';
    const open: number[] = [];
    try {
      const input = nodeFs.openSync(source, 'r');
      open.push(input);
      const prefix = read(input, 0, bytes);
      if (prefix.length < bytes) return { kind: 'short', offset: prefix.length };
      const hash = nodeCrypto.createHash('sha256').update(prefix);
      side = 'destination';
      const output = nodeFs.openSync(destination, 'w+');
      open.push(output);
      write(output, prefix);
      write(output, tail);
      // What was appended is hashed as it is in the file.
      const written = read(output, bytes, tail.length + 1);
      return { kind: 'written', bytes: bytes + written.length, sha256: hash.update(written).digest('hex') };
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      return { kind: 'failed', side, code, message };
    } finally {
      for (const file of open) nodeFs.closeSync(file);
    }
  };
}

const THREAD_CODE = `
const { parentPort } = require('node:worker_threads');
const work = (${smallCopyWork.toString()})(require('node:fs'), require('node:crypto'));
parentPort.on('message', (job) => parentPort.postMessage(work(job)));
`;

interface Waiting {
  readonly job: Omit<SmallCopyJob, 'tail'>;
  readonly resolve: (written: WrittenCopy) => void;
  readonly reject: (error: unknown) => void;
}

export class SmallCopies {
  #thread: Worker | undefined;
  /** Jobs that the thread has not answered, in the order in which it does. */
  readonly #waiting: Waiting[] = [];

  /**
   * @throws ColonnadeError `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`, `INPUT_GONE`, or `INPUT_CHANGED` where the
   * source is shorter than what is to be copied.
   */
  write(job: SmallCopyJob): Promise<WrittenCopy> {
    const { tail, ...rest } = job;
    // Memory of its own, which is handed over.
    const own = tail.byteLength === tail.buffer.byteLength ? tail : Buffer.from(Uint8Array.from(tail).buffer);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job: rest, resolve, reject });
      this.#open().postMessage({ ...rest, tail: own }, [own.buffer as ArrayBuffer]);
    });
  }

  /** Ends the thread; what it has not answered is rejected. */
  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #open(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    const thread = startThread(() => new Worker(THREAD_CODE, { eval: true, env: {}, execArgv: [] }));
    // It has nothing to say but to who waits for it.
    thread.on('message', (answer: Answer) => this.#take(answer));
    thread.on('error', (error) => this.#end(error));
    thread.on('exit', () => this.#end());
    this.#thread = thread;
    return thread;
  }

  #take(answer: Answer): void {
    const { job, resolve, reject } = this.#waiting.shift()!;
    if (answer.kind === 'written') resolve({ bytes: answer.bytes, sha256: answer.sha256 });
    else if (answer.kind === 'short') reject(shrunk(job.source, answer.offset));
    else {
      const error = Object.assign(new Error(answer.message), { code: answer.code });
      reject(
        answer.side === 'source'
          ? readError(error, job.source)
          : systemError(error, 'sink', 'writing', job.destination),
      );
    }
  }

  #end(cause?: Error): void {
    this.#thread = undefined;
    for (const { job, reject } of this.#waiting.splice(0)) {
      const how = cause === undefined ? 'the copy was given up' : `the copying thread failed: ${cause.message}`;
      reject(
        new ColonnadeError('IO_FAILED', `${job.destination}: ${how}`, { phase: 'sink', cause, hint: 'run it again' }),
      );
    }
  }
}
