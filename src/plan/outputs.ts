/** Which part of which model output each new column holds, and its type. */
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { OutputColumn, Pipeline } from '../pipeline/pipeline.js';
import type { ElementType, ModelSignature, OutputSpec } from './facts.js';
import type { Findings } from './findings.js';
import { tensorInWords } from './inputs.js';
import type { PlannedOutput } from './plan.js';

/** Plans the new columns; findings have codes `MODEL_MISMATCH` and `MODEL_UNSUPPORTED`. */
export function planOutputs(
  pipeline: Pipeline,
  signatures: readonly ModelSignature[],
  findings: Findings,
): PlannedOutput[] {
  return pipeline.outputs.flatMap((column) => {
    const report = (message: string, hint: string): [] => {
      findings.add('MODEL_MISMATCH', pipelineProblem(pipeline, column.key, message, hint));
      return [];
    };
    const signature = signatures[column.model]!;
    const output = signature.outputs.find(({ name }) => name === column.from);
    const unusable = signature.unusable.find(({ name }) => name === column.from);
    if (unusable !== undefined) {
      findings.add(
        'MODEL_UNSUPPORTED',
        pipelineProblem(
          pipeline,
          column.key,
          `the output ${unusable.name} of the model ${unusable.reason}`,
          unusable.hint,
        ),
      );
      return [];
    }
    if (output === undefined) {
      const names = signature.outputs.map(({ name }) => name);
      const near = nearest(column.from, names);
      return report(
        `the model${ofName(pipeline.models[column.model]?.name)} has no output ${column.from}; its outputs are ${signature.outputs.map((spec) => `${spec.name} (${tensorInWords(spec)})`).join(', ')}`,
        near === undefined ? 'name one of them' : `did you mean ${near}?`,
      );
    }
    if (!hasRows(output, signature)) {
      return report(
        `${column.from} (${tensorInWords(output)}) does not have one entry a row${output.perRow === false ? ': the model gave another number of them than it was given rows' : ''}`,
        'take another output, or export the model so that the first dimension of this one is the batch',
      );
    }
    const planned = takeFrom(column, output);
    return 'message' in planned ? report(planned.message, planned.hint) : [planned];
  });
}

/**
 * Whether the first dimension may be the rows. A fixed extent is not, unless it is that of the inputs; 1 is let through,
 * because exporters write it for any number of rows (LightGBM's labels) and a model cannot always be probed.
 */
function hasRows({ shape, perRow }: OutputSpec, signature: ModelSignature): boolean {
  const [extent] = shape;
  if (extent === undefined || perRow === false) return false;
  return extent === null || extent === 1 || signature.inputs.some((input) => input.shape[0] === extent);
}

function takeFrom(
  column: OutputColumn,
  output: OutputSpec,
): PlannedOutput | { readonly message: string; readonly hint: string } {
  const { take, name, model, from } = column;
  const words = `${from} (${tensorInWords(output)})`;
  const width = valuesOfRow(output);
  const planned = (rest: Pick<PlannedOutput, 'take' | 'type'>): PlannedOutput => ({
    name,
    model,
    from,
    list: rest.take.kind === 'list',
    ...rest,
  });
  const index = (i: number): PlannedOutput => planned({ take: { kind: 'index', index: i }, type: output.type });
  const choices =
    output.classes === undefined
      ? `{ from: ${from}, index: 0 }`
      : `{ from: ${from}, class: ${JSON.stringify(output.classes.at(-1))} }`;

  switch (take.kind) {
    case 'whole':
      if (width === 1) return planned({ take: { kind: 'whole' }, type: output.type });
      return {
        message: `${words} has ${width ?? 'an unknown number of'} values a row, which is not one column`,
        hint: `say which one, as in ${name}: ${choices}, or reduce: max, or as: list`,
      };
    case 'class': {
      if (output.classes === undefined) {
        return {
          message: `the model does not tell which classes the columns of ${words} stand for`,
          hint: `name the position instead: { from: ${from}, index: … }`,
        };
      }
      const at = classIndex(output.classes, take.label);
      if (at >= 0) return index(at);
      const near = nearest(String(take.label), output.classes.map(String));
      return {
        message: `${from} has no class ${JSON.stringify(take.label)}; its classes are ${output.classes.map((label) => JSON.stringify(label)).join(', ')}`,
        hint: near === undefined ? 'name one of them' : `did you mean ${near}?`,
      };
    }
    case 'index':
      if (width === null || take.index < width) return index(take.index);
      return {
        message: `${words} has ${width} values a row, so index ${take.index} is beyond its end`,
        hint: `choose 0 to ${width - 1}`,
      };
    case 'reduce': {
      if (output.type === 'string' || output.type === 'bool') {
        return {
          message: `${words} holds no numbers to take the ${take.reduce} of`,
          hint: 'reduce an output of probabilities or scores',
        };
      }
      if (width === 1) {
        return {
          message: `${words} has one value a row: nothing to take the ${take.reduce} of`,
          hint: `write ${name}: ${from}`,
        };
      }
      return planned({ take: { kind: 'reduce', reduce: take.reduce }, type: reducedType(take.reduce, output.type) });
    }
    case 'list':
      if (output.shape.length >= 2) return planned({ take: { kind: 'list' }, type: output.type });
      return { message: `${words} has one value a row, which makes no list`, hint: `write ${name}: ${from}` };
  }
}

function ofName(name: string | undefined): string {
  return name === undefined ? '' : ` ${name}`;
}

/** Exporters write booleans as 0 and 1 or as Python's words. */
const BOOLEAN_WORDS = { true: ['true', 'True', '1'], false: ['false', 'False', '0'] } as const;

/** The column of a class; -1 where there is none. A label is found by its value, or else by how it is written. */
function classIndex(classes: readonly (string | number)[], label: string | number | boolean): number {
  const written = classes.map(String);
  const words = typeof label === 'boolean' ? BOOLEAN_WORDS[`${label}`] : [String(label)];
  const exact = typeof label === 'boolean' ? -1 : classes.indexOf(label);
  return exact >= 0 ? exact : written.findIndex((each) => words.some((word) => word === each));
}

/** `argmax` is a position; `max` keeps the type; `margin` and `entropy` are real numbers. */
function reducedType(reduce: string, type: ElementType): ElementType {
  if (reduce === 'argmax') return 'int64';
  if (reduce === 'max') return type;
  return type === 'float32' ? 'float32' : 'float64';
}

/** How many values an output has for a row; null where its shape leaves that open. */
export function valuesOfRow({ shape }: OutputSpec): number | null {
  return shape.slice(1).reduce<number | null>((all, each) => (all === null || each === null ? null : all * each), 1);
}
