/** A bar chart of wall times as multiples of Colonnade's, as SVG that follows the reader's light or dark scheme. */

/**
 * @typedef {object} Group
 * @property {string} title
 * @property {{ label: string, ratio: number, ours: boolean }[]} bars
 */

const WIDTH = 940;
const LABELS = 400;
const RIGHT = 70;
const BAR = 16;
const ROW = 22;
const HEAD = 34;
const TOP = 76;
const BOTTOM = 24;

const STYLE = `
    text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .group { font-weight: 600 }
    .note, .tick { fill: #59636e }
    .grid { stroke: #d1d9e0 }
    .one { stroke: #59636e }
    .peer { fill: #8c959f }
    .ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .note, .tick { fill: #9198a1 }
      .grid { stroke: #3d444d }
      .one { stroke: #9198a1 }
      .peer { fill: #656c76 }
      .ours { fill: #4493f8 }
    }`;

const escape = (/** @type {string} */ text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** As many digits as count. @param {number} ratio */
const shown = (ratio) =>
  `${ratio >= 100 ? Math.round(ratio).toLocaleString('en') : ratio.toFixed(ratio >= 10 ? 1 : 2)}×`;

/**
 * The ratios lie between less than one and thousands, so that their logarithms are drawn; bars begin at one.
 *
 * @param {Group[]} groups
 * @returns {string} the text of an SVG file
 */
export function plot(groups) {
  const ratios = groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio));
  const least = Math.floor(Math.min(0, ...ratios.map(Math.log10)));
  const most = Math.ceil(Math.max(1, ...ratios.map(Math.log10)));
  const x = (/** @type {number} */ ratio) =>
    LABELS + ((Math.log10(ratio) - least) / (most - least)) * (WIDTH - LABELS - RIGHT);
  const at = (/** @type {number} */ value) => value.toFixed(1);

  const parts = [];
  let y = TOP;
  for (const { title, bars } of groups) {
    y += HEAD;
    parts.push(`<text class="group" x="16" y="${y - 8}">${escape(title)}</text>`);
    for (const { label, ratio, ours } of bars) {
      const from = Math.min(x(1), x(ratio));
      const width = Math.max(2, Math.abs(x(ratio) - x(1)));
      const middle = y + BAR - 4;
      parts.push(
        `<text x="${LABELS - 8}" y="${middle}" text-anchor="end">${escape(label)}</text>`,
        `<rect class="${ours ? 'ours' : 'peer'}" x="${at(from)}" y="${y}" width="${at(width)}" height="${BAR}" rx="2"/>`,
        `<text x="${at(Math.max(x(1), x(ratio)) + 6)}" y="${middle}">${shown(ratio)}</text>`,
      );
      y += ROW;
    }
  }
  const height = y + BOTTOM;
  const lines = Array.from({ length: most - least + 1 }, (_, k) => {
    const ratio = 10 ** (least + k);
    const place = at(x(ratio));
    return (
      `<line class="${ratio === 1 ? 'one' : 'grid'}" x1="${place}" x2="${place}" y1="${TOP}" y2="${y}"/>` +
      `<text class="tick" x="${place}" y="${TOP - 6}" text-anchor="middle">${ratio.toLocaleString('en')}×</text>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Wall times as multiples of Colonnade's">
  <style>${STYLE}
  </style>
  <text class="title" x="16" y="24">Wall time as a multiple of Colonnade's</text>
  <text class="note" x="16" y="42">medians; logarithmic; above 1×: Colonnade is faster</text>
  ${[...lines, ...parts].join('\n  ')}
</svg>
`;
}
