/**
 * Follows the matrix that an ensemble reads back to the inputs of the graph, column by column, through operators that work
 * on each column by itself and whose steps are monotone.
 */
import type { ElementType } from '../../plan/facts.js';
import { elementTypeOf } from '../element-types.js';
import type { GraphProto, NodeProto } from '../onnx_pb.js';
import { isTotal, type Step, type TracedColumn } from './column-function.js';
import { attributeOf, isOnnx, isOnnxMl, type Constant, type Constants } from './constants.js';
import type { Precision } from './floats.js';
import { NotFoldable } from './fold.js';

/** An input of the graph as it is fed. */
export interface GraphInput {
  readonly name: string;
  readonly type: ElementType;
  readonly rank: number;
  /** Values of a row; absent where the graph leaves it open. */
  readonly width?: number;
}

/** A value of the graph with a row for each row of the batch. */
interface Matrix {
  readonly type: ElementType;
  /** 1: `[N]`; 2: `[N, width]`. */
  readonly rank: 1 | 2;
  /** Undefined where it is open. */
  readonly width: number | undefined;
  /** @param at at least 0, and less than the width where that is known */
  readonly column: (at: number) => TracedColumn;
}

/** Integers that are whole float32s, and so also float64s. */
const SMALL_INTEGERS: ReadonlySet<ElementType> = new Set(['int8', 'uint8', 'int16', 'uint16', 'bool']);

/** Bits of integers, sign apart: what a type holds of another. */
const INTEGER_BITS: Partial<Record<ElementType, { readonly bits: number; readonly signed: boolean }>> = {
  bool: { bits: 1, signed: false },
  uint8: { bits: 8, signed: false },
  int8: { bits: 7, signed: true },
  uint16: { bits: 16, signed: false },
  int16: { bits: 15, signed: true },
  uint32: { bits: 32, signed: false },
  int32: { bits: 31, signed: true },
  uint64: { bits: 64, signed: false },
  int64: { bits: 63, signed: true },
};

/** The step of a conversion to float32, which is the first one for inputs of other types. */
const TO_FLOAT32: Step = Math.fround;
/** A conversion to float64: what it is given is one already. */
const TO_FLOAT64: Step = (x) => x;

/** Follows values of one graph. */
export class Tracer {
  readonly #producers: ReadonlyMap<string, NodeProto>;
  readonly #constants: Constants;
  readonly #inputs: ReadonlyMap<string, GraphInput>;
  /** Operators that were passed on the way. */
  readonly passed = new Set<string>();

  constructor(graph: GraphProto, constants: Constants, inputs: readonly GraphInput[]) {
    this.#producers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
    this.#constants = constants;
    this.#inputs = new Map(inputs.map((input) => [input.name, input]));
  }

  /**
   * Where the columns of a matrix come from, as steps that begin with a float of the precision: what an input holds is
   * converted to that when it is fed.
   *
   * @returns a function that gives the column at a position; it throws NotFoldable where that one cannot be followed
   * @throws NotFoldable where none can
   */
  columnsOf(name: string, precision: Precision): (at: number) => TracedColumn {
    const matrix = this.#trace(name);
    if (matrix.rank !== 2) throw new NotFoldable('it is no matrix');
    return (at) => {
      if (matrix.width !== undefined && at >= matrix.width)
        throw new NotFoldable(`its width is ${matrix.width}, and the trees read value ${at} of a row`);
      const traced = matrix.column(at);
      const { type } = this.#inputs.get(traced.input)!;
      const steps = stepsFromFloat(traced, type, precision).filter((step) => step !== TO_FLOAT64);
      // The comparison converts what is of another type to its own.
      if (precision === 'float32' && matrix.type !== 'float32' && steps.length > 0) steps.push(TO_FLOAT32);
      if (!isTotal(steps)) throw new NotFoldable('a step gives NaN for an infinity');
      return { ...traced, steps };
    };
  }

  #trace(name: string): Matrix {
    const input = this.#inputs.get(name);
    if (input !== undefined) return fromInput(input);
    const node = this.#producers.get(name);
    if (node === undefined) throw new NotFoldable(`${name} is a constant`);
    const matrix = this.#through(node);
    this.passed.add(node.opType);
    return matrix;
  }

  #through(node: NodeProto): Matrix {
    const [first = '', second = ''] = node.input;
    if (isOnnx(node, 'Identity')) return this.#trace(first);
    if (isOnnx(node, 'Cast')) return cast(this.#trace(first), node);
    if (isOnnx(node, 'Concat'))
      return concat(
        node,
        node.input.map((name) => this.#trace(name)),
      );
    if (isOnnx(node, 'Reshape')) return reshape(this.#trace(first), this.#constants.get(second));
    if (isOnnx(node, 'Flatten')) return flatten(this.#trace(first), node);
    if (isOnnx(node, 'Gather')) return gather(this.#trace(first), this.#constants.get(second), node);
    if (isOnnxMl(node, 'ArrayFeatureExtractor')) return pick(this.#trace(first), this.#constants.get(second));
    if (isOnnxMl(node, 'Scaler')) return scale(this.#trace(first), node);
    if (isOnnxMl(node, 'Imputer')) return impute(this.#trace(first), node);
    for (const operator of ['Add', 'Sub', 'Mul', 'Div'] as const) {
      if (!isOnnx(node, operator)) continue;
      const constant = this.#constants.get(second);
      if (constant !== undefined) return arithmetic(operator, this.#trace(first), constant, false);
      const reversed = this.#constants.get(first);
      if (reversed !== undefined) return arithmetic(operator, this.#trace(second), reversed, true);
      throw new NotFoldable(`${operator} computes with two columns`);
    }
    throw new NotFoldable(`${node.opType} makes other columns`);
  }
}

function fromInput({ name, type, rank, width }: GraphInput): Matrix {
  if (type === 'string') throw new NotFoldable(`${name} holds texts`);
  if (rank !== 1 && rank !== 2) throw new NotFoldable(`${name} has rank ${rank}`);
  return { type, rank, width: rank === 1 ? 1 : width, column: (column) => ({ input: name, column, steps: [] }) };
}

/** Steps that begin with a float of the precision, into which the input's values are converted. */
function stepsFromFloat({ steps }: TracedColumn, type: ElementType, precision: Precision): readonly Step[] {
  if (precision === 'float32') {
    if (type === 'float32' || SMALL_INTEGERS.has(type) || steps.length === 0) return steps;
    if (steps[0] === TO_FLOAT32) return steps.slice(1);
    throw new NotFoldable(`${type} is computed with before it becomes float32`);
  }
  if (type !== 'int64' && type !== 'uint64') return steps;
  if (steps.length === 0 || steps[0] === TO_FLOAT64) return steps;
  throw new NotFoldable(`${type} is computed with before it becomes float64`);
}

function isFloat(type: ElementType): type is Precision {
  return type === 'float32' || type === 'float64';
}

/** The matrix with a step behind each column, of which none may be where `stepOf` throws. */
function withStep(matrix: Matrix, type: ElementType, stepOf: (at: number) => Step | undefined): Matrix {
  return {
    ...matrix,
    type,
    column: (at) => {
      const column = matrix.column(at);
      const step = stepOf(at);
      return step === undefined ? column : { ...column, steps: [...column.steps, step] };
    },
  };
}

function cast(matrix: Matrix, node: NodeProto): Matrix {
  const to = elementTypeOf(Number(attributeOf(node, 'to')?.i ?? 0n));
  if (to === matrix.type) return matrix;
  if (to === 'float32') return withStep(matrix, to, () => TO_FLOAT32);
  if (to === 'float64') return withStep(matrix, to, () => TO_FLOAT64);
  const [from, into] = [INTEGER_BITS[matrix.type], to === undefined ? undefined : INTEGER_BITS[to]];
  const holds =
    from !== undefined &&
    into !== undefined &&
    into.bits >= from.bits &&
    (into.signed || !from.signed) &&
    to !== 'bool';
  if (!holds) throw new NotFoldable(`Cast from ${matrix.type} to ${to ?? 'another type'} loses values`);
  return { ...matrix, type: to! };
}

function concat(node: NodeProto, parts: readonly Matrix[]): Matrix {
  const axis = Number(attributeOf(node, 'axis')?.i ?? 0n);
  const [first] = parts;
  if (first === undefined || parts.some(({ rank }) => rank !== 2) || (axis !== 1 && axis !== -1))
    throw new NotFoldable('Concat does not put columns side by side');
  if (parts.slice(0, -1).some(({ width }) => width === undefined))
    throw new NotFoldable('Concat has parts whose width is open');
  const lastWidth = parts.at(-1)!.width;
  const before = parts.map((_, i) => parts.slice(0, i).reduce((sum, { width = 0 }) => sum + width, 0));
  return {
    type: first.type,
    rank: 2,
    width: lastWidth === undefined ? undefined : before.at(-1)! + lastWidth,
    column: (at) => {
      const part = before.findLastIndex((start) => start <= at);
      return parts[part]!.column(at - before[part]!);
    },
  };
}

/** Only shapes that leave every row as it is. */
function reshape(matrix: Matrix, shape: Constant | undefined): Matrix {
  const [rows, width] = shape?.values ?? [];
  const keeps =
    shape?.values.length === 2 &&
    matrix.width !== undefined &&
    ((rows === -1 && width === matrix.width) ||
      (rows === 0 && (width === matrix.width || (width === -1 && matrix.rank === 2))));
  if (!keeps) throw new NotFoldable('Reshape makes other rows');
  return { ...matrix, rank: 2 };
}

function flatten(matrix: Matrix, node: NodeProto): Matrix {
  if (Number(attributeOf(node, 'axis')?.i ?? 1n) !== 1) throw new NotFoldable('Flatten makes other rows');
  return { ...matrix, rank: 2 };
}

function gather(matrix: Matrix, indices: Constant | undefined, node: NodeProto): Matrix {
  const axis = Number(attributeOf(node, 'axis')?.i ?? 0n);
  if (indices?.dims.length !== 1 || matrix.rank !== 2 || (axis !== 1 && axis !== -1))
    throw new NotFoldable('Gather does not pick columns');
  return picked(matrix, indices.values);
}

function pick(matrix: Matrix, indices: Constant | undefined): Matrix {
  if (indices === undefined || matrix.rank !== 2) throw new NotFoldable('ArrayFeatureExtractor does not pick columns');
  return picked(matrix, indices.values);
}

function picked(matrix: Matrix, indices: readonly number[]): Matrix {
  const { width } = matrix;
  const at = indices.map((index) => (index < 0 && width !== undefined ? index + width : index));
  if (at.some((index) => index < 0 || (width !== undefined && index >= width)))
    throw new NotFoldable('columns are picked that are not there');
  return { ...matrix, width: at.length, column: (i) => matrix.column(at[i]!) };
}

/** The value of a list attribute for a column: one for each, or one for all. */
function perColumn(values: readonly number[] | undefined, at: number): number | undefined {
  return values?.length === 1 ? values[0] : values?.[at];
}

/** `(x - offset) * scale`, both rounded to float32. (https://onnx.ai/onnx/operators/onnx_aionnxml_Scaler.html) */
function scale(matrix: Matrix, node: NodeProto): Matrix {
  if (matrix.type !== 'float32' || matrix.rank !== 2) throw new NotFoldable(`Scaler is given ${matrix.type}`);
  const offsets = attributeOf(node, 'offset')?.floats;
  const scales = attributeOf(node, 'scale')?.floats;
  return withStep(matrix, 'float32', (at) => {
    const offset = perColumn(offsets, at);
    const factor = perColumn(scales, at);
    if (offset === undefined || factor === undefined) throw new NotFoldable('Scaler has no numbers for a column');
    const [a, b] = [Math.fround(offset), Math.fround(factor)];
    checkFactor(b);
    return (x) => Math.fround(Math.fround(x - a) * b);
  });
}

/** NaN becomes a number. (https://onnx.ai/onnx/operators/onnx_aionnxml_Imputer.html) */
function impute(matrix: Matrix, node: NodeProto): Matrix {
  const replaced = attributeOf(node, 'replaced_value_float')?.f;
  const values = attributeOf(node, 'imputed_value_floats')?.floats;
  if (!isFloat(matrix.type) || matrix.rank !== 2 || replaced === undefined || !Number.isNaN(replaced))
    throw new NotFoldable('Imputer replaces a number');
  return withStep(matrix, matrix.type, (at) => {
    const value = perColumn(values, at);
    if (value === undefined) throw new NotFoldable('Imputer has no value for a column');
    const imputed = Math.fround(value);
    return (x) => (Number.isNaN(x) ? imputed : x);
  });
}

function arithmetic(
  operator: 'Add' | 'Sub' | 'Mul' | 'Div',
  matrix: Matrix,
  constant: Constant,
  constantFirst: boolean,
): Matrix {
  const { type, rank, width } = matrix;
  if (!isFloat(type)) throw new NotFoldable(`${operator} is given ${type}`);
  const { dims, values } = constant;
  // One number for all columns, or one for each, which the last dimension is then; more would be other numbers for each row.
  const fits = dims.length <= rank && (values.length === 1 || (rank === 2 && values.length === dims.at(-1)));
  if (!fits || (values.length > 1 && values.length !== width))
    throw new NotFoldable(`${operator} does not compute with one constant a column`);
  if (constantFirst && operator === 'Div') throw new NotFoldable('Div divides by a column');
  const round = type === 'float32' ? Math.fround : (x: number): number => x;
  return withStep(matrix, type, (at) => {
    const c = perColumn(values, at);
    if (c === undefined || !Number.isFinite(c)) throw new NotFoldable(`${operator} has no number for a column`);
    switch (operator) {
      case 'Add':
        return (x) => round(x + c);
      case 'Sub':
        return constantFirst ? (x) => round(c - x) : (x) => round(x - c);
      case 'Mul':
        checkFactor(c);
        return (x) => round(x * c);
      case 'Div':
        checkFactor(c);
        return (x) => round(x / c);
    }
  });
}

/** Zero makes NaN of an infinity; so does an infinity of zero. */
function checkFactor(factor: number): void {
  if (factor === 0 || !Number.isFinite(factor)) throw new NotFoldable(`a column is multiplied or divided by ${factor}`);
}
