/**
 * Learns the real shapes of a model's outputs. What a file declares is often wrong or missing (LightGBM's exporter
 * writes `[1]` for the labels of any number of rows), so the model is run on neutral rows: zeros, empty texts.
 */
import { messageOf } from '../errors.js';
import type { Dimension, ElementType, TensorSpec } from '../plan/facts.js';
import type { PlannedInput, PlannedModel } from '../plan/plan.js';
import { allocate } from './element-types.js';
import type { Model, ModelBatch, Tensor } from './engine.js';
import type { DeclaredTensor } from './graph.js';

/** Rows of the two runs. An extent that differs between them follows the number of rows, if it is not that itself. */
const PROBE_ROWS = [2, 3] as const;

/** Widths that are tried for inputs that leave theirs open, until the model takes one. */
const MOST_TRIED_WIDTHS = 128;

/** A model with inputs larger than this many values is not probed. */
const MAX_VALUES = 4_000_000;

/** Type and shape of an output. */
export interface OutputShape {
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
  /** Whether there was one entry for each row that the model was given: of N-1 no one knows whose they are. */
  readonly perRow: boolean;
}

type Run = (feeds: ReadonlyMap<string, Tensor>) => ReadonlyMap<string, Tensor>;

/** The extent of the first dimension that the inputs fix, if any does. */
export function fixedBatchOf(inputs: readonly DeclaredTensor[]): number | undefined {
  for (const { shape } of inputs) if (typeof shape?.[0] === 'number') return shape[0];
  return undefined;
}

/**
 * Shapes of the outputs that `run` gives for neutral rows. Empty when the model cannot score such rows, which is no
 * fault of it. An extent that follows the width of inputs that leave theirs open is open as well.
 */
export function probeOutputs(inputs: readonly DeclaredTensor[], run: Run): ReadonlyMap<string, OutputShape> {
  const isOpen = inputs.some(({ shape = [null, null] }) => shape.slice(1).includes(null));
  const least = Math.max(1, ...inputs.map(({ leastWidth = 1 }) => leastWidth));
  for (let width = least; width <= (isOpen ? least + MOST_TRIED_WIDTHS : least); width += 1) {
    const shapes = probeWidth(inputs, width, run);
    if (shapes === undefined) continue;
    const wider = isOpen ? probeWidth(inputs, width + 1, run) : undefined;
    return wider === undefined ? shapes : openWhereDifferent(shapes, wider);
  }
  return new Map();
}

/** Undefined where the model does not take inputs of this width. */
function probeWidth(inputs: readonly DeclaredTensor[], width: number, run: Run): Map<string, OutputShape> | undefined {
  const fixed = fixedBatchOf(inputs);
  const probed = fixed === undefined ? PROBE_ROWS : [fixed];
  const runs: ReadonlyMap<string, Tensor>[] = [];
  try {
    for (const rows of probed) {
      const feeds = neutralFeeds(inputs, rows, width);
      if (feeds === undefined) return undefined;
      runs.push(run(feeds));
    }
  } catch {
    return undefined;
  }
  const shapes = new Map<string, OutputShape>();
  const [first, second] = runs;
  for (const [name, { type, dims }] of first ?? []) {
    const other = second === undefined ? dims : second.get(name)?.dims;
    if (other?.length !== dims.length) continue;
    shapes.set(name, {
      type,
      shape: dims.map((extent, i) => (extent === other[i] ? extent : null)),
      perRow: probed.every((rows, i) => runs[i]!.get(name)!.dims[0] === rows),
    });
  }
  return shapes;
}

function openWhereDifferent(
  shapes: ReadonlyMap<string, OutputShape>,
  others: ReadonlyMap<string, OutputShape>,
): Map<string, OutputShape> {
  return new Map(
    [...shapes].map(([name, output]): [string, OutputShape] => {
      const other = others.get(name)?.shape;
      const shape = output.shape.map((extent, i) => (other?.[i] === extent ? extent : null));
      return [name, { ...output, shape }];
    }),
  );
}

/** Runs that are timed, as long as they take no more than so many milliseconds. */
const TIMED_RUNS = 5;
const TIMED_MS = 10;

/**
 * Seconds that a model takes for a row, in batches of `rows` with inputs as a plan fills them: measured on neutral rows, not
 * at the first run, which finds nothing in the caches. Of a few quick runs the quickest counts, as others may have had to
 * wait for a processor. Undefined where the model cannot score such rows.
 */
export function secondsPerRow(model: Model, inputs: readonly PlannedInput[], rows: number): number | undefined {
  const feeds = plannedFeeds(inputs, rows);
  if (feeds === undefined) return undefined;
  const batch = { rows, paddedRows: rows, feeds };
  try {
    model.run(batch);
    const began = performance.now();
    let least = Infinity;
    for (let run = 0; run < TIMED_RUNS && performance.now() - began < TIMED_MS; run += 1) {
      const start = performance.now();
      model.run(batch);
      least = Math.min(least, performance.now() - start);
    }
    return least / 1000 / rows;
  } catch {
    return undefined;
  }
}

/**
 * Names of the outputs that have NaN where every float input is NaN: none where the model takes NaN for a missing value, as
 * tree ensembles do. Undefined where it has no float input, or cannot score such rows.
 */
export function nanOutputs(inputs: readonly TensorSpec[], run: Run): readonly string[] | undefined {
  const feeds = neutralFeeds(inputs, fixedBatchOf(inputs) ?? 1);
  if (feeds === undefined) return undefined;
  let floats = 0;
  for (const { data } of feeds.values()) {
    if (!(data instanceof Float32Array || data instanceof Float64Array)) continue;
    data.fill(NaN);
    floats += 1;
  }
  if (floats === 0) return undefined;
  try {
    return [...run(feeds)].filter(([, { data }]) => data.some((value) => Number.isNaN(value))).map(([name]) => name);
  } catch {
    return undefined;
  }
}

/**
 * Why a model refuses neutral rows of the widths that a plan has for the inputs that leave theirs open; undefined where it
 * takes them, or leaves nothing open. Texts are not tried: an empty one may be none that it knows. Nor is a model that may
 * hang.
 */
export function widthFault(model: Model, inputs: readonly PlannedInput[]): string | undefined {
  if (model.signature.mayHang === true) return undefined;
  const isOpen = model.signature.inputs.some(({ shape }) => shape.slice(1).includes(null));
  if (!isOpen || inputs.some(({ type }) => type === 'string')) return undefined;
  const rows = fixedBatchOf(model.signature.inputs) ?? PROBE_ROWS[0];
  const feeds = plannedFeeds(inputs, rows);
  if (feeds === undefined) return undefined;
  try {
    model.run({ rows, paddedRows: rows, feeds });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** A batch of neutral rows as a plan fills the inputs; undefined where it would be very large. */
export function neutralBatch({
  inputs,
  batchSize,
  fixedBatch,
}: Pick<PlannedModel, 'inputs' | 'batchSize' | 'fixedBatch'>): ModelBatch | undefined {
  const rows = fixedBatch ? batchSize : PROBE_ROWS[0];
  const feeds = plannedFeeds(inputs, rows);
  return feeds === undefined ? undefined : { rows, paddedRows: rows, feeds };
}

/** Neutral rows as a plan fills the inputs. */
function plannedFeeds(inputs: readonly PlannedInput[], rows: number): Map<string, Tensor> | undefined {
  const shaped = inputs.map(({ name, type, rank, width }) => ({
    name,
    type,
    shape: rank === 1 ? [rows] : [rows, width],
  }));
  return neutralFeeds(shaped, rows);
}

function neutralFeeds(
  inputs: readonly (DeclaredTensor | TensorSpec)[],
  rows: number,
  width = 1,
): Map<string, Tensor> | undefined {
  const feeds = new Map<string, Tensor>();
  for (const { name, type, shape = [null, null] } of inputs) {
    const dims = shape.map((extent, i) => extent ?? (i === 0 ? rows : width));
    const length = dims.reduce((product, extent) => product * extent, 1);
    if (length > MAX_VALUES) return undefined;
    feeds.set(name, { type, dims, data: allocate(type, length) });
  }
  return feeds;
}
