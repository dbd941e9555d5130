import { execFileSync } from 'node:child_process';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { renderSummary } from '../../../src/cli/render/summary.js';
import type { RunSummary } from '../../../src/run/events.js';

const DONE: RunSummary = {
  status: 'done',
  run_id: 'r',
  pipeline: 'p',
  output: '/work/out',
  manifest: '/work/out.colonnade/manifest.json',
  rows: 1000,
  scored: 1000,
  quarantined: 0,
  nulled: 0,
  filtered: 0,
  reasons: {},
  nan: {},
  files: 1,
  bytes: 1500,
  models: [{ engine: 'onnxruntime', batch_size: 16 }],
  workers: 1,
  resumed_rows: 0,
  elapsed_s: 2,
  rows_per_s: 500,
};

const shown = (changed: Partial<RunSummary>, example?: string): string =>
  renderSummary({ ...DONE, ...changed }, example, '/work', pc.createColors(false));

describe('the summary of a run', () => {
  it('says no more than there is to say where every row was scored', () => {
    expect(shown({})).toBe(
      '✓ p: scored 1,000 rows in 2.0 s, 500 rows/s\n\n' +
        '  output    out  1 file, 1.50 kB\n' +
        '  engine    onnxruntime in batches of 16 rows, 1 worker\n' +
        '  manifest  out.colonnade/manifest.json\n',
    );
  });

  it('accounts for every row that was not scored, by what became of it', () => {
    const text = shown({ scored: 1, quarantined: 2, nulled: 3, filtered: 994, resumed_rows: 500, nan: { score: 1 } });
    expect(text).toContain('scored 1 of 1,000 rows');
    expect(text).toMatch(/^ {2}rows +1 scored, 2 quarantined, 3 nulled, 994 filtered out$/m);
    expect(text).toMatch(/^ {2}resumed +500 rows from an earlier, unfinished run$/m);
    expect(text).toMatch(/^ {2}NaN +1 prediction in score \(100%\)$/m);
    const two = [
      { name: 'a', engine: 'onnxruntime', batch_size: 16 },
      { name: 'b', engine: 'onnxruntime', batch_size: 2048 },
    ];
    expect(shown({ models: two, workers: 2 })).toMatch(
      /^ {2}engine +a: onnxruntime in batches of 16 rows, b: onnxruntime in batches of 2,048 rows, 2 workers$/m,
    );
    expect(shown({ scored: 0, filtered: 1000 })).toMatch(/^ {2}rows +0 scored, 1,000 filtered out$/m);
  });

  it('lists the reasons with most rows, and counts the others without losing one', () => {
    const reasons = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}: NULL`, i + 1]));
    const lines = (count: number): string[] => {
      const text = shown({ scored: 0, quarantined: 1000, reasons: reasons(count) }).split('\n');
      const first = text.findIndex((line) => line.startsWith('  invalid'));
      return text
        .slice(
          first,
          text.findIndex((line) => line.startsWith('  engine')),
        )
        .map((line) => line.slice(10).trim());
    };
    expect(lines(9)).toEqual([
      '9  f8: NULL',
      '8  f7: NULL',
      '7  f6: NULL',
      '6  f5: NULL',
      '5  f4: NULL',
      '10  for 4 other reasons',
    ]);
    // Where only one is left, it stands there itself.
    expect(lines(6)).toHaveLength(6);
    expect(lines(6).at(-1)).toBe('1  f0: NULL');
  });

  it('shows commands that a shell understands, whatever the folders are called', () => {
    const odd = `/work/it's "my" $HOME out`;
    const text = shown({ output: odd, quarantine: `${odd}.colonnade/quarantine` }, `${odd}/a b.parquet`);
    const commands = text.split('\n').slice(text.split('\n').indexOf('Look at it') + 1, -1);
    expect(commands).toHaveLength(4);
    const words = commands.map((command) =>
      execFileSync('bash', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
        .split('\0')
        .slice(0, -1),
    );
    const inSql = `it''s "my" $HOME out`;
    expect(words).toEqual([
      ['npx', 'colonnade', 'inspect', `it's "my" $HOME out/a b.parquet`],
      ['duckdb', '-c', `FROM '${inSql}/**/*.parquet' LIMIT 10`],
      ['python', '-c', expect.stringContaining(`d.dataset("it's \\"my\\" $HOME out",`) as string],
      ['duckdb', '-c', `SELECT _file, _row, _reason FROM '${inSql}.colonnade/quarantine/**/*.parquet' LIMIT 10`],
    ]);
  });
});
