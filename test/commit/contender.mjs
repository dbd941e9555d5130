/**
 * Takes an output and gives it back `wins` times, and tells whether another process ever held it at the same moment:
 * `node contender.mjs EPOCH_MODULE FOLDER OUTPUT RUN WINS [OTHERS]`.
 *
 * With OTHERS it tries once: a loser leaves a file and ends, a winner holds on until that many have lost, then is killed.
 */
import { open, readdir, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [module, folder, output, run, wins, others] = process.argv.slice(2);
const { takeEpoch } = await import(pathToFileURL(module).href);
const told = { won: [], conflicts: 0, overlaps: 0 };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function attempt(name) {
  try {
    return await takeEpoch(folder, output, name);
  } catch (error) {
    if (error.code !== 'OUTPUT_CONFLICT') throw error;
    told.conflicts += 1;
    return undefined;
  }
}

if (others === undefined) {
  for (let round = 0; told.won.length < Number(wins); round += 1) {
    const epoch = await attempt(`${run}-${round}`);
    if (epoch !== undefined) {
      // Exclusive creation fails while another one holds the output at the same moment.
      const handle = await open(`${output}.held`, 'wx').catch(() => undefined);
      if (handle === undefined) told.overlaps += 1;
      await wait(Math.random() * 2);
      await epoch.check();
      await handle?.close();
      if (handle !== undefined) await unlink(`${output}.held`);
      await epoch.release();
      told.won.push(epoch.number);
    }
    await wait(Math.random() * 6);
  }
  console.log(JSON.stringify(told));
} else {
  const epoch = await attempt(run);
  if (epoch === undefined) {
    await writeFile(join(dirname(folder), `lost-${run}`), '');
    console.log(JSON.stringify(told));
  } else {
    told.won.push(epoch.number);
    const lost = async () => (await readdir(dirname(folder))).filter((name) => name.startsWith('lost-')).length;
    for (let i = 0; i < 1000 && (await lost()) < Number(others); i += 1) await wait(20);
    process.stdout.write(JSON.stringify(told), () => process.kill(process.pid, 'SIGKILL'));
  }
}
