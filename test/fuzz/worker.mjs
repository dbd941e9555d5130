/** A process that judges inputs: it says which one it begins, and how it ended. */
import { judges, makeInput } from './kinds.mjs';
import { openPyarrow, openReader } from './judging.mjs';

const [folder, seed] = process.argv.slice(2);
const pyarrow = openPyarrow();
const judge = judges({ folder, reader: await openReader(), pyarrow });

// What is thrown where nobody waits for it would end the program.
process.on('unhandledRejection', (reason) => {
  process.send({ stray: String(reason?.stack ?? reason) });
});

process.on('message', async ({ kind, from, to }) => {
  for (let index = from; index < to; index += 1) {
    process.send({ began: index });
    const start = performance.now();
    let answer;
    try {
      answer = await judge(kind, makeInput(seed, kind, index));
    } catch (error) {
      answer = { outcome: 'failed', finding: `the judge failed: ${error.stack}` };
    }
    process.send({ ended: index, ms: performance.now() - start, ...answer });
  }
  process.send({ idle: true });
});
process.on('disconnect', () => {
  pyarrow?.close();
  // Not by exit, which waits for threads of DuckDB.
  process.kill(process.pid, 'SIGKILL');
});
process.send({ idle: true });
