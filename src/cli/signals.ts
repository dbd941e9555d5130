/** SIGINT and SIGTERM: the first asks the command to stop, the second stops it. */
import { ColonnadeError, EXIT } from '../errors.js';

const SIGNALS = {
  SIGINT: { code: 'INTERRUPTED', word: 'interrupted' },
  SIGTERM: { code: 'TERMINATED', word: 'terminated' },
} as const;

/** What signals do to the process, apart from aborting. */
export interface SignalEffects {
  /** Called at the second: must end the process at once with this status. */
  readonly onSecond: (exitStatus: number) => void;
}

/**
 * Listens for signals until the process ends.
 * @returns a signal that is aborted at the first of them, with a ColonnadeError `INTERRUPTED` or `TERMINATED` as reason.
 */
export function abortOnSignals(process: Pick<NodeJS.Process, 'on'>, effects: SignalEffects): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const { code, word } = SIGNALS[name];
      if (controller.signal.aborted) {
        effects.onSecond(name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
        return;
      }
      controller.abort(new ColonnadeError(code, `${word} by ${name}`, { phase: 'run' }));
    });
  }
  return controller.signal;
}

/**
 * The promise's outcome, or a rejection with the signal's reason as soon as it is aborted: for work that leaves nothing
 * behind and knows of no signal.
 */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  if (signal.aborted) {
    // Nobody waits for it any more: it must not be reported as unhandled.
    promise.catch(() => undefined);
    throw signal.reason;
  }
  let abandon: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abandon = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abandon, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (abandon !== undefined) signal.removeEventListener('abort', abandon);
  }
}
