/** Which runs there were. */
import { placesOf } from '../commit/places.js';
import { readRecords, type ToldRun } from '../commit/records.js';

/** A run of an output. Keys are those of `--json`. */
export interface ListedRun extends Omit<ToldRun, 'format' | 'process'> {
  /** Absolute path of the output folder. */
  readonly output: string;
  /** Where it runs or ran. */
  readonly host: string;
  readonly pid: number;
  /** Seconds; until now for one that runs, null for one that died. */
  readonly elapsed_s: number | null;
}

/** The runs of some outputs, the last one first. */
export async function listRuns(outputs: readonly string[]): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  for (const output of outputs) {
    for (const { format: _, process, ...run } of await readRecords(placesOf(output, ''))) {
      const end = run.finished_at ?? (run.state === 'running' ? new Date().toISOString() : undefined);
      const elapsed = end === undefined ? null : (Date.parse(end) - Date.parse(run.started_at)) / 1000;
      runs.push({ ...run, output, host: process.host, pid: process.pid, elapsed_s: elapsed });
    }
  }
  return runs.sort((a, b) => (a.started_at < b.started_at ? 1 : -1));
}
