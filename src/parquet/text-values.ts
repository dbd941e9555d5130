/** Text as Parquet stores it. */
import type { Data } from 'apache-arrow';
import type { Bounds, StoredValues } from './stored-values.js';

/** The values of a column of text. @param present as in `StoredColumn`. */
export function textValues(parts: readonly Data[], present: Uint8Array | undefined): StoredValues {
  const texts: Buffer[] = [];
  if (present !== undefined && !present.includes(1)) return new TextValues(texts);
  let row = 0;
  for (const { values, valueOffsets, length } of parts) {
    const { buffer, byteOffset, byteLength } = values as Uint8Array;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    const offsets = valueOffsets as Int32Array;
    for (let i = 0; i < length; i += 1, row += 1)
      if (present === undefined || present[row] === 1) texts.push(bytes.subarray(offsets[i], offsets[i + 1]));
  }
  return new TextValues(texts);
}

/** Bounds of text are cut to at most this many bytes; a raised character may take one more. */
const LONGEST_BOUND = 64;

/** UTF-8, each with its length before it. */
class TextValues implements StoredValues {
  readonly physical = 'BYTE_ARRAY';
  readonly length: number;
  readonly #texts: readonly Buffer[];

  constructor(texts: readonly Buffer[]) {
    this.#texts = texts;
    this.length = texts.length;
  }

  plain(from: number, to: number): Uint8Array {
    return plainTexts(this.#texts.slice(from, to));
  }

  bounds(from: number, to: number): Bounds | undefined {
    const [first, ...others] = this.#texts.slice(from, to);
    if (first === undefined) return undefined;
    let least = first;
    let greatest = first;
    for (const text of others) {
      if (Buffer.compare(text, least) < 0) least = text;
      if (Buffer.compare(text, greatest) > 0) greatest = text;
    }
    const max = cutAbove(greatest);
    if (max === undefined) return undefined;
    const min = least.subarray(0, wholeCharacters(least));
    return { min, max, minExact: min.length === least.length, maxExact: max === greatest };
  }

  indices(limit: number): { indices: Uint16Array; firsts: number[] } | undefined {
    const indices = new Uint16Array(this.length);
    const known = new Map<string, number>();
    const firsts: number[] = [];
    for (const [i, text] of this.#texts.entries()) {
      // Latin-1 gives each byte a character of its own.
      const key = text.toString('latin1');
      let index = known.get(key);
      if (index === undefined) {
        if (firsts.length === limit) return undefined;
        index = firsts.push(i) - 1;
        known.set(key, index);
      }
      indices[i] = index;
    }
    return { indices, firsts };
  }

  pick(positions: readonly number[]): Uint8Array {
    return plainTexts(positions.map((position) => this.#texts[position]!));
  }
}

function plainTexts(texts: readonly Buffer[]): Uint8Array {
  const output = Buffer.allocUnsafe(texts.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const text of texts) {
    at = output.writeUInt32LE(text.length, at);
    at += text.copy(output, at);
  }
  return output;
}

/** Bytes of the whole characters among the first {@link LONGEST_BOUND} bytes. */
function wholeCharacters(text: Buffer): number {
  if (text.length <= LONGEST_BOUND) return text.length;
  let end = LONGEST_BOUND;
  // A byte of the form 10xxxxxx goes on with the character before it.
  while (end > 0 && (text[end]! & 0xc0) === 0x80) end -= 1;
  return end;
}

/** `text` itself where it is short, else a short one above it: its start with the last character raised, if there is one. */
function cutAbove(text: Buffer): Buffer | undefined {
  const end = wholeCharacters(text);
  if (end === text.length) return text;
  const characters = Array.from(text.subarray(0, end).toString('utf8'));
  for (let last = characters.length - 1; last >= 0; last -= 1) {
    const code = characters[last]!.codePointAt(0)!;
    // Surrogates are no characters; UTF-8 sorts by code point.
    const next = code + 1 === 0xd800 ? 0xe000 : code + 1;
    if (next <= 0x10ffff) return Buffer.from(characters.slice(0, last).join('') + String.fromCodePoint(next));
  }
  return undefined;
}
