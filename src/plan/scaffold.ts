/** Writes a pipeline file that fits a model and a table, as far as the two tell: the rest is said in comments. */
import { writeKey, writeQuoted as quoted, writeScalar as scalar } from '../pipeline/write-scalar.js';
import { castList, castTo } from './cast.js';
import type { ModelSignature, NumericRange, OutputSpec, SourceColumn, TensorSpec } from './facts.js';
import { tensorInWords } from './inputs.js';
import { valuesOfRow } from './outputs.js';
import { counted } from './quantities.js';
import { columnType } from './types.js';

/** What a scaffold is made from. */
export interface ScaffoldFacts {
  readonly signature: ModelSignature;
  readonly columns: readonly SourceColumn[];
  /** Least and greatest value by column, where every footer tells. */
  readonly ranges: ReadonlyMap<string, NumericRange>;
  /** NULLs by column, where every footer tells. */
  readonly nulls: ReadonlyMap<string, number>;
  readonly rows: number;
  /** Values of the first list that is not NULL or empty, by list column. */
  readonly listLengths: ReadonlyMap<string, number>;
  /** As they stand in the file: relative to it, or absolute. */
  readonly paths: { readonly data: string; readonly model: string; readonly output: string };
  readonly name: string;
}

/** A column that feeds a model input. */
interface Fed {
  readonly column: SourceColumn;
  /** Why a person should look at it. */
  readonly doubt?: string;
}

interface Choice {
  readonly input: TensorSpec;
  readonly fed: readonly Fed[];
  readonly doubts: readonly string[];
}

/**
 * The text of the file.
 * @param problems what a plan of it has against it, in sentences
 */
export function scaffoldPipeline(facts: ScaffoldFacts, problems: readonly string[]): string {
  const { signature, paths, name } = facts;
  const choices = chooseColumns(facts);
  const features = [...new Map(choices.flatMap(({ fed }) => fed).map((each) => [each.column.name, each])).values()];
  const doubts = choices.flatMap((choice) => choice.doubts);
  return [
    '# Written by colonnade inspect --scaffold from the model and the table: read it before you run it.',
    ...[...doubts, ...problems].map((each) => `# To do: ${each.replaceAll(/\s*\n\s*/g, ' ')}`),
    'version: 1',
    `name: ${scalar(name)}`,
    '',
    'source:',
    `  path: ${scalar(paths.data)}`,
    ...keyLines(facts, features),
    '',
    features.length === 0
      ? 'features: [] # the table has no column that the model could take'
      : 'features: # in the order of training',
    ...features.map(({ column, doubt }) => `  - ${scalar(column.name)} # ${inWords(column, facts)}${because(doubt)}`),
    '',
    'model:',
    `  path: ${scalar(paths.model)}`,
    ...inputLines(signature, choices),
    '',
    'outputs: # new column: what it holds',
    ...outputLines(facts),
    '',
    'validate:',
    '  on_invalid: quarantine # rows with NULL, NaN or an infinity in a feature, and those that break a rule',
    ...ruleLines(facts, features),
    '',
    'sink:',
    '  mode: append # the same files with the new columns behind the others',
    `  path: ${scalar(paths.output)}`,
    '',
  ].join('\n');
}

/** Which columns feed which input: by MLflow's signature, by name, or the first that could. */
function chooseColumns(facts: ScaffoldFacts): Choice[] {
  const { signature, columns } = facts;
  const [only, another] = signature.inputs;
  if (only !== undefined && another === undefined) return [chooseForMatrix(only, facts)];
  const taken = new Set<string>();
  const named = signature.inputs.map((input) => {
    const column = sameName(input.name, columns);
    if (column !== undefined) taken.add(column.name);
    return { input, column };
  });
  return named.map(({ input, column }): Choice => {
    if (column !== undefined) return { input, fed: [{ column }], doubts: [] };
    const words = `no column is named as the model input ${input.name} (${tensorInWords(input)})`;
    const guesses = guessFor(input, facts, taken);
    if (guesses.length === 0) return { input, fed: [], doubts: [`${words}, and none could feed it`] };
    for (const { name } of guesses) taken.add(name);
    return { input, fed: guesses.map((each) => ({ column: each, doubt: `a guess: ${words}` })), doubts: [] };
  });
}

/** What of the columns could feed an input: the first list of its width, and scalars, keys last. */
function candidates(
  input: TensorSpec,
  columns: readonly SourceColumn[],
  listLengths: ScaffoldFacts['listLengths'],
): { readonly list: SourceColumn | undefined; readonly scalars: readonly SourceColumn[] } {
  const width = input.shape[1];
  const isList = (column: SourceColumn): boolean => columnType(column.type).kind === 'list';
  const fitting = columns.filter((column) => fits(column, input));
  const list = fitting.find((column) => {
    const length = listLengths.get(column.name);
    return isList(column) && length !== undefined && (width === null || length === width);
  });
  const scalars = fitting.filter((column) => !isList(column));
  return {
    // One value a row is a column rather than a list of one.
    list: width === 1 ? undefined : list,
    scalars: [...scalars.filter(({ name }) => !isKey(name)), ...scalars.filter(({ name }) => isKey(name))],
  };
}

/** As many columns as an input is wide, or a list of that length. */
function guessFor(
  input: TensorSpec,
  { columns, listLengths }: ScaffoldFacts,
  taken: ReadonlySet<string>,
): readonly SourceColumn[] {
  const free = columns.filter(({ name }) => !taken.has(name));
  const { list, scalars } = candidates(input, free, listLengths);
  return list === undefined ? scalars.slice(0, input.shape.length < 2 ? 1 : (input.shape[1] ?? 1)) : [list];
}

function chooseForMatrix(input: TensorSpec, { signature, columns, listLengths }: ScaffoldFacts): Choice {
  const width = input.shape.length < 2 ? 1 : (input.shape[1] ?? null);
  if (signature.columns !== undefined) {
    const found = signature.columns.map(({ name }) => ({ name, column: sameName(name, columns) }));
    return {
      input,
      fed: found.flatMap(({ column }) => (column === undefined ? [] : [{ column }])),
      doubts: found
        .filter(({ column }) => column === undefined)
        .map(({ name }) => `the model was logged with a column ${name}, which the table does not have`),
    };
  }
  const { list, scalars } = candidates(input, columns, listLengths);
  if (list !== undefined) return { input, fed: [{ column: list }], doubts: [] };
  if (width === null) {
    return {
      input,
      fed: columns.filter((column) => scalars.includes(column) && !isKey(column.name)).map((column) => ({ column })),
      doubts: [`the model input ${input.name} leaves open how many features it takes: name those of the training`],
    };
  }
  const byName = width === 1 ? sameName(input.name, columns) : undefined;
  if (byName !== undefined) return { input, fed: [{ column: byName }], doubts: [] };
  const chosen = scalars.slice(0, width);
  const fed = columns.filter((column) => chosen.includes(column)).map((column) => ({ column }));
  const count = counted(width, 'feature');
  if (chosen.length < width)
    return {
      input,
      fed,
      doubts: [`the model takes ${count}; the table has ${chosen.length} columns that could be one`],
    };
  return {
    input,
    fed,
    doubts:
      scalars.length === width && width === 1
        ? []
        : [
            `the model takes ${count} and has no names for them: these are the first that could be one; put those of the training here, in its order`,
          ],
  };
}

/** A column of that name, compared without case and punctuation where none is spelt the same. */
function sameName(name: string, columns: readonly SourceColumn[]): SourceColumn | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
  return columns.find((column) => column.name === name) ?? columns.find((column) => plain(column.name) === plain(name));
}

function fits(column: SourceColumn, input: TensorSpec): boolean {
  const isList = columnType(column.type).kind === 'list';
  if (isList && (input.shape.length < 2 || input.type === 'string' || input.type === 'bool')) return false;
  const cast = isList ? castList('x', column.type, input.type) : castTo('x', column.type, input.type, undefined);
  // Text that could be numbers is no number, and a number is no text.
  return cast.ok && (columnType(column.type).kind === 'text') === (input.type === 'string');
}

/** Names of columns that tell rows apart: seldom a feature. */
function isKey(name: string): boolean {
  return /(^|_|\b)(id|key|uuid|guid|row|index)$/i.test(name) || /[a-z](Id|ID|Key)$/.test(name);
}

function keyLines({ columns }: ScaffoldFacts, features: readonly Fed[]): string[] {
  const key = columns.find(
    ({ name, hive }) => !hive && isKey(name) && !features.some(({ column }) => column.name === name),
  );
  return key === undefined ? [] : [`  key: [${inFlow(key.name)}] # names a row in quarantine and predictions`];
}

/** Only where the names of features and inputs do not tell it. */
function inputLines({ inputs }: ModelSignature, choices: readonly Choice[]): string[] {
  if (inputs.length < 2 || choices.every(({ input, fed }) => fed.length === 1 && fed[0]!.column.name === input.name))
    return [];
  return [
    '  inputs:',
    ...choices.map(({ input, fed }) => {
      const names = fed.length === 0 ? ['?'] : fed.map(({ column }) => column.name);
      return `    ${writeKey(input.name)}: ${names.length === 1 ? scalar(names[0]!) : `[${names.map(inFlow).join(', ')}]`}`;
    }),
  ];
}

function outputLines({ signature, columns }: ScaffoldFacts): string[] {
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  const free = (wanted: string): string => {
    let name = wanted;
    for (let i = 2; taken.has(name.toLowerCase()); i += 1) name = `${wanted}_${i}`;
    taken.add(name.toLowerCase());
    return writeKey(name);
  };
  const lines = signature.outputs.flatMap((output) => linesOf(output, signature.outputs.length === 1, free));
  const unusable = signature.unusable.map(({ name, reason }) => `  # ${name} ${reason}`);
  return [...lines, ...unusable];
}

/** A text among others between brackets, which commas and brackets of its own would end. */
function inFlow(text: string): string {
  const written = scalar(text);
  return /^["']/.test(written) || !/[,[\]{}]/.test(written) ? written : quoted(text);
}

/** What of a text may stand in the name of a column without quotes. */
function inName(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}_.-]+/gu, '_');
}

function linesOf(output: OutputSpec, isOnly: boolean, free: (name: string) => string): string[] {
  const words = `# ${tensorInWords(output)}`;
  const from = inFlow(output.name);
  if (output.perRow === false) return [`  # ${from} has no entry for each row ${words.slice(2)}`];
  const width = valuesOfRow(output);
  const plain = output.name.replaceAll(/[^\p{L}\p{N}_]+/gu, '_');
  if (width === 1) {
    const isLabel = isOnly || /label|class/i.test(output.name);
    return [`  ${free(isLabel ? 'prediction' : plain)}: ${from} ${words}`];
  }
  const { classes } = output;
  if (classes === undefined) return [`  ${free(plain)}: { from: ${from}, as: list } ${words}`];
  const one = (label: string | number): string =>
    `{ from: ${from}, class: ${typeof label === 'string' ? quoted(label) : label} }`;
  if (classes.length === 2) return [`  ${free('probability')}: ${one(classes[1]!)} ${words}`];
  return [
    `  ${free('confidence')}: { from: ${from}, reduce: max } ${words}`,
    ...classes.map((label) => `  # ${writeKey(`probability_${inName(String(label))}`)}: ${one(label)}`),
  ];
}

function ruleLines({ ranges, nulls, rows }: ScaffoldFacts, features: readonly Fed[]): string[] {
  const lines = features.flatMap(({ column }) => {
    const range = ranges.get(column.name);
    const missing = nulls.get(column.name) ?? 0;
    if (range === undefined && missing === 0) return [];
    const bounds = range === undefined ? '' : ` min: ${range.min}, max: ${range.max} `;
    const gaps =
      missing === 0 ? '' : ` # ${missing} of ${counted(rows, 'row')} are NULL: missing: nan, or a value, scores them`;
    return [`  #   ${writeKey(column.name)}: {${bounds}}${gaps}`];
  });
  return lines.length === 0 ? [] : ['  # rules: # the least and the greatest value in the table', ...lines];
}

function inWords({ name, type }: SourceColumn, { ranges, nulls }: ScaffoldFacts): string {
  const range = ranges.get(name);
  const missing = nulls.get(name) ?? 0;
  return [
    type,
    ...(range === undefined ? [] : [`${range.min} to ${range.max}`]),
    ...(missing === 0 ? [] : [`${missing} NULL`]),
  ].join(', ');
}

function because(doubt: string | undefined): string {
  return doubt === undefined ? '' : `; ${doubt}`;
}
