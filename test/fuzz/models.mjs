/**
 * Damaged ONNX models: cut off, bytes changed, fields of the protocol buffers changed. Each is inspected and, where it still
 * loads, planned and run: every row must be scored, or an error say why not.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, load, plan, run } from '../../dist/index.js';
import { damage } from './damage.mjs';
import { faultOf } from './judging.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Larger ones are the same nodes more often. */
const LARGEST = 100_000;

export function wholeModels() {
  const zoo = join(root, 'test/zoo/cases');
  const paths = [
    ...readdirSync(join(root, 'models')).map((name) => join('models', name)),
    ...readdirSync(join(root, 'test/fixtures/models')).map((name) => join('test/fixtures/models', name)),
    ...readdirSync(zoo).map((name) => join('test/zoo/cases', name, 'model.onnx')),
  ];
  return (
    paths
      // Those that never end are made to: run.timeout is what ends them, after longer than a case may take.
      .filter((path) => path.endsWith('.onnx') && !path.includes('endless') && existsSync(join(root, path)))
      .sort()
      .map((path) => ({ path, bytes: readFileSync(join(root, path)) }))
      .filter(({ bytes }) => bytes.length <= LARGEST)
  );
}

/** @returns {{ bytes: Buffer, file: string, what: string }} */
export function makeModel(random, models) {
  const { path, bytes } = random.pick(models);
  const made = (damaged, what) => ({ bytes: damaged, file: path, what });
  const how = random.below(10);
  if (how < 2) {
    const length = random.below(bytes.length);
    return made(Buffer.from(bytes.subarray(0, length)), `cut off after ${length} of ${bytes.length} bytes`);
  }
  if (how < 4) {
    const damaged = Buffer.from(bytes);
    return made(damaged, damage(damaged, 0, damaged.length, random));
  }
  const tree = parseMessage(bytes, 0);
  const whats = [];
  for (let times = 1 + random.below(3); times > 0; times -= 1) whats.push(mutateMessage(tree, random));
  return made(writeMessage(tree), whats.join('; '));
}

// --- Protocol buffers without a schema: a field of bytes that reads as a message is one. ---

const DEEPEST = 12;

function parseMessage(bytes, depth) {
  const fields = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new RangeError('cut off');
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number too long');
  };
  const take = (length) => {
    if (length > bytes.length - at) throw new RangeError('cut off');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = { id: Number(tag >> 3n), wire: Number(tag & 7n) };
    if (field.id === 0) throw new RangeError('no field');
    if (field.wire === 0) field.value = varint();
    else if (field.wire === 1) field.value = take(8);
    else if (field.wire === 5) field.value = take(4);
    else if (field.wire === 2) {
      field.value = take(Number(varint()));
      try {
        if (field.value.length > 1 && depth < DEEPEST) field.message = parseMessage(field.value, depth + 1);
      } catch {
        // Text or packed numbers.
      }
    } else throw new RangeError('no such wire type');
    fields.push(field);
  }
  return fields;
}

function writeMessage(fields) {
  const pieces = [];
  const varint = (value) => {
    const bytes = [];
    let left = BigInt.asUintN(64, value);
    while (left >= 0x80n) {
      bytes.push(Number(left & 0x7fn) | 0x80);
      left >>= 7n;
    }
    bytes.push(Number(left));
    pieces.push(Buffer.from(bytes));
  };
  for (const { id, wire, value, message } of fields) {
    varint((BigInt(id) << 3n) | BigInt(wire));
    if (wire === 0) varint(value);
    else {
      const bytes = message === undefined ? value : writeMessage(message);
      if (wire === 2) varint(BigInt(bytes.length));
      pieces.push(bytes);
    }
  }
  return Buffer.concat(pieces);
}

const NUMBERS = [0n, 1n, 2n, 3n, 7n, 10n, 16n, 127n, 255n, 65_535n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 62n, 2n ** 63n - 1n, -1n, -2n, -(2n ** 31n), -(2n ** 63n)]; // prettier-ignore
const TEXTS = ['', 'X', 'Identity', 'MatMul', 'Gather', 'Reshape', 'TreeEnsembleClassifier', 'If', 'Loop', 'Scan', 'ai.onnx.ml', '../x', '/etc/passwd', 'a\u001b[31m', '__proto__', '\u202e', 'x'.repeat(3000)]; // prettier-ignore

function mutateMessage(fields, random) {
  // Down to some message; the deeper, the more there are.
  let place = fields;
  const path = [];
  for (;;) {
    const below = place.filter(({ message }) => message !== undefined && message.length > 0);
    if (below.length === 0 || random.chance(0.15)) break;
    const next = random.pick(below);
    path.push(next.id);
    place = next.message;
  }
  if (place.length === 0) return 'nothing';
  const at = random.below(place.length);
  const field = place[at];
  const where = `${[...path, field.id].join('.')}`;
  switch (random.below(8)) {
    case 0:
      place.splice(at, 1);
      return `${where} left out`;
    case 1:
      place.splice(at, 0, structuredClone(field));
      return `${where} twice`;
    case 2: {
      const other = random.pick(place);
      place[at] = { ...structuredClone(other), id: field.id };
      return `${where} like field ${other.id}`;
    }
    case 3:
      field.id = random.chance(0.5) ? random.pick(place).id : 1 + random.below(24);
      return `${where} as field ${field.id}`;
    default:
      return `${where} ${changeField(field, random)}`;
  }
}

function changeField(field, random) {
  if (field.wire === 0) {
    const before = field.value;
    field.value = random.chance(0.3) ? before + BigInt(random.pick([1, -1, 8, -8])) : random.pick(NUMBERS);
    return `${before} → ${field.value}`;
  }
  if (field.wire !== 2) {
    field.value = random.pick([
      () => random.bytes(field.value.length),
      () => Buffer.alloc(field.value.length),
      () => Buffer.alloc(field.value.length, 0xff),
    ])();
    return 'with other bytes';
  }
  delete field.message;
  const { value } = field;
  const [what, made] = random.pick([
    ['with random bytes', () => random.bytes(value.length)],
    ['empty', () => Buffer.alloc(0)],
    ['cut off', () => value.subarray(0, random.below(value.length + 1))],
    ['longer', () => Buffer.concat([value, value])],
    ['another text', () => Buffer.from(random.pick(TEXTS))],
    ['another text', () => Buffer.from(random.pick(TEXTS))],
    [
      'damaged',
      () => {
        const damaged = Buffer.from(value);
        if (damaged.length > 0) damage(damaged, 0, damaged.length, random);
        return damaged;
      },
    ],
  ]);
  field.value = made();
  return what;
}

// --- Running and judging ---

const ROWS = 30;
const WIDTH = 40;

/** Columns of the source by the type of a model's input. */
const PREFIX = { string: 's', bool: 'b' };

export async function openModelJudge(bench) {
  const folder = join(bench.folder, 'models');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const columns = Array.from(
    { length: WIDTH },
    (_, i) => `((i + ${i}) % 3)::TINYINT AS n${i}, 'text ' || (i + ${i}) % 3 AS s${i}, (i + ${i}) % 2 = 0 AS b${i}`,
  );
  await bench.reader.run(
    `COPY (SELECT i AS id, ${columns.join(', ')} FROM range(${ROWS}) t(i)) TO '${join(folder, 'a.parquet')}' (FORMAT parquet)`,
  );
  const path = join(folder, 'model.onnx');
  const output = join(folder, 'out');
  const texts = new Map();
  const models = new Map(wholeModels().map((model) => [model.path, model.bytes]));

  /** A pipeline for what the whole model takes and gives. */
  const pipelineFor = async (file) => {
    if (texts.has(file)) return texts.get(file);
    writeFileSync(path, models.get(file));
    let text;
    try {
      text = pipelineText(await inspect(path));
    } catch {
      // One of those that are refused whole: there is nothing to plan with.
    }
    texts.set(file, text);
    return text;
  };

  return async ({ bytes, file }) => {
    const text = await pipelineFor(file);
    writeFileSync(path, bytes);
    rmSync(output, { recursive: true, force: true });
    rmSync(`${output}.colonnade`, { recursive: true, force: true });
    let step = 'inspect';
    try {
      await inspect(path);
      if (text === undefined) return { outcome: 'inspected' };
      step = 'plan';
      writeFileSync(join(folder, 'pipeline.yaml'), text);
      const planned = await plan(await load(join(folder, 'pipeline.yaml'), { env: {} }));
      step = 'run';
      const { rows, scored } = await run(planned).result;
      const told = await bench.reader.row(
        `SELECT count(*) AS n, count(p) AS p FROM read_parquet('${output}/*.parquet')`,
      );
      if (Number(told.n) !== ROWS || rows !== ROWS)
        return { outcome: 'scored', finding: `${told.n} rows published of ${ROWS}` };
      return { outcome: scored === Number(told.p) ? 'scored' : 'scored, some NULL' };
    } catch (error) {
      const { code = 'no code', message } = error;
      const left = existsSync(output) ? 'it failed, and its output is there' : undefined;
      return { outcome: step === 'inspect' ? code : `${step}: ${code}`, message, finding: faultOf(error) ?? left };
    }
  };
}

function pipelineText({ inputs, outputs }) {
  const features = new Set();
  let used = 0;
  const fed = {};
  for (const { name, type, shape } of inputs) {
    const width = shape.length < 2 ? 1 : (shape[1] ?? 2);
    fed[name] = Array.from({ length: width }, () => `${PREFIX[type] ?? 'n'}${used++ % WIDTH}`);
    for (const feature of fed[name]) features.add(feature);
  }
  const [{ name, shape }] = outputs;
  const part = shape.length >= 2 && shape[1] !== 1 ? { from: name, as: 'list' } : name;
  return JSON.stringify({
    version: 1,
    source: { path: 'a.parquet' },
    features: [...features],
    model: { path: 'model.onnx', inputs: fed },
    outputs: { p: part },
    validate: { on_invalid: null },
    sink: { mode: 'append', path: 'out' },
    run: { workers: 1, retries: 0 },
  });
}
