/** One line at the foot of a terminal that says what goes on, and goes away. */
import type { TextOutput } from './output.js';
import { cut } from './render/printable.js';

const ERASE_LINE = '\r\u001b[K';

export class StatusLine {
  readonly #output: TextOutput;
  #shown = false;

  constructor(output: TextOutput) {
    this.#output = output;
  }

  /** Shows a text in place of the last one, cut to the width of the terminal. */
  show(text: string): void {
    // A line that is full would wrap, and only its last part be erased.
    this.#output.write(`${ERASE_LINE}${this.#output.colors.dim(cut(text, this.#output.columns - 1))}`);
    this.#shown = true;
  }

  /** Takes it away; what is written next stands in its place. */
  clear(): void {
    if (this.#shown) this.#output.write(ERASE_LINE);
    this.#shown = false;
  }
}
