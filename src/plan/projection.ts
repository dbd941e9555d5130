/**
 * The columns that DuckDB computes for every row: features in the model's types, checks for casts that could lose a
 * value, columns that only rules look at, and the filter. What is not needed is not read.
 */
import { keyPath } from '../pipeline/key-path.js';
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { Feature, Pipeline, PipelineModel, Rule } from '../pipeline/pipeline.js';
import { castList, castTo, type Cast } from './cast.js';
import type { Expression, NumericRange, SourceColumn, TensorSpec } from './facts.js';
import type { Findings } from './findings.js';
import { inputInWords, type InputAssignment } from './inputs.js';
import { shownName, shownNames } from './names.js';
import type { PlannedInput, ProjectedColumn } from './plan.js';
import { checkListRule, checkRule } from './rules.js';
import { quoteIdentifier } from './sql.js';
import { columnType } from './types.js';

/** The rule of a column that the pipeline has none for. */
export const DEFAULT_RULE: Rule = { missing: 'invalid', infinite: 'invalid' };

/** What is known of the source's columns. */
export interface ColumnFacts {
  readonly columns: ReadonlyMap<string, SourceColumn>;
  /** Least and greatest value over all files, where every footer tells. */
  readonly ranges: ReadonlyMap<string, NumericRange>;
  /** Expressions by their key in the pipeline: `features[2].sql`, `source.where`. */
  readonly expressions: ReadonlyMap<string, Expression>;
  /** Lengths of the first lists of a list feature, the most frequent one first, by the feature's name. */
  readonly listLengths: ReadonlyMap<string, readonly number[]>;
}

export interface Projection {
  readonly columns: readonly ProjectedColumn[];
  /** Of each model, in the order of the pipeline. */
  readonly inputs: readonly (readonly PlannedInput[])[];
  readonly notes: readonly string[];
}

/** A feature's value as DuckDB sees it. */
interface Value {
  readonly sql: string;
  readonly type: string;
  readonly range?: NumericRange;
}

/**
 * Builds the projection. What several models take is read once.
 * @param assignments of each model, in the order of the pipeline; findings have codes `COLUMN_MISSING`, `COLUMN_TYPE`
 *   and `MODEL_MISMATCH`
 */
export function planProjection(
  pipeline: Pipeline,
  assignments: readonly (readonly InputAssignment[])[],
  facts: ColumnFacts,
  findings: Findings,
): Projection {
  const columns: ProjectedColumn[] = [];
  const notes: string[] = [];
  const rules = new Map(Object.entries(pipeline.validate.rules));
  const position = new Map<string, number>();

  /** Adds a feature in a type once, with its check; returns its place. */
  const project = (
    feature: Feature,
    cast: Cast & { ok: true },
    { type, half }: TensorSpec,
    listLength?: number,
  ): number => {
    const id = `${feature.name}\0${half ?? type}\0${listLength ?? ''}`;
    const known = position.get(id);
    if (known !== undefined) return known;
    const rule = rules.get(feature.name) ?? DEFAULT_RULE;
    columns.push({
      name: feature.name,
      role: 'feature',
      sql: cast.sql,
      element: cast.element,
      rule,
      ...(listLength === undefined ? {} : { listLength }),
    });
    position.set(id, columns.length - 1);
    if (cast.check !== undefined) {
      columns.push({ name: feature.name, role: 'check', sql: cast.check, element: 'uint8', rule: DEFAULT_RULE });
    }
    return position.get(id)!;
  };

  const values = new Map<string, Value>();
  pipeline.features.forEach((feature, i) => {
    const value = valueOf(pipeline, feature, i, facts, findings);
    if (value !== undefined) values.set(feature.name, value);
  });

  const planInput = (model: PipelineModel, { input, features }: InputAssignment): PlannedInput[] => {
    const whole =
      model.inputs !== undefined
        ? `${model.key}.${keyPath(['inputs', input.name])}`
        : model.features === undefined
          ? 'features'
          : `${model.key}.features`;
    const mismatch = (message: string, hint: string, key = whole): [] => {
      findings.add('MODEL_MISMATCH', pipelineProblem(pipeline, key, message, hint));
      return [];
    };
    /** A value of this feature cannot be fed. */
    const refuse = (feature: Feature, { reason, hint }: Cast & { ok: false }): [] =>
      mismatch(
        `feature ${feature.name} feeds ${words}: ${reason}`,
        hint,
        `features[${pipeline.features.indexOf(feature)}]`,
      );
    const words = inputInWords(input, model);
    const fed = shownNames(features.map(({ name }) => name));
    const rank = input.shape.length;
    if (rank !== 1 && rank !== 2) {
      return mismatch(
        `${words} has rank ${rank}; rows of columns have rank 1 or 2`,
        'export the model with an input of shape [N, features], or one input of shape [N, 1] a feature',
      );
    }
    const known = features.map((feature) => values.get(feature.name));
    if (known.some((value) => value === undefined)) return [];
    const [first] = features;
    const [firstValue] = known;
    if (first === undefined || firstValue === undefined)
      return mismatch(`${words} is fed by no feature`, 'add features');
    const width = rank === 1 ? 1 : (input.shape[1] ?? null);
    /** Too few values for a model that leaves its width open. */
    const tooFew = (count: number): string | undefined =>
      input.leastWidth === undefined || count >= input.leastWidth
        ? undefined
        : `${words} reads ${input.leastWidth} values a row at least, it is fed ${count}: ${fed}`;

    if (features.length === 1 && columnType(firstValue.type).kind === 'list') {
      const cast = castList(firstValue.sql, firstValue.type, input.type, input.half);
      if (rank === 1)
        return mismatch(
          `${words} takes one value a row, feature ${first.name} is a list (${firstValue.type})`,
          'pick an element by sql, or export the model with an input of rank 2',
        );
      if (input.type === 'bool' || input.type === 'string')
        return mismatch(`${words} cannot be fed by a list column`, 'list columns feed inputs of numbers');
      if (!cast.ok) return refuse(first, cast);
      const type = columnType(firstValue.type);
      const declared = width ?? (type.kind === 'list' ? type.length : undefined);
      const found = facts.listLengths.get(first.name);
      const length = declared ?? found?.[0];
      if (length === undefined)
        return mismatch(
          `${words} leaves its width open, and no row of ${first.name} tells how long its lists are`,
          'export the model with a fixed number of features',
        );
      if (type.kind === 'list' && type.length !== undefined && type.length !== length) {
        return mismatch(
          `${words} takes ${length} values a row, feature ${first.name} is ${firstValue.type}`,
          'feed it a list of the length that the model was trained with',
        );
      }
      if (found !== undefined && !found.includes(length)) {
        return mismatch(
          `${words} takes ${length} values a row, the first lists of ${first.name} have ${found.slice(0, 3).join(', ')}`,
          'feed it a list of the length that the model was trained with',
        );
      }
      const short = tooFew(length);
      if (short !== undefined) return mismatch(short, 'feed it lists of the length that the model was trained with');
      checkListRule(pipeline, first.name, rules.get(first.name), input.type, findings);
      if (declared === undefined)
        notes.push(
          `${words} leaves its width open: it is ${length}, as most of the first lists of ${first.name} are; rows whose list has another length are invalid`,
        );
      if (cast.rounds) notes.push(castNote(first.name, firstValue.type, input.half ?? input.type));
      return [
        {
          name: input.name,
          type: input.type,
          rank: 2,
          width: length,
          layout: 'list',
          columns: [project(first, cast, input, length)],
        },
      ];
    }

    if (width !== null && width !== features.length) {
      return mismatch(
        `${words} takes ${width} ${width === 1 ? 'value' : 'values'} a row, ${features.length} ${features.length === 1 ? 'feature feeds' : 'features feed'} it: ${fed}`,
        width > features.length
          ? `add the ${width - features.length} that ${width - features.length === 1 ? 'is' : 'are'} missing, in the order of training`
          : 'name only the features that the model was trained on, in that order',
      );
    }
    const short = tooFew(features.length);
    if (short !== undefined) return mismatch(short, 'add the features that are missing, in the order of training');
    const places = features.map((feature, i): number | undefined => {
      const value = known[i]!;
      const cast = castTo(value.sql, value.type, input.type, value.range, input.half);
      if (!cast.ok) {
        refuse(feature, cast);
        return undefined;
      }
      checkRule(pipeline, feature.name, rules.get(feature.name), input, findings);
      if (cast.rounds && (value.type !== 'DOUBLE' || input.half !== undefined))
        notes.push(castNote(feature.name, value.type, input.half ?? input.type));
      return project(feature, cast, input);
    });
    if (places.some((place) => place === undefined)) return [];
    const layout = features.length === 1 && (rank === 1 || width === 1 || width === null) ? 'column' : 'pack';
    return [{ name: input.name, type: input.type, rank, width: features.length, layout, columns: places as number[] }];
  };
  const inputs = pipeline.models.map((model, at) => assignments[at]!.flatMap((each) => planInput(model, each)));

  const featureNames = new Set(pipeline.features.map(({ name }) => name));
  for (const [name, rule] of rules) {
    if (featureNames.has(name)) continue;
    const column = facts.columns.get(name);
    if (column === undefined) {
      const near = nearest(name, [...featureNames, ...facts.columns.keys()]);
      findings.add(
        'COLUMN_MISSING',
        pipelineProblem(
          pipeline,
          keyPath(['validate', 'rules', name]),
          `rule for ${name}, which is neither a feature nor a column of the source`,
          near === undefined ? 'name a feature or a column' : `did you mean ${near}?`,
        ),
      );
      continue;
    }
    columns.push(ruleColumn(pipeline, column, rule, findings));
  }
  const where = facts.expressions.get('source.where');
  if (where !== undefined) {
    columns.push({
      name: 'where',
      role: 'where',
      sql: `CAST(COALESCE((${where.sql}), false) AS UTINYINT)`,
      element: 'uint8',
      rule: DEFAULT_RULE,
    });
  }
  return { columns, inputs, notes };
}

function valueOf(
  pipeline: Pipeline,
  feature: Feature,
  i: number,
  facts: ColumnFacts,
  findings: Findings,
): Value | undefined {
  if (feature.sql !== undefined) {
    const expression = facts.expressions.get(`features[${i}].sql`);
    // TRY: a row whose expression fails becomes NULL, one bad row costs one row.
    return expression === undefined ? undefined : { sql: `TRY(${expression.sql})`, type: expression.type };
  }
  const column = facts.columns.get(feature.name);
  if (column === undefined) {
    findings.add('COLUMN_MISSING', missingColumn(pipeline, `features[${i}]`, feature.name, 'feature', facts.columns));
    return undefined;
  }
  const range = facts.ranges.get(feature.name);
  return { sql: quoteIdentifier(column.name), type: column.type, ...(range === undefined ? {} : { range }) };
}

/** A finding for a name that the source has no column for. */
export function missingColumn(
  pipeline: Pipeline,
  key: string,
  name: string,
  role: string,
  columns: ReadonlyMap<string, SourceColumn>,
): ReturnType<typeof pipelineProblem> {
  const names = [...columns.keys()];
  const near = nearest(name, names);
  return pipelineProblem(
    pipeline,
    key,
    `${role} ${shownName(name)} is no column of the source; its columns are ${shownNames(names, 40)}`,
    near === undefined ? 'name one of them' : `did you mean ${near}?`,
  );
}

/** A column that only a rule looks at: numbers as double, anything else as a mark for being there. */
function ruleColumn(pipeline: Pipeline, column: SourceColumn, rule: Rule, findings: Findings): ProjectedColumn {
  const type = columnType(column.type);
  const name = quoteIdentifier(column.name);
  // A float keeps its precision, in which bounds are compared: 0.1 means the float32 nearest to it.
  if (type.kind === 'float' && type.bits === 32)
    return { name: column.name, role: 'rule', sql: name, element: 'float32', rule };
  if (type.kind === 'integer' || type.kind === 'decimal' || type.kind === 'float') {
    return { name: column.name, role: 'rule', sql: `CAST(${name} AS DOUBLE)`, element: 'float64', rule };
  }
  if (rule.min !== undefined || rule.max !== undefined) {
    findings.add(
      'COLUMN_TYPE',
      pipelineProblem(
        pipeline,
        keyPath(['validate', 'rules', column.name]),
        `min and max compare numbers; ${column.name} is ${column.type}`,
        'leave them out, or make it a feature by sql',
      ),
    );
  }
  return {
    name: column.name,
    role: 'rule',
    sql: `CASE WHEN ${name} IS NOT NULL THEN 1::UTINYINT END`,
    element: 'uint8',
    rule,
  };
}

function castNote(name: string, from: string, to: string): string {
  return `${name}: ${from} is rounded to the nearest ${to}`;
}
