/** How wide a row becomes within a graph, as far as its constants tell. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { readGraph } from '../../src/model/graph.js';
import { onnx, slowModel, type ConstantSpec, type GraphSpec, type NodeSpec } from '../run/onnx.js';
import { sampleModel } from '../run/workbench.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-layers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function widest(bytes: Uint8Array): Promise<number> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, bytes);
  return (await readGraph(path)).widestLayer;
}

/** A graph from `X` `[N, 4]` to `Y`, whose constants are matrices of zeros. */
function graph(nodes: readonly NodeSpec[], matrices: Readonly<Record<string, readonly [number, number]>>): GraphSpec {
  const constants = Object.entries(matrices).map(([name, dims]): ConstantSpec => ({
    name,
    type: 'float32',
    dims,
    values: new Array<number>(dims[0] * dims[1]).fill(0),
  }));
  return {
    inputs: [{ name: 'X', type: 'float32', shape: ['N', 4] }],
    outputs: [{ name: 'Y', type: 'float32', shape: ['N', 'M'] }],
    nodes,
    constants,
  };
}

describe('the widest layer', () => {
  it('is that of the matrix with the most columns, wherever it stands', async () => {
    expect(await widest(slowModel(96, { layers: 3 }))).toBe(96);
    const nodes = [
      { op: 'MatMul', inputs: ['X', 'A'], outputs: ['a'] },
      { op: 'MatMul', inputs: ['a', 'B'], outputs: ['Y'] },
    ];
    expect(await widest(onnx(graph(nodes, { A: [4, 7], B: [7, 30] })))).toBe(30);
  });

  it('is counted by rows where the matrix is transposed, by the operator or before it', async () => {
    const byGemm = [{ op: 'Gemm', inputs: ['X', 'A'], outputs: ['Y'], attributes: { transB: 1 } }];
    expect(await widest(onnx(graph(byGemm, { A: [9, 4] })))).toBe(9);
    const before = [
      { op: 'Identity', inputs: ['A'], outputs: ['same'] },
      { op: 'Transpose', inputs: ['same'], outputs: ['B'] },
      { op: 'MatMul', inputs: ['X', 'B'], outputs: ['Y'] },
    ];
    expect(await widest(onnx(graph(before, { A: [11, 4] })))).toBe(11);
  });

  it('is as wide as there are neighbours to measure the distance to', async () => {
    const path = new URL('../zoo/cases/sklearn_k_neighbors/model.onnx', import.meta.url).pathname;
    expect((await readGraph(path)).widestLayer).toBe(320);
  });

  it('is none where no constant is multiplied with', async () => {
    expect((await readGraph(sampleModel('churn_xgb.onnx'))).widestLayer).toBe(0);
    const product = [{ op: 'MatMul', inputs: ['X', 'X'], outputs: ['Y'] }];
    expect(await widest(onnx(graph(product, {})))).toBe(0);
  });
});
