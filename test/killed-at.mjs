/**
 * Does something to this process at a call that changes files, the n-th from now on, before or after it is carried out:
 * `killAt(n)` ends it with SIGKILL. Named imports of `node:fs/promises` elsewhere see the change, whether they were made
 * before or after.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const CHANGING = ['rename', 'rm', 'link', 'mkdir', 'writeFile', 'copyFile', 'truncate', 'unlink', 'rmdir'];
/** Calls on an open file. */
const WRITING = ['write', 'writev', 'writeFile', 'sync', 'datasync'];

/** @param {number} n @param {'before' | 'after'} when */
export function killAt(n, when) {
  atChange(n, when, () => process.kill(process.pid, 'SIGKILL'));
}

/**
 * @param {number} n @param {'before' | 'after'} when
 * @param {() => void | Promise<void>} act waited for, but by a synchronous call
 * @param {{ counts?: (path: string) => boolean, writes?: boolean }} options `counts`: calls are counted from the first
 *   such path on; `writes`: writes to open files are counted too
 */
export function atChange(n, when, act, { counts = () => true, writes = false } = {}) {
  let calls = 0;
  let counting = false;
  /** Whether a call on this path is the one. */
  const isIt = (path) => {
    counting ||= counts(String(path));
    if (counting) calls += 1;
    return counting && calls === n;
  };
  const around = async (path, work) => {
    if (!isIt(path)) return work();
    if (when === 'before') await act();
    const result = await work();
    if (when === 'after') await act();
    return result;
  };
  for (const name of CHANGING) {
    const original = fs.promises[name];
    fs.promises[name] = (...args) =>
      around(['rename', 'link'].includes(name) ? args[1] : args[0], () => original(...args));
  }
  /** Paths of the files that are open for writing, by descriptor. */
  const opened = new Map();
  const open = fs.promises.open;
  fs.promises.open = async (path, flags, ...rest) => {
    if (flags === 'r' || flags === undefined) return open(path, flags, ...rest);
    const handle = await around(path, () => open(path, flags, ...rest));
    opened.set(handle.fd, path);
    for (const name of writes ? WRITING : []) {
      const original = handle[name].bind(handle);
      handle[name] = (...args) => around(path, () => original(...args));
    }
    return handle;
  };
  const aroundSync = (path, work) => {
    if (!isIt(path)) return work();
    if (when === 'before') act();
    const result = work();
    if (when === 'after') act();
    return result;
  };
  const { openSync, closeSync, writeSync, renameSync, linkSync, rmSync } = fs;
  fs.openSync = (path, flags, ...rest) => {
    if (flags === 'r' || flags === undefined) return openSync(path, flags, ...rest);
    const descriptor = aroundSync(path, () => openSync(path, flags, ...rest));
    opened.set(descriptor, path);
    return descriptor;
  };
  fs.closeSync = (descriptor) => {
    opened.delete(descriptor);
    closeSync(descriptor);
  };
  fs.writeSync = (descriptor, ...rest) =>
    writes && opened.has(descriptor)
      ? aroundSync(opened.get(descriptor), () => writeSync(descriptor, ...rest))
      : writeSync(descriptor, ...rest);
  fs.renameSync = (from, to) => aroundSync(to, () => renameSync(from, to));
  fs.linkSync = (from, to) => aroundSync(to, () => linkSync(from, to));
  fs.rmSync = (path, ...rest) => aroundSync(path, () => rmSync(path, ...rest));
  syncBuiltinESMExports();
}
