/**
 * Copies the start of a file word for word, beside other work, and hashes what becomes of it.
 *
 *     const copy = startCopy({ source, destination, bytes })
 *     await copy.opened                         `destination` is there, and may be written to behind the first `bytes` bytes
 *     await copy.copied                         { bytes, reflink }: the first `bytes` bytes are in `destination`
 *     …fsync…
 *     await copy.digest()                       { bytes, sha256, … } of the destination; or `abort()`
 *
 * A thread of its own does it, as hashing takes as long as scoring a simple model. The hash is fed while the bytes pass
 * by, so that `digest()` only reads what was appended. Where the file system can share blocks (XFS, Btrfs, APFS), nothing
 * is copied and nothing read: the bytes are the source's own, and only what is appended is hashed.
 */
import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { startThread } from '../v8-flags.js';
import { readError, shrunk } from './blocks.js';

export interface CopyJob {
  readonly source: string;
  readonly destination: string;
  /** Bytes from the start of the source. */
  readonly bytes: number;
}

export interface CopyOptions {
  /** Whether a thread is started; by default for what takes longer than starting one. */
  readonly thread?: boolean;
}

/** What a destination holds. */
export interface CopyDigest {
  readonly bytes: number;
  /** Of all bytes; of those behind the shared ones where there are such. */
  readonly sha256: string;
  /** Bytes at the start that are the source's own blocks; absent where the file system does not share any. */
  readonly sharedBytes?: number;
}

export interface StartedCopy {
  /**
   * Resolves when the destination is the file that the bytes go to, which may have none of them yet.
   * @throws ColonnadeError as `copied`
   */
  readonly opened: Promise<void>;
  /**
   * Resolves when the bytes are in the destination; not synced.
   * @throws ColonnadeError `DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `IO_FAILED`, `INPUT_GONE`, or `INPUT_CHANGED` where the source became shorter.
   */
  readonly copied: Promise<{ readonly bytes: number; readonly reflink: boolean }>;
  /**
   * sha256 (hex) and size of the destination as it is now; ends the thread. Call it once, after `copied` and after appending.
   * @throws ColonnadeError as `copied`; also where a sync in between failed, after which the destination cannot be trusted.
   */
  digest(): Promise<CopyDigest>;
  /** Ends the thread at once; the destination stays as it is. May be called at any time. */
  abort(): Promise<void>;
}

/** What the thread tells. */
type Message =
  | { readonly kind: 'opened' }
  | { readonly kind: 'copied'; readonly reflink: boolean }
  | { readonly kind: 'digest'; readonly bytes: number; readonly sha256: string; readonly shared: boolean }
  | {
      readonly kind: 'failed';
      readonly side: 'source' | 'destination';
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'short'; readonly offset: number };

/** Below this, copying takes no longer than starting a thread. */
const THREAD_BYTES = 16 << 20;

/**
 * The work itself. Its source text is what the thread runs, so it uses nothing but its parameters: this holds for the
 * compiled program as for TypeScript under a test runner, with no second file.
 */
function copyWork(
  nodeFs: typeof fs,
  nodeCrypto: typeof crypto,
  job: CopyJob,
  post: (message: Message) => void,
  mayShare = true,
): { digest: () => void; close: () => Promise<void> } {
  // Each fits the processor's cache, between reading, hashing and writing. Larger writes make Linux cache the file in pages
  // of 2 MB, which virtual machines often have to ask their host for: 0.1 s became 0.8 s for 363 MB. There are a few, as
  // one is hashed while others are written.
  const blocks = Array.from({ length: job.bytes > 262144 ? 4 : 1 }, () =>
    Buffer.allocUnsafeSlow(Math.min(262144, Math.max(job.bytes, 4096))),
  );
  const syncEvery = 67108864;
  const hash = nodeCrypto.createHash('sha256');
  let side: 'source' | 'destination' = 'source';

  /**
   * Syncs run beside the copying and the scoring, so that the disk is at work from the start and little is left for the
   * sync at the end. Each tells an error once: what the first of them failed of is kept for `digest`.
   */
  let target: number | undefined;
  let syncing = 0;
  let unsynced = 0;
  let failedSync: NodeJS.ErrnoException | undefined;
  let onSynced: (() => void) | undefined;
  const startSync = (output: number): void => {
    syncing += 1;
    unsynced = 0;
    nodeFs.fdatasync(output, (error) => {
      syncing -= 1;
      failedSync ??= error ?? undefined;
      if (syncing === 0) onSynced?.();
    });
  };

  const write = (output: number, block: Buffer, length: number, position: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const from = (done: number): void => {
        nodeFs.write(output, block, done, length - done, position + done, (error, written) => {
          if (error !== null) reject(error);
          else if (done + written < length) from(done + written);
          else resolve();
        });
      };
      from(0);
    });

  /** Hashes [from, to) of an open file, and writes it to another where one is given. Gives where it stopped. */
  const pass = async (input: number, from: number, to: number, output: number | undefined): Promise<number> => {
    const writes: Promise<void>[] = [];
    const written = async (each: Promise<void> | undefined): Promise<void> => {
      side = 'destination';
      await each;
      side = output === undefined ? 'destination' : 'source';
    };
    let position = from;
    for (let turn = 0; position < to; turn = (turn + 1) % blocks.length) {
      await written(writes[turn]);
      const block = blocks[turn] as Buffer;
      const read = nodeFs.readSync(input, block, 0, Math.min(block.length, to - position), position);
      if (read === 0) break;
      if (output !== undefined) {
        const writing = write(output, block, read, position);
        // Its failure is told when its turn comes.
        writing.catch(() => undefined);
        writes[turn] = writing;
        unsynced += read;
        // One at a time: the threads that wait for the disk are the ones that all other files are read and written by.
        if (unsynced >= syncEvery && syncing === 0) startSync(output);
      }
      hash.update(block.subarray(0, read));
      position += read;
    }
    for (const each of writes) await written(each);
    return position;
  };

  /** Where the clone fails, what stood at the destination is gone: the copy makes it anew. */
  const reflink = (): boolean => {
    if (!mayShare) return false;
    try {
      const made = nodeFs.openSync(job.destination, 'w');
      const { mode } = nodeFs.fstatSync(made);
      nodeFs.closeSync(made);
      nodeFs.rmSync(job.destination);
      nodeFs.copyFileSync(job.source, job.destination, nodeFs.constants.COPYFILE_FICLONE_FORCE);
      // The clone has the source's permissions, by which it may be read only; it gets those of a file that is made.
      nodeFs.chmodSync(job.destination, mode);
      return true;
    } catch {
      return false;
    }
  };

  let shared = false;
  const failed = (error: unknown): void => {
    const { code = '', message } = error as NodeJS.ErrnoException;
    post({ kind: 'failed', side, code, message });
  };
  const closeTarget = (): void => {
    const output = target;
    target = undefined;
    if (output !== undefined) nodeFs.closeSync(output);
  };
  const copy = async (): Promise<void> => {
    const input = nodeFs.openSync(job.source, 'r');
    try {
      shared = reflink();
      side = 'destination';
      target = nodeFs.openSync(job.destination, shared ? 'r+' : 'w+');
      const { size } = nodeFs.fstatSync(target);
      if (shared && size > job.bytes) nodeFs.ftruncateSync(target, job.bytes);
      post({ kind: 'opened' });
      const end = shared ? Math.min(size, job.bytes) : await pass(input, 0, job.bytes, target);
      if (!shared && job.bytes >= syncEvery) startSync(target);
      post(end < job.bytes ? { kind: 'short', offset: end } : { kind: 'copied', reflink: shared });
    } finally {
      nodeFs.closeSync(input);
    }
  };
  const finish = async (): Promise<void> => {
    side = 'destination';
    try {
      const bytes = await pass(target as number, job.bytes, Infinity, undefined);
      if (failedSync === undefined) post({ kind: 'digest', bytes, sha256: hash.digest('hex'), shared });
      else failed(failedSync);
    } finally {
      closeTarget();
    }
  };

  /** What is under way: a file that is written to must not be closed, its number may be another's the next moment. */
  let last = copy().catch(failed);
  const allSynced = (): Promise<void> =>
    syncing === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          onSynced = resolve;
        });

  return {
    digest: () => {
      last = last.then(allSynced).then(finish).catch(failed);
    },
    close: () => last.then(allSynced).then(closeTarget),
  };
}

const THREAD_CODE = `
const { parentPort, workerData } = require('node:worker_threads');
const work = (${copyWork.toString()})(require('node:fs'), require('node:crypto'), workerData, (message) => {
  parentPort.postMessage(message);
  if (message.kind !== 'opened' && message.kind !== 'copied') parentPort.close();
});
parentPort.once('message', work.digest);
`;

function copyError(job: CopyJob, message: Message): ColonnadeError {
  if (message.kind === 'short') return shrunk(job.source, message.offset);
  if (message.kind === 'failed') {
    const error = Object.assign(new Error(message.message), { code: message.code });
    return message.side === 'source'
      ? readError(error, job.source)
      : systemError(error, 'sink', 'writing', job.destination);
  }
  return new ColonnadeError('INTERNAL', `${job.destination}: the copy answered "${message.kind}" out of turn`, {
    phase: 'sink',
  });
}

/** Answers that come one after the other, or one error for those that have not come. */
class Answers {
  private readonly job: CopyJob;
  private readonly waiting: { resolve: (message: Message) => void; reject: (error: unknown) => void }[] = [];
  readonly opened: Promise<Message>;
  readonly copied: Promise<Message>;
  readonly digest: Promise<Message>;

  constructor(job: CopyJob) {
    this.job = job;
    this.opened = this.next();
    this.copied = this.next();
    this.digest = this.next();
    // Whoever waits gets the error; no one has to.
    this.opened.catch(() => undefined);
    this.copied.catch(() => undefined);
    this.digest.catch(() => undefined);
  }

  private next(): Promise<Message> {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  readonly take = (message: Message): void => {
    if (message.kind === 'failed' || message.kind === 'short') this.fail(copyError(this.job, message));
    else this.waiting.shift()?.resolve(message);
  };

  fail(error: unknown): void {
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }
}

/** Starts copying the first bytes of a file over `destination`. See the head of this file for the order of calls. */
export function startCopy(job: CopyJob, options: CopyOptions = {}): StartedCopy {
  const answers = new Answers(job);
  const { ask, stop } =
    (options.thread ?? job.bytes >= THREAD_BYTES) ? inThread(job, answers) : inProcess(job, answers);
  return {
    opened: settle(answers.opened.then(() => undefined)),
    copied: settle(
      answers.copied.then((message) => ({ bytes: job.bytes, reflink: message.kind === 'copied' && message.reflink })),
    ),
    digest: async () => {
      await answers.copied;
      ask();
      const message = await answers.digest;
      if (message.kind !== 'digest') throw copyError(job, message);
      const { bytes, sha256, shared } = message;
      return { bytes, sha256, ...(shared ? { sharedBytes: job.bytes } : {}) };
    },
    abort: stop,
  };
}

function settle<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

interface Backend {
  readonly ask: () => void;
  readonly stop: () => Promise<void>;
}

/**
 * Devices of sources and destinations between which no blocks can be shared. To try takes as long as copying a small file, of
 * which there may be thousands.
 */
const apart = new Set<string>();

/** Devices of a file and a folder; undefined where one of them is not there. */
function devices(source: string, folder: string): string | undefined {
  try {
    return `${fs.statSync(source).dev} ${fs.statSync(folder).dev}`;
  } catch {
    return undefined;
  }
}

/** Whether an earlier copy has shown that a copy of this file in that folder shares no blocks with it. */
export function sharesNoBlocks(source: string, folder: string): boolean {
  return apart.has(devices(source, folder) ?? '');
}

function inProcess(job: CopyJob, answers: Answers): Backend {
  const between = devices(job.source, dirname(job.destination));
  const take = (message: Message): void => {
    if (message.kind === 'copied' && !message.reflink && between !== undefined) apart.add(between);
    answers.take(message);
  };
  const work = copyWork(fs, crypto, job, take, !apart.has(between ?? ''));
  return {
    ask: work.digest,
    stop: work.close,
  };
}

function inThread(job: CopyJob, answers: Answers): Backend {
  const worker = startThread(
    () =>
      new Worker(THREAD_CODE, {
        eval: true,
        workerData: job,
        env: {},
        execArgv: [],
        // It makes some small objects for each block, which none outlives: a young generation that grows would be for nothing.
        resourceLimits: { maxYoungGenerationSizeMb: 1 },
      }),
  );
  worker.on('message', answers.take);
  worker.on('error', (error) => {
    answers.fail(
      new ColonnadeError('IO_FAILED', `${job.destination}: the copying thread failed: ${error.message}`, {
        phase: 'sink',
        cause: error,
        hint: 'run it again',
      }),
    );
  });
  worker.on('exit', () => {
    answers.fail(
      new ColonnadeError('IO_FAILED', `${job.destination}: the copy was given up`, {
        phase: 'sink',
        hint: 'run it again',
      }),
    );
  });
  return {
    ask: () => {
      worker.postMessage('digest');
    },
    stop: async () => {
      await worker.terminate();
    },
  };
}
