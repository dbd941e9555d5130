/**
 * What MLflow knows of a model's columns: their names, their order in training, and their types. The one matrix of an ONNX
 * graph has no names for its columns, so an order that is not that of training would be scored without a word.
 */
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { Feature, Pipeline } from '../pipeline/pipeline.js';
import type { ModelSignature } from './facts.js';
import type { Findings } from './findings.js';
import { shownNames } from './names.js';
import { columnType, type ColumnType } from './types.js';

/**
 * The features in the order of the columns that the model was logged with; undefined where it has no such columns, or where
 * they and the features are not the same names, which is told: `MODEL_MISMATCH`.
 */
export function asLogged(
  pipeline: Pipeline,
  { columns }: ModelSignature,
  findings: Findings,
): { readonly features: readonly Feature[]; readonly notes: readonly string[] } | undefined {
  if (columns === undefined) return undefined;
  const { features } = pipeline;
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
        ? 'add a feature of that name (by sql, where the column has another), or say under model.inputs what feeds the model'
        : `did you mean ${near}? Rename the feature, or say under model.inputs what feeds the model`,
    );
  }
  features.forEach(({ name }, i) => {
    if (names.includes(name)) return;
    report(
      `features[${i}]`,
      `feature ${name} is none of the columns that the model was logged with: ${shownNames(names)}`,
      'remove it, or say under model.inputs what feeds the model',
    );
  });
  if (missing.length > 0 || byName.size !== names.length) return undefined;
  const isSame = features.every(({ name }, i) => name === names[i]);
  return {
    features: names.map((name) => byName.get(name)!),
    notes: isSame ? [] : [`the features are fed in the order that the model was logged with: ${shownNames(names)}`],
  };
}

/** Kinds of columns that stand for each other, by MLflow's names of types (`mlflow.types.DataType`). */
const NUMBERS: readonly ColumnType['kind'][] = ['boolean', 'integer', 'decimal', 'float'];
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
  { columns = [] }: ModelSignature,
  typeOf: (feature: Feature, index: number) => string | undefined,
  findings: Findings,
): void {
  const logged = new Map(columns.map(({ name, type }) => [name, type]));
  pipeline.features.forEach((feature, i) => {
    const type = typeOf(feature, i);
    const expected = logged.get(feature.name);
    const kinds = expected === undefined ? undefined : KINDS[expected];
    if (type === undefined || kinds === undefined || kinds.includes(columnType(type).kind)) return;
    findings.add(
      'MODEL_MISMATCH',
      pipelineProblem(
        pipeline,
        `features[${i}]`,
        `feature ${feature.name} is ${type}; the model was logged with ${expected} in its place`,
        'feed it the column that it was trained with, or convert it by sql',
      ),
    );
  });
}
