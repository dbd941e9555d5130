/** Sizes in bytes, shares in percent and durations in seconds, as they are written in a pipeline file. */

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A number and a unit: `512MB`, `1.5 GiB`. */
export const SIZE = /^\d+(?:\.\d+)?\s*(?:B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

const SECONDS: Readonly<Record<string, number>> = { ms: 1e-3, s: 1, min: 60, h: 3600 };

/** A number and a unit of time: `90s`, `10 min`, `1.5h`. */
export const DURATION = /^\d+(?:\.\d+)?\s*(?:ms|s|min|h)$/;

/** A number and a percent sign: `1%`, `0.5 %`. */
export const PERCENT = /^\d+(?:\.\d+)?\s*%$/;

/** Bytes of a size that matches {@link SIZE}, rounded down; NaN for any other text. */
export function parseSize(text: string): number {
  const match = /^([\d.]+)\s*([A-Za-z]+)$/.exec(text);
  const unit = match === null || !SIZE.test(text) ? undefined : BYTES[match[2] ?? ''];
  return unit === undefined ? NaN : Math.floor(Number(match?.[1]) * unit);
}

/** Seconds of a duration that matches {@link DURATION}; NaN for any other text. */
export function parseDuration(text: string): number {
  const match = /^([\d.]+)\s*([a-z]+)$/.exec(text);
  const unit = match === null || !DURATION.test(text) ? undefined : SECONDS[match[2] ?? ''];
  return unit === undefined ? NaN : Number(match?.[1]) * unit;
}

/** The share in [0, 1] (beyond for more than 100%) of a text that matches {@link PERCENT}; NaN for any other text. */
export function parsePercent(text: string): number {
  return PERCENT.test(text) ? Number(text.replace(/\s*%$/, '')) / 100 : NaN;
}
