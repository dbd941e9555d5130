/**
 * A tree ensemble in one form, whichever operator of `ai.onnx.ml` it came from: `TreeEnsembleClassifier`,
 * `TreeEnsembleRegressor`, or `TreeEnsemble` of version 5, which replaces both.
 * (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html and its neighbours.)
 *
 * Nodes of all trees lie in arrays side by side. What a node asks of a row is `x ∘ threshold`, and its `true` child is where
 * rows go for which that holds.
 */

import type { Precision } from './floats.js';

/** What an inner node asks, as `x ∘ threshold`; `leaf` asks nothing. A NaN fulfils only `neq`, unless the node says so. */
export const MODE = { leaf: 0, leq: 1, lt: 2, gte: 3, gt: 4, eq: 5, neq: 6 } as const;

/** One of {@link MODE}. */
export type Mode = (typeof MODE)[keyof typeof MODE];

/** How the weights that the trees give a target become its score, before the base values are added. */
export type Aggregate = 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';

/** What is done to the scores of a row, the base values added. */
export type PostTransform = 'NONE' | 'LOGISTIC' | 'SOFTMAX' | 'SOFTMAX_ZERO' | 'PROBIT';

/** The nodes of all trees, by node; children are positions in these arrays and may be shared. */
export interface TreeNodes {
  readonly mode: Uint8Array;
  /** Column of the matrix X that is compared; 0 for leaves. */
  readonly feature: Int32Array;
  /** Exact in the ensemble's `precision`; 0 for leaves. */
  readonly threshold: Float64Array;
  /** 1 where NaN goes to the true child, whatever the mode. */
  readonly missingTrue: Uint8Array;
  readonly trueChild: Int32Array;
  readonly falseChild: Int32Array;
  /** Leaves: their weights are `[firstWeight[node], firstWeight[node + 1])` of the ensemble's. */
  readonly firstWeight: Int32Array;
}

/** The class labels of a classifier, in the order of its scores. */
export type Labels =
  | { readonly type: 'int64'; readonly values: readonly bigint[] }
  | { readonly type: 'string'; readonly values: readonly string[] };

/** A tree ensemble. */
export interface Ensemble {
  /** What the operator compares thresholds in, and adds weights in: that of its input, float32 for integers. */
  readonly precision: Precision;
  /** Width of X at least: the greatest column that a node reads, and one. */
  readonly width: number;
  /** The first node of each tree, in the order in which their weights are added. */
  readonly roots: Int32Array;
  readonly nodes: TreeNodes;
  /** By weight: the target that it is added to, and what is added. */
  readonly weightTarget: Int32Array;
  readonly weight: Float64Array;
  /** Targets of a regressor; columns of scores that the trees of a classifier give weights to. */
  readonly targets: number;
  /** By target; empty where there are none. */
  readonly base: Float64Array;
  readonly aggregate: Aggregate;
  readonly postTransform: PostTransform;
  /** Of a classifier. */
  readonly labels?: Labels;
}

/** Why an ensemble cannot be scored by the kernel; the message goes on from "the tree ensemble …". */
export class UnsupportedEnsemble extends Error {
  override readonly name = 'UnsupportedEnsemble';
}
