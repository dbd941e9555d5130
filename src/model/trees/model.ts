/**
 * A model whose tree ensembles are scored by the kernel, and whatever is before and behind them by ONNX Runtime. Where
 * nothing is, ONNX Runtime is not loaded.
 */
import { ColonnadeError } from '../../errors.js';
import type { NumericData } from '../../plan/elements.js';
import type { ModelSignature } from '../../plan/facts.js';
import { firstValues } from '../element-types.js';
import type { Model, ModelBatch, Tensor } from '../engine.js';
import { runError } from '../session-errors.js';
import type { GraphPart } from './cut.js';
import type { PlacedEnsemble, TreesGraph } from './graph-analysis.js';
import { TreeScorer } from './scorer.js';

/**
 * Rows that the kernel is given at once: enough that a call costs nothing beside its work, and few enough that their columns
 * stay in the processor's cache while tree after tree goes over them.
 */
export const BLOCK_ROWS = 4096;

/** A session of ONNX Runtime on a part of the graph. */
export interface PartSession {
  /** Throws what ONNX Runtime throws. */
  run(feeds: ReadonlyMap<string, Tensor>, outputs: readonly string[]): ReadonlyMap<string, Tensor>;
  release(): void;
}

/** A part of the graph, and the session on it. */
interface OpenPart {
  readonly part: GraphPart;
  readonly session: PartSession;
}

/** Features of ensembles by the columns of the inputs that they come from, and the inputs that ONNX Runtime is given. */
export interface InputReads {
  /** Positions in a row that trees read, ascending, by input; inputs that trees alone read, or nobody. */
  readonly columns: ReadonlyMap<string, readonly number[]>;
}

/** Which inputs may be given column by column, and which of their columns. */
export function inputReads(graph: TreesGraph, inputs: readonly string[]): InputReads {
  const whole = new Set([...(graph.prefix?.inputs ?? []), ...(graph.suffix?.inputs ?? [])]);
  const read = new Map<string, Set<number>>(inputs.map((name) => [name, new Set()]));
  for (const { source } of graph.ensembles) {
    if (source.kind === 'matrix') whole.add(source.name);
    else for (const { input, column } of source.columns) read.get(input)?.add(column);
  }
  return {
    columns: new Map(
      [...read]
        .filter(([name]) => !whole.has(name))
        .map(([name, columns]) => [name, [...columns].sort((a, b) => a - b)]),
    ),
  };
}

/** Opens a model that the engine can score. @param outputs the outputs that `run` gives, for which the graph was analysed */
export async function openTreesModel(
  graph: TreesGraph,
  signature: ModelSignature,
  outputs: readonly string[],
  openSession: (part: GraphPart) => Promise<PartSession>,
): Promise<TreesModel> {
  const sessions: PartSession[] = [];
  const open = async (part: GraphPart | undefined): Promise<OpenPart | undefined> => {
    if (part === undefined) return undefined;
    const session = await openSession(part);
    sessions.push(session);
    return { part, session };
  };
  try {
    const [prefix, suffix] = [await open(graph.prefix), await open(graph.suffix)];
    return new TreesModel(graph, signature, outputs, prefix, suffix);
  } catch (error) {
    for (const session of sessions) session.release();
    throw error;
  }
}

/** A model that the kernel scores, its trees at least. */
export class TreesModel implements Model {
  readonly name = 'trees';
  readonly isNative: boolean;
  readonly signature: ModelSignature;
  readonly graph: TreesGraph;
  readonly #outputs: readonly string[];
  readonly #prefix: OpenPart | undefined;
  readonly #suffix: OpenPart | undefined;
  #scorers: readonly EnsembleScorer[] | undefined;

  constructor(
    graph: TreesGraph,
    signature: ModelSignature,
    outputs: readonly string[],
    prefix: OpenPart | undefined,
    suffix: OpenPart | undefined,
  ) {
    this.graph = graph;
    this.signature = signature;
    this.#outputs = outputs;
    this.#prefix = prefix;
    this.isNative = prefix !== undefined || suffix !== undefined;
    this.#suffix = suffix;
    this.#scorers = graph.ensembles.map((placed) => new EnsembleScorer(placed));
  }

  run(batch: ModelBatch): ReadonlyMap<string, Tensor> {
    if (this.#scorers === undefined) {
      throw new ColonnadeError('INTERNAL', `the model ${this.signature.path} was used after its release`, {
        phase: 'model',
      });
    }
    const values = new Map(batch.feeds);
    this.#runPart(this.#prefix, values, batch.rows);
    // What ONNX Runtime runs behind the trees may fix the number of rows; without it those of the padding are left out.
    const rows = this.#suffix === undefined ? batch.rows : batch.paddedRows;
    for (const scorer of this.#scorers) scorer.score(batch, rows, values);
    this.#runPart(this.#suffix, values, batch.rows);
    const outputs = new Map<string, Tensor>();
    for (const name of this.#outputs) {
      const tensor = values.get(this.graph.direct.get(name) ?? name);
      if (tensor === undefined)
        throw new ColonnadeError('INTERNAL', `the output ${name} is missing`, { phase: 'model' });
      outputs.set(name, firstRows(tensor, batch));
    }
    return outputs;
  }

  release(): Promise<void> {
    if (this.#scorers !== undefined) {
      this.#scorers = undefined;
      this.#prefix?.session.release();
      this.#suffix?.session.release();
    }
    return Promise.resolve();
  }

  /** Adds the outputs of a part to the values. */
  #runPart(open: OpenPart | undefined, values: Map<string, Tensor>, rows: number): void {
    if (open === undefined) return;
    const { part, session } = open;
    const feeds = new Map(part.inputs.map((name) => [name, values.get(name)!]));
    try {
      for (const [name, tensor] of session.run(feeds, part.outputs)) values.set(name, tensor);
    } catch (error) {
      throw runError(this.signature.path, rows, error);
    }
  }
}

/** A tensor without the rows of the padding. */
function firstRows(tensor: Tensor, { rows, paddedRows }: ModelBatch): Tensor {
  const { type, dims, data } = tensor;
  if (paddedRows === rows || dims[0] !== paddedRows) return tensor;
  return { type, dims: [rows, ...dims.slice(1)], data: firstValues(data, (data.length / paddedRows) * rows) };
}

/** One ensemble, its kernel and where its columns come from. */
class EnsembleScorer {
  readonly #placed: PlacedEnsemble;
  readonly #scorer: TreeScorer;

  constructor(placed: PlacedEnsemble) {
    this.#placed = placed;
    this.#scorer = TreeScorer.create(placed.ensemble, BLOCK_ROWS);
  }

  /** Scores the first `rows` rows of the batch, and adds labels and scores to the values. */
  score(batch: ModelBatch, rows: number, values: Map<string, Tensor>): void {
    const { labels: labelsName, scores: scoresName, ensemble } = this.#placed;
    const scorer = this.#scorer;
    const width = scorer.scoreWidth;
    const labelType = ensemble.labels?.type ?? 'int64';
    let scores: Float32Array | undefined;
    let labels: BigInt64Array | string[] | undefined;
    for (let from = 0; from < rows; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, rows);
      for (const feature of scorer.features) this.#fill(feature, batch, values, from, to);
      const block = scorer.score(to - from);
      if (from === 0 && to === rows) {
        ({ scores, labels } = block);
        break;
      }
      scores ??= new Float32Array(rows * width);
      scores.set(block.scores, from * width);
      if (block.labels === undefined) continue;
      labels ??= labelType === 'string' ? new Array<string>(rows) : new BigInt64Array(rows);
      for (let row = from; row < to; row += 1) (labels as unknown[])[row] = block.labels[row - from];
    }
    values.set(scoresName, { type: 'float32', dims: [rows, width], data: scores ?? new Float32Array(0) });
    if (labelsName !== undefined && labels !== undefined)
      values.set(labelsName, { type: labelType, dims: [rows], data: labels });
  }

  /** Puts a feature's values of rows `[from, to)` into the kernel's memory. */
  #fill(feature: number, batch: ModelBatch, values: ReadonlyMap<string, Tensor>, from: number, to: number): void {
    const target = this.#scorer.column(feature);
    const { source } = this.#placed;
    if (source.kind === 'columns') {
      const { input, column } = source.columns[feature]!;
      const given = batch.columns?.get(input)?.[column];
      if (given !== undefined) return convert(target, given.subarray(from, to), 0, 1, to - from);
      return this.#fillFrom(target, values.get(input), input, column, from, to);
    }
    this.#fillFrom(target, values.get(source.name), source.name, feature, from, to);
  }

  /** Takes a column out of a row-major tensor. */
  #fillFrom(
    target: Float32Array | Float64Array,
    tensor: Tensor | undefined,
    name: string,
    column: number,
    from: number,
    to: number,
  ): void {
    const width = tensor?.dims[1] ?? 1;
    if (tensor === undefined || Array.isArray(tensor.data) || column >= width) {
      throw new ColonnadeError('MODEL_FAILED', `trees read value ${column} of a row of ${name}, which has ${width}`, {
        phase: 'model',
        hint: 'feed the model with as many features as it was trained with',
      });
    }
    convert(target, tensor.data, from * width + column, width, to - from);
  }
}

/**
 * Copies `count` values, `stride` apart, as the kernel's precision holds them: what ONNX's Cast makes of them, rounded to
 * nearest once.
 */
function convert(
  target: Float32Array | Float64Array,
  values: NumericData,
  start: number,
  stride: number,
  count: number,
): void {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    const round = target instanceof Float32Array ? nearestFloat32 : Number;
    for (let i = 0, at = start; i < count; i += 1, at += stride) target[i] = round(values[at]!);
  } else if (stride === 1) {
    target.set(start === 0 && values.length === count ? values : values.subarray(start, start + count));
  } else if (target instanceof Float32Array && values instanceof Float32Array) {
    // By itself: a loop that only ever sees one kind of array stays several times faster.
    for (let i = 0, at = start; i < count; i += 1, at += stride) target[i] = values[at]!;
  } else {
    const numbers = values as Float64Array;
    for (let i = 0, at = start; i < count; i += 1, at += stride) target[i] = numbers[at]!;
  }
}

/** Bits of a 64-bit integer beyond those that decide how it is rounded to float32, of which only counts whether there are any. */
const STICKY = 0xfffn;

/** The float32 nearest to an integer of 64 bits. By way of float64 it would be rounded twice. */
function nearestFloat32(value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return Math.fround(number);
  return Math.fround(Number((value & ~STICKY) | ((value & STICKY) === 0n ? 0n : (STICKY + 1n) >> 1n)));
}
