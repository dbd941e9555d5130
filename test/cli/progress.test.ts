import { describe, expect, it } from 'vitest';
import { ProgressLines, type ProgressEvent } from '../../src/cli/progress.js';

function progress(rowsDone: number, rowsTotal: number, rowsPerSecond = 0, secondsLeft: number | null = null) {
  return { type: 'progress', rowsDone, rowsTotal, rowsPerSecond, secondsLeft } satisfies ProgressEvent;
}

describe('progress where there is no terminal', () => {
  it('is a line now and then, however often there is news, and none for a short run', () => {
    let now = 0;
    const lines: [at: number, line: string][] = [];
    const shown = new ProgressLines(
      (line) => lines.push([now, line]),
      () => now,
      5000,
    );
    shown.begin();
    for (now = 0; now < 12_000; now += 100) shown.update(progress(now, 12_000, 1000, (12_000 - now) / 1000));
    expect(lines).toEqual([
      [5000, '5,000/12,000 rows (42%), 1,000 rows/s, 7.0 s left'],
      [10_000, '10,000/12,000 rows (83%), 1,000 rows/s, 2.0 s left'],
    ]);
  });

  it('says no speed and no time left before it knows them, and does not claim to be done', () => {
    let now = 0;
    const lines: string[] = [];
    const shown = new ProgressLines(
      (line) => lines.push(line),
      () => now,
      1,
    );
    for (const event of [progress(0, 10_000), progress(9999, 10_000, 0.4), progress(0, 0)]) {
      now += 1;
      shown.update(event);
    }
    expect(lines).toEqual(['0/10,000 rows (0%)', '9,999/10,000 rows (>99.9%), 0 rows/s', '0/0 rows (100%)']);
  });
});
