/** Numbers as people read them: counts, bytes, shares. */

/** A count with its thousands apart: `1,234,567`. */
export function formatCount(count: number): string {
  return Number.isSafeInteger(count) ? String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',') : String(count);
}

/** A count and its noun: `1 file`, `2 files`; `plural` where an `s` does not do. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** Rows of a file by their positions: `row 1`, `rows 1 to 3`. @param to one past the last. */
export function rowsInWords(from: number, to: number): string {
  return to - from === 1 ? `row ${from}` : `rows ${from} to ${to - 1}`;
}

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes in powers of 1,000 with three significant digits: `999 B`, `1.50 kB`, `12.3 MB`. */
export function formatBytes(bytes: number): string {
  if (Math.abs(bytes) < 1000) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit: string = 'B';
  for (const next of UNITS) {
    // 999.5 rounds to 1000, which belongs to the next unit.
    if (Math.abs(value) < 999.5) break;
    value /= 1000;
    unit = next;
  }
  const digits = Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/** A share of a whole in percent: `0%`, `<0.1%`, `3.4%`, `57%`; empty where the whole is nothing. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0) return '';
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.1) return '<0.1%';
  // Rounding must not claim a whole that is not one.
  if (percent > 99.9 && percent < 100) return '>99.9%';
  const digits = Number.isInteger(percent) || (percent >= 10 && percent < 99) ? 0 : 1;
  return `${percent.toFixed(digits)}%`;
}
