/** Random numbers that a text decides: the same ones everywhere, so that a case is known by its seed, kind and number. */
import { createHash } from 'node:crypto';

export class Random {
  #a;
  #b;
  #c;
  #counter = 1;

  /** @param {string} seed */
  constructor(seed) {
    const bytes = createHash('sha256').update(seed).digest();
    [this.#a, this.#b, this.#c] = [bytes.readInt32LE(0), bytes.readInt32LE(4), bytes.readInt32LE(8)];
    for (let i = 0; i < 12; i += 1) this.next();
  }

  /** 32 bits (sfc32). */
  next() {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  /** A whole number from 0 up to, and not including, `below`. */
  below(below) {
    return below <= 1 ? 0 : Math.floor((this.next() / 2 ** 32) * below);
  }

  /** @template T @param {readonly T[]} items @returns {T} */
  pick(items) {
    return items[this.below(items.length)];
  }

  /** True in `share` of all cases. */
  chance(share) {
    return this.next() / 2 ** 32 < share;
  }

  bytes(length) {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}
