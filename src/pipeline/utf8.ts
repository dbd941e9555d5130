/** Bytes → text, without replacing what is wrong. */

/** Bytes that are not UTF-8: as readable as they can be made, and where the first wrong byte is in that text. */
export interface NotUtf8 {
  readonly readable: string;
  readonly offset: number;
  /** The bytes begin with the mark of UTF-16. */
  readonly utf16: boolean;
}

/** The text of UTF-8 bytes, without a byte order mark; what is wrong with them where they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | NotUtf8 {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { readable: new TextDecoder().decode(bytes), offset: firstWrong(bytes), utf16: hasUtf16Mark(bytes) };
  }
}

function hasUtf16Mark([first, second]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

/** UTF-16 units before the first wrong byte. The last newline before it bounds the search: it is part of no longer sequence. */
function firstWrong(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let offset = 0;
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    const line = bytes.subarray(start, end);
    try {
      offset += decoder.decode(line).length;
    } catch {
      return offset + Math.max(0, new TextDecoder().decode(line).indexOf('\ufffd'));
    }
    start = end;
  }
  return offset;
}
