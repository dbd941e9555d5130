/**
 * Ends this process with SIGKILL at a call that changes files: `killAt(n)` at the n-th from now on, before or after it is
 * carried out. Named imports of `node:fs/promises` elsewhere see the change, whether they were made before or after.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const CHANGING = ['rename', 'rm', 'link', 'mkdir', 'writeFile', 'copyFile', 'truncate', 'unlink'];

/** @param {number} n @param {'before' | 'after'} when @param {(path: string) => boolean} counts from the first such path on */
export function killAt(n, when, counts = () => true) {
  let calls = 0;
  let counting = false;
  const around = async (path, work) => {
    counting ||= counts(String(path));
    if (!counting) return work();
    calls += 1;
    if (calls === n && when === 'before') process.kill(process.pid, 'SIGKILL');
    const result = await work();
    if (calls === n && when === 'after') process.kill(process.pid, 'SIGKILL');
    return result;
  };
  for (const name of CHANGING) {
    const original = fs.promises[name];
    fs.promises[name] = (...args) =>
      around(args[1] !== undefined && name === 'rename' ? args[1] : args[0], () => original(...args));
  }
  const open = fs.promises.open;
  fs.promises.open = (path, flags, ...rest) =>
    flags === 'r' || flags === undefined ? open(path, flags, ...rest) : around(path, () => open(path, flags, ...rest));
  syncBuiltinESMExports();
}
