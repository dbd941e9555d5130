/**
 * What the checks of a run cost: hashes of what is published and of the scores, footers read again, inputs compared with what
 * they were, the ledger, and reading back what was written.
 *
 *     npm run build && node bench/checks.mjs [--rounds N] [--pipeline NAME] [--data PATH]
 *
 * Programs from which they were taken out run in turn with the one that has them, as whole processes; so the figures hold what
 * is hidden behind the disk, and what is not. Syncs are told beside them. A check that is not found where it is looked for
 * ends the benchmark.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from './report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    pipeline: { type: 'string', default: 'narrow' },
    data: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
if (!(rounds >= 1)) throw new Error(`--rounds is ${options.rounds}; it must be a number above 0`);

/**
 * Text of compiled modules, and what stands in its place where it is taken out.
 *
 * @typedef {readonly [module: string, text: string | RegExp, instead: string]} Cut
 * @type {{ readonly readBack: Cut[], readonly hashes: Cut[], readonly others: Cut[], readonly syncs: Cut[] }}
 */
const CUTS = {
  readBack: [
    ['run/execution.js', 'check.written(file)', 'undefined'],
    ['run/execution.js', 'check.finish(outputs, quarantine, ledger)', 'Promise.resolve()'],
  ],
  hashes: [
    ['parquet/copy.js', 'hash.update(block.subarray(0, read));', ''],
    // What was appended is read for its hash alone.
    ['parquet/copy.js', 'await pass(target, job.bytes, Infinity, undefined)', 'nodeFs.fstatSync(target).size'],
    ['parquet/scores.js', 'this.hash.update(bytes);', ''],
    ['parquet/small-copies.js', '.update(prefix)', ''],
    ['parquet/small-copies.js', 'hash.update(written)', 'hash'],
    ['file-hash.js', 'hash.update(block.subarray(0, bytes));', ''],
  ],
  others: [
    ['run/execution.js', 'checkUnchanged(file);', ''],
    ['parquet/splice.js', 'await readFooter(destination)', '{ size: this.#appender.position, rows: source.rows }'],
  ],
  syncs: [
    ['parquet/copy.js', 'nodeFs.fdatasync(output, ', '((_, done) => setImmediate(done, null))(output, '],
    ['parquet/blocks.js', 'await this.handle.sync();', 'await 0;'],
    ['commit/durable.js', /await handle\.(?:data)?sync\(\);/g, 'await 0;'],
    ['commit/stage.js', /await handle\.(?:data)?sync\(\);/g, 'await 0;'],
  ],
};

const folder = mkdtempSync(path.join(tmpdir(), 'colonnade-checks-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

/** A program without some checks, bundled as the one that has them. @param {string} name @param {Cut[]} cuts */
function programWithout(name, cuts) {
  const place = path.join(folder, name);
  mkdirSync(place);
  for (const part of ['dist', 'scripts', 'package.json', 'data/customers', 'models/churn_logistic.onnx'])
    cpSync(path.join(root, part), path.join(place, part), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  for (const [module, text, instead] of cuts) {
    const file = path.join(place, 'dist', module);
    const before = readFileSync(file, 'utf8');
    const after = before.replaceAll(text, instead);
    if (after === before) throw new Error(`${module} does not hold ${text}: bench/checks.mjs has to follow`);
    writeFileSync(file, after);
  }
  execFileSync(process.execPath, ['scripts/bundle.mjs'], { cwd: place, stdio: ['ignore', 'ignore', 'inherit'] });
  return {
    name,
    program: path.join(place, 'dist/bin/colonnade.js'),
    times: /** @type {number[]} */ ([]),
    cpu: /** @type {number[]} */ ([]),
  };
}

const whole = programWithout('whole', []);
const variants = [
  programWithout('reading back', CUTS.readBack),
  programWithout('hashes', CUTS.hashes),
  programWithout('all checks', [...CUTS.readBack, ...CUTS.hashes, ...CUTS.others]),
  programWithout('syncs', CUTS.syncs),
];

/** Wall and processor seconds of a whole process. @param {string} program */
function seconds(program) {
  const out = path.join(folder, 'out');
  for (const left of [out, `${out}.colonnade`]) rmSync(left, { recursive: true, force: true });
  execFileSync('sync');
  const pipeline = path.join(root, 'bench/pipelines', `${options.pipeline}.yaml`);
  const data = options.data === undefined ? [] : ['--var', `data=${path.resolve(options.data)}`];
  const run = [process.execPath, program, 'run', pipeline, '--quiet', '--var', `out=${out}`, ...data];
  const script = `TIMEFORMAT='%R %U %S'; time "$@" >&2`;
  const { stderr, status } = spawnSync('bash', ['-c', script, 'bash', ...run], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const [wall = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { wall, cpu: user + system };
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

for (let round = -1; round < rounds; round += 1) {
  for (const { program, times, cpu } of [whole, ...variants]) {
    const took = seconds(program);
    // The first round fills the page cache.
    if (round < 0) continue;
    times.push(took.wall);
    cpu.push(took.cpu);
  }
}

const wall = median(whole.times);
const rows = variants.map(({ name, times, cpu }) => {
  // By rounds: what slows one of them down mostly slows the other one down as well.
  const cost = median(times.map((took, i) => whole.times[i] - took));
  // Where other processes are at work, the wall time tells little, and this still something.
  const processor = median(whole.cpu) - median(cpu);
  return [
    name,
    median(times).toFixed(3),
    (1000 * cost).toFixed(0),
    `${((100 * cost) / wall).toFixed(1)} %`,
    (1000 * processor).toFixed(0),
    `${((100 * processor) / median(whole.cpu)).toFixed(1)} %`,
  ];
});
console.log(`${options.pipeline}: ${wall.toFixed(3)} s as a whole process, median of ${rounds}\n`);
console.log(
  table(['taken out', 'seconds without', 'cost, ms', 'share of the wall time', 'processor ms', 'share'], rows),
);
