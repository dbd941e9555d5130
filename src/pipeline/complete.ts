/** A file that fits the schema → a {@link Pipeline}: short forms written out, sizes in bytes, paths absolute, frozen. */
import { basename, dirname, extname, resolve } from 'node:path';
import type { Position } from '../errors.js';
import { contentHash } from './hash.js';
import { keyPath } from './key-path.js';
import type { Feature, InvalidLimit, OutputColumn, Pipeline, PipelineModel, Rule, Take } from './pipeline.js';
import type { PipelineInput } from './schema.js';
import { parseDuration, parsePercent, parseSize } from './units.js';

/** What the text adds to what it says. */
export interface Origin {
  /** Absolute path of the file. */
  readonly file: string;
  readonly text: string;
  /** Values that were given for `vars`. */
  readonly vars: Readonly<Record<string, string>>;
  readonly positions: Readonly<Record<string, Position>>;
  /**
   * Names of the models, `undefined` for the one under `model`, each with the names of its outputs, in the order of the
   * file: JavaScript puts keys such as `2` before all others.
   */
  readonly models: readonly { readonly name: string | undefined; readonly outputs: readonly string[] }[];
}

/** What a pipeline says, wherever it lies: the part that {@link Pipeline.hash} is made from. */
type Content = Omit<Pipeline, 'file' | 'hash' | 'positions' | 'text'>;

/** The frozen pipeline of a valid input. */
export function completePipeline(input: PipelineInput, origin: Origin): Pipeline {
  const content = contentOf(input, origin);
  const folder = dirname(origin.file);
  return deepFreeze({
    ...content,
    file: origin.file,
    ...(Object.keys(origin.vars).length === 0 ? {} : { vars: { ...origin.vars } }),
    source: { ...content.source, paths: content.source.paths.map((path) => resolve(folder, path)) },
    models: content.models.map((model) => ({ ...model, path: resolve(folder, model.path) })),
    sink: { ...content.sink, path: resolve(folder, content.sink.path) },
    // Outputs are a list here, so that their order counts; paths are as given, so that a folder can be moved.
    hash: contentHash(content),
    positions: origin.positions,
    text: origin.text,
  });
}

function contentOf(input: PipelineInput, origin: Origin): Content {
  const { source, validate, sink, run } = input;
  return {
    version: input.version,
    name: input.name ?? nameOf(origin.file),
    source: {
      paths: asList(source.path),
      key: asList(source.key ?? []),
      ...(source.where === undefined ? {} : { where: source.where }),
    },
    features: input.features.map((feature): Feature => (typeof feature === 'string' ? { name: feature } : feature)),
    models: origin.models.map(({ name }) => modelOf(name, input)),
    outputs: origin.models.flatMap((model, at) =>
      model.outputs.map((name) => outputOf(name, at, model.name, outputsOf(model.name, input)[name])),
    ),
    validate: {
      onInvalid: validate.on_invalid,
      ...(validate.max_invalid === undefined ? {} : { maxInvalid: limitOf(validate.max_invalid) }),
      ...(validate.max_nan === undefined ? {} : { maxNan: limitOf(validate.max_nan) }),
      rules: mapValues(validate.rules, ruleOf),
    },
    sink: {
      mode: sink.mode,
      path: sink.path,
      partitionBy: asList(sink.partition_by ?? []),
      ...(sink.columns === undefined ? {} : { columns: sink.columns }),
      exists: sink.exists,
      compression: sink.compression,
      rowGroupSize: sink.row_group_size,
    },
    run: {
      workers: run.workers,
      ...(run.threads === 'auto' ? {} : { threads: run.threads }),
      retries: run.retries,
      memory: parseSize(run.memory),
      ...(run.timeout === undefined ? {} : { timeout: run.timeout === 'off' ? null : parseDuration(run.timeout) }),
    },
  };
}

/** The name of a pipeline that gives itself none: its file's, with `-` for what a name cannot hold. */
function nameOf(file: string): string {
  const stem = basename(file, extname(file));
  return stem.replaceAll(/[^A-Za-z0-9_.-]+/g, '-') || 'pipeline';
}

function asList(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

/** Without a prototype, so that looking up a feature named `toString` finds nothing where nothing was said. */
function mapValues<From, To>(values: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  const mapped = Object.create(null) as Record<string, To>;
  for (const [key, value] of Object.entries(values)) mapped[key] = map(value);
  return mapped;
}

type ModelInput = NonNullable<PipelineInput['model']> & { readonly features?: readonly string[] };
type OutputsInput = NonNullable<PipelineInput['outputs']>;

function modelOf(name: string | undefined, input: PipelineInput): PipelineModel {
  const model: ModelInput | undefined = name === undefined ? input.model : input.models?.[name];
  if (model === undefined) throw new Error(`no model \`${name}\` in the checked input`);
  return {
    ...(name === undefined ? {} : { name }),
    key: name === undefined ? 'model' : keyPath(['models', name]),
    path: model.path,
    ...(model.sha256 === undefined ? {} : { sha256: model.sha256.toLowerCase() }),
    ...(model.features === undefined ? {} : { features: model.features }),
    ...(model.inputs === undefined ? {} : { inputs: mapValues(model.inputs, asList) }),
    batchSize: model.batch_size,
    engine: model.engine,
  };
}

function outputsOf(model: string | undefined, input: PipelineInput): OutputsInput {
  return (model === undefined ? input.outputs : input.models?.[model]?.outputs) ?? {};
}

function outputOf(
  name: string,
  model: number,
  modelName: string | undefined,
  output: OutputsInput[string] | undefined,
): OutputColumn {
  if (output === undefined) throw new Error(`no output \`${name}\` in the checked input`);
  const key = keyPath(modelName === undefined ? ['outputs', name] : ['models', modelName, 'outputs', name]);
  const place = { name, model, key };
  if (typeof output === 'string') return { ...place, from: output, take: { kind: 'whole' } };
  return { ...place, from: output.from, take: takeOf(output) };
}

function takeOf(output: Exclude<OutputsInput[string], string>): Take {
  if (output.class !== undefined) return { kind: 'class', label: output.class };
  if (output.index !== undefined) return { kind: 'index', index: output.index };
  if (output.reduce !== undefined) return { kind: 'reduce', reduce: output.reduce };
  return output.as === undefined ? { kind: 'whole' } : { kind: 'list' };
}

function limitOf(limit: string | number): InvalidLimit {
  return typeof limit === 'number' ? { count: limit } : { share: parsePercent(limit) };
}

function ruleOf(rule: PipelineInput['validate']['rules'][string]): Rule {
  const { missing } = rule;
  return {
    ...(rule.min === undefined ? {} : { min: rule.min }),
    ...(rule.max === undefined ? {} : { max: rule.max }),
    missing:
      missing === 'invalid' || missing === 'nan' ? missing : typeof missing === 'object' ? missing : { value: missing },
    infinite: rule.infinite,
  };
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
