/**
 * Packing columns side by side: a loop in JavaScript, which takes four columns at a time, and `src/model/packing.ts`, in turns,
 * one thread.
 *
 *   node bench/packing.mjs
 *
 * Prints a Markdown table: nanoseconds for a value, medians. Both get vectors of 2,048 rows as DuckDB gives them, and end with a
 * batch that ONNX Runtime can be given.
 */
import { Packer } from '../dist/model/packing.js';
import { median } from './report.mjs';

/** Rows of a vector of DuckDB, and of a batch that the model is given. */
const VECTOR = 2048;
const BATCH = 16_384;
const WIDTHS = [4, 10, 70, 200];
const ROUNDS = 41;
/** Bytes of the rows that all columns go through before the next rows. */
const BLOCK_BYTES = 32 * 1024;

/** @typedef {Float32Array | Float64Array} Numbers */

/** @param {Numbers} target @param {number} start @param {readonly Numbers[]} columns */
function packInJavaScript(target, start, columns) {
  const width = columns.length;
  const block = Math.max(8, Math.floor(BLOCK_BYTES / (width * target.BYTES_PER_ELEMENT)));
  for (let from = 0; from < VECTOR; from += block) {
    const to = Math.min(from + block, VECTOR);
    let k = 0;
    for (; k + 4 <= width; k += 4) packFour(target, start + k, width, columns.slice(k, k + 4), from, to);
    for (; k < width; k += 1) packOne(target, start + k, width, columns[k], from, to);
  }
}

/** @param {Numbers} target @param {number} start @param {number} stride @param {readonly Numbers[]} four @param {number} from @param {number} to */
function packFour(target, start, stride, [a, b, c, d], from, to) {
  for (let i = from, at = start + from * stride; i < to; i += 1, at += stride) {
    target[at] = a[i];
    target[at + 1] = b[i];
    target[at + 2] = c[i];
    target[at + 3] = d[i];
  }
}

/** @param {Numbers} target @param {number} start @param {number} stride @param {Numbers} column @param {number} from @param {number} to */
function packOne(target, start, stride, column, from, to) {
  for (let i = from, at = start + from * stride; i < to; i += 1, at += stride) target[at] = column[i];
}

/** Milliseconds. @param {() => void} work */
function timed(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

console.log('| type    | columns | JavaScript | WebAssembly | ratio |');
console.log('| ------- | ------: | ---------: | ----------: | ----: |');
for (const [type, Numbers] of /** @type {const} */ ([
  ['float32', Float32Array],
  ['float64', Float64Array],
])) {
  for (const width of WIDTHS) {
    const columns = Array.from({ length: width }, (_, k) =>
      Numbers.from({ length: VECTOR }, (__, row) => row * 0.5 + k),
    );
    const target = new Numbers(BATCH * width);
    const packer = Packer.create(type, width, BATCH);
    if (packer === undefined) throw new Error('there is no memory of WebAssembly to be had');
    const inJavaScript = () => {
      for (let at = 0; at < BATCH; at += VECTOR) packInJavaScript(target, at * width, columns);
    };
    const inWasm = () => {
      for (let at = 0; at < BATCH; at += VECTOR) packer.pack(columns, VECTOR, at);
    };
    for (let i = 0; i < 10; i += 1) [inJavaScript, inWasm].forEach((work) => work());
    if (packer.matrix.some((value, i) => value !== target[i])) throw new Error(`${type}, ${width}: the two differ`);
    /** @type {number[]} */ const theirs = [];
    /** @type {number[]} */ const ours = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      theirs.push(timed(inJavaScript));
      ours.push(timed(inWasm));
    }
    const perValue = (/** @type {number[]} */ list) => (median(list) * 1e6) / (BATCH * width);
    const [before, now] = [perValue(theirs), perValue(ours)];
    const cells = [type.padEnd(7), width, before.toFixed(2), now.toFixed(2), (before / now).toFixed(1)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
