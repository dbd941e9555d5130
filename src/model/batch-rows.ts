/** Takes rows of a model batch out of it, as a batch of their own. */
import type { NumericData } from '../plan/elements.js';
import type { ModelBatch, Tensor, TensorData } from './engine.js';

/**
 * The rows at `positions` of a batch, in that order, each as often as it is named; copied.
 *
 * @param paddedRows rows of its tensors, where the model fixes them: the last one is repeated
 */
export function selectRows(
  batch: ModelBatch,
  positions: ArrayLike<number>,
  paddedRows: number = positions.length,
): ModelBatch {
  const rows = positions.length;
  const at = Uint32Array.from({ length: paddedRows }, (_, i) => positions[Math.min(i, rows - 1)]!);
  const feeds = new Map(
    [...batch.feeds].map(([name, { type, dims, data }]): [string, Tensor] => {
      const width = data.length / batch.paddedRows;
      return [name, { type, dims: [paddedRows, ...dims.slice(1)], data: gather(data, width, at) }];
    }),
  );
  if (batch.columns === undefined) return { rows, paddedRows, feeds };
  const columns = new Map(
    [...batch.columns].map(([name, given]) => [name, given.map((values) => values && gatherNumbers(values, 1, at))]),
  );
  return { rows, paddedRows, feeds, columns };
}

function gather(data: TensorData, width: number, at: Uint32Array): TensorData {
  if (!Array.isArray(data)) return gatherNumbers(data, width, at);
  return Array.from(at, (from) => data.slice(from * width, (from + 1) * width)).flat();
}

/** Byte for byte, NaN included. */
function gatherNumbers(data: NumericData, width: number, at: Uint32Array): NumericData {
  const given = data as Float64Array;
  const values = new (given.constructor as typeof Float64Array)(at.length * width);
  at.forEach((from, i) => values.set(given.subarray(from * width, (from + 1) * width), i * width));
  return values;
}
