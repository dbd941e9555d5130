/**
 * The work that nothing can do without when a prediction column is appended, each part by itself and in one thread:
 *
 *   node bench/kernels.mjs SOURCE MODEL OUTPUT FOLDER
 *
 * SOURCE has the columns f0 to f9, MODEL has one input for them, OUTPUT is what it gives that is encoded. FOLDER is where
 * a copy may be written. Prints a JSON object of seconds for all rows of the source, medians of three runs:
 *
 *   decode  DuckDB reads the ten columns, and adds them up so that they have to be there
 *   model   the model alone, on packed rows: scaled from at most a million of them
 *   encode  the predictions as column chunks of the source's row groups, snappy
 *   copy    the source's bytes to another file, and fsync
 *   hash    sha256 of these bytes, which the manifest of every output holds; not one of the four, as peers have none
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { makeVector } from 'apache-arrow';
import { openModel } from '../dist/model/session.js';
import { ColumnEncoder } from '../dist/parquet/column-encoder.js';
import { storedColumn } from '../dist/parquet/values.js';
import { median } from './report.mjs';

const [source, modelPath, output, folder] = process.argv.slice(2);
const REPEATS = 3;
const FEATURES = 10;
const ROW_GROUP = 122_880;
/** Rows that a model is given at once: as many as a plan gives one of ten features; trees take a third longer by 2,048. */
const BATCH = 16_384;
const MOST_ROWS = 1_000_000;
/** What Colonnade copies at once. */
const BLOCK = 256 << 10;

/** Median of the seconds that the work takes. @param {() => unknown} work */
async function seconds(work) {
  const taken = [];
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const start = performance.now();
    await work();
    taken.push((performance.now() - start) / 1000);
  }
  return median(taken);
}

const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
const connection = await instance.connect();
const file = `'${source.replaceAll("'", "''")}'`;
const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${file}`);
const rows = Number(counted.getRows()[0][0]);
const sums = Array.from({ length: FEATURES }, (_, k) => `sum(f${k})`).join(', ');
const decode = await seconds(() => connection.run(`SELECT ${sums} FROM ${file}`));
connection.closeSync();
instance.closeSync();

const model = await openModel(modelPath, { outputs: [output] });
const modelRows = Math.min(rows, MOST_ROWS);
// The same every time: a generator of Lehmer's, in [-2, 2) as the features of the tables.
const features = new Float32Array(modelRows * FEATURES);
let state = 1;
for (let i = 0; i < features.length; i += 1) {
  state = (state * 48271) % 2147483647;
  features[i] = (state / 2147483647) * 4 - 2;
}
const [input] = model.signature.inputs;
const predictions = new Float32Array(modelRows);
function score() {
  for (let row = 0; row < modelRows; row += BATCH) {
    const count = Math.min(BATCH, modelRows - row);
    const data = features.subarray(row * FEATURES, (row + count) * FEATURES);
    const feeds = new Map([[input.name, { type: 'float32', dims: [count, FEATURES], data }]]);
    const { data: scores } = model.run({ rows: count, paddedRows: count, feeds }).get(output);
    const width = scores.length / count;
    for (let i = 0; i < count; i += 1) predictions[row + i] = scores[(i + 1) * width - 1];
  }
}
const modelSeconds = ((await seconds(score)) * rows) / modelRows;
await model.release();

const encoder = new ColumnEncoder('snappy');
const group = Math.min(ROW_GROUP, modelRows);
const encode = await seconds(() => {
  for (let row = 0; row < rows; row += group) {
    const from = (row % modelRows) + group > modelRows ? 0 : row % modelRows;
    const values = predictions.subarray(from, from + Math.min(group, rows - row));
    encoder.encode('prediction', storedColumn(makeVector(values)));
  }
});

/** Reads the source block by block. @param {(block: Buffer) => void} each */
function read(each) {
  const block = Buffer.allocUnsafe(BLOCK);
  const descriptor = openSync(source, 'r');
  for (let length = readSync(descriptor, block); length > 0; length = readSync(descriptor, block)) {
    each(block.subarray(0, length));
  }
  closeSync(descriptor);
}

const target = path.join(folder, 'kernel-copy');
const copy = await seconds(() => {
  rmSync(target, { force: true });
  const descriptor = openSync(target, 'w');
  read((block) => writeSync(descriptor, block));
  fsyncSync(descriptor);
  closeSync(descriptor);
});
rmSync(target);
const hash = await seconds(() => {
  const sha256 = createHash('sha256');
  read((block) => sha256.update(block));
  sha256.digest();
});

console.log(JSON.stringify({ decode, model: modelSeconds, encode, copy, hash }));
