/**
 * What a table would cost that lies in an object store and is scored there by rented machines: on paper, from what was
 * measured here. README.md has the formulas and says what they leave out. Prices and bandwidths are put in here.
 */
import { medianCost, table } from './report.mjs';

/** @import { Race } from './figures.mjs' */
/** @import { Result } from './report.mjs' */

/** Dollars of one vCPU for an hour, with its share of memory. */
const VCPU_HOUR = 0.05;
/** Bytes a second between the store and one vCPU. */
const BANDWIDTH = 200e6;
/** Dollars of a thousand requests that read, and of a thousand that write or copy. */
const READS = 0.0004;
const WRITES = 0.005;
/** Bytes that one request reads or writes, and that one request copies within the store. */
const PART = 8e6;
const COPIED_PART = 5e9;

const SIZES = [
  { name: '100 GB', bytes: 100e9 },
  { name: '10 TB', bytes: 10e12 },
];
/** Bytes of a row: all of it, and the ten features. */
const ROW = { narrow: { all: 72.7, features: 60 }, wide: { all: 539, features: 80 } };
const PREDICTION = 4;

/**
 * @param {number} bytes of the table
 * @param {{ all: number, features: number }} row
 * @param {number} vcpuSecondsPerRow
 * @param {boolean} copiesInStore whether unchanged bytes stay in the store, and only the features are read
 */
function estimate(bytes, row, vcpuSecondsPerRow, copiesInStore) {
  const rows = bytes / row.all;
  const read = rows * (copiesInStore ? row.features : row.all);
  const written = rows * (copiesInStore ? PREDICTION : row.all + PREDICTION);
  const vcpuHours = Math.max(rows * vcpuSecondsPerRow, (read + written) / BANDWIDTH) / 3600;
  const copies = copiesInStore ? bytes / COPIED_PART : 0;
  const requests = ((read / PART) * READS + (written / PART + copies) * WRITES) / 1000;
  return { moved: read + written, vcpuHours, dollars: vcpuHours * VCPU_HOUR + requests };
}

/**
 * The estimates for races with whole processes that were measured.
 *
 * @param {{ race: Race, results: Result[] }[]} measured
 * @param {number} cores
 * @returns {string} a Markdown table
 */
export function costTable(measured, cores) {
  const rows = measured.flatMap(({ race, results }) => {
    const row = race.table === 'wide' ? ROW.wide : ROW.narrow;
    return results.map(({ title, ours, costs }) => {
      const perRow = (medianCost(costs).wall_s * cores) / race.rows;
      const cells = SIZES.flatMap(({ bytes }) => {
        const { moved, vcpuHours, dollars } = estimate(bytes, row, perRow, ours);
        return [(moved / 1e9).toFixed(0), vcpuHours.toFixed(1), dollars.toFixed(2)];
      });
      return [`${race.id}: ${title}`, ...cells];
    });
  });
  const header = SIZES.flatMap(({ name }) => [`${name}: GB moved`, 'vCPU hours', '$']);
  return table(['', ...header], rows);
}
