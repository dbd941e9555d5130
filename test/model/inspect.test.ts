import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { inspectModel } from '../../src/model/inspect.js';
import { fixture, rejection } from './fixtures.js';

describe('inspecting a model', () => {
  it('describes it as plain data', async () => {
    const description = await inspectModel(fixture('zipmap_string.onnx'));
    expect(JSON.parse(JSON.stringify(description))).toEqual(description);
    expect(description).toMatchObject({
      kind: 'model',
      engine: 'onnxruntime',
      fixedBatch: null,
      producer: 'colonnade 1',
      irVersion: 9,
      opsets: { 'ai.onnx.ml': 1 },
      operators: { 'ai.onnx.ml.LinearClassifier': 1, 'ai.onnx.ml.ZipMap': 1 },
      parameters: 15,
      zipMaps: ['probabilities'],
    });
  });

  it('tells a fixed batch size', async () => {
    expect(await inspectModel(fixture('fixed_batch.onnx'))).toMatchObject({ fixedBatch: 4 });
  });

  it('tells which outputs a NaN in the inputs makes NaN', async () => {
    const zoo = (name: string): string => fileURLToPath(new URL(`../zoo/cases/${name}/model.onnx`, import.meta.url));
    expect((await inspectModel(zoo('lightgbm_binary'))).nanOutputs).toEqual([]);
    expect((await inspectModel(zoo('sklearn_logistic'))).nanOutputs).toEqual(['output_probability']);
    expect((await inspectModel(zoo('sklearn_pca'))).nanOutputs).toEqual(['variable']);
    expect((await inspectModel(zoo('sklearn_string_matrix'))).nanOutputs).toBeNull();
    expect((await inspectModel(zoo('torch_32_rows_at_a_time'))).nanOutputs).toEqual(['probs']);
  });

  it('refuses what could not be scored', async () => {
    expect(await rejection(inspectModel(fixture('custom_operator.onnx')))).toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });
});
