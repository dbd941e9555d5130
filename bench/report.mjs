/** Figures of runs, as medians and Markdown. */

/** @import { Target } from './figures.mjs' */

/**
 * @typedef {object} Cost what one process cost; see measure.py. NaN where it is not known.
 * @property {number} wall_s
 * @property {number} cpu_s
 * @property {number} peak_rss bytes
 * @property {number} peak_anon bytes
 * @property {number} peak_process bytes
 */

/**
 * @typedef {object} Result what a contestant cost, by round
 * @property {string} id
 * @property {string} title
 * @property {boolean} ours
 * @property {Cost[]} costs
 */

/**
 * @typedef {object} Verdict a figure, and the least or the most that it should be
 * @property {string} text
 * @property {number} value
 * @property {number} [least]
 * @property {number} [most]
 * @property {string} [unit]
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
  return {
    wall_s: of('wall_s'),
    cpu_s: of('cpu_s'),
    peak_rss: of('peak_rss'),
    peak_anon: of('peak_anon'),
    peak_process: of('peak_process'),
  };
}

/** Two digits after the point, or none where they would not count. @param {number} value */
const figure = (value) => (Number.isNaN(value) ? '–' : value.toFixed(value < 100 ? 2 : 0));
const mebibytes = (/** @type {number} */ value) => (Number.isNaN(value) ? '–' : (value / 2 ** 20).toFixed(0));

/** @param {string[]} header @param {string[][]} rows */
export function table(header, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, k) => (k === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

/**
 * One row a contestant: medians, the spread of the wall times, and the wall time as a multiple of the first one's.
 *
 * @param {Result[]} results
 */
export function raceTable(results) {
  const [first] = results;
  const base = medianCost(first.costs).wall_s;
  return table(
    [
      '',
      'runs',
      'wall s',
      'min to max',
      'cpu s',
      'peak RSS MiB',
      'of it anonymous',
      'largest process',
      `wall ÷ ${first.title}`,
    ],
    results.map(({ title, costs }) => {
      const middle = medianCost(costs);
      const walls = costs.map((cost) => cost.wall_s);
      return [
        title,
        String(costs.length),
        figure(middle.wall_s),
        `${figure(Math.min(...walls))} to ${figure(Math.max(...walls))}`,
        figure(middle.cpu_s),
        mebibytes(middle.peak_rss),
        mebibytes(middle.peak_anon),
        mebibytes(middle.peak_process),
        figure(middle.wall_s / base),
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
  const base = medianCost(results[0].costs);
  return table(
    ['rows', 'wall s', 'peak RSS MiB', 'of it anonymous', 'RSS ratio', 'anonymous ratio'],
    results.map(({ rows, costs }) => {
      const middle = medianCost(costs);
      return [
        rows.toLocaleString('en'),
        figure(middle.wall_s),
        mebibytes(middle.peak_rss),
        mebibytes(middle.peak_anon),
        figure(middle.peak_rss / base.peak_rss),
        figure(middle.peak_anon / base.peak_anon),
      ];
    }),
  );
}

/**
 * The irreducible work of a race, and Colonnade's wall time as a multiple of it.
 *
 * @param {Record<'decode' | 'model' | 'encode' | 'copy' | 'hash', number>} seconds
 * @param {number} cores
 * @param {number} wall
 */
export function kernelReport({ decode, model, encode, copy, hash }, cores, wall) {
  const sum = decode + model + encode + copy;
  const ratio = wall / (sum / cores);
  const text =
    `Irreducible work, each part by itself in one thread: decoding the features ${figure(decode)} s, ` +
    `the model ${figure(model)} s, encoding predictions ${figure(encode)} s, copying and fsync ${figure(copy)} s; ` +
    `together ${figure(sum)} s, on ${cores} cores ${figure(sum / cores)} s. Colonnade's wall time is ${figure(ratio)} times ` +
    `that. (sha256 of the bytes, for the manifest, would be ${figure(hash)} s more.)`;
  return { text, ratio };
}

/**
 * What a race says of its targets; nothing of those whose contestants did not run.
 *
 * @param {string} id of the race
 * @param {Result[]} results
 * @param {Target[]} targets
 * @returns {Verdict[]}
 */
export function verdicts(id, results, targets) {
  return targets.flatMap(({ of, over, figure: name = 'wall_s', ...limit }) => {
    const upper = results.find((result) => result.id === of);
    const lower = results.find((result) => result.id === over);
    if (upper === undefined || lower === undefined) return [];
    return [
      {
        text: `${id}: ${name === 'cpu_s' ? 'CPU' : 'wall'} time of ${upper.title} ÷ ${lower.title}`,
        value: medianCost(upper.costs)[name] / medianCost(lower.costs)[name],
        ...limit,
      },
    ];
  });
}

/**
 * Says of each target whether it is met.
 *
 * @param {Verdict[]} all
 */
export function targetList(all) {
  return all
    .map(({ text, value, least, most, unit = '' }) => {
      const met = (least === undefined || value >= least) && (most === undefined || value <= most);
      const limit = least === undefined ? `at most ${most}${unit}` : `at least ${least}${unit}`;
      return `- ${met ? 'met' : '**missed**'}: ${text}: ${figure(value)}${unit} (${limit})`;
    })
    .join('\n');
}
