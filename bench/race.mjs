/** Runs contestants in turn, and holds what they write against what is expected. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import path from 'node:path';
import { work } from './prepare.mjs';

/** @import { Contestant, Job } from './contestants.mjs' */
/** @import { Race } from './figures.mjs' */
/** @import { Cost, Result } from './report.mjs' */

const bench = import.meta.dirname;

/** Reads a file once, so that no contestant is the one that warms the page cache. @param {string} file */
function warm(file) {
  const buffer = Buffer.alloc(8 * 2 ** 20);
  const descriptor = openSync(file, 'r');
  while (readSync(descriptor, buffer) > 0);
  closeSync(descriptor);
}

/** Throws where an output is not right. @param {string} python @param {Contestant} contestant @param {Job} job */
function verify(python, contestant, job) {
  const { source, model, output } = job;
  if (contestant.check === undefined) return;
  const name = `${path.basename(source, '.parquet')}-${path.basename(model, '.onnx')}.npy`;
  const rows = contestant.sample === undefined ? [] : ['--rows', String(contestant.sample)];
  const script = [path.join(bench, 'verify.py'), source, model, output, path.join(work, 'expected', name)];
  const { problem } = JSON.parse(execFileSync(python, [...script, ...rows, ...contestant.check]).toString());
  if (problem !== undefined) throw new Error(`the output of ${contestant.id} is not right: ${problem}`);
}

/**
 * One run: a fresh place for the output, a quiet disk, the process, and its output held against the expected one.
 *
 * @param {string} python
 * @param {Contestant} contestant
 * @param {Job} job
 * @returns {Cost & { inner_s: number }} `inner_s`: what the contestant itself tells of its time; NaN where it does not
 */
function measure(python, contestant, job) {
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
    // Certificates of this machine, which Node would read at each start (30 ms), are nothing that a job needs.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1', NODE_EXTRA_CA_CERTS: undefined },
  });
  const { exit, stdout, stderr, ...cost } = JSON.parse(answer);
  if (exit !== 0) throw new Error(`${contestant.id} ended with ${exit}\n${stdout}${stderr}`);
  verify(python, contestant, job);
  clear();
  console.error(
    `  ${contestant.id.padEnd(16)} ${cost.wall_s.toFixed(2)} s, ${cost.cpu_s.toFixed(2)} cpu-s, ${(cost.peak_rss / 2 ** 20).toFixed(0)} MiB`,
  );
  const tells = contestant.sessionTitle !== undefined || contestant.sample !== undefined;
  return { ...cost, inner_s: tells ? JSON.parse(stdout).inner_s : NaN };
}

/** What is known of a contestant by its own clock alone. @param {number} wall_s @returns {Cost} */
const wallAlone = (wall_s) => ({ wall_s, cpu_s: NaN, peak_rss: NaN, peak_anon: NaN, peak_process: NaN });

/**
 * The contestants of a race in turn, so that a slow spell of the machine meets all of them; slow ones in the first round.
 *
 * @param {Race} race
 * @param {object} setting
 * @param {string} setting.python
 * @param {number} setting.rounds
 * @param {string} setting.source
 * @param {string} setting.model
 * @param {string} setting.outputs a folder
 * @returns {Result[]}
 */
export function run(race, { python, rounds, source, model, outputs }) {
  warm(source);
  /** @type {Result[]} */
  const results = [];
  for (let round = 1; round <= rounds; round++) {
    console.error(`${race.id}, round ${round} of ${rounds}`);
    for (const contestant of race.contestants) {
      if (round > 1 && contestant.slow === true) continue;
      const { id, title, ours = false, sample, sessionTitle } = contestant;
      /** @param {string} as @param {string} called @param {Cost} cost */
      const note = (as, called, cost) => {
        const known = results.find((result) => result.id === as);
        if (known === undefined) results.push({ id: as, title: called, ours, costs: [cost] });
        else known.costs.push(cost);
      };
      const { inner_s, ...cost } = measure(python, contestant, { source, model, output: path.join(outputs, id) });
      if (sample === undefined) {
        note(id, title, cost);
        if (sessionTitle !== undefined) note(`${id}_session`, sessionTitle, wallAlone(inner_s));
      } else {
        const share = Math.min(1, sample / race.rows);
        note(id, title, wallAlone(cost.wall_s - inner_s + inner_s / share));
      }
    }
  }
  return results;
}

/**
 * Seconds of the irreducible work, each part in one thread; see kernels.mjs.
 *
 * @param {{ source: string, model: string, output: string, folder: string }} job
 * @returns {Record<'decode' | 'model' | 'encode' | 'copy' | 'hash', number>}
 */
export function kernels({ source, model, output, folder }) {
  const script = path.join(bench, 'kernels.mjs');
  return JSON.parse(execFileSync(process.execPath, [script, source, model, output, folder], { encoding: 'utf8' }));
}
