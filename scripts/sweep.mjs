/**
 * Kills runs and looks at what is left: `npm run sweep -- --help`.
 *
 * Every run is of the built program on the sample data, in one of the modes, with or without an earlier output to replace.
 * It is ended by SIGKILL, and run again until it is done. All that time another process reads the output over and over. In
 * the end the output must be the one that a run writes which nothing disturbs, byte for byte but for the run's id, with the
 * same manifest but for ids and times, and nothing may lie beside it.
 */
import { spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';

const HELP = `Kills runs and compares what the next run makes of it with an undisturbed one.

  npm run sweep -- --kills 200          so many kills of main and worker processes, at random times
  npm run sweep -- --publishing         a kill at every call on the output and what lies beside it (needs strace)
  npm run sweep -- --starts 200         so many runs started on one output at once, again and again killed

  --only TEXT    cases whose name has this text: "append fail", "partition", "replace"
  --seed N       of the random times; told at the start
  --folder DIR   where to work; by default below the folder for temporary files
`;

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist/bin/colonnade.js');
const MODES = ['append', 'partition', 'predictions'];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---------------------------------------------------------------------------------------------- what is there to be seen

/** Relative paths of files below a folder. */
function filesBelow(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Every Parquet file that a run writes names it once. */
function runIdIn(bytes) {
  const at = bytes.indexOf('colonnade.run_id');
  return at < 0 ? undefined : /\d{8}T\d{6}-[0-9a-f]{8}/.exec(bytes.toString('latin1', at, at + 64))?.[0];
}

/** Hashes of files with the id of the run blotted out, and the ids that were found. */
function contentOf(folder) {
  const hashes = {};
  const ids = new Set();
  for (const file of fs.existsSync(folder) ? filesBelow(folder) : []) {
    const bytes = fs.readFileSync(join(folder, file));
    const id = runIdIn(bytes);
    if (id !== undefined) {
      ids.add(id);
      for (let at = bytes.indexOf(id); at >= 0; at = bytes.indexOf(id, at + 1)) bytes.fill('-', at, at + id.length);
    }
    hashes[file] = createHash('sha256').update(bytes).digest('hex');
  }
  return { hashes, ids: [...ids] };
}

/** A manifest without ids, times and hashes, after these were found to be those of the files. */
function manifestOf(output) {
  const manifest = JSON.parse(fs.readFileSync(`${output}.colonnade/manifest.json`, 'utf8'));
  const { run_id, started_at, finished_at, timings, ...rest } = manifest;
  for (const [folder, files] of [
    [output, manifest.outputs],
    [`${output}.colonnade/quarantine`, manifest.quarantine],
  ]) {
    for (const file of files) {
      const bytes = fs.readFileSync(join(folder, file.path)).subarray(file.shared_bytes ?? 0);
      if (createHash('sha256').update(bytes).digest('hex') !== file.sha256)
        throw new Error(`${file.path} has not the hash that the manifest tells`);
    }
  }
  const withoutHash = (files) => files.map(({ sha256, ...file }) => file);
  return {
    run_id,
    rest: { ...rest, outputs: withoutHash(rest.outputs), quarantine: withoutHash(rest.quarantine) },
  };
}

/** All that a run has left. */
function seen(output) {
  const beside = fs.existsSync(`${output}.colonnade`) ? filesBelow(`${output}.colonnade`) : [];
  // The journal of a publication that is over, in the folder of its run: what a kill between the last two calls leaves, where
  // no other run comes to sweep it.
  const known = /^(manifest\.json|quarantine\/.*|epochs\/\d+\.json|runs\/[^/]+\.json|staging\/[^/]+\/published\.json)$/;
  const stray = beside.filter((file) => !known.test(file));
  if (beside.filter((file) => file.startsWith('epochs/')).length > 1) stray.push('more than one epoch');
  return { output: contentOf(output), quarantine: contentOf(`${output}.colonnade/quarantine`), stray };
}

// -------------------------------------------------------------------------------------------------------------- a reader

/**
 * Reads the output over and over, as another program would: `sweep.mjs --reader OUTPUT`. Tells at its end how often it saw one
 * of the listings that it is given, how often none, and what it saw else.
 */
function readOverAndOver(output) {
  const told = { looks: 0, whole: 0, none: 0, wrong: [] };
  let whole = [];
  process.on('message', (message) => {
    if (message.whole !== undefined) whole = message.whole;
    if (message.reset === true) Object.assign(told, { looks: 0, whole: 0, none: 0, wrong: [] });
    process.send({ ...told, answer: message.answer });
  });
  const look = () => {
    told.looks += 1;
    const before = manifestId(output);
    let folder;
    try {
      folder = fs.openSync(output, 'r');
    } catch {
      told.none += 1;
      return;
    }
    try {
      const { ino } = fs.fstatSync(folder);
      // Through the open folder: it is the same wherever it is moved to meanwhile.
      const path = `/proc/self/fd/${folder}/`;
      const files = filesBelow(path);
      const sizes = files.map((file) => `${file} ${fs.statSync(path + file).size}`).join();
      const parquet = files.find((file) => file.endsWith('.parquet'));
      const id = parquet === undefined ? undefined : runIdIn(fs.readFileSync(path + parquet));
      const after = manifestId(output);
      // What has left while it was read was not what is seen under this name.
      if (fs.statSync(output).ino !== ino) return;
      if (!whole.includes(sizes)) told.wrong.push(`a part: ${sizes}`);
      else if (before !== undefined && before === after && id !== undefined && before !== id)
        told.wrong.push(`the manifest is of ${before}, the output of ${id}`);
      else told.whole += 1;
    } catch (error) {
      // As above: of an earlier output that has left, files go while it is read.
      if (fs.existsSync(output) && fs.statSync(output).ino === fs.fstatSync(folder).ino) told.wrong.push(error.message);
    } finally {
      fs.closeSync(folder);
    }
  };
  setInterval(look, 2);
}

function manifestId(output) {
  try {
    return JSON.parse(fs.readFileSync(`${output}.colonnade/manifest.json`, 'utf8')).run_id;
  } catch {
    return undefined;
  }
}

const listing = (folder) =>
  filesBelow(folder)
    .map((file) => `${file} ${fs.statSync(join(folder, file)).size}`)
    .join();

function startReader(output, whole) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--reader', output], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let answers = 0;
  const ask = (message) =>
    new Promise((resolve) => {
      answers += 1;
      const answer = answers;
      child.on('message', function take(told) {
        if (told.answer !== answer) return;
        child.off('message', take);
        resolve(told);
      });
      child.send({ ...message, answer });
    });
  return { reset: () => ask({ reset: true, whole }), told: () => ask({}), stop: () => child.kill('SIGKILL') };
}

// ---------------------------------------------------------------------------------------------------------------- running

/** Starts a run in a process group of its own. */
function start(pipeline, args, { before = [], env = {} } = {}) {
  const [command, ...rest] = [...before, process.execPath, program, 'run', pipeline, '--quiet', '--json', ...args];
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { child, ended };
}

function childrenOf(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** A workplace with a pipeline for each mode, an earlier output, and what each run writes when nothing disturbs it. */
async function prepare(folder, only) {
  fs.mkdirSync(folder, { recursive: true });
  const cases = [];
  for (const mode of MODES) {
    // As in the pipeline of the same name, in a folder of its own.
    const text = fs
      .readFileSync(join(root, `pipelines/${mode}.yaml`), 'utf8')
      .replaceAll('../data/', `${root}/data/`)
      .replaceAll('../models/', `${root}/models/`)
      .replace(/^ {2}path: \.\.\/out\/.*$/m, '  path: out')
      .replace(/^ {2}exists: .*$/m, '');
    for (const exists of ['fail', 'replace']) {
      const name = `${mode} ${exists}`;
      if (!name.includes(only)) continue;
      const place = join(folder, name.replace(' ', '-'));
      fs.mkdirSync(place, { recursive: true });
      const pipeline = join(place, 'pipeline.yaml');
      const output = join(place, 'out');
      fs.writeFileSync(pipeline, text.replace(/^sink:$/m, `sink:\n  exists: ${exists}`));
      const earlier = exists === 'replace' ? join(place, 'earlier') : undefined;
      if (earlier !== undefined) {
        fs.writeFileSync(join(place, 'earlier.yaml'), earlierPipeline());
        await mustEnd(start(join(place, 'earlier.yaml'), []));
        for (const end of ['', '.colonnade']) fs.renameSync(output + end, earlier + end);
      }
      const one = { name, pipeline, output, earlier };
      reset(one);
      const began = performance.now();
      await mustEnd(start(pipeline, ['--workers', '2']));
      one.ms = performance.now() - began;
      one.expected = { ...seen(output), manifest: manifestOf(output) };
      one.whole = [listing(output), ...(earlier === undefined ? [] : [listing(earlier)])];
      cases.push(one);
    }
  }
  return cases;
}

const earlierPipeline = () => `
version: 1
name: earlier
source: { path: ${root}/data/customers/region=north }
features: [age, income, num_transactions, tenure_months, days_since_login, support_calls]
model: { path: ${root}/models/churn_logistic.onnx }
outputs: { old: output_label }
sink: { mode: append, path: out }
`;

async function mustEnd({ ended }) {
  const { code, stderr } = await ended;
  if (code !== 0) throw new Error(`an undisturbed run failed:\n${stderr}`);
}

/** The output as before the run: none, or an earlier one. */
function reset({ output, earlier }) {
  for (const end of ['', '.colonnade']) {
    fs.rmSync(output + end, { recursive: true, force: true });
    if (earlier !== undefined) fs.cpSync(earlier + end, output + end, { recursive: true, preserveTimestamps: true });
  }
}

/** What is wrong with what a run left that was run again until it was done; undefined where nothing is. */
function compare({ output, expected }) {
  const { stray, ...found } = seen(output);
  for (const part of ['output', 'quarantine']) {
    if (!isDeepStrictEqual(found[part].hashes, expected[part].hashes)) return `${part}: other files or other bytes`;
    if (found[part].ids.length > 1) return `${part}: files of several runs`;
  }
  if (stray.length > 0) return `left behind: ${stray.join(', ')}`;
  const manifest = manifestOf(output);
  if (manifest.run_id !== found.output.ids[0]) return 'the manifest is of another run than the output';
  if (!isDeepStrictEqual(manifest.rest, expected.manifest.rest)) return 'the manifest tells something else';
  return undefined;
}

/** Runs again after a kill. @returns what is wrong. */
async function finish(one, args) {
  const { code, stderr } = await start(one.pipeline, args).ended;
  // A run that was killed when it was done has left a whole output, which another run may not replace.
  if (code !== 0 && !(one.earlier === undefined && code === 78 && stderr.includes('OUTPUT_EXISTS')))
    return `the next run ended with ${code}: ${stderr}`;
  return compare(one);
}

// ----------------------------------------------------------------------------------------------------------------- sweeps

/** Counts what went well, and tells the rest at once. */
class Tally {
  good = 0;
  all = 0;
  looks = 0;
  none = 0;

  add(what, problem) {
    this.all += 1;
    if (problem === undefined) this.good += 1;
    else console.log(`WRONG ${what}: ${problem}`);
  }

  /** Takes what a reader has seen since it was asked last. */
  async read(what, reader) {
    const { looks, none, wrong } = await reader.told();
    this.looks += looks;
    this.none += none;
    return wrong.length === 0 ? undefined : `a reader saw ${wrong.length} times what is not whole: ${wrong[0]}`;
  }
}

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function sweepRandomly(cases, kills, seed, tally) {
  const random = randomOf(seed);
  const readers = new Map(cases.map((one) => [one, startReader(one.output, one.whole)]));
  const targets = { main: 0, worker: 0 };
  for (let killed = 0; killed < kills;) {
    const one = cases[Math.floor(random() * cases.length)];
    const reader = readers.get(one);
    const args = ['--workers', String(1 + Math.floor(random() * 2))];
    reset(one);
    await reader.reset();
    const told = [];
    // Now and then the next run is killed as well.
    for (let again = true; again && killed < kills; again = random() < 0.3) {
      const { child, ended } = start(one.pipeline, args);
      let over = false;
      void ended.then(() => (over = true));
      await pause(random() * one.ms * 1.1);
      const workers = childrenOf(child.pid);
      const target = workers.length > 0 && random() < 0.5 ? 'worker' : 'main';
      if (over) break;
      try {
        process.kill(target === 'main' ? child.pid : workers[Math.floor(random() * workers.length)], 'SIGKILL');
      } catch {
        // It has ended in between.
        break;
      }
      killed += 1;
      targets[target] += 1;
      told.push(target);
      const { code, signal, stderr } = await ended;
      // Without one of its workers a run goes on.
      if (target === 'worker' && code !== 0)
        tally.add(`${one.name}, a worker killed`, `it ended with ${code ?? signal}: ${stderr}`);
    }
    if (told.length === 0) continue;
    const problem = (await finish(one, args)) ?? (await tally.read(one.name, reader));
    for (const target of told) tally.add(`${one.name}, ${target} killed`, problem);
    if (process.stdout.isTTY) process.stdout.write(`\r${killed} of ${kills} `);
  }
  for (const reader of readers.values()) reader.stop();
  console.log(`killed: main ${targets.main}, workers ${targets.worker}`);
}

/** Calls that change a name, make a file, or put it on the disk; the one that is killed at is not carried out. */
const CALLS = 'openat,mkdir,rename,renameat2,link,linkat,unlink,unlinkat,rmdir,fsync,fdatasync,write,pwrite64';

async function sweepPublishing(cases, tally) {
  for (const one of cases) {
    const reader = startReader(one.output, one.whole);
    const state = `${one.output}.colonnade`;
    const epoch = one.earlier === undefined ? 1 : 2;
    const staging = join(state, 'staging', `${epoch}-${one.expected.manifest.rest.plan_hash.slice(0, 16)}`);
    const names = [
      'output',
      'publish.json',
      'published.json',
      'manifest.json',
      'quarantine',
      'shards',
      'work',
      'spill',
    ];
    const paths = [
      dirname(one.output),
      one.output,
      state,
      ...['publish.json', 'manifest.json', 'quarantine', 'staging'].map((name) => join(state, name)),
      staging,
      ...[...names, 'previous', 'previous-quarantine', 'previous-manifest.json'].map((name) => join(staging, name)),
    ];
    let n = 1;
    for (; ; n += 1) {
      reset(one);
      await reader.reset();
      const { ended } = start(one.pipeline, ['--workers', '1'], {
        before: [
          ...['strace', '-f', '-qq', '-o', '/dev/null', ...paths.flatMap((path) => ['-P', path])],
          ...['-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:signal=KILL:when=${n}`],
        ],
        // strace counts the calls of each thread, and kills at the n-th of any.
        env: { UV_THREADPOOL_SIZE: '1' },
      });
      const { code, signal, stderr } = await ended;
      if (code === 0) break;
      if (signal !== 'SIGKILL' && code !== 137) {
        tally.add(`${one.name}, killed at call ${n}`, `it ended with ${code ?? signal}: ${stderr}`);
        break;
      }
      tally.add(
        `${one.name}, killed at call ${n}`,
        (await finish(one, ['--workers', '1'])) ?? (await tally.read(one.name, reader)),
      );
    }
    reader.stop();
    console.log(`${one.name}: killed at each of ${n - 1} calls`);
  }
}

/** Many runs at once: at each moment one may hold the output, and each that ends says why. */
async function sweepStarts(cases, starts, tally) {
  for (const one of cases) {
    const reader = startReader(one.output, one.whole);
    reset(one);
    await reader.reset();
    const ended = await Promise.all(
      Array.from({ length: starts }, () => start(one.pipeline, ['--workers', '1']).ended),
    );
    const codes = { done: 0, OUTPUT_CONFLICT: 0, OUTPUT_EXISTS: 0 };
    for (const { code, stdout, stderr } of ended) {
      const why = code === 0 ? 'done' : JSON.parse(stdout === '' ? '{}' : stdout).error?.code;
      if (why in codes) codes[why] += 1;
      tally.add(`${one.name}, one of ${starts} starts`, why in codes ? undefined : `it ended with ${code}: ${stderr}`);
    }
    const problem =
      (one.earlier === undefined && codes.done !== 1 ? `${codes.done} runs were done, not one` : undefined) ??
      (codes.done === 0 ? 'no run was done' : undefined) ??
      compare(one) ??
      (await tally.read(one.name, reader));
    tally.add(`${one.name}, ${starts} starts at once`, problem);
    reader.stop();
    console.log(`${one.name}, ${starts} starts at once: ${JSON.stringify(codes)}`);
  }
}

// ------------------------------------------------------------------------------------------------------------------- main

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    publishing: { type: 'boolean' },
    starts: { type: 'string' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
    folder: { type: 'string' },
    reader: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.reader !== undefined) readOverAndOver(values.reader);
else if (values.help === true || [values.kills, values.publishing, values.starts].every((value) => value === undefined))
  console.log(HELP);
else {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const folder = values.folder ?? fs.mkdtempSync(join(tmpdir(), 'colonnade-sweep-'));
  const tally = new Tally();
  try {
    const cases = await prepare(folder, values.only);
    if (values.kills !== undefined) {
      console.log(`seed ${seed}`);
      await sweepRandomly(cases, Number(values.kills), seed, tally);
    }
    if (values.publishing === true) await sweepPublishing(cases, tally);
    if (values.starts !== undefined) await sweepStarts(cases, Number(values.starts), tally);
  } finally {
    if (values.folder === undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
  console.log(
    `${tally.good} of ${tally.all} as an undisturbed run; ${tally.looks} looks of a reader, ${tally.none} of them before there was an output`,
  );
  process.exitCode = tally.good === tally.all ? 0 : 1;
}
