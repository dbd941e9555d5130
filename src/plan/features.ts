/** The features of a model, where a pipeline has several. */
import type { Feature, Pipeline, PipelineModel } from '../pipeline/pipeline.js';

/** The features that a model may be fed with, in its order. */
export function featuresOf({ features }: Pipeline, model: PipelineModel): readonly Feature[] {
  if (model.features === undefined) return features;
  const byName = new Map(features.map((feature) => [feature.name, feature]));
  return model.features.flatMap((name) => byName.get(name) ?? []);
}

/** Where a model's feature is named in the file. */
export function featureKey({ features }: Pipeline, model: PipelineModel, { name }: Feature): string {
  const own = model.features?.indexOf(name) ?? -1;
  return own >= 0 ? `${model.key}.features[${own}]` : `features[${features.findIndex((each) => each.name === name)}]`;
}
