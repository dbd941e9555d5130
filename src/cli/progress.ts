/** How far a run is: a bar on a terminal, a line every few seconds elsewhere. */
import { MultiBar, type SingleBar } from 'cli-progress';
import type { RunEvent } from '../run/events.js';
import { formatCount, formatShare } from '../plan/quantities.js';
import type { TextOutput } from './output.js';
import { formatDuration } from './render/duration.js';

export type ProgressEvent = Extract<RunEvent, { type: 'progress' }>;
type RunPhase = Extract<RunEvent, { type: 'phase' }>['phase'];

/** Where progress is shown. */
export interface Progress {
  /** Shows that it has begun. */
  begin(rows: number): void;
  /** Rows that are done already when it begins. */
  resume(rowsDone: number): void;
  update(progress: ProgressEvent): void;
  phase(phase: RunPhase): void;
  /** Takes it away; nothing is shown after it. May be called twice. */
  stop(): void;
}

/** `34,000/50,000 rows (68%), 120,000 rows/s, 1.2 s left`. */
export function progressLine({ rowsDone, rowsTotal, rowsPerSecond, secondsLeft }: ProgressEvent): string {
  const share = rowsTotal === 0 ? '100%' : formatShare(rowsDone, rowsTotal);
  const speed = rowsPerSecond > 0 ? `, ${formatCount(Math.round(rowsPerSecond))} rows/s` : '';
  const left = secondsLeft === null ? '' : `, ${formatDuration(secondsLeft)} left`;
  return `${formatCount(rowsDone)}/${formatCount(rowsTotal)} rows (${share})${speed}${left}`;
}

/** Milliseconds between two lines of progress: often enough to see that it lives, seldom enough to read a log. */
const LINE_EVERY_MS = 5_000;

/** Progress as lines, at most one in `everyMs`; the first after that time, so that short runs say nothing. */
export class ProgressLines implements Progress {
  readonly #write: (line: string, progress: ProgressEvent) => void;
  readonly #clock: () => number;
  readonly #everyMs: number;
  #last: number;

  constructor(
    write: (line: string, progress: ProgressEvent) => void,
    clock: () => number = () => performance.now(),
    everyMs = LINE_EVERY_MS,
  ) {
    this.#write = write;
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#last = clock();
  }

  begin(): void {
    // The log tells that.
  }

  resume(): void {
    // And that.
  }

  update(progress: ProgressEvent): void {
    const now = this.#clock();
    if (now - this.#last < this.#everyMs) return;
    this.#last = now;
    this.#write(progressLine(progress), progress);
  }

  phase(): void {
    // A phase is a message of its own in the log.
  }

  stop(): void {
    // Nothing stands on the screen.
  }
}

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
