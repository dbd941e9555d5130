/** The small models of `test/fixtures/models` and what Python's onnxruntime makes of them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ColonnadeError } from '../../src/errors.js';
import { ARRAYS } from '../../src/plan/elements.js';
import type { ModelBatch, Tensor } from '../../src/model/engine.js';
import type { ElementType } from '../../src/plan/facts.js';

/** Absolute path of a fixture, as in `fixture('external.onnx')`. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));
}

interface PlainTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: readonly (number | string | boolean)[];
}

interface Golden {
  readonly feeds: Readonly<Record<string, PlainTensor>>;
  readonly outputs: Readonly<Record<string, PlainTensor>>;
}

export const goldens = JSON.parse(readFileSync(fixture('goldens.json'), 'utf8')) as Readonly<Record<string, Golden>>;

/** What Python was given and what it made of it, as tensors. */
export function golden(name: string): { batch: ModelBatch; outputs: Map<string, Tensor> } {
  const { feeds, outputs } = goldens[name]!;
  const tensors = (plain: Readonly<Record<string, PlainTensor>>): Map<string, Tensor> =>
    new Map(Object.entries(plain).map(([key, value]) => [key, fromPlain(value)]));
  return { batch: batchOf(tensors(feeds)), outputs: tensors(outputs) };
}

/** A batch of all rows of the feeds. */
export function batchOf(feeds: ReadonlyMap<string, Tensor>): ModelBatch {
  const rows = [...feeds.values()][0]!.dims[0]!;
  return { rows, paddedRows: rows, feeds };
}

function fromPlain({ type, dims, data }: PlainTensor): Tensor {
  // 16 bits are inside the model alone: its borders are float32.
  const element = (type === 'object' ? 'string' : type === 'float16' ? 'float32' : type) as ElementType;
  if (element === 'string') return { type: element, dims, data: data as string[] };
  if (element === 'int64' || element === 'uint64') {
    return { type: element, dims, data: ARRAYS[element].from((data as string[]).map(BigInt)) };
  }
  return { type: element, dims, data: ARRAYS[element].from(data.map(Number)) };
}

/** The error that a call throws, which must be a {@link ColonnadeError}. */
export function thrown(call: () => unknown): ColonnadeError {
  try {
    call();
  } catch (error) {
    if (error instanceof ColonnadeError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** The error that a promise is rejected with, which must be a {@link ColonnadeError}. */
export async function rejection(promise: Promise<unknown>): Promise<ColonnadeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ColonnadeError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
