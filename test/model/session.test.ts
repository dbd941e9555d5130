import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { firstValues } from '../../src/model/element-types.js';
import type { Model, ModelBatch, Tensor } from '../../src/model/engine.js';
import { openModel } from '../../src/model/session.js';
import { onnx } from '../run/onnx.js';
import { batchOf, fixture, golden, goldens, rejection, thrown } from './fixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colonnade-model-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function using<T>(model: Promise<Model>, use: (model: Model) => Promise<T>): Promise<T> {
  const opened = await model;
  try {
    return await use(opened);
  } finally {
    await opened.release();
  }
}

/** The first rows of a batch. */
function firstRows(batch: ModelBatch, rows: number): ModelBatch {
  const feeds = new Map(
    [...batch.feeds].map(([name, { type, dims, data }]): [string, Tensor] => [
      name,
      { type, dims: [rows, ...dims.slice(1)], data: firstValues(data, (data.length / dims[0]!) * rows) },
    ]),
  );
  return { rows, paddedRows: rows, feeds };
}

describe('a model gives what Python gives, bit for bit', () => {
  it.each(Object.keys(goldens))('%s', async (name) => {
    const { batch, outputs } = golden(name);
    await using(openModel(fixture(`${name}.onnx`)), async (model) => {
      const found = model.run(batch);
      expect([...found.keys()].sort()).toEqual([...outputs.keys()].sort());
      for (const [output, expected] of outputs) {
        expect(found.get(output), output).toEqual(expected);
      }
    });
  });

  it('also when a file that is known is opened again without probing', async () => {
    for (const name of ['zipmap_string', 'external', 'picked_label']) {
      const path = fixture(`${name}.onnx`);
      const { signature } = await using(openModel(path), (model) => Promise.resolve(model));
      const { batch, outputs } = golden(name);
      await using(openModel(path, { signature }), async (model) => {
        expect(model.signature).toBe(signature);
        expect(model.run(batch)).toEqual(outputs);
      });
    }
  });
});

describe('the signature', () => {
  it('has the outputs of a ZipMap as matrices with the labels of their columns', async () => {
    await using(openModel(fixture('zipmap_string.onnx')), (model) => {
      expect(model.signature).toMatchObject({
        zipMaps: ['probabilities'],
        inputs: [{ name: 'X', type: 'float32', shape: [null, 4] }],
        outputs: [
          { name: 'label', type: 'string', shape: [null] },
          { name: 'probabilities', type: 'float32', shape: [null, 3], classes: ['low', 'mid', 'très haut'] },
        ],
      });
      return Promise.resolve();
    });
  });

  it('tells real shapes where the file declares wrong ones or none', async () => {
    await using(openModel(fixture('wrong_shapes.onnx')), (model) => {
      expect(model.signature.outputs).toEqual([
        { name: 'label', type: 'int64', shape: [null] },
        { name: 'Y', type: 'float32', shape: [null, 3] },
        { name: 'K', type: 'float32', shape: [2, 5], perRow: false },
      ]);
      return Promise.resolve();
    });
  });

  it('keeps the declared shapes of a model that cannot score neutral rows', async () => {
    await using(openModel(fixture('lookup.onnx')), (model) => {
      expect(model.signature.outputs).toEqual([{ name: 'Y', type: 'float32', shape: [null, 2] }]);
      return Promise.resolve();
    });
  });

  it('says when the batch size is fixed', async () => {
    await using(openModel(fixture('fixed_batch.onnx')), (model) => {
      expect(model.signature.inputs[0]!.shape).toEqual([4, 4]);
      expect(model.signature.outputs[0]!.shape).toEqual([4, 3]);
      return Promise.resolve();
    });
  });

  it('survives JSON', async () => {
    await using(openModel(fixture('scores_cast.onnx')), (model) => {
      expect(JSON.parse(JSON.stringify(model.signature))).toEqual(model.signature);
      return Promise.resolve();
    });
  });
});

describe('running', () => {
  it('gives only the outputs that were asked for', async () => {
    const { batch, outputs } = golden('zipmap_int');
    await using(openModel(fixture('zipmap_int.onnx'), { outputs: ['probabilities'] }), async (model) => {
      const found = model.run(batch);
      expect([...found]).toEqual([['probabilities', outputs.get('probabilities')]]);
    });
  });

  it('refuses an output that the model does not have', async () => {
    const error = await rejection(openModel(fixture('zipmap_int.onnx'), { outputs: ['score'] }));
    expect(error).toMatchObject({ code: 'MODEL_MISMATCH', phase: 'model' });
    expect(error.message).toContain('has no output score; it has label, probabilities');
  });

  it('cuts off the outputs of rows that fill up a fixed batch', async () => {
    const { batch, outputs } = golden('fixed_batch');
    await using(openModel(fixture('fixed_batch.onnx')), async (model) => {
      const found = model.run({ ...batch, rows: 3 });
      const expected = outputs.get('Y')!.data as Float32Array;
      expect(found.get('Y')).toEqual({ type: 'float32', dims: [3, 3], data: expected.subarray(0, 9) });
    });
  });

  it('gives every batch the scores that it has alone, whatever was run before it', async () => {
    for (const name of Object.keys(goldens).filter((each) => each !== 'fixed_batch')) {
      const { batch } = golden(name);
      const batches = [batch.rows, 1, 2, batch.rows, 1].map((rows) => firstRows(batch, Math.min(rows, batch.rows)));
      const alone: ReadonlyMap<string, Tensor>[] = [];
      for (const each of batches)
        alone.push(await using(openModel(fixture(`${name}.onnx`)), (model) => Promise.resolve(model.run(each))));
      await using(openModel(fixture(`${name}.onnx`)), (model) => {
        for (const [i, each] of batches.entries()) expect(model.run(each), name).toEqual(alone[i]);
        return Promise.resolve();
      });
    }
  });

  it('leaves the outputs of an earlier batch alone when its buffers are used again', async () => {
    const { batch, outputs } = golden('scores_cast');
    await using(openModel(fixture('scores_cast.onnx')), async (model) => {
      const first = model.run(batch);
      (batch.feeds.get('X')!.data as Float32Array).fill(1);
      model.run(batch);
      expect(first).toEqual(outputs);
    });
  });

  it('tells what ONNX Runtime said when the model fails, and can be used on', async () => {
    const { batch, outputs } = golden('lookup');
    await using(openModel(fixture('lookup.onnx')), async (model) => {
      const index = { type: 'int64' as const, dims: [2], data: BigInt64Array.of(9n, 99n) };
      const error = thrown(() => model.run(batchOf(new Map([['index', index]]))));
      expect(error).toMatchObject({ code: 'MODEL_FAILED', phase: 'model' });
      expect(error.message).toContain('lookup.onnx failed on a batch of 2 rows');
      expect(error.message).toContain('indices element out of data bounds');
      expect(error.message).not.toContain('\n');
      expect(model.run(batch)).toEqual(outputs);
      expect(thrown(() => model.run(batchOf(new Map([['index', index]])))).message).toBe(error.message);
      expect(model.run(batch)).toEqual(outputs);
    });
  });

  it('may be released twice, and says so when it is used after', async () => {
    const model = await openModel(fixture('lookup.onnx'));
    await model.release();
    await model.release();
    expect(thrown(() => model.run(golden('lookup').batch))).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('a model that ONNX Runtime cannot run is told with the operator and the way out', () => {
  it.each([
    ['custom_operator', 'MODEL_UNSUPPORTED', /com\.example:Blur/],
    ['unknown_operator', 'MODEL_UNSUPPORTED', /opset 17 has no operator Blur/],
    ['double_elu', 'MODEL_UNSUPPORTED', /has no Elu for these types/],
    ['future_ir', 'MODEL_UNSUPPORTED', /IR version 13 or lower/],
    ['future_opset', 'MODEL_UNSUPPORTED', /opset \d+ or lower of ai\.onnx/],
    ['dangling_edge', 'MODEL_INVALID', /onnx\.checker/],
  ])('%s', async (name, code, hint) => {
    const error = await rejection(openModel(fixture(`${name}.onnx`)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(`${name}.onnx`);
    expect(error.message).not.toMatch(/\n|onnxruntime_src/);
    expect(error.hint).toMatch(hint);
  });
});

describe('a model that was planned with', () => {
  it('is refused when its file has changed', async () => {
    const path = join(folder, 'changed.onnx');
    await cp(fixture('zipmap_int.onnx'), path);
    const { signature } = await using(openModel(path), (model) => Promise.resolve(model));
    await cp(fixture('zipmap_string.onnx'), path);
    expect(await rejection(openModel(path, { signature }))).toMatchObject({ code: 'MODEL_CHANGED' });
  });

  it('is refused when its external data has another size', async () => {
    await cp(fixture('external.onnx'), join(folder, 'external.onnx'));
    await cp(fixture('external.bin'), join(folder, 'external.bin'));
    const path = join(folder, 'external.onnx');
    const { signature } = await using(openModel(path), (model) => Promise.resolve(model));
    await writeFile(
      join(folder, 'external.bin'),
      Buffer.concat([await readFile(fixture('external.bin')), Buffer.alloc(1)]),
    );
    expect(await rejection(openModel(path, { signature }))).toMatchObject({ code: 'MODEL_CHANGED' });
  });
});

describe('what is added to a graph', () => {
  const rows: Tensor = { type: 'float32', dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  async function made(name: string, spec: Parameters<typeof onnx>[0]): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, onnx(spec));
    return path;
  }

  it('takes no name that the graph has: beside 16 bits', async () => {
    const path = await made('half-names.onnx', {
      inputs: [{ name: 'X', type: 'float16', shape: ['N', 2] }],
      outputs: [{ name: 'Y', type: 'float16', shape: ['N', 2] }],
      nodes: [
        { op: 'Neg', inputs: ['X'], outputs: ['X/float16'] },
        { op: 'Neg', inputs: ['X/float16'], outputs: ['Y/float16'] },
        { op: 'Neg', inputs: ['Y/float16'], outputs: ['Y'] },
      ],
    });
    await using(openModel(path), (model) => {
      const given = model.run(batchOf(new Map([['X', rows]]))).get('Y')?.data;
      expect(given).toEqual(Float32Array.of(-1, -2, -3, -4, -5, -6));
      return Promise.resolve();
    });
  });

  it('takes no name that the graph has: beside a stack, of which weights among the inputs make no batch', async () => {
    const path = await made('stack-names.onnx', {
      inputs: [
        { name: 'X', type: 'float32', shape: ['N', 2] },
        { name: 'W', type: 'float32', shape: [2, 2] },
      ],
      outputs: [
        { name: 'Y', type: 'float32', shape: [2, 'N', 2] },
        { name: 'Y.0', type: 'float32', shape: ['N', 2] },
      ],
      nodes: [
        { op: 'MatMul', inputs: ['X', 'W'], outputs: ['Y.0'] },
        { op: 'Unsqueeze', inputs: ['X', 'zero'], outputs: ['first'] },
        { op: 'Unsqueeze', inputs: ['Y.0', 'zero'], outputs: ['second'] },
        { op: 'Concat', inputs: ['first', 'second'], outputs: ['Y'], attributes: { axis: 0 } },
      ],
      constants: [
        { name: 'W', type: 'float32', dims: [2, 2], values: [2, 0, 0, 2] },
        { name: 'zero', type: 'int64', dims: [1], values: [0] },
      ],
    });
    await using(openModel(path), (model) => {
      expect(model.signature.edits).toEqual(['stack Y taken apart: Y.0_2, Y.1']);
      const given = model.run(batchOf(new Map([['X', rows]])));
      expect(given.get('Y.0_2')?.data).toEqual(rows.data);
      expect(given.get('Y.1')?.data).toEqual(Float32Array.of(2, 4, 6, 8, 10, 12));
      expect(given.get('Y.0')?.data).toEqual(given.get('Y.1')?.data);
      return Promise.resolve();
    });
  });
});

describe('an input that leaves its width open', () => {
  it.each([
    ['follows it', [], ['N', 'F'], [null, null]],
    [
      'has one of its own',
      [{ name: 'W', type: 'float32', dims: [5, 2], values: Array<number>(10).fill(1) }],
      ['N', 'G'],
      [null, 2],
    ],
  ] as const)('leaves it to what the model gives whether an output %s', async (_, constants, shape, found) => {
    const path = join(folder, `open-${constants.length}.onnx`);
    const inputs = constants.length === 0 ? ['X', 'X'] : ['X', 'W'];
    await writeFile(
      path,
      onnx({
        inputs: [{ name: 'X', type: 'float32', shape: ['N', 'F'] }],
        outputs: [{ name: 'Y', type: 'float32', shape }],
        nodes: [{ op: constants.length === 0 ? 'Add' : 'MatMul', inputs, outputs: ['Y'] }],
        constants,
      }),
    );
    await using(openModel(path), ({ signature }) => {
      expect(signature.outputs[0]!.shape).toEqual(found);
      return Promise.resolve();
    });
  });
});
