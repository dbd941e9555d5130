/** Files that unpack to far more than their size: memory is bounded, or the error says what to raise. */
import { readFile, stat } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { built, runNode } from '../built.js';
import { linearModel } from './onnx.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();

/** Writes the most memory that the process ever had, in kB, to a file when it ends. */
const MEASURE = `
  import { readFileSync, writeFileSync } from 'node:fs';
  if (process.env.PEAK_OF === process.argv[1]) process.on('exit', () =>
    writeFileSync(process.env.PEAK, /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));`;

/** Runs the pipeline; gives the most memory that the main process had, in MB, and what it told. */
async function peakOf(
  feature: string,
  memory: string,
): Promise<{ code: number | null; told: Record<string, unknown>; peak: number }> {
  const pipeline = await bench.pipeline({
    features: [{ name: 'n', sql: feature }],
    model: { path: await bench.write('linear.onnx', linearModel([1])) },
    outputs: { score: 'score' },
    run: { workers: 1, memory },
  });
  const program = built('bin/colonnade.js');
  const measure = await bench.write('measure.mjs', MEASURE);
  const { code, stdout } = await runNode(program, ['run', pipeline, '--json'], {
    env: { NODE_OPTIONS: `--import ${measure}`, PEAK: bench.path('peak'), PEAK_OF: program },
  });
  const peak = Number(await readFile(bench.path('peak'), 'utf8')) / 1024;
  return { code, told: JSON.parse(stdout) as Record<string, unknown>, peak };
}

it.runIf(process.platform === 'linux')(
  'a file that unpacks to a thousand times its size needs no more memory than allowed: it is told what to raise, and is then scored',
  async () => {
    // 600 values of 1 MB each, all different: 600 MB in a file of some hundred kB, in one row group.
    const path = await bench.parquet(
      'data/bomb.parquet',
      `SELECT i AS id, i || repeat(chr((97 + i % 26)::INT), 1000000) AS s FROM range(600) t(i)`,
      'codec zstd, row_group_size 122880',
    );
    expect((await stat(path)).size).toBeLessThan(600e3);
    const refused = await peakOf('length(s)::FLOAT', '128MB');
    expect(refused.told).toMatchObject({
      error: { code: 'OUT_OF_MEMORY', hint: expect.stringContaining('run.memory') as string },
    });
    expect(refused.peak).toBeLessThan(400);
    expect(await bench.isVisible()).toBe(false);

    const { code, told } = await peakOf('length(s)::FLOAT', '4GB');
    expect({ code, told }).toMatchObject({ code: 0, told: { rows: 600, scored: 600 } });
    const [row] = await bench.rows(`SELECT count(*) AS n, max(score) AS most FROM '${bench.path('out/*.parquet')}'`);
    expect(row).toEqual({ n: 600n, most: 1000003 });
  },
);
