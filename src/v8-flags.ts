/**
 * V8's flags in the programs. The library leaves them as they are: `scripts/launch.cjs` sets them, once the program's
 * compiled code is read.
 *
 * Compiled code fits one setting of the flags: the program's own, and what Node brings for its modules. A thread that starts
 * under another setting compiles Node's modules anew, and takes 40 ms for it instead of 20: it is started under V8's own.
 */
import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';

/** Of each what a run is best with, and V8's default. */
const FLAGS = [
  // Loading has made V8's young generation as large as a run needs it. It would go on growing, by 20 MB, the more the longer
  // a run takes. (5 M rows: 7 MB less at the peak, in the same time.)
  { name: 'semi-space-growth-factor', ours: 1, default: 2 },
  // A run has few loops that last, and many functions that are called some thousand times: by its default V8 would spend a
  // tenth of the processor time of a run on compiling these anew. (5 M rows: 0.07 of 1.35 s less, 200 columns: the same.)
  { name: 'interrupt-budget', ours: 600_000, default: 67_584 },
] as const;

let tuned = false;
/** Threads that have not begun yet. */
let starting = 0;

/** Sets the flags. To be called once the program is loaded. */
export function tuneV8(): void {
  tuned = true;
  set();
}

/** Sets V8's defaults again: compiled code is to be made under them. */
export function untuneV8(): void {
  tuned = false;
  set();
}

/** Starts a thread under V8's defaults, where other flags are set; these hold again when it has begun. */
export function startThread(start: () => Worker): Worker {
  if (!tuned) return start();
  starting += 1;
  set();
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    starting -= 1;
    set();
  };
  try {
    // One that cannot begin ends at once.
    return start().once('online', begin).once('exit', begin);
  } catch (error) {
    begin();
    throw error;
  }
}

function set(): void {
  for (const flag of FLAGS) setFlagsFromString(`--${flag.name}=${tuned && starting === 0 ? flag.ours : flag.default}`);
}
