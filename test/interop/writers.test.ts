import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sameColumnChunks } from '../parquet/same-chunks.js';
import { describePython, python } from '../python.js';
import { differencesByNode } from './node-duckdb.js';
import { inRepository, pipelineOf, runPipeline, taskOf, type Done, type PipelineText } from './pipelines.js';

const MODES = ['append', 'partition', 'predictions'] as const;

/** Predictions of every kind: text, float, whole number, list. */
const OUTPUTS = {
  segment: 'output_label',
  loyal: { from: 'output_probability', class: 'loyal' },
  best: { from: 'output_probability', reduce: 'argmax' },
  all: { from: 'output_probability', as: 'list' },
};
const FEATURES = ['tenure_months', 'days_since_login', 'num_transactions', 'avg_basket'];

/** Groups of sources whose columns have other names: column by what it is elsewhere. */
const NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'pandas-numbered-columns': {
    key: '0',
    site: '1',
    tenure_months: '2',
    days_since_login: '3',
    num_transactions: '4',
    avg_basket: '5',
  },
};

describePython('sources by pyarrow, pandas, polars, DuckDB and Spark', () => {
  let folder: string;
  let groups: readonly string[];
  const runs: Done[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'colonnade-interop-'));
    await python(inRepository('test/interop/write_sources.py'), [join(folder, 'sources')]);
    groups = (await readdir(join(folder, 'sources'))).sort();
    await mkdir(join(folder, 'expected'));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('are scored into every sink', async () => {
    for (const group of groups) {
      const name = (usual: string): string => NAMES[group]?.[usual] ?? usual;
      const tooWide = group === 'pyarrow-decimal256';
      for (const mode of tooWide ? (['append'] as const) : MODES) {
        const text: PipelineText = {
          source: { path: join(folder, 'sources', group), key: [name('key')] },
          features: FEATURES.map(name),
          model: { path: inRepository('models/segments.onnx'), batch_size: 256 },
          outputs: OUTPUTS,
          ...(tooWide ? { validate: { on_invalid: 'null' } } : {}),
          sink: {
            mode,
            path: join(folder, 'out', group, mode),
            compression: 'zstd',
            ...(mode === 'partition' ? { partition_by: [name('site'), 'segment'] } : {}),
          },
        };
        runs.push(await runPipeline(await pipelineOf(folder, `${group}-${mode}`, text)));
      }
    }
  });

  it('are refused where DuckDB would misread a decimal', async () => {
    const text: PipelineText = {
      source: { path: join(folder, 'sources', 'pyarrow-decimal256') },
      features: FEATURES,
      model: { path: inRepository('models/segments.onnx') },
      outputs: OUTPUTS,
      sink: { mode: 'append', path: join(folder, 'out', 'refused') },
    };
    const run = pipelineOf(folder, 'refused', text).then(runPipeline);
    await expect(run).rejects.toMatchObject({ code: 'COLUMN_TYPE' });
  });

  it('keep every byte of their column chunks in an append', async () => {
    for (const { plan, summary } of runs.filter(({ plan }) => plan.sink.mode === 'append')) {
      for (const { path, relativePath } of plan.files)
        expect(await sameColumnChunks(path, join(summary.output, relativePath)), path).toEqual([]);
    }
  });

  it('are seen by every reader as they were, with the right predictions beside them', async () => {
    const tasks = join(folder, 'tasks.json');
    await writeFile(tasks, JSON.stringify(runs.map(taskOf)));
    const found = JSON.parse(
      await python(inRepository('test/interop/check_outputs.py'), [tasks, join(folder, 'expected')]),
    ) as object;
    // Sources that polars cannot read before anything is appended to them.
    const unread = ['polars: duckdb-interval', 'polars: pyarrow-decimal256', 'polars: pyarrow-offset'];
    expect(found).toEqual({ wrong: [], unread });
  });

  it('are seen the same by DuckDB in Node', async () => {
    expect(await differencesByNode(runs, join(folder, 'expected'))).toEqual([]);
  });
});
