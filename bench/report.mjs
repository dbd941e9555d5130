/** Figures of runs, as medians and Markdown. */

/**
 * @typedef {object} Cost what one process cost; see measure.py
 * @property {number} wall_s
 * @property {number} cpu_s
 * @property {number} peak_rss bytes
 * @property {number} peak_anon bytes
 */

/**
 * The middle value, or the mean of the two in the middle.
 *
 * @param {number[]} values
 */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * Medians of each figure by itself.
 *
 * @param {Cost[]} costs
 * @returns {Cost}
 */
export function medianCost(costs) {
  /** @param {keyof Cost} figure */
  const of = (figure) => median(costs.map((cost) => cost[figure]));
  return { wall_s: of('wall_s'), cpu_s: of('cpu_s'), peak_rss: of('peak_rss'), peak_anon: of('peak_anon') };
}

const seconds = (/** @type {number} */ value) => value.toFixed(2);
const mebibytes = (/** @type {number} */ value) => (value / 2 ** 20).toFixed(0);

/** @param {string[]} header @param {string[][]} rows */
function table(header, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, k) => (k === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

/**
 * One row a contestant: medians, the spread of the wall times, and the wall time as a multiple of the first one's.
 *
 * @param {{ title: string, costs: Cost[] }[]} results
 */
export function raceTable(results) {
  const base = results[0] === undefined ? NaN : medianCost(results[0].costs).wall_s;
  return table(
    ['', 'wall s', 'min to max', 'cpu s', 'peak RSS MiB', 'of it anonymous', `wall ÷ ${results[0]?.title ?? ''}`],
    results.map(({ title, costs }) => {
      const middle = medianCost(costs);
      const walls = costs.map((cost) => cost.wall_s);
      return [
        title,
        seconds(middle.wall_s),
        `${seconds(Math.min(...walls))} to ${seconds(Math.max(...walls))}`,
        seconds(middle.cpu_s),
        mebibytes(middle.peak_rss),
        mebibytes(middle.peak_anon),
        seconds(middle.wall_s / base),
      ];
    }),
  );
}

/**
 * Peak memory by the number of rows, each as a multiple of the first.
 *
 * @param {{ rows: number, costs: Cost[] }[]} results
 */
export function memoryTable(results) {
  const base = results[0] === undefined ? undefined : medianCost(results[0].costs);
  return table(
    ['rows', 'wall s', 'peak RSS MiB', 'of it anonymous', 'RSS ratio', 'anonymous ratio'],
    results.map(({ rows, costs }) => {
      const middle = medianCost(costs);
      return [
        rows.toLocaleString('en'),
        seconds(middle.wall_s),
        mebibytes(middle.peak_rss),
        mebibytes(middle.peak_anon),
        seconds(middle.peak_rss / (base?.peak_rss ?? NaN)),
        seconds(middle.peak_anon / (base?.peak_anon ?? NaN)),
      ];
    }),
  );
}

/**
 * Says of each target whether it is met.
 *
 * @param {{ text: string, value: number, limit: number }[]} targets met where `value <= limit`
 */
export function targetList(targets) {
  return targets
    .map(
      ({ text, value, limit }) =>
        `- ${value <= limit ? 'met' : '**missed**'}: ${text}: ${seconds(value)} (at most ${limit.toFixed(2)})`,
    )
    .join('\n');
}
