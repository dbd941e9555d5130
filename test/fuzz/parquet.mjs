/**
 * Damaged Parquet files: cut off, bytes of the footer flipped, fields of the footer changed, pages and indexes damaged. Each
 * is planned and run as a user's file would be; what is published is read back by DuckDB and by pyarrow.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, plan, run } from '../../dist/index.js';
import { footerIn } from '../../dist/parquet/footer.js';
import { parseThrift, serializeThrift } from '../../dist/parquet/thrift-compact.js';
import { THRIFT, ThriftList, ThriftStruct } from '../../dist/parquet/thrift.js';
import { damage } from './damage.mjs';
import { faultOf } from './judging.mjs';
import { identityModel } from './models-made.mjs';

const folder = fileURLToPath(new URL('corpus', import.meta.url));
const spark = fileURLToPath(new URL('../fixtures/spark/plain.parquet', import.meta.url));

/** The whole files, each with the columns that are scored. */
export function wholeFiles() {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.parquet'))
    .sort()
    .map((name) => ({ name: name.replace('.parquet', ''), bytes: readFileSync(join(folder, name)), x: 'x', y: 'y' }));
  files.push({ name: 'spark', bytes: readFileSync(spark), x: 'ratio', y: 'age' });
  return files.map((file) => ({ ...file, footer: footerIn(file.name, file.bytes) }));
}

/** What can be made of a file, and how often. */
const MODES = ['append', 'append', 'append', 'append', 'append', 'where', 'predictions', 'partition'];

/** @returns {{ bytes: Buffer, file: string, mode: string, what: string }} */
export function makeParquet(kind, random, files, index) {
  const file = kind === 'cut' || kind === 'footer' ? files[index % files.length] : random.pick(files);
  const turn = Math.floor(index / files.length);
  const { bytes, footer } = file;
  const made = (damaged, what) => ({ bytes: damaged, file: file.name, mode: random.pick(MODES), what });
  switch (kind) {
    case 'cut': {
      // Every length once, in an order that is spread over the file, and then again.
      const length = (turn * 7919) % bytes.length;
      return made(Buffer.from(bytes.subarray(0, length)), `cut off after ${length} of ${bytes.length} bytes`);
    }
    case 'footer': {
      // Every byte once, the eight behind the footer included; another bit each time, or another byte.
      const size = bytes.length - footer.start;
      const at = footer.start + (turn % size);
      const damaged = Buffer.from(bytes);
      const round = Math.floor(turn / size);
      damaged[at] ^= round === 0 && random.chance(0.5) ? 1 << random.below(8) : 1 + random.below(255);
      return made(damaged, `byte ${at} (${at - footer.start} of the footer) ${bytes[at]} → ${damaged[at]}`);
    }
    case 'fields': {
      const { tree, what } = mutateFooter(footer.tree, random);
      return made(withFooter(bytes, footer.start, serializeThrift(tree)), what);
    }
    default: {
      const { bytes: damaged, what } = damagePages(bytes, footer, random);
      return made(damaged, what);
    }
  }
}

function withFooter(bytes, start, footer) {
  const end = Buffer.alloc(8);
  end.writeUInt32LE(footer.length, 0);
  end.write('PAR1', 4, 'latin1');
  return Buffer.concat([bytes.subarray(0, start), footer, end]);
}

/** Damage between the first magic and the footer: anywhere, in one page, or in a page's header. */
function damagePages(bytes, { start, rowGroups }, random) {
  const chunks = rowGroups.flatMap(({ chunks }) => chunks).filter(({ pages }) => pages.length > 0);
  const damaged = Buffer.from(bytes);
  const chunk = random.pick(chunks);
  const where = random.below(5);
  if (where === 0 && chunks.length > 0) {
    const { offset, length } = chunk.pages;
    const header = parseThrift(damaged.subarray(offset, offset + length));
    const written = serializeThrift(mutateTree(header.struct, random).tree);
    // In its place: what follows is overwritten, or what is left of it stays behind it.
    written.copy(damaged, offset, 0, Math.min(written.length, start - offset));
    return { bytes: damaged, what: `header of the first page at byte ${offset} changed` };
  }
  const ranges = [
    { offset: 4, length: start - 4 },
    ...(chunks.length === 0 ? [] : [chunk.pages, chunk.columnIndex ?? chunk.pages, chunk.offsetIndex ?? chunk.pages]),
  ];
  const { offset, length } = random.pick(ranges);
  return { bytes: damaged, what: damage(damaged, offset, length, random) };
}

// --- Fields of Thrift ---

const NUMBERS = [0, 1, -1, 2, 3, 127, 255, 256, 65535, 2 ** 31 - 1, -(2 ** 31)];
const LARGE = [2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)];

/** A few fields changed; sometimes the rows of a group and those of the file, so that they still add up. */
function mutateFooter(tree, random) {
  const groups = tree.structs(4);
  if (groups.length > 0 && random.chance(0.12)) {
    const at = random.below(groups.length);
    const by = random.pick([-1, 1, -3, 100, -(groups[at].int(3) ?? 0), 2 ** 31, 2 ** 45]);
    const changed = groups.map((group, i) => (i === at ? group.with(3, THRIFT.i64, (group.int(3) ?? 0) + by) : group));
    const list = tree.list(4);
    return {
      tree: tree.with(4, THRIFT.list, list.with(changed)).with(3, THRIFT.i64, (tree.int(3) ?? 0) + by),
      what: `row group ${at} and the file claim ${by} rows more`,
    };
  }
  return mutateTree(tree, random);
}

function mutateTree(tree, random) {
  let changed = tree;
  const whats = [];
  for (let times = 1 + random.below(3); times > 0; times -= 1) {
    const paths = pathsOf(changed);
    if (paths.length === 0) break;
    const path = random.pick(paths);
    const told = {};
    changed = changeAt(changed, path, random, told);
    whats.push(`${path.join('.')}: ${told.what}`);
  }
  return { tree: changed, what: whats.join('; ') };
}

/** Ways to all fields of a tree: field ids, and positions in lists. */
function pathsOf(value, path = [], into = []) {
  if (value instanceof ThriftStruct) {
    for (const { id, value: inner } of value.fields) {
      into.push([...path, id]);
      pathsOf(inner, [...path, id], into);
    }
  } else if (value instanceof ThriftList) {
    // The first few of a long list are as good as all.
    for (const [i, inner] of value.values.entries()) if (i < 12) pathsOf(inner, [...path, i], into);
  }
  return into;
}

function changeAt(value, [step, ...rest], random, told) {
  if (value instanceof ThriftList) {
    const change = (each) => {
      if (rest.length > 0) return changeAt(each, rest, random, told);
      const { value: changed } = changedField({ type: value.type, value: each }, random);
      told.what = `${shown(each)} → ${shown(changed)}`;
      return changed;
    };
    return value.with(value.values.map((each, i) => (i === step ? change(each) : each)));
  }
  // A field that is there twice: the path leads into the other one.
  if (!(value instanceof ThriftStruct)) {
    told.what = 'as it was';
    return value;
  }
  const fields = [...value.fields];
  const at = fields.findIndex(({ id }) => id === step);
  const field = fields[at];
  if (field === undefined) {
    told.what = 'as it was';
    return value;
  }
  if (rest.length > 0) {
    fields[at] = { ...field, value: changeAt(field.value, rest, random, told) };
    return new ThriftStruct(fields);
  }
  const how = random.below(12);
  if (how === 0) {
    told.what = 'left out';
    fields.splice(at, 1);
  } else if (how === 1) {
    told.what = 'twice';
    fields.splice(at, 0, changedField(field, random));
  } else if (how === 2) {
    const other = random.pick(fields);
    told.what = `in place of field ${other.id}`;
    fields[at] = { ...field, id: other.id };
  } else if (how === 3) {
    const other = random.pick(fields);
    told.what = `with the value of field ${other.id}`;
    fields[at] = { ...other, id: field.id };
  } else {
    fields[at] = changedField(field, random);
    told.what = `${shown(field.value)} → ${shown(fields[at].value)}`;
  }
  return new ThriftStruct(fields);
}

function changedField(field, random) {
  const { type, value } = field;
  if (type === THRIFT.true) return { ...field, value: value !== true };
  if (type >= THRIFT.i8 && type <= THRIFT.i64) {
    const near = BigInt(value) + BigInt(random.pick([1, -1, 7, 100]));
    const wide = type === THRIFT.i64 && random.chance(0.4);
    const chosen = random.chance(0.3) ? near : random.pick(wide ? LARGE : NUMBERS);
    const bits = type === THRIFT.i8 ? 8 : type === THRIFT.i16 ? 16 : type === THRIFT.i32 ? 32 : 64;
    const fitted = BigInt.asIntN(bits, BigInt(chosen));
    return { ...field, value: Number.isSafeInteger(Number(fitted)) ? Number(fitted) : fitted };
  }
  if (value instanceof Uint8Array) {
    const made = [
      () => random.bytes(value.length),
      () => Buffer.alloc(0),
      () => Buffer.concat([value, random.bytes(1 + random.below(8))]),
      () => Buffer.alloc(random.pick([300, 70_000]), random.below(256)),
      () =>
        Buffer.from(
          random.pick(['x', 'X', 'p', '__proto__', 'file_row_number', '', 'a\u001b[31mb', 'q\n"\\', '\u202e']),
        ),
    ];
    return { ...field, value: random.pick(made)() };
  }
  if (value instanceof ThriftList) {
    const { values } = value;
    const one = values.length === 0 ? [] : [random.pick(values)];
    const made = [
      () => [],
      () => values.slice(1),
      () => values.slice(0, -1),
      () => [...values, ...one],
      () => [...values].reverse(),
      () => [...one, ...values.slice(1)],
      () => [...values, ...values, ...values],
    ];
    return { ...field, value: value.with(random.pick(made)()) };
  }
  return { ...field, value: new ThriftStruct() };
}

function shown(value) {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof ThriftList) return `a list of ${value.values.length}`;
  return value instanceof ThriftStruct ? 'a struct' : String(value);
}

// --- Running and judging ---

const SOURCE = 'data/damaged.parquet';

/** Pipelines over the damaged file of a worker's folder, by the columns and the mode. */
export async function openParquetJudge(bench) {
  const files = wholeFiles();
  mkdirSync(join(bench.folder, 'data'), { recursive: true });
  writeFileSync(join(bench.folder, 'identity.onnx'), identityModel(2));
  const pipelines = new Map();
  const pipelineOf = async ({ x, y }, mode) => {
    const key = `${x} ${mode}`;
    if (pipelines.has(key)) return pipelines.get(key);
    const id = x === 'x' ? 'id' : 'day';
    const sink = {
      append: 'mode: append',
      where: 'mode: append',
      predictions: 'mode: predictions',
      partition: `mode: partition, partition_by: [flag], columns: [${x}, ${y}, flag, p, q]`,
    }[mode];
    const text = `version: 1
source: { path: ${SOURCE}, key: [${id}]${mode === 'where' ? `, where: "${x} > 3 OR flag"` : ''} }
features: [${x}, ${y}]
model: { path: identity.onnx, engine: onnxruntime }
outputs: { p: { from: Y, index: 0 }, q: { from: Y, index: 1 } }
validate:
  on_invalid: null
  rules: { ${x}: { missing: nan, infinite: allow }, ${y}: { missing: nan, infinite: allow } }
sink: { ${sink}, path: out }
run: { workers: 1, retries: 0, memory: 128MB }
`;
    const path = join(bench.folder, `${key}.yaml`);
    writeFileSync(path, text);
    pipelines.set(key, await load(path, { env: {} }));
    return pipelines.get(key);
  };
  const source = join(bench.folder, SOURCE);
  const output = join(bench.folder, 'out');
  for (const file of files) file.rows = file.footer.rows;

  return async ({ bytes, file: name, mode }, kind) => {
    const file = files.find((each) => each.name === name);
    writeFileSync(source, bytes);
    for (const left of [output, `${output}.colonnade`]) rmSync(left, { recursive: true, force: true });
    const isWhole = bytes.equals(file.bytes);
    try {
      await run(await plan(await pipelineOf(file, mode))).result;
    } catch (error) {
      const finding = faultOf(error) ?? (existsSync(output) ? 'it failed, and its output is there' : undefined);
      return {
        outcome: error.code ?? 'no code',
        finding: finding ?? (isWhole ? `a whole file is refused: ${error.message}` : undefined),
        message: error.message,
      };
    }
    if (kind === 'cut') return { outcome: 'published', finding: 'a file that was cut off is scored' };
    return compare(bench.reader, source, output, file, mode);
  };

  async function compare(reader, from, to, file, mode) {
    const { x, y } = file;
    const [X, Y] = [`"${x}"`, `"${y}"`];
    const outputs = `read_parquet('${to}/**/*.parquet', hive_partitioning = false)`;
    let told;
    try {
      // The values, not the footer, are counted.
      told = await reader.row(`SELECT count(*) AS n, bit_xor(hash(${X}, ${Y})) AS h FROM read_parquet('${from}')`);
    } catch (error) {
      return { outcome: 'published', finding: `DuckDB by itself does not read the source: ${error.message}` };
    }
    const rows = Number(told.n);
    // A partition of nothing is no file.
    if (mode === 'partition' && rows === 0) return { outcome: 'published, no rows' };
    const made = await reader.row(`SELECT count(*) AS n FROM (SELECT hash(p, q) FROM ${outputs})`);
    if (Number(made.n) !== rows && mode !== 'predictions')
      return { outcome: 'published', finding: `${made.n} rows published, DuckDB reads ${rows}` };
    if (mode === 'partition') {
      const { h } = await reader.row(`SELECT bit_xor(hash(${X}, ${Y})) AS h FROM ${outputs}`);
      if (h !== told.h) return { outcome: 'published', finding: 'the values of the partitions are others' };
    } else if (mode !== 'where') {
      const bad = `TRY_CAST(${X} AS FLOAT) IS NULL AND ${X} IS NOT NULL OR TRY_CAST(${Y} AS FLOAT) IS NULL AND ${Y} IS NOT NULL`;
      const right = (column, made) => `coalesce(TRY_CAST(${column} AS FLOAT), 'nan') IS NOT DISTINCT FROM ${made}`;
      const { n } = await reader.row(
        `SELECT count(*) FILTER (WHERE NOT CASE WHEN ${bad} THEN p IS NULL AND q IS NULL ELSE ${right(X, 'p')} AND ${right(Y, 'q')} END) AS n
         FROM (SELECT ${X}, ${Y} FROM read_parquet('${from}')) POSITIONAL JOIN (SELECT p, q FROM ${outputs})`,
      );
      if (Number(n) > 0) {
        // DuckDB does not look at the checksum of gzip: of a damaged page it gives what lay in memory, another time other values.
        const other = await bench.pyarrow?.ask({ source: from, output: from, x, y });
        if (other?.refused !== undefined) return { outcome: 'published, a damage that DuckDB does not see' };
        return { outcome: 'published', finding: `${n} predictions are not those of the row` };
      }
    }
    const other = rows === file.rows ? '' : `, ${rows} rows where the whole file has ${file.rows}`;
    if (bench.pyarrow === undefined || mode !== 'append')
      return { outcome: `published${other === '' ? '' : ', other rows'}` };
    const second = await bench.pyarrow.ask({ source: from, output: `${to}/${basename(from)}`, x, y });
    if (second === undefined) return { outcome: 'published, pyarrow died' };
    if (second.failed !== undefined)
      return { outcome: 'published', finding: `pyarrow on the output: ${second.failed}` };
    if (second.refused !== undefined) return { outcome: 'published, pyarrow refuses it', message: second.refused };
    if (second.rows !== rows)
      return { outcome: 'published', finding: `${rows} rows published, pyarrow reads ${second.rows}` };
    if (second.wrong > 0)
      return { outcome: 'published, pyarrow reads other values', message: `${second.wrong} of ${rows} rows` };
    return { outcome: `published${other === '' ? '' : ', other rows'}`, message: other };
  }
}
