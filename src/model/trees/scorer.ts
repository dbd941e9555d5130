/** Scores batches of rows by a tree ensemble, with the kernel. */
import { finisherOf, type Finisher } from './finish.js';
import type { Ensemble, Labels } from './ensemble.js';
import { instantiateKernel, type Kernel } from './kernel.js';
import { BLOCK, layOut, type Layout } from './layout.js';

/** What an ensemble gives for a batch. */
export interface TreeScores {
  /** Row-major, {@link TreeScorer.scoreWidth} for each row. */
  readonly scores: Float32Array;
  /** Of classifiers: one for each row. */
  readonly labels?: BigInt64Array | string[];
}

/** The kernel's numbers for how weights are put together; an average is a sum until the end. */
const HOW = { SUM: 0, AVERAGE: 0, MIN: 1, MAX: 2 } as const;

/**
 * An ensemble, ready to score. Write the values of a batch's rows into its columns, then score them.
 *
 * Memory: its tables, and for each row of a batch the values of the features that it asks for and the sums of its targets.
 */
export class TreeScorer {
  /** Features that the trees ask for, ascending. The others need not be given. */
  readonly features: readonly number[];
  /** Columns of the scores: the targets of a regressor, the classes of a classifier. */
  readonly scoreWidth: number;
  readonly #ensemble: Ensemble;
  readonly #maxRows: number;
  readonly #layout: Layout;
  readonly #kernel: Kernel;
  readonly #finisher: Finisher;
  readonly #columns: ReadonlyMap<number, Float32Array | Float64Array>;
  readonly #sums: Float32Array | Float64Array;
  readonly #winners: Int32Array;

  private constructor(ensemble: Ensemble, maxRows: number) {
    this.#ensemble = ensemble;
    this.#maxRows = maxRows;
    const layout = layOut(ensemble, maxRows);
    const { buffer } = layout.memory;
    const rows = Math.ceil(maxRows / BLOCK) * BLOCK;
    const Numbers = ensemble.precision === 'float32' ? Float32Array : Float64Array;
    this.#layout = layout;
    this.#kernel = instantiateKernel(layout.memory);
    const pairs = new Float32Array(buffer, layout.pairs, BLOCK * 2);
    this.#finisher = finisherOf(ensemble, (sums, base) => {
      this.#kernel.logistic(sums.byteOffset, base, BLOCK, layout.pairs);
      return pairs;
    });
    this.#columns = new Map([...layout.columns].map(([feature, at]) => [feature, new Numbers(buffer, at, maxRows)]));
    this.#sums = new Numbers(buffer, layout.scores, rows * ensemble.targets);
    this.#winners = new Int32Array(ensemble.labels === undefined ? 0 : rows);
    this.features = [...layout.columns.keys()];
    this.scoreWidth = this.#finisher.width;
  }

  /**
   * Lays an ensemble out for the kernel.
   *
   * @param maxRows rows that a batch has at most
   * @throws UnsupportedEnsemble
   */
  static create(ensemble: Ensemble, maxRows: number): TreeScorer {
    return new TreeScorer(ensemble, maxRows);
  }

  /** Where the values of a feature go, row by row: memory of the kernel, the same for every batch. */
  column(feature: number): Float32Array | Float64Array {
    const column = this.#columns.get(feature);
    if (column === undefined) throw new RangeError(`the trees do not ask for feature ${feature}`);
    return column;
  }

  /** Scores the first `rows` rows of the columns. */
  score(rows: number): TreeScores {
    const { targets, aggregate, labels } = this.#ensemble;
    if (rows > this.#maxRows) throw new RangeError(`${rows} rows in a batch of at most ${this.#maxRows}`);
    const blocks = Math.ceil(rows / BLOCK);
    // What nothing was added to stays told from zero.
    this.#sums.fill(HOW[aggregate] === HOW.SUM ? -0 : NaN, 0, blocks * BLOCK * targets);
    for (const chunk of this.#layout.chunks) this.#pass(chunk, blocks * BLOCK);
    const scores = new Float32Array(rows * this.scoreWidth);
    for (let block = 0; block < blocks; block += 1) {
      const first = block * BLOCK;
      const sums = this.#sums.subarray(first * targets, (first + BLOCK) * targets);
      this.#finisher.finish(sums, Math.min(BLOCK, rows - first), scores, this.#winners, first);
    }
    return labels === undefined ? { scores } : { scores, labels: this.#labelsOf(labels, rows) };
  }

  #labelsOf(labels: Labels, rows: number): BigInt64Array | string[] {
    const winners = this.#winners;
    if (labels.type === 'string') return Array.from({ length: rows }, (_, row) => labels.values[winners[row]!]!);
    // In halves: a bigint would be made for every row.
    const halves = new Int32Array(BigInt64Array.from(labels.values).buffer);
    const won = new Int32Array(rows * 2);
    for (let row = 0; row < rows; row += 1) {
      const winner = winners[row]! * 2;
      won[row * 2] = halves[winner]!;
      won[row * 2 + 1] = halves[winner + 1]!;
    }
    return new BigInt64Array(won.buffer);
  }

  #pass(chunk: Layout['chunks'][number], rows: number): void {
    const { targets, aggregate, precision } = this.#ensemble;
    const { scores, scratch } = this.#layout;
    const { score32, score64 } = this.#kernel;
    const pass = precision === 'float32' ? score32 : score64;
    pass(
      rows,
      chunk.rankColumns,
      chunk.rankColumnCount,
      chunk.valueColumns,
      chunk.valueColumnCount,
      chunk.values,
      chunk.trees,
      chunk.treeCount,
      scores,
      targets,
      HOW[aggregate],
      scratch,
    );
  }
}
