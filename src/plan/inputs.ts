/**
 * Which features feed which model input: as the pipeline says, by name, or in order; then whether type, count, rank
 * and fixed dimensions agree. What does not agree is told with both sides.
 */
import type { Problem } from '../errors.js';
import { keyPath } from '../pipeline/key-path.js';
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { Feature, Pipeline, PipelineModel } from '../pipeline/pipeline.js';
import type { ModelSignature, OutputSpec, TensorSpec } from './facts.js';
import { featureKey, featuresOf } from './features.js';
import type { Findings } from './findings.js';
import { asLogged } from './logged.js';
import { shownNames } from './names.js';

/** The features of one model input. */
export interface InputAssignment {
  readonly input: TensorSpec;
  readonly features: readonly Feature[];
}

/** Assigns features to model inputs; `notes` tells what was inferred. Findings have code `MODEL_MISMATCH`. */
export function assignInputs(
  pipeline: Pipeline,
  model: PipelineModel,
  signature: ModelSignature,
  findings: Findings,
): { readonly assignments: readonly InputAssignment[]; readonly notes: readonly string[] } {
  const features = featuresOf(pipeline, model);
  const stated = model.inputs;
  if (stated !== undefined)
    return { assignments: assignStated(pipeline, model, stated, signature, findings), notes: [] };
  const ofModel = model.name === undefined ? '' : ` of model ${model.name}`;
  const inputsKey = `${model.key}.inputs`;
  const [only] = signature.inputs;
  if (signature.inputs.length === 1 && only !== undefined) {
    const logged = asLogged(pipeline, model, features, signature, findings);
    return { assignments: [{ input: only, features: logged?.features ?? features }], notes: logged?.notes ?? [] };
  }

  const byName = new Map(features.map((feature) => [feature.name, feature]));
  const named = signature.inputs.filter((input) => byName.has(input.name));
  if (named.length === signature.inputs.length) {
    const names = new Set(signature.inputs.map(({ name }) => name));
    // With several models, a feature that this one does not take may be another's.
    features.forEach((feature) => {
      if (!names.has(feature.name) && (model.name === undefined || model.features !== undefined)) {
        findings.add(
          'MODEL_MISMATCH',
          mismatch(
            pipeline,
            featureKey(pipeline, model, feature),
            `feature ${feature.name} feeds no input of the model; ${inputsInWords(signature)}`,
            `remove it, or name the input that it feeds under ${inputsKey}`,
          ),
        );
      }
    });
    return {
      assignments: signature.inputs.map((input) => ({ input, features: [byName.get(input.name)!] })),
      notes: [],
    };
  }
  // `Age` for the input `age` is a slip of a name, and no reason to leave names out of account.
  const folded = new Set(features.map(({ name }) => name.toLowerCase()));
  const unnamed = !signature.inputs.some(({ name }) => folded.has(name.toLowerCase()));
  if (unnamed && features.length === signature.inputs.length) {
    return {
      assignments: signature.inputs.map((input, i) => ({ input, features: [features[i]!] })),
      notes: [
        `the inputs${ofModel || ' of the model'} are fed in the order of the features: no feature has the name of an input`,
      ],
    };
  }
  const missing = signature.inputs.filter((input) => !byName.has(input.name));
  for (const input of missing) {
    const near = nearest(
      input.name,
      features.map(({ name }) => name),
    );
    findings.add(
      'MODEL_MISMATCH',
      mismatch(
        pipeline,
        'features',
        `${inputInWords(input, model)} is fed by no feature; the features are ${shownNames(features.map(({ name }) => name))}`,
        near === undefined
          ? `add a feature of that name, or say under ${inputsKey} which features feed it`
          : `did you mean ${near}? Rename the feature, or say under ${inputsKey}: { ${input.name}: ${near} }`,
      ),
    );
  }
  return { assignments: [], notes: [] };
}

/** `model input X (float32[N, 2])`, with the name of the model where there are several. */
export function inputInWords(input: TensorSpec, { name }: PipelineModel): string {
  const words = `${input.name} (${tensorInWords(input)})`;
  return name === undefined ? `model input ${words}` : `input ${words} of model ${name}`;
}

function assignStated(
  pipeline: Pipeline,
  model: PipelineModel,
  stated: Readonly<Record<string, readonly string[]>>,
  signature: ModelSignature,
  findings: Findings,
): InputAssignment[] {
  const byName = new Map(pipeline.features.map((feature) => [feature.name, feature]));
  const known = new Set(signature.inputs.map(({ name }) => name));
  for (const name of Object.keys(stated)) {
    if (known.has(name)) continue;
    const near = nearest(name, [...known]);
    findings.add(
      'MODEL_MISMATCH',
      mismatch(
        pipeline,
        `${model.key}.${keyPath(['inputs', name])}`,
        `the model has no input ${name}; ${inputsInWords(signature)}`,
        near === undefined ? 'name one of its inputs' : `did you mean ${near}?`,
      ),
    );
  }
  return signature.inputs.flatMap((input) => {
    const names = stated[input.name];
    if (names === undefined) {
      findings.add(
        'MODEL_MISMATCH',
        mismatch(
          pipeline,
          `${model.key}.inputs`,
          `${inputInWords(input, model)} is fed by nothing`,
          `add ${input.name}: [ … ] under ${model.key}.inputs`,
        ),
      );
      return [];
    }
    return [{ input, features: names.flatMap((name) => byName.get(name) ?? []) }];
  });
}

/** The fixed batch size of the model, where its graph fixes one. */
export function fixedBatchSize(signature: ModelSignature): number | undefined {
  return signature.inputs.map(({ shape }) => shape[0]).find((extent) => typeof extent === 'number');
}

/** `float32[N, 10]`; `N` is the number of rows, `?` any other. */
export function tensorInWords(tensor: TensorSpec & Pick<OutputSpec, 'perRow'>): string {
  const open = (axis: number): string => (axis === 0 && tensor.perRow !== false ? 'N' : '?');
  const shape = tensor.shape.map((extent, axis) => (extent === null ? open(axis) : String(extent)));
  return `${tensor.type}[${shape.join(', ')}]`;
}

function inputsInWords(signature: ModelSignature): string {
  return `its inputs are ${signature.inputs.map((input) => `${input.name} (${tensorInWords(input)})`).join(', ')}`;
}

function mismatch(pipeline: Pipeline, key: string, message: string, hint: string): Problem {
  return pipelineProblem(pipeline, key, message, hint);
}
