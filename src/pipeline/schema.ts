/**
 * What a pipeline file may say: the one definition that the reader checks files with and that the JSON Schema for
 * editors is made from. Interpolation is filled in before this is applied.
 *
 * The `error` of each part is not a sentence but the phrase for what is allowed there; `violations.ts` puts what was
 * found and the phrase together. So no text of zod's own reaches a user.
 */
import { z } from 'zod';
import { nearest } from './nearest.js';
import { COMPRESSIONS, ENGINES, IF_EXISTS, INFINITE, ON_INVALID, REDUCTIONS, SINK_MODES } from './pipeline.js';
import { DURATION, parseDuration, parsePercent, parseSize, PERCENT, SIZE } from './units.js';

/** Rows of a row group where the file does not say: DuckDB's own default, 60 of its vectors. */
export const DEFAULT_ROW_GROUP_SIZE = 122_880;
/** DuckDB and the model do not run in less. */
const LEAST_MEMORY = 128e6;
/** Below, a machine that is busy elsewhere for a moment would pass for a model that hangs. */
const LEAST_TIMEOUT_S = 0.1;
/** The prefix of columns that Colonnade adds to its own files. */
export const RESERVED_PREFIX = '__colonnade_';

const KEYS = 'a mapping with the keys ';

/** A mapping with these keys and no others. */
function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: KEYS + Object.keys(shape).join(', ') });
}

/** The keys that the phrase of a mapping names; none for any other phrase. */
export function keysIn(phrase: string): readonly string[] {
  return phrase.startsWith(KEYS) ? phrase.slice(KEYS.length).split(', ') : [];
}

/** A text that is not empty. */
function text(phrase: string) {
  return z.string({ error: phrase }).min(1, { error: phrase });
}

/** A whole number within bounds, both included. */
function whole(least: number, most: number, phrase: string) {
  return z.int({ error: phrase }).min(least, { error: phrase }).max(most, { error: phrase });
}

function number(phrase: string) {
  return z.number({ error: phrase });
}

function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, { error: values.join(', ') });
}

function listOf<Item extends z.ZodType>(item: Item, phrase: string) {
  return z.array(item, { error: phrase }).min(1, { error: phrase });
}

function oneOrMore(phrase: string, phraseOfMany: string) {
  const item = text(phrase);
  const phraseOfBoth = `${phrase}, or a list of ${phraseOfMany}`;
  return z.union([item, listOf(item, phraseOfBoth)], { error: phraseOfBoth });
}

function autoOr(least: number, most: number) {
  const phrase = `auto, or a whole number from ${least} to ${most}`;
  return z.union([z.literal('auto'), whole(least, most, phrase)], { error: phrase });
}

const column = 'the name of a column';
const columns = 'names of columns';
const ruleOfMissing = 'invalid, nan, a value to put in its place, or { value: … }';

const source = mapping({
  path: oneOrMore('a file, a folder or a glob', 'them').describe(
    'Parquet files: a file, a folder, a glob, or a list of them; relative to this file. Hive folders (region=north/) are columns.',
  ),
  key: oneOrMore(column, columns)
    .optional()
    .describe('Columns that name a row: they stand beside predictions and quarantined rows.'),
  where: text('an SQL condition')
    .optional()
    .describe(
      'One SQL condition over the columns of the source. Other rows are not scored; an append keeps them, without predictions.',
    ),
}).describe('The data that is scored.');

const feature = z.union(
  [
    text('the name of a column or { name, sql }').describe('A column of the source.'),
    mapping({
      name: text('a name').describe('The name of the feature.'),
      sql: text('an SQL expression').describe(
        'One SQL expression over the columns of the source, as in: ln(1 + amount)',
      ),
    }).describe('A feature that SQL computes.'),
  ],
  { error: 'the name of a column, or { name, sql }' },
);

const shaPhrase = '64 hexadecimal digits, as `colonnade inspect` shows them';

/** What `model` and each of `models` say. */
const modelShape = {
  path: text('an .onnx file').describe('The model: an .onnx file, or an MLflow model folder; relative to this file.'),
  sha256: z
    .string({ error: shaPhrase })
    .regex(/^[0-9a-fA-F]{64}$/, { error: shaPhrase })
    .optional()
    .describe('The hash of the model file (colonnade inspect tells it): with another one nothing is scored.'),
  inputs: z
    .record(
      text('the name of a model input'),
      oneOrMore('the name of a feature', 'names of features').describe('The features that feed this input, in order.'),
      { error: 'a mapping of model inputs to features' },
    )
    .optional()
    .describe(
      'Which features feed which model input. Not needed for a model with one matrix input, or whose inputs are named as the features.',
    ),
  batch_size: autoOr(1, 16_777_216)
    .default('auto')
    .describe('Rows given to the model at once. A score may depend on it in the last bits, so a number pins it.'),
  engine: oneOf(ENGINES)
    .default('auto')
    .describe(
      'What runs the model: ONNX Runtime, or a faster kernel for tree ensembles; `auto` takes it where it pays and gives the same.',
    ),
};

const model = mapping(modelShape).describe('The model, and how the features feed it.');

/** Keys of an output of which there may be one. */
export const TAKES = ['class', 'index', 'reduce', 'as'] as const;

/** What JSON Schema says of the keys of a sink by its mode, unless that is an interpolation. */
const ifMode = (modes: readonly string[], then: object): object => ({
  if: { properties: { mode: { enum: modes } }, required: ['mode'] },
  then,
});
const without = (...keys: string[]): object => ({ not: { anyOf: keys.map((key) => ({ required: [key] })) } });

const output = z.union(
  [
    text('the name of a model output').describe('A model output as it is.'),
    mapping({
      from: text('the name of a model output').describe('The model output.'),
      class: z
        .union([z.string(), z.number(), z.boolean()], { error: 'a class label: a text, a number, true or false' })
        .optional()
        .describe('The column of this class label, as in: class: 1'),
      index: whole(0, 2 ** 31 - 1, 'a whole number from 0')
        .optional()
        .describe('The column at this place, counted from 0.'),
      reduce: oneOf(REDUCTIONS)
        .optional()
        .describe(
          'One number out of all columns: max, the largest; argmax, the position of the largest; margin, the largest less the second; entropy, in nats.',
        ),
      as: oneOf(['list']).optional().describe('All columns, as a list.'),
    }).meta({
      description: 'A part of a model output: at most one of class, index, reduce and as.',
      allOf: TAKES.flatMap((one, i) => TAKES.slice(i + 1).map((other) => ({ not: { required: [one, other] } }))),
    }),
  ],
  { error: 'the name of a model output, or { from, … }' },
);

const outputs = z
  .record(text('the name of a new column'), output, { error: 'a mapping of new columns to model outputs' })
  .refine((given) => Object.keys(given).length > 0, { error: 'at least one new column and its model output' })
  .describe('The new columns, and the model output that each is made from.');

const namePhrase = 'a name of letters, digits, `_`, `.` and `-`';

const models = z
  .record(
    z.string().regex(/^[A-Za-z0-9_.-]+$/, { error: namePhrase }),
    mapping({
      ...modelShape,
      features: listOf(text('the name of a feature'), 'a list of names of features')
        .optional()
        .describe('The features that this model is fed with, in its order. Default: all.'),
      outputs,
    }).describe('One of the models, how the features feed it, and the new columns that it makes.'),
    { error: 'a mapping of names to models' },
  )
  .refine((given) => Object.keys(given).length > 0, { error: 'at least one model' })
  .describe('Several models over the same rows, which are read once; each by a name. In place of model and outputs.');

/** Texts for `missing` that are more likely a slip than a value to impute: those write `{ value: … }`. */
export function confusedMissing(given: string): string | undefined {
  return given === 'invalid' || given === 'nan' ? undefined : nearest(given, ['invalid', 'nan']);
}

const rule = mapping({
  min: number('a number').optional().describe('Smaller values make the row invalid.'),
  max: number('a number').optional().describe('Larger values make the row invalid.'),
  missing: z
    .union(
      [
        oneOf(['invalid', 'nan']),
        number(ruleOfMissing),
        text(ruleOfMissing).refine((given) => confusedMissing(given) === undefined, { error: ruleOfMissing }),
        mapping({
          value: z
            .union([z.number(), z.string()], { error: 'a number or a text' })
            .describe('The value to put in the place of a missing one.'),
        }),
      ],
      { error: ruleOfMissing },
    )
    .default('invalid')
    .describe(
      'NULL and NaN: invalid, the row is invalid; nan, the model gets NaN; a value, the model gets that value.',
    ),
  infinite: oneOf(INFINITE)
    .default('invalid')
    .describe('Infinities: invalid, the row is invalid; allow, the model gets them.'),
}).describe('When a value makes its row invalid. NULL, NaN and infinities do unless said otherwise.');

function limit(phrase: string) {
  return z.union(
    [
      whole(0, Number.MAX_SAFE_INTEGER, phrase),
      z
        .string({ error: phrase })
        .regex(PERCENT, { error: phrase })
        .refine((given) => !(parsePercent(given) > 1), { error: phrase }),
    ],
    { error: phrase },
  );
}

const validate = mapping({
  // `on_invalid: null` is written without quotes: the reader takes it for the word, and editors must as well.
  on_invalid: oneOf(ON_INVALID)
    .meta({ type: ['string', 'null'], enum: [...ON_INVALID, null] })
    .default('quarantine')
    .describe(
      'Invalid rows: quarantine, they go to a file of their own; null, their predictions are NULL; fail, the run fails.',
    ),
  max_invalid: limit('a share such as 1% (at most 100%), or a whole number of rows')
    .optional()
    .describe('With more invalid rows than this the run fails: a share such as 1%, or a number of rows.'),
  max_nan: limit('a share such as 1% (at most 100%), or a whole number of predictions')
    .optional()
    .describe(
      'With more NaN in one of the new columns than this the run fails: a share of the rows such as 1%, or a number.',
    ),
  rules: z
    .record(text('the name of a feature or column'), rule, { error: 'a mapping of features or columns to rules' })
    .default({})
    .describe('Rules by the name of a feature, or of a column of the source.'),
}).describe('What makes a row invalid, and what becomes of it.');

const sink = mapping({
  mode: oneOf(SINK_MODES).describe(
    'append: the same files with the predictions as more columns; partition: hive folders of chosen columns; predictions: only keys and predictions.',
  ),
  path: text('a folder').describe('The folder that the output is in; relative to this file.'),
  partition_by: oneOrMore(column, columns)
    .optional()
    .describe('Mode partition only: columns whose values make the folders.'),
  columns: listOf(text(column), `a list of ${columns}`)
    .optional()
    .describe('Mode partition only: the columns that are written, new ones among them. Default: all.'),
  exists: oneOf(IF_EXISTS).default('fail').describe('What to do when the output exists.'),
  compression: oneOf(COMPRESSIONS)
    .default('snappy')
    .describe('The codec of what is written; old columns of an append keep theirs.'),
  row_group_size: whole(1, 2 ** 31 - 1, 'a whole number of rows from 1')
    .default(DEFAULT_ROW_GROUP_SIZE)
    .describe(
      'Rows of a row group; for partition and predictions, because the row groups of an append follow the source.',
    ),
}).meta({
  description: 'Where the predictions go.',
  allOf: [
    ifMode(['append', 'predictions'], without('partition_by', 'columns')),
    ifMode(['append'], without('row_group_size')),
    ifMode(['partition'], { required: ['partition_by'] }),
  ],
});

const timeoutPhrase = 'a duration such as 90s, 10min or 1h, at least 100ms, or off';

const sizePhrase = 'a size such as 512MB or 2GiB, at least 128MB';

const run = mapping({
  workers: autoOr(1, 1024).default('auto').describe('Processes that score at the same time.'),
  threads: autoOr(1, 64)
    .default('auto')
    .describe('Threads of DuckDB in each process that scores; they change no byte of the output.'),
  retries: whole(0, 100, 'a whole number from 0 to 100')
    .default(3)
    .describe('How often a part of the data is tried again after a fault that may pass.'),
  timeout: z
    .union(
      [
        oneOf(['off']),
        z
          .string({ error: timeoutPhrase })
          .regex(DURATION, { error: timeoutPhrase })
          .refine((given) => !(parseDuration(given) < LEAST_TIMEOUT_S), { error: timeoutPhrase }),
      ],
      { error: timeoutPhrase },
    )
    .optional()
    .describe(
      'The longest that a model may take for one batch, as in 90s or 10min; then its process is ended. Default: 10min.',
    ),
  memory: z
    .string({ error: sizePhrase })
    .regex(SIZE, { error: sizePhrase })
    .refine((given) => !(parseSize(given) < LEAST_MEMORY || parseSize(given) > Number.MAX_SAFE_INTEGER), {
      error: sizePhrase,
    })
    .default('512MB')
    .describe('Memory that one worker may use for data, as in 512MB or 2GiB.'),
}).describe('How the work is done; it never changes the predictions.');

/** The whole file. */
export const pipelineSchema = mapping({
  version: z.literal(1, { error: '1' }).describe('The version of this format: 1.'),
  name: z
    .string({ error: 'a text of letters, digits, `_`, `.` and `-`' })
    .regex(/^[A-Za-z0-9_.-]+$/, { error: 'a text of letters, digits, `_`, `.` and `-`' })
    .optional()
    .describe('The name of the pipeline. Default: the name of the file.'),
  vars: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'a name of letters, digits and `_`' }),
      z.union([z.string(), z.number(), z.boolean()], { error: 'a text, a number, true or false' }),
      { error: 'a mapping of names to values' },
    )
    .optional()
    .describe('Variables, used as ${vars.name}; --var name=value on the command line replaces them.'),
  source,
  features: listOf(feature, 'a list of at least one column or { name, sql }').describe(
    'What the model is fed with, in the order of the model.',
  ),
  model: model.optional(),
  outputs: outputs.optional(),
  models: models.optional(),
  validate: validate.prefault({}),
  sink,
  run: run.prefault({}),
});

/** The sections of the file with their keys, to tell where a key that stands in the wrong place belongs. */
export const SECTION_KEYS: Readonly<Record<string, readonly string[]>> = {
  source: Object.keys(source.shape),
  model: Object.keys(model.shape),
  validate: Object.keys(validate.shape),
  sink: Object.keys(sink.shape),
  run: Object.keys(run.shape),
};

/** A pipeline file that fits the schema, defaults filled in. */
export type PipelineInput = z.output<typeof pipelineSchema>;
