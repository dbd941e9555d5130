/** Opens a worker process where no file can be opened any more, and prints how that failed. Argument: `child-worker.js`. */
import { closeSync, openSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { openChildWorker } = await import(pathToFileURL(process.argv[2]).href);
const opened = [];
try {
  for (;;) opened.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last one.
}
// One is left for the process' own needs, which is too few for a child.
closeSync(opened.pop());
const opening = openChildWorker({});
for (const file of opened) closeSync(file);
console.log(
  JSON.stringify(
    await opening.then(
      () => 'opened',
      (error) => ({ code: error.code, message: error.message }),
    ),
  ),
);
