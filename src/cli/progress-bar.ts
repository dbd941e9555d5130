/** How far a run is, on a terminal. */
import { MultiBar, type SingleBar } from 'cli-progress';
import { formatCount, formatShare } from '../plan/quantities.js';
import type { TextOutput } from './output.js';
import type { Progress, ProgressEvent, RunPhase } from './progress.js';
import { formatDuration } from './render/duration.js';

/** Progress as a bar in the last line of a terminal; messages scroll above it. */
export class ProgressBar implements Progress {
  readonly #output: TextOutput;
  readonly #bars: MultiBar;
  #bar: SingleBar | undefined;
  #stopped = false;

  constructor(output: TextOutput) {
    this.#output = output;
    const { cyan, dim } = output.colors;
    // Beside the bar stand at most 62 characters of numbers.
    const barsize = Math.max(8, Math.min(40, output.columns - 64));
    this.#bars = new MultiBar({
      stream: output.stream,
      format: (_options, params, payload: { numbers?: string; percent?: string }) => {
        const done = Math.round(params.progress * barsize);
        const bar = cyan('━'.repeat(done)) + dim('─'.repeat(barsize - done));
        return `${bar} ${(payload.percent ?? '').padStart(5)}  ${payload.numbers ?? ''}`;
      },
      barsize,
      clearOnComplete: true,
      hideCursor: true,
      // Signals are ours: a run must end in its own way.
      gracefulExit: false,
      emptyOnZero: true,
    });
  }

  begin(rows: number): void {
    this.#show(0, rows, `0/${formatCount(rows)} rows`);
  }

  resume(rowsDone: number): void {
    const total = this.#bar?.getTotal() ?? 0;
    this.#show(rowsDone, total, `${formatCount(rowsDone)}/${formatCount(total)} rows`);
  }

  update(progress: ProgressEvent): void {
    const { rowsDone, rowsTotal, rowsPerSecond, secondsLeft } = progress;
    const parts = [
      `${formatCount(rowsDone)}/${formatCount(rowsTotal)} rows`,
      ...(rowsPerSecond > 0 ? [`${formatCount(Math.round(rowsPerSecond))} rows/s`] : []),
      ...(secondsLeft === null ? [] : [`${formatDuration(secondsLeft)} left`]),
    ];
    this.#show(rowsDone, rowsTotal, parts.join('  '));
  }

  phase(phase: RunPhase): void {
    if (phase === 'scoring' || this.#bar === undefined) return;
    const total = this.#bar.getTotal();
    this.#show(total, total, phase === 'writing' ? 'writing the output' : 'publishing the output');
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#bar === undefined) return;
    // Messages that wait above the bar are written by the last drawing.
    this.#bars.update();
    this.#output.redirect(undefined);
    this.#bars.stop();
  }

  #show(done: number, total: number, numbers: string): void {
    if (this.#stopped) return;
    const payload = { numbers, percent: total === 0 ? '100%' : formatShare(done, total) };
    if (this.#bar === undefined) {
      this.#bar = this.#bars.create(total, done, payload);
      this.#output.redirect((text) => {
        this.#bars.log(text);
      });
    } else {
      this.#bar.update(done, payload);
    }
  }
}
