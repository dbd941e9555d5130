/** The two streams of a command, as text: colours, width, readers that go away, and the wait for the last byte. */
import pc from 'picocolors';

export type Colors = ReturnType<typeof pc.createColors>;

/** Columns that text is laid out for where no terminal tells its width. */
const DEFAULT_COLUMNS = 100;

/**
 * A stream that text is written to. A reader that closes early (`| head`) is no error: what follows is dropped. Any
 * other fault, a full disk under a redirected stdout for one, is what {@link TextOutput.flushed} rejects with.
 */
export class TextOutput {
  /** True on a terminal that understands cursor movements. */
  readonly interactive: boolean;
  readonly colors: Colors;
  readonly stream: NodeJS.WriteStream;
  #closed = false;
  #failure: Error | undefined;
  #redirect: ((text: string) => void) | undefined;

  constructor(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>) {
    this.stream = stream;
    // The type says always; it is undefined where the stream is no terminal.
    const terminal = (stream.isTTY as boolean | undefined) === true;
    this.interactive = terminal && env['TERM'] !== 'dumb';
    // https://no-color.org: set and not empty, whatever its value.
    this.colors = pc.createColors(this.interactive && (env['NO_COLOR'] ?? '') === '');
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#closed = true;
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') this.#failure ??= error;
    });
  }

  /** Width of a line; a fixed one where no terminal tells. */
  get columns(): number {
    // Terminals that nobody has told their size, in containers for one, have 0 columns.
    return this.interactive && this.stream.columns > 0 ? this.stream.columns : DEFAULT_COLUMNS;
  }

  write(text: string): void {
    if (this.#redirect !== undefined) this.#redirect(text);
    else if (!this.#closed) this.stream.write(text);
  }

  /** Sends text elsewhere, above a progress bar for one, until undefined is given. */
  redirect(to: ((text: string) => void) | undefined): void {
    this.#redirect = to;
  }

  /** Resolves once everything that was written has left the process, or nobody reads it any more. */
  async flushed(): Promise<void> {
    if (!this.#closed) {
      await new Promise<void>((resolve) => {
        this.stream.once('close', resolve);
        this.stream.write('', () => {
          this.stream.off('close', resolve);
          resolve();
        });
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
