/**
 * Tree ensembles scored as slowly and plainly as the ONNX specification has them: what the kernel is held against. Follows
 * ONNX Runtime where the specification leaves something open (which label two classes with one score get).
 */
import { type Ensemble } from '../../src/model/trees/ensemble.js';
export interface ReferenceScores {
    /** Row-major, `[rows, scoreWidth]`. */
    readonly scores: Float32Array;
    readonly labels?: BigInt64Array | string[];
}
/** Columns of the scores: of two classes with one score there are two. */
export declare function scoreWidthOf({ targets, labels }: Ensemble): number;
/** @param valueAt the value of a feature in a row */
export declare function referenceScores(ensemble: Ensemble, rows: number, valueAt: (row: number, feature: number) => number): ReferenceScores;
/** The leaf that a row reaches. */
export declare function leafOf({ nodes }: Ensemble, root: number, valueOf: (feature: number) => number): number;
