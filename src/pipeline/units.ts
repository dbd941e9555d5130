/** Sizes in bytes and shares in percent, as they are written in a pipeline file. */

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

/** A number and a percent sign: `1%`, `0.5 %`. */
export const PERCENT = /^\d+(?:\.\d+)?\s*%$/;

/** Bytes of a size that matches {@link SIZE}, rounded down; NaN for any other text. */
export function parseSize(text: string): number {
  const match = /^([\d.]+)\s*([A-Za-z]+)$/.exec(text);
  const unit = match === null || !SIZE.test(text) ? undefined : BYTES[match[2] ?? ''];
  return unit === undefined ? NaN : Math.floor(Number(match?.[1]) * unit);
}

/** The share in [0, 1] (beyond for more than 100%) of a text that matches {@link PERCENT}; NaN for any other text. */
export function parsePercent(text: string): number {
  return PERCENT.test(text) ? Number(text.replace(/\s*%$/, '')) / 100 : NaN;
}
