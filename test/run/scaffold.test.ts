/** `inspect --scaffold`: what it writes can be run as it stands, for every model of the zoo. */
import { mkdir, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadPipeline, parsePipeline } from '../../src/pipeline/load.js';
import { preparePlan } from '../../src/run/prepare.js';
import { startRun } from '../../src/run/run.js';
import { scaffold, type Scaffold } from '../../src/run/scaffold.js';
import { onnx } from './onnx.js';
import { openWorkbench, sampleModel } from './workbench.js';

const zoo = fileURLToPath(new URL('../zoo', import.meta.url));
const bench = await openWorkbench();

async function scaffolded(model: string, data: string, name: string): Promise<Scaffold & { readonly file: string }> {
  const folder = bench.path(name);
  await mkdir(folder, { recursive: true });
  const made = await scaffold(model, data, folder);
  const file = join(folder, 'pipeline.yaml');
  await writeFile(file, made.text);
  return { ...made, file };
}

describe('a scaffold', () => {
  it.each(readdirSync(join(zoo, 'cases')).sort())('can be run as it was written: %s', async (name) => {
    const model = join(zoo, 'cases', name, name === 'mlflow_folder' ? 'churn' : 'model.onnx');
    const { problems, file } = await scaffolded(model, join(zoo, 'table.parquet'), name);
    expect(problems).toEqual([]);
    const { rows, scored, quarantined } = await startRun(await preparePlan(await loadPipeline(file))).result;
    expect(rows).toBe(320);
    // What the models were not trained with is left out, and nothing else.
    expect(scored + quarantined).toBe(320);
    expect(scored).toBeGreaterThan(90);
  });

  it('feeds inputs by their names, and says in comments what the table holds', async () => {
    const data = fileURLToPath(new URL('../../data/customers', import.meta.url));
    const { text, problems } = await scaffolded(sampleModel('mixed_inputs.onnx'), data, 'mixed');
    expect(problems).toEqual([]);
    expect(text).toContain('  - region # VARCHAR\n  - status # VARCHAR\n  - age # INTEGER, 18 to 999, 20 NULL\n');
    expect(text).toContain('  key: [customer_id]');
    expect(text).toContain('  #   tenure_months: { min: 0, max: 98 }');
    expect(text).toContain('  probability: { from: probabilities, class: 1 }');
    expect(text).not.toContain('To do');
  });

  it('says what is a guess, and what does not fit', async () => {
    await bench.parquet('odd.parquet', `SELECT i::FLOAT AS "a b", 'x' AS "ünï $1", i AS id FROM range(9) t(i)`);
    const guess = await scaffolded(sampleModel('churn_logistic.onnx'), bench.path('odd.parquet'), 'odd');
    expect(guess.text).toContain('# To do: the model takes 6 features; the table has 2 columns that could be one');
    expect(guess.text).toContain('  - a b # FLOAT');
    expect(guess.problems).toEqual([expect.stringContaining('takes 6 values a row, 2 features feed it')]);
    const named = await scaffolded(sampleModel('mixed_inputs.onnx'), bench.path('odd.parquet'), 'named');
    expect(named.text).toContain('- ünï $$1 # VARCHAR; a guess: no column is named as the model input region');
    expect(named.text).toContain(
      '# To do: no column is named as the model input is_premium (bool[N, 1]), and none could feed it',
    );
  });

  it('feeds each of several inputs as many columns as it takes, keys last, and makes one column of one value', async () => {
    await bench.parquet(
      'wide.parquet',
      `SELECT i AS id, i::FLOAT AS a, i::FLOAT + 1 AS "b, c", [i, i]::FLOAT[] AS list FROM range(9) t(i)`,
    );
    await writeFile(
      bench.path('two-wide.onnx'),
      onnx({
        inputs: [
          { name: 'u', type: 'float32', shape: ['N', 2] },
          { name: 'v', type: 'float32', shape: ['N', 2] },
          { name: 'w', type: 'float32', shape: ['N', 1] },
        ],
        outputs: [{ name: 'o', type: 'float32', shape: ['N', 1, 1] }],
        nodes: [
          { op: 'Sub', inputs: ['u', 'v'], outputs: ['uv'] },
          { op: 'ReduceMax', inputs: ['uv'], outputs: ['most'], attributes: { keepdims: 1 } },
          { op: 'Sub', inputs: ['w', 'most'], outputs: ['q'] },
          { op: 'Unsqueeze', inputs: ['q', 'two'], outputs: ['o'] },
        ],
        constants: [{ name: 'two', type: 'int64', dims: [1], values: [2] }],
      }),
    );
    const { text, problems, file } = await scaffolded(
      bench.path('two-wide.onnx'),
      bench.path('wide.parquet'),
      'two-wide',
    );
    expect(problems).toEqual([]);
    expect(text).toContain('  inputs:\n    u: list\n    v: [a, "b, c"]\n    w: id\n');
    expect(text).toContain('  prediction: o # float32[N, 1, 1]');
    const { scored } = await startRun(await preparePlan(await loadPipeline(file))).result;
    expect(scored).toBe(9);
  });

  it('writes labels of whatever characters so that they are read again', async () => {
    const labels = ['a: b, "c"\nd', '#x', '${y}', "it's"];
    await bench.parquet('label.parquet', 'SELECT 1::FLOAT AS a');
    const label = { name: 'label', type: 'string', shape: ['N', 1] } as const;
    await writeFile(
      bench.path('labels.onnx'),
      onnx({
        inputs: [{ name: 'X', type: 'float32', shape: ['N', 1] }],
        outputs: [label, { name: 'p', type: 'float32', shape: ['N', labels.length] }],
        nodes: [
          { op: 'MatMul', inputs: ['X', 'W'], outputs: ['p'] },
          { op: 'ArgMax', inputs: ['p'], outputs: ['best'], attributes: { axis: 1, keepdims: 1 } },
          { op: 'Gather', inputs: ['labels', 'best'], outputs: ['label'] },
        ],
        constants: [
          { name: 'W', type: 'float32', dims: [1, labels.length], values: labels.map((_, i) => i) },
          { name: 'labels', type: 'string', dims: [labels.length], values: labels },
        ],
      }),
    );
    const { text, problems } = await scaffolded(bench.path('labels.onnx'), bench.path('label.parquet'), 'labels');
    expect(problems).toEqual([]);
    const uncommented = text.replaceAll(/^ {2}# (?=.*class: )/gm, '  ');
    const { outputs } = parsePipeline(uncommented, '/labels.yaml', { env: {} });
    expect(outputs.flatMap(({ take }) => (take.kind === 'class' ? [take.label] : []))).toEqual(labels);
    expect(outputs.slice(-labels.length).map(({ name }) => name)).toEqual([
      'probability_a_b_c_d',
      'probability__x',
      'probability__y_',
      'probability_it_s',
    ]);
  });

  it('gives new columns names that the table does not have', async () => {
    await bench.parquet(
      'taken.parquet',
      'SELECT 1::FLOAT AS a, 2::FLOAT AS b, 3::FLOAT AS c, 4::FLOAT AS d, 5::FLOAT AS e, 6::FLOAT AS f, 7 AS Prediction',
    );
    const { text, problems } = await scaffolded(
      sampleModel('churn_logistic.onnx'),
      bench.path('taken.parquet'),
      'taken',
    );
    expect(problems).toEqual([]);
    expect(text).toContain('  prediction_2: output_label');
  });
});
