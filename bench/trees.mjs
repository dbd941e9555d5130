/**
 * The tree kernel and ONNX Runtime on the same rows, one thread each, in turns and without anything around them:
 *
 *   node bench/trees.mjs MODEL.onnx…
 *
 * Each model has one input of ten float features and one tree ensemble. Prints a JSON list with the seconds for five million
 * rows, medians, and the greatest difference of a score. The kernel is given columns and ONNX Runtime packed rows: what each
 * takes. Ends with an error where a label differs, or a score by more than 1e-6.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { TREE_OPERATORS } from '../dist/model/feature-ids.js';
import { ModelProtoSchema } from '../dist/model/onnx_pb.js';
import { openModel } from '../dist/model/session.js';
import { readEnsemble } from '../dist/model/trees/read.js';
import { TreeScorer } from '../dist/model/trees/scorer.js';
import { median } from './report.mjs';

const FEATURES = 10;
const BATCH = 16_384;
const ROWS = 5_000_000;
const ROUNDS = 7;
/** Runs before the clock starts: the engine's compiler has to see that the kernel is busy. */
const WARM_UP = 10;

/** Seconds for all rows. @param {() => void} run */
function timed(run) {
  const start = performance.now();
  run();
  return ((performance.now() - start) / 1000 / BATCH) * ROWS;
}

const results = [];
for (const file of process.argv.slice(2)) {
  const { graph } = fromBinary(ModelProtoSchema, readFileSync(file));
  const node = graph?.node.find(({ opType }) => TREE_OPERATORS.has(opType));
  if (node === undefined) throw new Error(`${file} has no tree ensemble`);
  const scorer = TreeScorer.create(readEnsemble(node, 'float32'), BATCH);
  const model = await openModel(file);

  // The same every time: a generator of Lehmer's, in [-2, 2) as the features of the tables.
  const data = new Float32Array(BATCH * FEATURES);
  let state = 1;
  for (let i = 0; i < data.length; i += 1) {
    state = (state * 48271) % 2147483647;
    data[i] = (state / 2147483647) * 4 - 2;
  }
  const [input] = model.signature.inputs;
  const feeds = new Map([[input.name, { type: 'float32', dims: [BATCH, FEATURES], data }]]);
  for (const feature of scorer.features) {
    const column = scorer.column(feature);
    for (let row = 0; row < BATCH; row += 1) column[row] = data[row * FEATURES + feature];
  }
  let ours = scorer.score(BATCH);
  let theirs = model.run({ rows: BATCH, paddedRows: BATCH, feeds });
  for (let i = 0; i < WARM_UP; i += 1) ours = scorer.score(BATCH);
  const seconds = { kernel: [], onnxruntime: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    seconds.kernel.push(timed(() => (ours = scorer.score(BATCH))));
    seconds.onnxruntime.push(timed(() => (theirs = model.run({ rows: BATCH, paddedRows: BATCH, feeds }))));
  }
  await model.release();

  const outputs = [...theirs.values()];
  const scores = outputs.find(({ type }) => type === 'float32').data;
  const labels = outputs.find(({ type }) => type === 'int64')?.data;
  let difference = 0;
  scores.forEach((score, i) => (difference = Math.max(difference, Math.abs(score - ours.scores[i]))));
  if (!(difference <= 1e-6)) throw new Error(`${file}: scores differ by ${difference}`);
  if (labels?.some((label, i) => label !== ours.labels[i])) throw new Error(`${file}: labels differ`);
  results.push({
    model: path.basename(file, '.onnx'),
    rows: ROWS,
    onnxruntime_s: median(seconds.onnxruntime),
    trees_s: median(seconds.kernel),
    largest_difference: difference,
  });
}
console.log(JSON.stringify(results));
