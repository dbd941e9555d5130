import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGraph } from '../../src/model/graph.js';
import { ModelProtoSchema } from '../../src/model/onnx_pb.js';
import { fixture, rejection } from './fixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-graph-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('reading a graph', () => {
  it('tells inputs and outputs, opsets, operators and parameters', async () => {
    expect(await readGraph(fixture('picked_label.onnx'))).toMatchObject({
      producer: 'colonnade 1',
      irVersion: 9,
      opsets: { 'ai.onnx': 17, 'ai.onnx.ml': 1 },
      operators: {
        MatMul: 1,
        Add: 1,
        Softmax: 1,
        Identity: 1,
        ArgMax: 1,
        Reshape: 1,
        'ai.onnx.ml.ArrayFeatureExtractor': 1,
      },
      // 4 × 3 weights, 3 biases, 3 class names and a shape of one number.
      parameters: 19,
      inputs: [{ name: 'X', type: 'float32', shape: [null, 4] }],
      unusable: [],
      zipMaps: [],
      edits: [],
    });
  });

  it('tells the producer in one line, also where the log of a build follows', async () => {
    const path = fileURLToPath(new URL('../zoo/cases/catboost_binary/model.onnx', import.meta.url));
    expect((await readGraph(path)).producer).toMatch(/^CatBoost \d+\.\d+\.\d+$/);
  });

  it('keeps the bytes of a model that needs no edit', async () => {
    const { bytes, size, hash } = await readGraph(fixture('picked_label.onnx'));
    expect(bytes.length).toBe(size);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('leaves a shape out where the file declares none', async () => {
    const { outputs } = await readGraph(fixture('wrong_shapes.onnx'));
    expect(outputs.map(({ name, shape }) => [name, shape])).toEqual([
      ['label', [1]],
      ['Y', undefined],
      ['K', [null, 5]],
    ]);
  });

  it('replaces ZipMap by Identity under the same name and touches nothing else', async () => {
    const { bytes, zipMaps, operators } = await readGraph(fixture('zipmap_int.onnx'));
    const { graph, opsetImport } = fromBinary(ModelProtoSchema, bytes);
    expect(zipMaps).toEqual(['probabilities']);
    expect(graph!.node.map(({ opType, domain, input, output }) => ({ opType, domain, input, output }))).toEqual([
      { opType: 'LinearClassifier', domain: 'ai.onnx.ml', input: ['X'], output: ['label', 'scores'] },
      { opType: 'Identity', domain: '', input: ['scores'], output: ['probabilities'] },
    ]);
    // The domain of Identity was not imported.
    expect(opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['ai.onnx.ml', 1n],
      ['', 13n],
    ]);
    expect(operators).toEqual({ 'ai.onnx.ml.LinearClassifier': 1, 'ai.onnx.ml.ZipMap': 1 });
  });

  it.each([
    ['zipmap_int', 'probabilities', [3, 1, 7]],
    ['zipmap_string', 'probabilities', ['low', 'mid', 'très haut']],
    ['scores_cast', 'probabilities', [3, 1, 7]],
    ['picked_label', 'probabilities', ['a', 'b', 'c']],
    ['scores_cast', 'label', undefined],
    ['wrong_shapes', 'Y', undefined],
  ])('finds the labels of the classes: %s, %s', async (name, output, classes) => {
    const { outputs } = await readGraph(fixture(`${name}.onnx`));
    expect(outputs.find((spec) => spec.name === output)!.classes).toEqual(classes);
  });

  it.each([
    ['zipmap_read', /the output probabilities .* is a ZipMap that other nodes of the graph read/, /zipmap/],
    ['split_output', /the output parts .* is a sequence; only tensors can be columns/, /zipmap=False/],
    ['complex_output', /the output Y .* holds complex64 values/, /float32 tensor/],
  ])('refuses what no column can hold: %s', async (name, message, hint) => {
    const error = await rejection(readGraph(fixture(`${name}.onnx`)));
    expect(error.code).toBe('MODEL_UNSUPPORTED');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });
});

describe('a graph whose borders are no columns', () => {
  it('has a sequence of tensors taken apart', async () => {
    const { outputs, edits, operators } = await readGraph(fixture('sequence_output.onnx'));
    expect(outputs).toEqual([{ name: 'parts.0', type: 'float32' }]);
    expect(edits).toEqual(['sequence parts taken apart: parts.0']);
    expect(operators).toEqual({ SequenceConstruct: 1 });
  });

  it('has floats of 16 bits as float32, also those that the branches of a conditional read', async () => {
    const half = await readGraph(fixture('half_branches.onnx'));
    expect(half.inputs).toEqual([{ name: 'H', type: 'float32', half: 'float16', shape: [null, 4] }]);
    expect(half.outputs).toEqual([{ name: 'Y', type: 'float32', shape: [null, 4] }]);
    expect(half.edits).toEqual(['input H is float16 inside the model', 'output Y is float16 inside the model']);
    expect((await readGraph(fixture('half_output.onnx'))).edits).toEqual(['output Y is float16 inside the model']);
  });

  it('can be used but for an output that no column can be made of, which is told', async () => {
    const { outputs, unusable, edits } = await readGraph(fixture('split_beside.onnx'));
    expect(outputs.map(({ name }) => name)).toEqual(['Y']);
    expect(unusable).toMatchObject([{ name: 'parts', reason: 'is a sequence; only tensors can be columns' }]);
    expect(edits).toEqual([]);
  });

  it('lowers texts by another locale where it is asked to', async () => {
    const tfidf = fileURLToPath(new URL('../zoo/cases/sklearn_tfidf/model.onnx', import.meta.url));
    const { bytes, edits } = await readGraph(tfidf, { locale: 'C.UTF-8' });
    expect(Buffer.from(bytes).includes('C.UTF-8')).toBe(true);
    expect(edits.at(-1)).toMatch(/the locale C.UTF-8/);
    const again = await readGraph(tfidf);
    expect(Buffer.from(again.bytes).includes('C.UTF-8')).toBe(false);
  });
});

describe('external data', () => {
  it('counts in the size of the model', async () => {
    const { size, externalFiles, bytes } = await readGraph(fixture('external.onnx'));
    expect(externalFiles).toEqual([{ location: 'external.bin', path: fixture('external.bin'), bytes: 48 }]);
    expect(size).toBe(bytes.length + 48);
  });

  it.each([
    ['external_above', /outside the folder of the model/],
    ['external_absolute', /outside the folder of the model/],
    ['external_missing', /nowhere\.bin, which cannot be read/],
    ['external_short', /end at byte 48 of .*short\.bin, which has 47 bytes/],
  ])('is refused: %s', async (name, message) => {
    const error = await rejection(readGraph(fixture(`${name}.onnx`)));
    expect(error.code).toBe('MODEL_INVALID');
    expect(error.message).toMatch(message);
  });

  it('is refused where a link leads out of the folder', async () => {
    await cp(fixture('external.onnx'), join(folder, 'external.onnx'));
    await symlink(fixture('external.bin'), join(folder, 'external.bin'));
    const error = await rejection(readGraph(join(folder, 'external.onnx')));
    expect(error.message).toContain('outside the folder of the model');
  });
});
