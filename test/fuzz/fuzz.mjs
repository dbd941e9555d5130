/**
 * Runs thousands of damaged and hostile inputs through the program, in processes that may die of them, and holds every
 * answer against other readers. Needs a build (`npm run build`).
 *
 *     npm run fuzz -- --cases 100000 --seed 1
 *     npm run fuzz -- --only footer:4711 --seed 1        one input again, with what came of it
 *
 * The same seed gives the same inputs. Whatever must not happen (a process that dies, a hang, too much memory, fewer rows,
 * other values, an error without a code or a way out) is a finding: its input is kept, and the exit status is 1.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeInput, SHARES } from './kinds.mjs';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string', default: Object.keys(SHARES).join() },
    only: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    deadline: { type: 'string', default: '60' },
    memory: { type: 'string', default: '1500' },
    keep: { type: 'string', default: 'out/fuzz' },
    quiet: { type: 'boolean', default: false },
  },
});
const { seed } = options;
const kept = resolve(options.keep);
/** Inputs that a worker is handed at once. */
const HANDED = 25;
/** Inputs of one finding that are kept; more tell nothing new. */
const MOST_KEPT = 5;

if (options.only !== undefined) {
  const [kind, number] = options.only.split(':');
  const input = makeInput(seed, kind, Number(number));
  console.log(input.file ?? '', input.mode ?? '', '-', input.what);
  keep(kind, Number(number));
}

/** Ranges of inputs that are still to do. */
const queue = [];
const only = options.only?.split(':');
const kinds = only === undefined ? options.kinds.split(',') : [only[0]];
const shares = kinds.reduce((sum, kind) => sum + SHARES[kind], 0);
for (const kind of kinds) {
  const count = only === undefined ? Math.max(1, Math.round((Number(options.cases) * SHARES[kind]) / shares)) : 1;
  const first = only === undefined ? 0 : Number(only[1]);
  for (let from = first; from < first + count; from += HANDED)
    queue.push({ kind, from, to: Math.min(from + HANDED, first + count) });
}
// Kinds alternate, so that a look in between shows all of them.
queue.sort((a, b) => a.from - b.from);
const total = queue.reduce((sum, { from, to }) => sum + to - from, 0);

/** By kind and outcome: how many, the slowest, and what one of them said. */
const outcomes = new Map();
const findings = [];
const begun = performance.now();
let done = 0;

function count(kind, { outcome, ms = 0, message }) {
  const key = `${kind}\t${outcome}`;
  const entry = outcomes.get(key) ?? { count: 0, slowest: 0, message };
  entry.count += 1;
  entry.slowest = Math.max(entry.slowest, ms);
  outcomes.set(key, entry);
  done += 1;
}

function keep(kind, index) {
  const { bytes, what, file, mode } = makeInput(seed, kind, index);
  mkdirSync(kept, { recursive: true });
  const path = join(kept, `${kind}-${seed}-${index}`);
  writeFileSync(path, bytes);
  return { path, what: [file, mode, what].filter((part) => part !== undefined).join(', ') };
}

function find(kind, index, finding) {
  const same = findings.filter((each) => each.kind === kind && alike(each.finding) === alike(finding)).length;
  const told = same < MOST_KEPT ? keep(kind, index) : { path: '', what: '' };
  findings.push({ kind, index, finding, ...told });
  if (!options.quiet && same < MOST_KEPT)
    console.log(
      `FINDING ${kind}:${index} (--seed ${seed} --only ${kind}:${index})\n  ${told.what}\n  ${finding.slice(0, 1500)}`,
    );
}

const alike = (finding) => finding.replaceAll(/\d+|'[^']*'|"[^"]*"/g, '').slice(0, 120);

function residentMegabytes(pid) {
  try {
    return (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096) / 1e6;
  } catch {
    return 0;
  }
}

async function serve(number) {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(join(base, `colonnade-fuzz-${number}-`));
  try {
    while (queue.length > 0) await once(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One process, until there is nothing left or it dies. */
function once(folder) {
  return new Promise((resolve) => {
    const worker = fork(fileURLToPath(new URL('worker.mjs', import.meta.url)), [folder, seed], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let range;
    let current;
    let ending;
    let errors = '';
    let timer;
    worker.stderr.on('data', (data) => (errors = (errors + data).slice(-4000)));
    const watch = setInterval(() => {
      if (residentMegabytes(worker.pid) <= Number(options.memory) || current === undefined) return;
      ending = `more than ${options.memory} MB of memory`;
      worker.kill('SIGKILL');
    }, 100);
    worker.on('message', (message) => {
      if (message.idle) {
        current = undefined;
        range = queue.shift();
        if (range === undefined) worker.kill('SIGKILL');
        else worker.send(range);
      } else if (message.stray !== undefined) {
        find(range.kind, current ?? range.to - 1, `a rejection that nobody awaits: ${message.stray}`);
      } else if (message.began !== undefined) {
        current = message.began;
        clearTimeout(timer);
        timer = setTimeout(
          () => {
            ending = `a hang: no end after ${options.deadline} s`;
            worker.kill('SIGKILL');
          },
          Number(options.deadline) * 1000,
        );
      } else {
        clearTimeout(timer);
        if (only !== undefined) console.log(message);
        count(range.kind, message);
        if (message.finding !== undefined) find(range.kind, message.ended, message.finding);
      }
    });
    worker.on('close', (code, signal) => {
      clearTimeout(timer);
      clearInterval(watch);
      if (range !== undefined && current !== undefined) {
        const how = ending ?? `the process died: ${signal ?? `exit ${code}`}\n${errors}`;
        count(range.kind, { outcome: ending === undefined ? 'DIED' : ending.split(':')[0].toUpperCase() });
        find(range.kind, current, how);
        if (current + 1 < range.to) queue.unshift({ ...range, from: current + 1 });
      }
      resolve();
    });
  });
}

const ticker = setInterval(() => {
  const rate = (done / (performance.now() - begun)) * 60_000;
  if (!options.quiet)
    console.error(`${done} of ${total} inputs, ${Math.round(rate)} a minute, ${findings.length} findings`);
}, 30_000);
await Promise.all(Array.from({ length: Number(options.workers) }, (_, number) => serve(number)));
clearInterval(ticker);

const minutes = (performance.now() - begun) / 60_000;
console.log(`\nseed ${seed}: ${done} inputs in ${minutes.toFixed(1)} minutes, ${findings.length} findings`);
if (!options.quiet) {
  console.log('\n| kind | outcome | inputs | slowest, ms |\n| --- | --- | ---: | ---: |');
  for (const [key, { count, slowest }] of [...outcomes].sort(
    ([a, x], [b, y]) => a.split('\t')[0].localeCompare(b.split('\t')[0]) || y.count - x.count,
  ))
    console.log(`| ${key.replace('\t', ' | ')} | ${count} | ${Math.round(slowest)} |`);
}
if (findings.length > 0) {
  console.log(`\ninputs of findings are in ${kept}`);
  for (const { kind, index, finding } of findings.slice(0, 200))
    console.log(`--seed ${seed} --only ${kind}:${index}  ${finding.split('\n')[0].slice(0, 200)}`);
  process.exitCode = 1;
}
