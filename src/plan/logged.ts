/**
 * What MLflow knows of a model's columns: their names, their order in training, and their types. The one matrix of an ONNX
 * graph has no names for its columns, so an order that is not that of training would be scored without a word.
 */
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { Feature, Pipeline, PipelineModel } from '../pipeline/pipeline.js';
import type { ModelSignature } from './facts.js';
import type { Findings } from './findings.js';
import { featureKey, featuresOf } from './features.js';
import { shownNames } from './names.js';
import { columnType, type ColumnType } from './types.js';

/**
 * The features in the order of the columns that the model was logged with; undefined where it has no such columns, or where
 * they and the features are not the same names, which is told: `MODEL_MISMATCH`.
 */
export function asLogged(
  pipeline: Pipeline,
  model: PipelineModel,
  features: readonly Feature[],
  { columns }: ModelSignature,
  findings: Findings,
): { readonly features: readonly Feature[]; readonly notes: readonly string[] } | undefined {
  if (columns === undefined) return undefined;
  const names = columns.map(({ name }) => name);
  const byName = new Map(features.map((feature) => [feature.name, feature]));
  const report = (key: string, message: string, hint: string): void =>
    findings.add('MODEL_MISMATCH', pipelineProblem(pipeline, key, message, hint));
  const missing = names.filter((name) => !byName.has(name));
  for (const name of missing) {
    const near = nearest(
      name,
      features.map((feature) => feature.name),
    );
    report(
      'features',
      `the model was logged with a column ${name}, and no feature has that name; the features are ${shownNames([...byName.keys()])}`,
      near === undefined
        ? `add a feature of that name (by sql, where the column has another), or say under ${model.key}.inputs what feeds the model`
        : `did you mean ${near}? Rename the feature, or say under ${model.key}.inputs what feeds the model`,
    );
  }
  // With several models, a feature that this one does not know may be another's.
  const others = features.filter(({ name }) => !names.includes(name));
  const isAnothers = model.name !== undefined && model.features === undefined;
  for (const feature of isAnothers ? [] : others) {
    report(
      featureKey(pipeline, model, feature),
      `feature ${feature.name} is none of the columns that the model was logged with: ${shownNames(names)}`,
      `remove it, or say under ${model.key}.inputs what feeds the model`,
    );
  }
  if (missing.length > 0 || (others.length > 0 && !isAnothers)) return undefined;
  const known = features.filter(({ name }) => names.includes(name));
  const isSame = known.every(({ name }, i) => name === names[i]);
  return {
    features: names.map((name) => byName.get(name)!),
    notes: isSame ? [] : [`the features are fed in the order that the model was logged with: ${shownNames(names)}`],
  };
}

const NUMBERS: readonly ColumnType['kind'][] = ['boolean', 'integer', 'decimal', 'float'];
/** Kinds of columns that stand for each other, by MLflow's names of types (`mlflow.types.DataType`). */
const KINDS: Readonly<Record<string, readonly ColumnType['kind'][]>> = {
  boolean: NUMBERS,
  integer: NUMBERS,
  long: NUMBERS,
  float: NUMBERS,
  double: NUMBERS,
  string: ['text'],
};

/** Tells features whose columns are of another kind than the model was logged with: `MODEL_MISMATCH`. */
export function checkLoggedTypes(
  pipeline: Pipeline,
  model: PipelineModel,
  { columns = [] }: ModelSignature,
  typeOf: (feature: Feature) => string | undefined,
  findings: Findings,
): void {
  const logged = new Map(columns.map(({ name, type }) => [name, type]));
  for (const feature of featuresOf(pipeline, model)) {
    const type = typeOf(feature);
    const expected = logged.get(feature.name);
    const kinds = expected === undefined ? undefined : KINDS[expected];
    if (type === undefined || kinds === undefined || kinds.includes(columnType(type).kind)) continue;
    findings.add(
      'MODEL_MISMATCH',
      pipelineProblem(
        pipeline,
        featureKey(pipeline, model, feature),
        `feature ${feature.name} is ${type}; the model was logged with ${expected} in its place`,
        'feed it the column that it was trained with, or convert it by sql',
      ),
    );
  }
}
