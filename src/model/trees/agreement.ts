/**
 * Holds the trees engine against ONNX Runtime: on rows of the data, and on made-up ones that lie where trees decide. Summing
 * in another order changes last bits; whatever else differs is a mistake that nobody would find in millions of scores.
 */
import { tensorInWords } from '../../plan/inputs.js';
import type { ElementType } from '../../plan/facts.js';
import type { PlannedModel } from '../../plan/plan.js';
import { allocate } from '../element-types.js';
import type { Engine, ModelBatch, Tensor } from '../engine.js';
import { floatAbove, floatBelow } from './floats.js';
import { MODE } from './ensemble.js';
import type { TreesModel } from './model.js';

/** How far scores may be apart: by this, or by this share of their size. */
const TOLERANCE = 1e-6;

/** Rows that are made up at once. */
const MADE_UP_ROWS = 512;

/**
 * What differs where both engines score a batch, in words; undefined where nothing does.
 *
 * @throws ColonnadeError `MODEL_FAILED` where one cannot score it
 */
export function differenceOn(batch: ModelBatch, trees: Engine, runtime: Engine): string | undefined {
  const found = trees.run(batch);
  const expected = runtime.run(batch);
  for (const [name, tensor] of found) {
    const other = expected.get(name);
    const difference = other === undefined ? 'it is missing' : differenceOf(tensor, other);
    if (difference !== undefined) return `${name}: ${difference}`;
  }
  return undefined;
}

/** How a model is fed. */
type Shape = Pick<PlannedModel, 'inputs' | 'fixedBatch'>;

/**
 * As {@link differenceOn}, on {@link madeUpRows}. ONNX Runtime need not be able to score them: where it fails on NaN and
 * infinities they are left out, and where it fails even then, as it may on values that no data has, nothing differs.
 */
export function differenceOnMadeUp(
  trees: TreesModel,
  runtime: Engine,
  shape: Shape,
  like: ModelBatch,
): string | undefined {
  for (const isFinite of [false, true]) {
    const batch = madeUpRows(trees, shape, like, isFinite);
    if (!canScore(runtime, batch)) continue;
    const difference = differenceOn(batch, trees, runtime);
    return difference === undefined ? undefined : `${difference}, which are made up`;
  }
  return undefined;
}

function canScore(engine: Engine, batch: ModelBatch): boolean {
  try {
    engine.run(batch);
    return true;
  } catch {
    return false;
  }
}

function differenceOf(found: Tensor, expected: Tensor): string | undefined {
  const { data, type, dims } = expected;
  if (found.type !== type || found.dims.join() !== dims.join()) return `${inWords(found)}, not ${inWords(expected)}`;
  const width = data.length / (dims[0] ?? 1);
  const isFloat = type === 'float32' || type === 'float64';
  for (let i = 0; i < data.length; i += 1) {
    const [a, b] = [found.data[i]!, data[i]!];
    if (isFloat ? isClose(Number(a), Number(b)) : a === b) continue;
    return `${a}, not ${b}, in row ${Math.floor(i / width)} of those compared`;
  }
  return undefined;
}

function isClose(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return a === b || Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(b));
}

function inWords({ type, dims }: Tensor): string {
  return tensorInWords({ name: '', type, shape: dims });
}

/**
 * Rows whose values are the thresholds that the trees compare with, the floats beside them, NaN, infinities and zeros: the
 * columns that trees read of the inputs as they are. What no tree compares is repeated from `like`.
 *
 * Not random: the same model gets the same rows.
 *
 * @param like a batch of rows as the inputs are planned
 * @param isFinite leaves NaN and infinities out
 */
export function madeUpRows(
  trees: TreesModel,
  { inputs, fixedBatch }: Shape,
  like: ModelBatch,
  isFinite = false,
): ModelBatch {
  const rows = fixedBatch ? like.paddedRows : MADE_UP_ROWS;
  const candidates = candidatesOf(trees, isFinite);
  let state = 1;
  /** A number in [0, limit): the generator of Park and Miller, whose products a double holds exactly. */
  const next = (limit: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
  const feeds = new Map<string, Tensor>();
  for (const { name, type, rank, width } of inputs) {
    const given = like.feeds.get(name)!.data;
    const data = allocate(type, rows * width) as unknown[];
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const made = candidates.get(`${column} ${name}`);
        const value = made === undefined || next(4) === 0 ? undefined : asElement(made[next(made.length)]!, type);
        data[row * width + column] = value ?? given[(row % like.rows) * width + column];
      }
    }
    feeds.set(name, { type, dims: rank === 1 ? [rows] : [rows, width], data: data as unknown as Tensor['data'] });
  }
  return { rows, paddedRows: rows, feeds };
}

/** What a column could hold so that a mistake shows, by column and input. */
function candidatesOf({ graph }: TreesModel, isFinite: boolean): ReadonlyMap<string, readonly number[]> {
  const candidates = new Map<string, Set<number>>();
  for (const { ensemble, source } of graph.ensembles) {
    if (source.kind !== 'columns') continue;
    const { mode, feature, threshold } = ensemble.nodes;
    for (let node = 0; node < mode.length; node += 1) {
      if (mode[node] === MODE.leaf) continue;
      const { input, column } = source.columns[feature[node]!]!;
      const key = `${column} ${input}`;
      let values = candidates.get(key);
      if (values === undefined) {
        values = new Set([NaN, Infinity, -Infinity, 0, -0]);
        candidates.set(key, values);
      }
      const t = threshold[node]!;
      values.add(t).add(floatBelow(t, ensemble.precision)).add(floatAbove(t, ensemble.precision));
    }
  }
  const wanted = (value: number): boolean => !isFinite || Number.isFinite(value);
  return new Map([...candidates].map(([key, values]) => [key, [...values].filter(wanted)]));
}

/** Bounds of the integers, as far as a double holds them. */
const RANGES: Partial<Record<ElementType, readonly [least: number, most: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-2_147_483_648, 2_147_483_647],
  uint32: [0, 4_294_967_295],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
};

/** The value as an input holds it; undefined where it cannot. */
function asElement(value: number, type: ElementType): number | bigint | undefined {
  if (type === 'float32' || type === 'float64') return value;
  const [least, most] = RANGES[type] ?? [NaN, NaN];
  const whole = Math.floor(value);
  if (!(whole >= least && whole <= most)) return undefined;
  return type === 'int64' || type === 'uint64' ? BigInt(whole) : whole;
}
