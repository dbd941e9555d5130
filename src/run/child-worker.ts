/** The main process' side of a worker process. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ColonnadeError, type SerializedError } from '../errors.js';
import type { ShardResult } from './shard-attempt.js';
import type { GroupEvents, ShardWorker, WorkerTask } from './shard-worker.js';

export type ToWorker =
  | { readonly type: 'open'; readonly task: WorkerTask }
  | { readonly type: 'score'; readonly shards: readonly number[] }
  | { readonly type: 'memory' }
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'rows'; readonly shard: number; readonly rows: number }
  | { readonly type: 'done'; readonly result: ShardResult }
  /** All shards of the group are done. */
  | { readonly type: 'scored' }
  | { readonly type: 'memory'; readonly peak: number }
  | { readonly type: 'failed'; readonly error: SerializedError };

/** A worker that does not end by itself is killed after this many milliseconds. */
const CLOSE_AFTER_MS = 2_000;

/** A worker in a process of its own, which can be asked between two shards what it has cost. */
export interface ProcessWorker extends ShardWorker {
  /** Peak resident memory of the process so far, bytes. */
  peakMemory(): Promise<number>;
}

/** Forks a worker process and waits until its database and model are open. */
export async function openChildWorker(task: WorkerTask): Promise<ProcessWorker> {
  const child = fork(fileURLToPath(new URL('./worker-process.js', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const worker = new ChildWorker(child);
  try {
    await worker.ask({ type: 'open', task }, (message) => message.type === 'ready');
  } catch (error) {
    await worker.close();
    throw error;
  }
  return worker;
}

class ChildWorker implements ProcessWorker {
  #onMessage: ((message: FromWorker) => void) | undefined;
  #onDeath: ((error: ColonnadeError) => void) | undefined;
  #death: ColonnadeError | undefined;

  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;

    child.on('message', (message: FromWorker) => this.#onMessage?.(message));
    child.on('error', (error) => this.#died(`a worker process failed: ${error.message}`));
    child.on('exit', (code, signal) =>
      this.#died(
        signal === null ? `a worker process ended with status ${code}` : `a worker process was ended by ${signal}`,
      ),
    );
  }

  async score(shards: readonly number[], { onRows, onDone }: GroupEvents): Promise<void> {
    await this.ask({ type: 'score', shards }, (message) => {
      if (message.type === 'rows') onRows(message.shard, message.rows);
      else if (message.type === 'done') onDone(message.result);
      return message.type === 'scored';
    });
  }

  async peakMemory(): Promise<number> {
    const told = await this.ask({ type: 'memory' }, (message) => message.type === 'memory');
    return (told as Extract<FromWorker, { type: 'memory' }>).peak;
  }

  /** Sends a request and waits for the message that `isAnswer` accepts. */
  ask(request: ToWorker, isAnswer: (message: FromWorker) => boolean): Promise<FromWorker> {
    return new Promise<FromWorker>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        this.#onMessage = undefined;
        this.#onDeath = undefined;
        finish();
      };
      if (this.#death !== undefined) return reject(this.#death);
      this.#onDeath = (error) => settle(() => reject(error));
      this.#onMessage = (message) => {
        if (message.type === 'failed') settle(() => reject(ColonnadeError.fromJSON(message.error)));
        else if (isAnswer(message)) settle(() => resolve(message));
      };
      // One that could not be started takes no message; the reason comes as its error, a moment later.
      if (this.#child.pid === undefined) return;
      this.#child.send(request, (error) => {
        if (error !== null) settle(() => reject(this.#death ?? workerDied(error.message)));
      });
    });
  }

  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const busy = this.#onMessage !== undefined;
    await new Promise<void>((resolve) => {
      const kill = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_AFTER_MS);
      this.#child.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      // A worker in the middle of a shard cannot listen; its unfinished files are drafts.
      if (busy) this.#child.kill('SIGKILL');
      else
        this.#child.send({ type: 'close' } satisfies ToWorker, (error) => {
          if (error !== null) this.#child.kill('SIGKILL');
        });
    });
  }

  #died(message: string): void {
    this.#death ??= workerDied(message);
    this.#onDeath?.(this.#death);
  }
}

function workerDied(message: string): ColonnadeError {
  return new ColonnadeError('WORKER_DIED', message, {
    phase: 'run',
    hint: 'if the machine is short of memory, use fewer --workers; run it again to go on from the shards that are done',
  });
}
