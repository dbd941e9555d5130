/**
 * Loaded with `--import` into the program and its worker processes: disturbs one of them at a place of its work, so that
 * a test needs no luck with time. `DISTURB` says how, as JSON; without it nothing happens.
 *
 *     who     'main' | 'worker'
 *     at      'start'; 'rows', in the middle of a shard; 'written', as soon as there is a file below the folder `below`
 *             whose path `from` finds, whoever has made it; or n, the n-th call that changes files
 *     from    with n: a regular expression; calls are counted from the first path on that it finds. By default
 *             from the first beside the output on
 *     when    'before' | 'after' that call
 *     signals what the process is sent, one after the other: each as soon as it has seen the one before
 *     target  who is sent them: 'self', by default; 'parent'; 'group', its whole process group, as from a terminal
 *     fails   in place of signals, a code as `EIO`: giving a file a name that `from` finds fails with it, `times` times
 *     once    a file that is made by the first process that is disturbed; the others are spared
 *     pids    a folder in which every worker process leaves its id
 */
import fs, { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { atChange } from './killed-at.mjs';

const {
  who,
  at,
  below,
  from = '\\.colonnade',
  when,
  signals,
  target = 'self',
  fails,
  times,
  once,
  pids,
} = JSON.parse(process.env.DISTURB ?? '{}');
const isWorker = basename(process.argv[1] ?? '') === 'worker-process.js';
if (isWorker && pids !== undefined) writeFileSync(join(pids, String(process.pid)), '');
if (who === (isWorker ? 'worker' : 'main')) {
  if (fails !== undefined) failNaming();
  else if (at === 'start') disturb();
  else if (at === 'rows') atRows(disturb);
  else if (at === 'written') onceWritten(disturb);
  else atChange(at, when, disturb, { counts: (path) => new RegExp(from).test(path), writes: true });
}

function disturb() {
  if (once !== undefined && !isFirst(once)) return undefined;
  // To signal 0 is to signal the group (kill(2)).
  const pid = { self: process.pid, parent: process.ppid, group: 0 }[target];
  signals.slice(0, -1).forEach((signal, i) => process.once(signal, () => process.kill(pid, signals[i + 1])));
  process.kill(pid, signals[0]);
  // The handlers of a signal run some time after it was sent: before this process goes on.
  return new Promise((resolve) => setTimeout(resolve, 50));
}

/** As a disk or a network does that has trouble for a while. */
function failNaming() {
  let failed = 0;
  for (const call of ['renameSync', 'linkSync']) {
    const name = fs[call];
    fs[call] = (path, to) => {
      if (!new RegExp(from).test(to) || failed === times) return name(path, to);
      failed += 1;
      throw Object.assign(new Error(`${fails}: injected, ${call}`), { code: fails, syscall: call });
    };
  }
  syncBuiltinESMExports();
}

function isFirst(file) {
  try {
    closeSync(openSync(file, 'wx'));
    return true;
  } catch {
    return false;
  }
}

/** DuckDB makes files without a call that could be counted. */
function onceWritten(act) {
  const looking = setInterval(() => {
    let paths = [];
    try {
      paths = readdirSync(below, { recursive: true });
    } catch {
      // The folder is not there yet.
    }
    if (!paths.some((path) => new RegExp(from).test(path))) return;
    clearInterval(looking);
    act();
  }, 2);
  looking.unref();
}

/** When a worker tells for the second time how many rows of a shard are done: some are, and others are not. */
function atRows(act) {
  const send = process.send.bind(process);
  let told = 0;
  process.send = (message, ...rest) => {
    if (message.type === 'rows') told += 1;
    if (told === 2) act();
    return send(message, ...rest);
  };
}
