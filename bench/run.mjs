/**
 * Colonnade beside its peers: `npm run bench`, or `node bench/run.mjs --help` once it is built. See README.md.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { lack } from './contestants.mjs';
import { costTable } from './cost.mjs';
import {
  LEAST_TREES,
  memoryRace,
  MOST_GROWTH,
  MOST_OVER_KERNELS,
  MOST_WORKER_BYTES,
  NARROW_ROWS,
  races,
  reflinkRaces,
  WIDE_ROWS,
} from './figures.mjs';
import { plot } from './plot.mjs';
import { describePython, prepareModels, preparePython, prepareTable, work } from './prepare.mjs';
import { kernels, run } from './race.mjs';
import { mountReflink } from './reflink.mjs';
import { kernelReport, medianCost, memoryTable, raceTable, table, targetList, verdicts } from './report.mjs';

/** @import { Race } from './figures.mjs' */
/** @import { Group } from './plot.mjs' */
/** @import { Cost, Result, Verdict } from './report.mjs' */

const bench = import.meta.dirname;
const RACES = races('');
/** The whole of it; `reflink` takes root, a loop device and 20 GB, and is asked for by name. */
const WHOLE = [...RACES.map(({ id }) => id), 'memory', 'trees'];
const FIGURES = [...WHOLE, 'reflink'];
const PEERS = [
  ...new Set(RACES.flatMap(({ contestants }) => contestants.filter(({ ours }) => !ours).map(({ id }) => id))),
];
const ROUNDS = 3;
/** Bytes of a row of the wide table. Beside two sources there is room for two outputs, and to spare. */
const WIDE_ROW_BYTES = 540;
const ROOM = 3.2;

const USAGE = `usage: npm run bench -- [options]
  --only NAMES    ${FIGURES.join(', ')}; several with commas
                  (default: all but reflink)
  --rows N        rows of the tables (default: ${NARROW_ROWS} narrow, ${WIDE_ROWS} wide and mixed)
  --rounds N      how often each is run; the tables show medians (default: ${ROUNDS}). Slow peers run once.
  --peers IDS     ${PEERS.join(', ')};
                  several with commas, or none (default: all)
  --python PATH   an interpreter with bench/requirements.txt (default: $COLONNADE_PYTHON, else bench/work/venv, made on demand)
  --out PATH      where the tables go beside stdout, and the plot as .svg (default: bench/results.md for a whole run, else
                  bench/work/results.md)`;

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(64);
}

/** @param {string} name @param {string} value */
function whole(name, value) {
  return /^[1-9]\d*$/.test(value) ? Number(value) : fail(`--${name} is ${value}; it must be a whole number above 0`);
}

/** @param {string} name @param {string} value @param {string[]} allowed */
function some(name, value, allowed) {
  const chosen = value.split(',');
  const unknown = chosen.find((word) => !allowed.includes(word));
  return unknown === undefined ? chosen : fail(`--${name} names ${unknown}; allowed are ${allowed.join(', ')}`);
}

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string' },
        rows: { type: 'string' },
        rounds: { type: 'string', default: String(ROUNDS) },
        peers: { type: 'string' },
        python: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const complete = [values.only, values.rows, values.peers].every((value) => value === undefined);
  return {
    figures: values.only === undefined ? WHOLE : some('only', values.only, FIGURES),
    rows: values.rows === undefined ? undefined : whole('rows', values.rows),
    rounds: whole('rounds', values.rounds),
    peers: values.peers === undefined ? PEERS : values.peers === 'none' ? [] : some('peers', values.peers, PEERS),
    python: values.python ?? process.env.COLONNADE_PYTHON,
    out: path.resolve(values.out ?? (complete ? path.join(bench, 'results.md') : path.join(work, 'results.md'))),
  };
}

const settings = options();
mkdirSync(work, { recursive: true });
const python = preparePython(settings.python);
const models = prepareModels(python);

/** @type {string[]} */
const sections = [];
/** @type {Verdict[]} */
const targets = [];
/** @type {Group[]} */
const groups = [];
/** Races that the cost at scale is estimated from. @type {{ race: Race, results: Result[] }[]} */
const scalable = [];
/** What did not run, and why. @type {Set<string>} */
const missing = new Set();
/** @type {Record<string, unknown>} */
const raw = {};
/** The largest process of each of Colonnade's medians. @type {number[]} */
const largest = [];

/** A folder of its own for outputs, so that two benchmarks at once do not harm each other's (their figures they do). @param {string} below */
function outputFolder(below) {
  const folder = mkdtempSync(path.join(below, 'out-'));
  process.on('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}
const outputs = outputFolder(work);

/**
 * Runs a race with those of its contestants that are wanted and can run here.
 *
 * @param {Race} race
 * @param {{ data?: string, outputs: string }} places
 * @returns {{ source: string, results: Result[] }}
 */
function measured(race, { data, outputs }) {
  const contestants = race.contestants.filter((contestant) => {
    if (contestant.ours) return true;
    if (!settings.peers.includes(contestant.id)) return false;
    const reason = lack(python, contestant);
    if (reason !== undefined) missing.add(`${contestant.title}: ${reason}`);
    return reason === undefined;
  });
  const source = prepareTable(race.table, race.rows, data);
  const { rounds } = settings;
  const results = run({ ...race, contestants }, { python, rounds, source, model: models[race.model], outputs });
  raw[race.id] = results;
  largest.push(...results.filter(({ ours }) => ours).map(({ costs }) => medianCost(costs).peak_process));
  return { source, results };
}

/** @param {Race} race @param {{ data?: string, outputs: string }} places */
function report(race, places) {
  const { source, results } = measured(race, places);
  const title = `${race.rows.toLocaleString('en')} rows × ${race.title}`;
  sections.push(`## ${title}`, raceTable(results));
  targets.push(...verdicts(race.id, results, race.targets));
  const base = medianCost(results[0].costs).wall_s;
  groups.push({
    title,
    bars: results.map(({ title: label, ours, costs }) => ({ label, ours, ratio: medianCost(costs).wall_s / base })),
  });
  const { atScale } = race;
  if (atScale !== undefined) scalable.push({ race, results: results.filter(({ id }) => atScale.includes(id)) });
  if (race.kernels === undefined) return;
  console.error(`${race.id}, kernels`);
  const seconds = kernels({ source, model: models[race.model], output: race.kernels, folder: places.outputs });
  // The model's kernel is the faster one, where trees have two.
  const trees = treeTimes.find(({ model }) => model === race.model);
  if (trees !== undefined) seconds.model = Math.min(seconds.model, (trees.trees_s / trees.rows) * race.rows);
  const { text, ratio } = kernelReport(seconds, availableParallelism(), base);
  sections.push(text);
  targets.push({ text: `${race.id}: wall time ÷ (kernels ÷ cores)`, value: ratio, most: MOST_OVER_KERNELS });
}

/** Peak memory of Colonnade by the size of the narrow table. */
function memory() {
  const most = settings.rows ?? NARROW_ROWS;
  const results = [Math.max(1, Math.round(most / 10)), most].map((rows) => ({
    rows,
    costs: measured(memoryRace(rows), { outputs }).results[0].costs,
  }));
  sections.push('## Peak memory by rows, narrow table', memoryTable(results));
  const [small, large] = results.map(({ costs }) => medianCost(costs).peak_rss);
  targets.push({ text: 'memory: peak with ten times the rows ÷ peak', value: large / small, most: MOST_GROWTH });
}

/**
 * Seconds of the tree kernel and of ONNX Runtime, one thread each, without anything around them.
 *
 * @typedef {{ model: keyof typeof LEAST_TREES, rows: number, onnxruntime_s: number, trees_s: number }} TreeTimes
 * @returns {TreeTimes[]}
 */
function timeTrees() {
  const script = path.join(bench, 'trees.mjs');
  if (!existsSync(script)) {
    missing.add('tree kernel against ONNX Runtime: bench/trees.mjs is not there');
    return [];
  }
  console.error('trees');
  return JSON.parse(execFileSync(process.execPath, [script, models.xgboost, models.lightgbm], { encoding: 'utf8' }));
}

/** @param {TreeTimes[]} results */
function reportTrees(results) {
  raw.trees = results;
  sections.push(
    '## Tree kernel and ONNX Runtime, one thread each, packed rows',
    table(
      ['', 'rows', 'ONNX Runtime s', 'tree kernel s', 'ratio'],
      results.map(({ model, rows, onnxruntime_s, trees_s }) => [
        model,
        rows.toLocaleString('en'),
        onnxruntime_s.toFixed(2),
        trees_s.toFixed(2),
        (onnxruntime_s / trees_s).toFixed(2),
      ]),
    ),
  );
  for (const { model, onnxruntime_s, trees_s } of results) {
    targets.push({
      text: `trees: ${model}: ONNX Runtime ÷ tree kernel, one thread each`,
      value: onnxruntime_s / trees_s,
      least: LEAST_TREES[model],
    });
  }
}

/** The wide table where unchanged bytes need not be copied. */
function reflink() {
  const all = reflinkRaces(python, settings.rows ?? WIDE_ROWS);
  const most = Math.max(...all.map(({ rows }) => rows));
  const mounted = mountReflink(ROOM * WIDE_ROW_BYTES * most + 1e9);
  if ('reason' in mounted) {
    missing.add(`XFS with reflinks: ${mounted.reason}`);
    return;
  }
  const places = { data: mounted.folder, outputs: outputFolder(mounted.folder) };
  process.on('exit', mounted.release);
  for (const race of all) report(race, places);
}

/** @param {string} file a folder or file whose file system is asked for */
function fileSystem(file) {
  try {
    return execFileSync('stat', ['-f', '-c', '%T', file], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown file system';
  }
}

const started = performance.now();
const treeTimes = settings.figures.includes('trees') ? timeTrees() : [];
for (const race of races(python)) {
  if (!settings.figures.includes(race.id)) continue;
  report(race.fixed ? race : { ...race, rows: settings.rows ?? race.rows }, { outputs });
}
if (settings.figures.includes('memory')) memory();
if (treeTimes.length > 0) reportTrees(treeTimes);
if (settings.figures.includes('reflink')) reflink();
if (scalable.length > 0) {
  sections.push('## Cost at scale, on paper', costTable(scalable, availableParallelism()));
}
if (largest.length > 0) {
  targets.push({
    text: 'largest process of Colonnade in all of these',
    value: Math.max(...largest) / 1e6,
    most: MOST_WORKER_BYTES / 1e6,
    unit: ' MB',
  });
}

const picture = settings.out.replace(/(\.md)?$/, '.svg');
const minutes = ((performance.now() - started) / 60_000).toFixed(0);
const text = [
  '# Results',
  `Made by \`npm run bench\` in ${minutes} minutes, ${settings.rounds} rounds (slow peers: one), medians of whole processes; bench/README.md says what is measured.`,
  [
    `- ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${type()} ${release()}, ${fileSystem(work)}`,
    `- Node ${process.versions.node}; ${describePython(python)}`,
  ].join('\n'),
  ...(targets.length > 0 ? ['## Targets', targetList(targets)] : []),
  ...(missing.size > 0 ? ['Not run here:', [...missing].map((line) => `- ${line}`).join('\n')] : []),
  ...(groups.length > 0 ? [`![Wall times as multiples of Colonnade's](${path.basename(picture)})`] : []),
  ...sections,
].join('\n\n');
if (groups.length > 0) writeFileSync(picture, plot(groups));
writeFileSync(settings.out, `${text}\n`);
writeFileSync(path.join(work, 'results.json'), `${JSON.stringify(raw, null, 1)}\n`);
process.stdout.write(`${text}\n`);
