/** Any value as JSON, also where JSON has no word for it. */

/**
 * One line of JSON. Bigints become numbers where a double holds them exactly and strings otherwise; NaN and infinities
 * become the strings `NaN`, `Infinity` and `-Infinity`, so that they differ from null; typed arrays become arrays.
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, replace, indent);
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(value as unknown as Iterable<number | bigint>);
  }
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}
