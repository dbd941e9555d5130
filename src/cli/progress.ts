/** How far a run is: a line every few seconds, or on a terminal a bar (`progress-bar.ts`). */
import type { RunEvent } from '../run/events.js';
import { formatCount, formatShare } from '../plan/quantities.js';
import { formatDuration } from './render/duration.js';

export type ProgressEvent = Extract<RunEvent, { type: 'progress' }>;
export type RunPhase = Extract<RunEvent, { type: 'phase' }>['phase'];

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
