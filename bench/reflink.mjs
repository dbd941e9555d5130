/**
 * A file system that shares blocks between files: XFS in a file below bench/work/, mounted as long as the benchmark runs.
 * The file stays, with the tables in it, for the next run.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { work } from './prepare.mjs';

const image = path.join(work, 'xfs.img');
const folder = path.join(work, 'xfs');
/** Bytes that stay free on the disk below. */
const SPARE = 2e9;

/** @param {string} command @param {...string} args */
const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' }).trim();

/** Lets go of it, also of what a run that was killed has left. */
function unmount() {
  try {
    run('umount', folder);
  } catch {
    // It was not mounted.
  }
  const device = run('losetup', '--noheadings', '--output', 'NAME', '--associated', image);
  if (device !== '') run('losetup', '--detach', device);
}

/** Makes the file anew where it is too small. Its blocks are there before anything is timed. @param {number} bytes */
function makeImage(bytes) {
  if (existsSync(image) && statSync(image).size >= bytes) return;
  rmSync(image, { force: true });
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < bytes + SPARE) {
    throw new Error(
      `${((bytes + SPARE) / 1e9).toFixed(0)} GB of disk are needed, ${((bavail * bsize) / 1e9).toFixed(0)} are free`,
    );
  }
  run('fallocate', '--length', String(bytes), image);
  run('mkfs.xfs', '-q', '-m', 'reflink=1', image);
}

/**
 * @param {number} bytes room that is needed
 * @returns {{ folder: string, release: () => void } | { reason: string }} `reason`: why there is none
 */
export function mountReflink(bytes) {
  try {
    mkdirSync(folder, { recursive: true });
    if (existsSync(image)) unmount();
    makeImage(Math.ceil(bytes / 4096) * 4096);
    // Direct: else every page would be cached twice, by XFS and by the file system below.
    const device = run('losetup', '--find', '--show', '--direct-io=on', image);
    run('mount', '-t', 'xfs', device, folder);
    return { folder, release: unmount };
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    return { reason: (stderr ?? '').trim() || message };
  }
}
