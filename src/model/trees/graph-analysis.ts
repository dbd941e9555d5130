/**
 * Finds the tree ensembles of a graph, and what is around them:
 *
 * - what comes before is folded into the trees where it works on each column by itself; where it does not, ONNX Runtime runs
 *   it (the prefix), and the trees read the matrix that it gives;
 * - what comes behind is left out where it changes nothing; where it does, ONNX Runtime runs it on what the trees give (the
 *   suffix).
 *
 * Of ensembles that read from each other (stacking) the first ones are taken, the others are part of the suffix.
 */
import type { ElementType } from '../../plan/facts.js';
import { counted } from '../../plan/quantities.js';
import { elementTypeOf } from '../element-types.js';
import { TREE_OPERATORS } from '../feature-ids.js';
import type { DeclaredTensor } from '../graph.js';
import type { ParsedModel } from '../model-file.js';
import { TensorProto_DataType as OnnxType, type GraphProto, type NodeProto } from '../onnx_pb.js';
import { attributeOf, Constants, isOnnx, isOnnxMl } from './constants.js';
import { nodesBefore, partOf, producersOf, valuesRead, type CutValue, type GraphPart } from './cut.js';
import { UnsupportedEnsemble, type Ensemble } from './ensemble.js';
import { foldEnsemble, NotFoldable, type RawColumn } from './fold.js';
import { readEnsemble } from './read.js';
import { Tracer, type GraphInput } from './trace.js';

/** Where the features of an ensemble come from. */
export type FeatureSource =
  /** Columns of the graph's inputs; features are positions in these. */
  | { readonly kind: 'columns'; readonly columns: readonly RawColumn[] }
  /** A matrix that the prefix gives; features are positions in its rows. */
  | { readonly kind: 'matrix'; readonly name: string };

/** A tree ensemble of a graph. */
export interface PlacedEnsemble {
  readonly ensemble: Ensemble;
  readonly source: FeatureSource;
  /** Names of the values that it makes; a regressor makes no labels. */
  readonly labels?: string;
  readonly scores: string;
}

/** A graph as the trees engine scores it. */
export interface TreesGraph {
  /** At least one. */
  readonly ensembles: readonly PlacedEnsemble[];
  /** What ONNX Runtime runs before the trees. */
  readonly prefix?: GraphPart;
  /** What ONNX Runtime runs behind them. */
  readonly suffix?: GraphPart;
  /** Values of ensembles by the outputs of the graph that they are. */
  readonly direct: ReadonlyMap<string, string>;
  /** Operators that were folded into the trees, each once. */
  readonly folded: readonly string[];
  /** Why a prefix is needed, in words. */
  readonly notFolded?: string;
}

/** What is analysed: a parsed model after the edits at its borders. */
export interface AnalysedModel {
  readonly proto: ParsedModel;
  readonly inputs: readonly DeclaredTensor[];
}

/**
 * @param outputs the outputs of the graph that are wanted
 * @returns a text where the engine cannot score it: why, going on from "the model …"
 */
export function analyseGraph({ proto, inputs }: AnalysedModel, outputs: readonly string[]): TreesGraph | string {
  const { graph } = proto;
  const constants = new Constants(graph);
  const types = new ElementTypes(graph, inputs);
  const tracer = new Tracer(graph, constants, inputs.map(graphInput));
  const needed = nodesBefore(graph, outputs, () => false);
  const ensembles: PlacedEnsemble[] = [];
  /** Values that are computed from those of ensembles. */
  const behind = new Set<string>();
  let refused: string | undefined;
  let notFolded: string | undefined;
  for (const node of graph.node) {
    if (!needed.has(node)) continue;
    if (valuesRead(node).some((name) => behind.has(name))) {
      for (const name of node.output) behind.add(name);
      continue;
    }
    if (node.domain !== 'ai.onnx.ml' || !TREE_OPERATORS.has(node.opType)) continue;
    const x = node.input[0]!;
    const type = types.of(x);
    if (type === undefined) {
      refused ??= `does not tell the type of ${x}, which its trees read`;
      continue;
    }
    let ensemble: Ensemble;
    try {
      ensemble = readEnsemble(node, type);
    } catch (error) {
      if (!(error instanceof UnsupportedEnsemble)) throw error;
      refused ??= `has a tree ensemble that ${error.message}`;
      continue;
    }
    const isClassifier = node.opType === 'TreeEnsembleClassifier';
    const scores = node.output[isClassifier ? 1 : 0] ?? '';
    const labels = isClassifier ? (node.output[0] ?? '') : '';
    const placed = { scores, ...(labels === '' ? {} : { labels }) };
    try {
      const folded = foldEnsemble(ensemble, tracer.columnsOf(x, ensemble.precision));
      ensembles.push({ ensemble: folded.ensemble, source: { kind: 'columns', columns: folded.columns }, ...placed });
    } catch (error) {
      if (!(error instanceof NotFoldable)) throw error;
      notFolded ??= error.message;
      ensembles.push({ ensemble, source: { kind: 'matrix', name: x }, ...placed });
    }
    for (const name of node.output) behind.add(name);
  }
  if (ensembles.length === 0) return refused ?? 'has no tree ensemble';

  const matrices = [...new Set(ensembles.flatMap(({ source }) => (source.kind === 'matrix' ? [source.name] : [])))];
  const isInput = (name: string): boolean => inputs.some((input) => input.name === name);
  // A matrix that is an input needs nothing before it.
  const computed = matrices.filter((name) => !isInput(name));
  const producers = producersOf(graph);
  const values = new Set(
    ensembles.flatMap(({ labels, scores }) => (labels === undefined ? [scores] : [labels, scores])),
  );
  const direct = new Map<string, string>();
  for (const output of outputs) {
    const value = sameValue(output, { producers, constants, types, values });
    if (value !== undefined) direct.set(output, value);
  }
  const others = outputs.filter((name) => !direct.has(name));
  const cuts: CutValue[] = [
    ...ensembles.flatMap(({ ensemble, labels, scores }): CutValue[] => [
      { name: scores, onnxType: OnnxType.FLOAT, rank: 2 },
      ...(labels === undefined ? [] : [{ name: labels, onnxType: labelType(ensemble), rank: 1 }]),
    ]),
    ...computed.map((name) => ({ name, onnxType: onnxType(types.of(name)!), rank: 2 })),
  ];
  return {
    ensembles,
    ...(computed.length === 0 ? {} : { prefix: partOf(proto, computed, []) }),
    ...(others.length === 0 ? {} : { suffix: partOf(proto, others, cuts) }),
    direct,
    folded: ensembles.some(({ source }) => source.kind === 'columns')
      ? [...tracer.passed].filter((name) => name !== 'Identity').sort()
      : [],
    ...(notFolded === undefined || computed.length === 0 ? {} : { notFolded }),
  };
}

/** What is computed where, in words. */
export function graphInWords({ ensembles, prefix, suffix, folded, notFolded }: TreesGraph): string[] {
  const sum = (of: (ensemble: Ensemble) => number): number =>
    ensembles.reduce((total, { ensemble }) => total + of(ensemble), 0);
  const trees = sum(({ roots }) => roots.length);
  const nodes = sum(({ nodes: { mode } }) => mode.length);
  const several = ensembles.length === 1 ? '' : ` in ${counted(ensembles.length, 'ensemble')}`;
  return [
    `${counted(trees, 'tree')} with ${counted(nodes, 'node')}${several}`,
    ...(folded.length === 0 ? [] : [`folded into the trees: ${folded.join(', ')}`]),
    ...(prefix === undefined
      ? []
      : [
          `before them by ONNX Runtime: ${prefix.operators.join(', ')}${notFolded === undefined ? '' : ` (${notFolded})`}`,
        ]),
    ...(suffix === undefined ? [] : [`behind them by ONNX Runtime: ${suffix.operators.join(', ')}`]),
  ];
}

function graphInput({ name, type, shape = [null, null] }: DeclaredTensor): GraphInput {
  const width = shape[1];
  return { name, type, rank: shape.length, ...(typeof width === 'number' ? { width } : {}) };
}

function labelType({ labels }: Ensemble): number {
  return labels?.type === 'string' ? OnnxType.STRING : OnnxType.INT64;
}

/** What is known of the values of a graph. */
interface KnownValues {
  readonly producers: ReadonlyMap<string, NodeProto>;
  readonly constants: Constants;
  readonly types: ElementTypes;
  /** Those of ensembles. */
  readonly values: ReadonlySet<string>;
}

/** The value of an ensemble that an output is under another name, also where it is multiplied by one (LightGBM's exporter). */
function sameValue(output: string, { producers, constants, types, values }: KnownValues): string | undefined {
  for (let name = output; ;) {
    if (values.has(name)) return name;
    const node = producers.get(name);
    if (node === undefined) return undefined;
    const [first = '', second = ''] = node.input;
    if (isOnnx(node, 'Identity')) name = first;
    else if (isOnnx(node, 'Cast') && types.of(first) === castTo(node)) name = first;
    else if (isOnnx(node, 'Mul') && isOne(constants, second)) name = first;
    else if (isOnnx(node, 'Mul') && isOne(constants, first)) name = second;
    else return undefined;
  }
}

/** A scalar, or a vector of one number, which changes no shape either. */
function isOne(constants: Constants, name: string): boolean {
  const constant = constants.get(name);
  return (
    constant !== undefined && constant.dims.length <= 1 && constant.values.length === 1 && constant.values[0] === 1
  );
}

function castTo(node: NodeProto): ElementType | undefined {
  return elementTypeOf(Number(attributeOf(node, 'to')?.i ?? 0n));
}

const ONNX_TYPES: ReadonlyMap<ElementType, number> = new Map(
  Object.values(OnnxType)
    .filter((code) => typeof code === 'number')
    .flatMap((code) => {
      const type = elementTypeOf(code);
      return type === undefined ? [] : [[type, code] as const];
    }),
);

function onnxType(type: ElementType): number {
  return ONNX_TYPES.get(type)!;
}

/** Operators that give the type of their first input. */
const KEEP_TYPE: ReadonlySet<string> = new Set(
  'Abs Add ArrayFeatureExtractor Binarizer Clip Concat Div Exp Flatten Gather Gemm Identity Imputer Log MatMul Max Min Mul Neg Pow ReduceSum ReduceMean Relu Reshape Sigmoid Slice Softmax Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze'.split(
    ' ',
  ),
);

/** Operators of `ai.onnx.ml` that give float32 whatever they are given. */
const GIVE_FLOAT32: ReadonlySet<string> = new Set(['FeatureVectorizer', 'Normalizer', 'OneHotEncoder', 'Scaler']);

/** Element types of the values of a graph, as far as they are declared or follow from a common operator. */
class ElementTypes {
  readonly #known = new Map<string, ElementType | undefined>();
  readonly #producers: ReadonlyMap<string, NodeProto>;

  constructor(graph: GraphProto, inputs: readonly DeclaredTensor[]) {
    this.#producers = producersOf(graph);
    for (const { name, dataType } of graph.initializer) this.#known.set(name, elementTypeOf(dataType));
    for (const { name, type } of graph.valueInfo)
      if (type?.value.case === 'tensorType') this.#known.set(name, elementTypeOf(type.value.value.elemType));
    for (const { name, type } of inputs) this.#known.set(name, type);
  }

  of(name: string): ElementType | undefined {
    if (this.#known.has(name)) return this.#known.get(name);
    // A graph has no circles; a file that claims one must not end the program.
    this.#known.set(name, undefined);
    const node = this.#producers.get(name);
    const type = node === undefined ? undefined : this.#made(node, name);
    this.#known.set(name, type);
    return type;
  }

  #made(node: NodeProto, name: string): ElementType | undefined {
    if (isOnnx(node, 'Cast')) return castTo(node);
    if (isOnnx(node, 'Constant')) return elementTypeOf(attributeOf(node, 'value')?.t?.dataType ?? 0);
    if (GIVE_FLOAT32.has(node.opType)) return 'float32';
    if (isOnnxMl(node, 'TreeEnsembleClassifier')) {
      if (name === node.output[1]) return 'float32';
      return attributeOf(node, 'classlabels_strings')?.strings.length ? 'string' : 'int64';
    }
    if (isOnnxMl(node, 'TreeEnsembleRegressor')) return 'float32';
    return KEEP_TYPE.has(node.opType) ? this.of(node.input[0] ?? '') : undefined;
  }
}
