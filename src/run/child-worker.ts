/** The main process' side of a worker process. */
import { fork, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ColonnadeError, type SerializedError } from '../errors.js';
import { DEFAULT_TIMEOUT_S } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import { rowsInWords } from '../plan/quantities.js';
import type { Preview } from './events.js';
import type { ShardResult } from './shard-attempt.js';
import type { GroupEvents, ShardWorker, WorkerTask } from './shard-worker.js';
import { OVERDUE_PIPE, type OverdueCall } from './watchdog.js';

export type ToWorker =
  | { readonly type: 'open'; readonly task: WorkerTask }
  | { readonly type: 'score'; readonly shards: readonly number[] }
  | { readonly type: 'memory' }
  /** In place of a task. */
  | { readonly type: 'preview'; readonly plan: Plan; readonly count: number }
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'rows'; readonly shard: number; readonly rows: number }
  | { readonly type: 'done'; readonly result: ShardResult }
  /** All shards of the group are done. */
  | { readonly type: 'scored' }
  | { readonly type: 'memory'; readonly peak: number }
  | { readonly type: 'preview'; readonly preview: Preview }
  | { readonly type: 'failed'; readonly error: SerializedError };

/** A worker that does not end by itself is killed after this many milliseconds. */
const CLOSE_AFTER_MS = 2_000;

/** A worker in a process of its own, which can be asked between two shards what it has cost. */
export interface ProcessWorker extends ShardWorker {
  /** Peak resident memory of the process so far, bytes. */
  peakMemory(): Promise<number>;
}

function forkWorker(plan: Plan): ChildWorker {
  const child = fork(fileURLToPath(new URL('./worker-process.js', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', 'pipe'],
  });
  return new ChildWorker(child, plan);
}

/** Forks a worker process and waits until its database and model are open. */
export async function openChildWorker(task: WorkerTask): Promise<ProcessWorker> {
  const worker = forkWorker(task.plan);
  try {
    await worker.ask({ type: 'open', task }, (message) => message.type === 'ready');
  } catch (error) {
    await worker.close();
    throw error;
  }
  return worker;
}

/**
 * Has a process of its own score the first rows of a plan; see `previewPlan`.
 * @param signal ends it, with its reason.
 */
export async function previewInChild(plan: Plan, count: number, signal?: AbortSignal): Promise<Preview> {
  signal?.throwIfAborted();
  const worker = forkWorker(plan);
  const close = (): void => void worker.close();
  signal?.addEventListener('abort', close);
  try {
    const told = await worker.ask({ type: 'preview', plan, count }, (message) => message.type === 'preview');
    return (told as Extract<FromWorker, { type: 'preview' }>).preview;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', close);
    await worker.close();
  }
}

class ChildWorker implements ProcessWorker {
  #onMessage: ((message: FromWorker) => void) | undefined;
  #onDeath: ((error: ColonnadeError) => void) | undefined;
  #death: ColonnadeError | undefined;

  readonly #child: ChildProcess;

  constructor(child: ChildProcess, plan: Plan) {
    this.#child = child;

    let overdue = '';
    // One that could not be started has no pipes at all.
    const stdio = child.stdio as readonly unknown[] | undefined;
    (stdio?.[OVERDUE_PIPE] as Readable | null | undefined)?.on('data', (text: Buffer) => {
      overdue += text.toString();
    });
    child.on('message', (message: FromWorker) => this.#onMessage?.(message));
    child.on('error', (error) => this.#died(workerDied(`a worker process failed: ${error.message}`)));
    // By then all that it has told is read.
    child.on('close', (code, signal) => {
      if (overdue !== '') this.#died(timedOut(plan, JSON.parse(overdue) as OverdueCall));
      else if (signal === null) this.#died(workerDied(`a worker process ended with status ${code}`));
      else this.#died(workerDied(`a worker process was ended by ${signal}`));
    });
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

  #died(error: ColonnadeError): void {
    this.#death ??= error;
    this.#onDeath?.(this.#death);
  }
}

function timedOut({ models, files, run }: Plan, { model, file, from, to }: OverdueCall): ColonnadeError {
  return new ColonnadeError(
    'MODEL_TIMEOUT',
    `${files[file]!.path}, ${rowsInWords(from, to)}: ${models[model]!.path} took longer than ${run.timeout ?? DEFAULT_TIMEOUT_S} s for this batch, and its process was ended`,
    {
      phase: 'model',
      hint: 'where the model needs that long, raise run.timeout or use a smaller model.batch_size',
    },
  );
}

function workerDied(message: string): ColonnadeError {
  return new ColonnadeError('WORKER_DIED', message, {
    phase: 'run',
    hint: 'if the machine is short of memory, use fewer --workers; run it again to go on from the shards that are done',
  });
}
