/** A plan in words: all that a run will do, for a person to check before it does. */
import { DEFAULT_TIMEOUT_S } from '../pipeline/pipeline.js';
import { tensorInWords } from './inputs.js';
import { alignRows } from './layout.js';
import { shownNames } from './names.js';
import type { Plan, PlannedInput, PlannedModel, PlannedOutput } from './plan.js';
import { counted, formatBytes, formatCount, formatShare } from './quantities.js';
import { explainRules } from './rules-in-words.js';

/** Files, and columns of a wide table, that are listed before the rest is counted. */
const MOST_FILES = 12;
const MOST_NAMES = 24;
/** Length of an SQL expression that is shown whole. */
const MOST_SQL = 100;

/**
 * The plan as text, without colours. Sections begin with a heading at the margin; what belongs to them is indented.
 * Ends with a line end.
 */
export function explainPlan(plan: Plan): string {
  const sections: [heading: string, lines: string[]][] = [
    ['plan', explainHead(plan)],
    ['data', explainData(plan)],
    ['reads', explainReads(plan)],
    ['projection', explainProjection(plan)],
    ...plan.models.map((model): [string, string[]] => [
      model.name === undefined ? 'model' : `model ${model.name}`,
      explainModel(plan, model),
    ]),
    ['outputs', explainOutputs(plan)],
    ['validation', explainRules(plan)],
    ['sink', explainSink(plan)],
    ['work', explainWork(plan)],
    ['expected', explainExpected(plan)],
    ['notes', plan.notes.map((note) => `- ${note}`)],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([heading, lines]) => `${heading}\n${lines.map((line) => `  ${line}`).join('\n')}\n`)
    .join('\n');
}

function explainHead(plan: Plan): string[] {
  return alignRows([
    ['name', plan.name],
    ['pipeline', plan.pipeline.file],
  ]);
}

function explainData(plan: Plan): string[] {
  const { files, expected } = plan;
  const rowGroups = files.reduce((sum, file) => sum + file.rowGroups.length, 0);
  const facts: string[][] = [
    ['files', `${formatCount(files.length)} in ${commonFolder(plan)}`],
    ['rows', `${formatCount(expected.rows)} in ${counted(rowGroups, 'row group')}`],
    ['size', formatBytes(expected.bytesInFiles)],
    ['columns', counted(plan.sourceColumns.length, 'column')],
  ];
  const hive = Object.entries(plan.hiveTypes).map(([name, type]) => `${name} (${type})`);
  if (hive.length > 0) facts.push(['folders', `${hive.join(', ')}: columns from the names of folders`]);
  if (plan.key.length > 0) facts.push(['key', plan.key.join(', ')]);
  const listed = files
    .slice(0, MOST_FILES)
    .map((file) => [
      file.relativePath,
      counted(file.rows, 'row'),
      counted(file.rowGroups.length, 'row group'),
      formatBytes(file.fingerprint.size),
    ]);
  const rest = files.length - listed.length;
  return [
    ...alignRows(facts),
    ...alignRows(listed, new Set([1, 2, 3])).map((line) => `  ${line}`),
    ...(rest > 0 ? [`  … and ${counted(rest, 'more file', 'more files')}`] : []),
  ];
}

/** The folder that every file lies below. */
function commonFolder({ files }: Plan): string {
  const roots = new Set(
    files.map(({ path, relativePath }) =>
      path.replaceAll('\\', '/').endsWith(`/${relativePath}`) ? path.slice(0, -relativePath.length - 1) : path,
    ),
  );
  const [root = ''] = roots;
  return roots.size === 1 ? root : `${counted(roots.size, 'folder')}, the first ${root}`;
}

function explainReads(plan: Plan): string[] {
  const { bytesRead, bytesInFiles } = plan.expected;
  const { columnsRead, sourceColumns } = plan;
  const share = formatShare(bytesRead, bytesInFiles);
  return alignRows([
    ['columns', `${columnsRead.length} of ${sourceColumns.length}: ${some(columnsRead)}`],
    [
      'bytes',
      `${formatBytes(bytesRead)} of ${formatBytes(bytesInFiles)}${share === '' ? '' : ` (${share} of the files)`}`,
    ],
  ]);
}

function explainProjection(plan: Plan): string[] {
  const types = new Map(plan.sourceColumns.map(({ name, type }) => [name, type]));
  const checked = new Set(plan.projection.filter(({ role }) => role === 'check').map(({ name }) => name));
  const rows = plan.projection.flatMap((column): string[][] => {
    const to = column.listLength === undefined ? column.element : `${column.element}[${column.listLength}]`;
    const sql = cutSql(column.sql);
    switch (column.role) {
      case 'feature':
        return [
          [
            column.name,
            `${types.get(column.name) ?? 'SQL'} → ${to}${checked.has(column.name) ? ', checked' : ''}`,
            sql,
          ],
        ];
      case 'rule':
        return [[column.name, 'for its rule only', sql]];
      case 'where':
        return [['where', 'other rows are not scored', sql]];
      case 'check':
        return [];
    }
  });
  const legend = checked.size === 0 ? [] : ['checked: a row whose value the type of the model cannot hold is invalid'];
  return [...alignRows(rows), ...legend];
}

function cutSql(sql: string): string {
  const line = sql.replaceAll(/\s+/g, ' ');
  return line.length <= MOST_SQL ? line : `${line.slice(0, MOST_SQL - 1)}…`;
}

function explainModel(plan: Plan, model: PlannedModel): string[] {
  const { signature } = model;
  const opsets = Object.entries(signature.opsets).map(([domain, version]) => `${domain} ${version}`);
  return alignRows([
    ['file', model.path],
    ['size', `${formatBytes(signature.bytes)}, ${counted(signature.parameters, 'parameter')}`],
    ['sha256', model.hash],
    ['opset', opsets.join(', ')],
    ...(signature.producer === '' ? [] : [['producer', signature.producer]]),
    ...signature.edits.map((edit, i) => [i === 0 ? 'edited' : '', edit]),
    ['engine', model.engine],
    ...model.engineNotes.map((note) => ['', note]),
    [
      'batch',
      `${counted(model.batchSize, 'row')}${model.fixedBatch ? ', fixed by the model: short batches are padded' : ''}`,
    ],
    ...model.inputs.map((input) => ['input', explainInput(plan, input)]),
    ...signature.outputs.map((output) => {
      const classes = output.classes === undefined ? '' : `, classes ${some(output.classes.map(String))}`;
      return ['output', `${output.name} ${tensorInWords(output)}${classes}`];
    }),
  ]);
}

function explainInput(plan: Plan, input: PlannedInput): string {
  const names = input.columns.map((at) => plan.projection[at]?.name ?? '?');
  const shape = input.rank === 1 ? '[N]' : `[N, ${input.width}]`;
  const how = {
    pack: 'packed row by row',
    column: 'the column as it is',
    list: 'the lists as they are',
    columns: `column by column${input.reads?.length === input.width ? '' : `; the trees read ${input.reads?.length ?? 0}`}`,
  }[input.layout];
  return `${input.name} ${input.type}${shape} ← ${some(names)} (${how})`;
}

function explainOutputs(plan: Plan): string[] {
  return alignRows(
    plan.outputs.map((output) => [
      output.name,
      output.list ? `list<${output.type}>` : output.type,
      `← ${takeInWords(plan, output)}${ofModel(plan, output)}`,
    ]),
  );
}

function ofModel(plan: Plan, { model }: PlannedOutput): string {
  const { name } = plan.models[model]!;
  return name === undefined ? '' : ` of ${name}`;
}

function takeInWords(plan: Plan, { model, from, take }: PlannedOutput): string {
  switch (take.kind) {
    case 'whole':
      return from;
    case 'index': {
      const label = plan.models[model]!.signature.outputs.find(({ name }) => name === from)?.classes?.[take.index];
      return `${from}[${take.index}]${label === undefined ? '' : `, class ${JSON.stringify(label)}`}`;
    }
    case 'reduce':
      return `${take.reduce} of ${from}`;
    case 'list':
      return `all of ${from}`;
  }
}

function explainSink({ sink, key }: Plan): string[] {
  const mode = {
    append: 'append: the same files with the new columns; every other byte of data stays as it is',
    partition: `partition: new files in folders by ${sink.partitionBy.join(', ')}`,
    predictions: `predictions: new files with ${key.length === 0 ? 'the predictions alone' : 'keys and predictions'}`,
  }[sink.mode];
  const columns = sink.mode === 'append' ? 'adds' : 'columns';
  const codec = sink.compression === 'none' ? 'not compressed' : sink.compression;
  return alignRows([
    ['mode', mode],
    ['path', sink.path],
    [columns, some(sink.columns)],
    ['codec', sink.mode === 'append' ? codec : `${codec}, row groups of ${counted(sink.rowGroupSize, 'row')}`],
    [
      'exists',
      sink.exists === 'replace'
        ? 'replace: an earlier output gives way once this one is complete'
        : 'fail: an earlier output is left alone',
    ],
  ]);
}

function explainWork({ shards, run }: Plan): string[] {
  const rows = shards.map((shard) => shard.rows);
  const least = rows.reduce((a, b) => Math.min(a, b), Infinity);
  const most = rows.reduce((a, b) => Math.max(a, b), 0);
  const each =
    rows.length === 0
      ? ''
      : least === most
        ? ` of ${counted(most, 'row')}`
        : ` of ${formatCount(least)} to ${formatCount(most)} rows`;
  return alignRows([
    ['shards', `${formatCount(shards.length)}${each}`],
    [
      'workers',
      run.workers === 'auto'
        ? 'auto: one, or as many as processors and shards allow where the model takes long'
        : String(run.workers),
    ],
    ...(run.threads === undefined ? [] : [['threads', `${run.threads} of DuckDB in each worker`]]),
    ['retries', `${run.retries} a shard`],
    [
      'timeout',
      run.timeout === null ? 'none' : `${run.timeout ?? DEFAULT_TIMEOUT_S} s for a batch, in worker processes`,
    ],
  ]);
}

function explainExpected({ expected, run }: Plan): string[] {
  return alignRows([
    ['rows', formatCount(expected.rows)],
    ['reading', formatBytes(expected.bytesRead)],
    ['memory', `${formatBytes(expected.memory)} a worker at the peak (buffers may use ${formatBytes(run.memory)})`],
  ]);
}

function some(names: readonly string[]): string {
  const shown = shownNames(names.slice(0, MOST_NAMES));
  return names.length <= MOST_NAMES ? shown : `${shown}, … ${formatCount(names.length - MOST_NAMES)} more`;
}
