/** A model whose scores are NaN: they are counted by column, and a limit fails the run. */
import { describe, expect, it } from 'vitest';
import { rootModel } from './onnx.js';
import { openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
// NaN for 30 of 9,000 rows: 10 in one file, 20 in the other.
for (const [name, bad] of [
  ['a', 10],
  ['b', 20],
] as const)
  await bench.parquet(
    `data/${name}.parquet`,
    `SELECT CASE WHEN i < ${bad} THEN -1 ELSE i END::FLOAT AS x FROM range(4500) t(i)`,
  );
const parts: Parts = {
  features: ['x'],
  model: { path: await bench.write('models/root.onnx', rootModel()) },
  outputs: { root: 'Y', all: { from: 'Y', as: 'list' } },
};

describe('predictions that are NaN', () => {
  it('are counted by column, in what a run tells and in the manifest', async () => {
    const { summary, manifest } = await bench.run({ ...parts, sink: { path: 'counted' } });
    expect(summary).toMatchObject({ scored: 9000, nan: { root: 30, all: 30 } });
    expect(manifest.nan).toEqual({ root: 30, all: 30 });
  });

  it('fail the run above a share of the rows or a count, naming the columns, and nothing is published', async () => {
    for (const [limit, fails] of [
      [30, false],
      [29, 'predictions that are NaN, 29 predictions are allowed for each column: root (30), all (30) or more'],
      [0, 'predictions that are NaN, 0 predictions are allowed for each column: root (10), all (10) or more'],
      ['0.34%', false],
      [
        '0.33%',
        'predictions that are NaN, 0.33% of 9,000 rows are allowed for each column: root (30), all (30) or more',
      ],
    ] as const) {
      const path = `out-${limit}`.replace('%', '-percent');
      const limited = { ...parts, validate: { max_nan: limit }, sink: { path }, run: { workers: 1 } };
      if (fails === false) {
        expect((await bench.run(limited)).summary.nan).toEqual({ root: 30, all: 30 });
        continue;
      }
      const error = await bench.failure(limited);
      expect(error).toMatchObject({ code: 'TOO_MANY_NAN', exitCode: 3, phase: 'validate' });
      expect(error.message).toBe(fails);
      expect(error.hint).toContain('validate.max_nan');
      expect(await bench.isVisible(path)).toBe(false);
      expect(await bench.files(`${path}.colonnade/staging`)).toEqual([]);
    }
  });
});
