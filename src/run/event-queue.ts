/** Events from a run to whoever listens: pushed without waiting, read one after the other, kept until read. */
import { ColonnadeError } from '../errors.js';

/**
 * Every event is given once, so there is one reader at a time. After a loop that was left early another one goes on with
 * the events that follow.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #events: T[] = [];
  #closed = false;
  /** The one that is not at its end. */
  #reader: AsyncIterator<T> | undefined;
  #waiting: (() => void)[] = [];

  push(event: T): void {
    this.#events.push(event);
    this.#wake();
  }

  /** No event follows; the reader ends once it has read the rest. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** @throws ColonnadeError `USAGE` while another reader is not at its end: each would miss what the other is given. */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    if (this.#reader !== undefined) {
      throw new ColonnadeError('USAGE', 'the events of this run are being read already; each is given once', {
        phase: 'usage',
        hint: 'read them in one loop, and hand them on from there',
      });
    }
    const end = (): IteratorReturnResult<undefined> => {
      if (this.#reader === reader) this.#reader = undefined;
      // Whoever has asked this reader for more is told as well.
      this.#wake();
      return { done: true, value: undefined };
    };
    const reader: AsyncIterator<T> = {
      next: async () => {
        while (this.#reader === reader) {
          if (this.#events.length > 0) return { done: false, value: this.#events.shift()! };
          if (this.#closed) break;
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        return end();
      },
      return: () => Promise.resolve(end()),
    };
    this.#reader = reader;
    return reader;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
