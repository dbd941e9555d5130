/**
 * Colonnade beside its peers: `npm run bench`, or `node bench/run.mjs --help` once it is built. See README.md.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { colonnade, peers } from './contestants.mjs';
import { describePython, prepareModels, preparePython, prepareTable, work } from './prepare.mjs';
import { medianCost, memoryTable, raceTable, targetList } from './report.mjs';

/** @import { Contestant, Job, Table } from './contestants.mjs' */
/** @import { Cost } from './report.mjs' */

const bench = import.meta.dirname;
const FIGURES = ['narrow', 'wide', 'mixed', 'memory'];
/** The rows that the project's targets are set for. */
const ROWS = { narrow: 5_000_000, wide: 1_000_000, mixed: 1_000_000 };
/** What is measured of each, in words. */
const TABLES = {
  narrow: '17 columns, append, linear model of 10 features',
  wide: '201 columns, append, linear model of 10 features',
  mixed: '17 columns, append, one-hot encoder and linear model of six inputs, two of them text',
};
const ROUNDS = 5;

const USAGE = `usage: npm run bench -- [options]
  --only NAMES        narrow, wide, mixed, memory; several with commas (default: all)
  --rows N            rows of the tables (default ${ROWS.narrow} narrow, ${ROWS.wide} wide and mixed)
  --memory-rows A,B   sizes of the narrow table whose peak memory is compared (default: a tenth of the rows, and the rows)
  --rounds N          how often each is run; the tables show medians (default ${ROUNDS})
  --peers IDS         polars_onnx, pyarrow_onnx, duckdb_udf, pyarrow_memory, copy; several with commas, or none
  --python PATH       an interpreter with bench/requirements.txt (default: $COLONNADE_PYTHON, else bench/work/venv, made on demand)
  --out PATH          where the tables go beside stdout (default: bench/results.md for a whole run, else bench/work/results.md)`;

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
        'memory-rows': { type: 'string' },
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
  const peerIds = peers('').map((peer) => peer.id);
  const rows =
    values.rows === undefined
      ? ROWS
      : {
          narrow: whole('rows', values.rows),
          wide: whole('rows', values.rows),
          mixed: whole('rows', values.rows),
        };
  const complete = [values.only, values.rows, values['memory-rows'], values.peers].every(
    (value) => value === undefined,
  );
  return {
    figures: values.only === undefined ? FIGURES : some('only', values.only, FIGURES),
    rows,
    memoryRows:
      values['memory-rows'] === undefined
        ? [Math.max(1, Math.round(rows.narrow / 10)), rows.narrow]
        : values['memory-rows'].split(',').map((count) => whole('memory-rows', count)),
    rounds: whole('rounds', values.rounds),
    peers: values.peers === undefined ? peerIds : values.peers === 'none' ? [] : some('peers', values.peers, peerIds),
    python: values.python ?? process.env.COLONNADE_PYTHON,
    out: path.resolve(values.out ?? (complete ? path.join(bench, 'results.md') : path.join(work, 'results.md'))),
  };
}

const settings = options();
if (!existsSync(path.join(bench, '../dist/bin/colonnade.js'))) {
  console.error('dist/bin/colonnade.js is not there: build first, with "npm run build"');
  process.exit(1);
}
mkdirSync(work, { recursive: true });
// Of its own, so that two benchmarks at once do not harm each other's output (their figures they do).
const outputs = mkdtempSync(path.join(work, 'out-'));
process.on('exit', () => {
  rmSync(outputs, { recursive: true, force: true });
});
const python = preparePython(settings.python);
const models = prepareModels(python);

/** Reads a file once, so that no contestant is the one that warms the page cache. @param {string} file */
function warm(file) {
  const buffer = Buffer.alloc(8 * 2 ** 20);
  const descriptor = openSync(file, 'r');
  while (readSync(descriptor, buffer) > 0);
  closeSync(descriptor);
}

/**
 * One run: a fresh place for the output, a quiet disk, the process, and its output held against the expected one.
 *
 * @param {Contestant} contestant
 * @param {Table} table
 * @param {string} source
 * @returns {Cost}
 */
function measure(contestant, table, source) {
  /** @type {Job} */
  const model = models[table];
  const job = { table, source, model, output: path.join(outputs, contestant.id) };
  const clear = () => {
    rmSync(job.output, { recursive: true, force: true });
    rmSync(`${job.output}.colonnade`, { recursive: true, force: true });
  };
  clear();
  // What earlier runs left to be written would be paid by this one.
  execFileSync('sync');
  const answer = execFileSync(python, [path.join(bench, 'measure.py'), ...contestant.command(job)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    // Official builds of ONNX Runtime collect and send usage data, which Colonnade turns off; so nobody pays for it.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  const { exit, stdout, stderr, ...cost } = JSON.parse(answer);
  if (exit !== 0) throw new Error(`${contestant.id} ended with ${exit}\n${stdout}${stderr}`);
  if (contestant.scores) {
    const expected = path.join(work, 'expected', `${path.basename(source, '.parquet')}.npy`);
    const check = execFileSync(python, [path.join(bench, 'verify.py'), source, model, job.output, expected]);
    const { problem } = JSON.parse(check.toString());
    if (problem !== undefined) throw new Error(`the output of ${contestant.id} is not right: ${problem}`);
  }
  clear();
  console.error(
    `  ${contestant.id.padEnd(16)} ${cost.wall_s.toFixed(2)} s, ${cost.cpu_s.toFixed(2)} cpu-s, ${(cost.peak_rss / 2 ** 20).toFixed(0)} MiB`,
  );
  return cost;
}

/** Colonnade and the peers in turn, so that a slow spell of the machine meets all of them. @param {Table} table */
function race(table) {
  const source = prepareTable(table, settings.rows[table]);
  warm(source);
  // One input a column only this peer feeds; the copy is the floor of anything.
  const able = table === 'mixed' ? ['pyarrow_onnx', 'copy'] : settings.peers;
  const chosen = peers(python).filter(({ id }) => settings.peers.includes(id) && able.includes(id));
  const results = [colonnade, ...chosen].map((contestant) => ({
    contestant,
    title: contestant.title,
    costs: /** @type {Cost[]} */ ([]),
  }));
  for (let round = 1; round <= settings.rounds; round++) {
    console.error(`${table}, round ${round} of ${settings.rounds}`);
    for (const { contestant, costs } of results) costs.push(measure(contestant, table, source));
  }
  return results;
}

/** Peak memory of Colonnade by the size of the narrow table. */
function memory() {
  const results = settings.memoryRows.map((rows) => ({ rows, costs: /** @type {Cost[]} */ ([]) }));
  const sources = results.map(({ rows }) => prepareTable('narrow', rows));
  for (let round = 1; round <= settings.rounds; round++) {
    console.error(`memory, round ${round} of ${settings.rounds}`);
    for (const [k, { costs }] of results.entries()) costs.push(measure(colonnade, 'narrow', sources[k]));
  }
  return results;
}

/** @param {string} file a folder or file whose file system is asked for */
function fileSystem(file) {
  try {
    return execFileSync('stat', ['-f', '-c', '%T', file], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown file system';
  }
}

const report = [
  '# Results',
  '',
  `Made by \`npm run bench\`, ${settings.rounds} rounds, medians of whole processes; bench/README.md says what is measured.`,
  '',
  `- ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${type()} ${release()}, ${fileSystem(work)}`,
  `- Node ${process.versions.node}; ${describePython(python)}`,
];
/** @type {{ text: string, value: number, limit: number }[]} */
const targets = [];
/** @type {Record<string, unknown>} */
const raw = {};

for (const table of /** @type {Table[]} */ (['narrow', 'wide', 'mixed'])) {
  if (!settings.figures.includes(table)) continue;
  const results = race(table);
  raw[table] = results.map(({ contestant, costs }) => ({ id: contestant.id, costs }));
  report.push('', `## ${settings.rows[table].toLocaleString('en')} rows × ${TABLES[table]}`, '', raceTable(results));
  const pyarrow = results.find(({ contestant }) => contestant.id === 'pyarrow_onnx');
  if (table === 'mixed' && pyarrow !== undefined) {
    targets.push({
      text: 'mixed: wall time as a share of pyarrow batches + ONNX Runtime',
      value: medianCost(results[0].costs).wall_s / medianCost(pyarrow.costs).wall_s,
      limit: 2,
    });
  }
  const polars = results.find(({ contestant }) => contestant.id === 'polars_onnx');
  if (polars !== undefined) {
    targets.push({
      text: `${table}: wall time as a share of polars streaming + ONNX Runtime`,
      value: medianCost(results[0].costs).wall_s / medianCost(polars.costs).wall_s,
      limit: table === 'narrow' ? 1 : 0.5,
    });
  }
}
if (settings.figures.includes('memory')) {
  const results = memory();
  raw.memory = results;
  report.push('', '## Peak memory by rows, narrow table', '', memoryTable(results));
  targets.push({
    text: `memory: peak of ${results.at(-1)?.rows.toLocaleString('en')} rows ÷ peak of ${results[0].rows.toLocaleString('en')} rows`,
    value: medianCost(results[results.length - 1].costs).peak_rss / medianCost(results[0].costs).peak_rss,
    limit: 1.1,
  });
}
if (targets.length > 0) report.push('', '## Targets', '', targetList(targets));
const text = `${report.join('\n')}\n`;
writeFileSync(settings.out, text);
writeFileSync(path.join(work, 'results.json'), `${JSON.stringify(raw, null, 1)}\n`);
process.stdout.write(text);
