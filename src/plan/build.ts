/** Makes the plan from the pipeline and the facts about data and model. Pure: no file is touched here. */
import { pipelineProblem } from '../pipeline/locate.js';
import { nearest } from '../pipeline/nearest.js';
import type { Feature, Pipeline, PipelineModel } from '../pipeline/pipeline.js';
import { compareSchemas, rangesOf, scoringColumns, type SchemaGroup } from './columns.js';
import { autoBatchSize, expectedMemory } from './estimate.js';
import type { EngineFact, Expression, ModelSignature, SourceColumn, SourceFile } from './facts.js';
import { Findings } from './findings.js';
import { assignInputs, fixedBatchSize, type InputAssignment } from './inputs.js';
import { checkLoggedTypes } from './logged.js';
import { shownName, shownNames } from './names.js';
import { planOutputs } from './outputs.js';
import {
  REASON_COLUMN,
  STATUS_COLUMN,
  type Plan,
  type PlannedFile,
  type PlannedInput,
  type PlannedModel,
} from './plan.js';
import { missingColumn, planProjection } from './projection.js';
import { planShards } from './shards.js';
import { columnType } from './types.js';

/** All that a plan is made from, beside the pipeline. */
export interface PlanFacts {
  readonly files: readonly SourceFile[];
  /** The files grouped by schema; the first group holds the first file. */
  readonly schemas: readonly SchemaGroup[];
  /** DuckDB types of the hive columns. */
  readonly hiveTypes: Readonly<Record<string, string>>;
  /** By key in the pipeline: `features[2].sql`, `source.where`. */
  readonly expressions: ReadonlyMap<string, Expression>;
  /** Lengths of the first lists of list features, the most frequent one first, by feature. */
  readonly listLengths: ReadonlyMap<string, readonly number[]>;
  /** Of each model, in the order of the pipeline. */
  readonly signatures: readonly ModelSignature[];
  /** Of each model; ONNX Runtime scores all of them when absent. */
  readonly engines?: readonly EngineFact[];
}

const ONNX_RUNTIME: EngineFact = { engine: 'onnxruntime' };

/**
 * @throws ColonnadeError `COLUMN_MISSING`, `COLUMN_TYPE`, `COLUMN_EXISTS`, `COLUMN_AMBIGUOUS`, `SCHEMA_DRIFT`,
 *   `MODEL_MISMATCH` or `NOT_SPLICEABLE`, with all findings of that stage at once.
 */
export function buildPlan(pipeline: Pipeline, facts: PlanFacts): Plan {
  const { files, signatures, expressions } = facts;
  const sourceColumns = facts.schemas[0]?.columns ?? [];
  const columns = new Map(sourceColumns.map((column) => [column.name, column]));
  const findings = new Findings();

  const columnsRead = scoringColumns(pipeline, columns, expressions);
  const assigned = pipeline.models.map((model, i) => assignInputs(pipeline, model, signatures[i]!, findings));
  const projection = planProjection(
    pipeline,
    assigned.map(({ assignments }) => assignments),
    { columns, ranges: rangesOf(files), expressions, listLengths: facts.listLengths },
    findings,
  );
  const typeOf = (feature: Feature): string | undefined =>
    feature.sql === undefined
      ? columns.get(feature.name)?.type
      : expressions.get(`features[${pipeline.features.indexOf(feature)}].sql`)?.type;
  pipeline.models.forEach((model, i) => checkLoggedTypes(pipeline, model, signatures[i]!, typeOf, findings));
  checkFed(pipeline, assigned, findings);
  const outputs = planOutputs(pipeline, signatures, findings);
  checkKeys(pipeline, columns, findings);
  checkOutputNames(pipeline, columns, findings);
  const sinkColumns = planSinkColumns(pipeline, columns, findings);
  checkSplice(pipeline, files, findings);
  checkDecimals(pipeline, files, new Set([...columnsRead, ...sinkColumns]), findings);
  const models = pipeline.models.map((model, i): PlannedModel => {
    const signature = signatures[i]!;
    const engine = facts.engines?.[i] ?? ONNX_RUNTIME;
    const inputs = byColumns(projection.inputs[i]!, engine);
    return {
      ...(model.name === undefined ? {} : { name: model.name }),
      path: signature.path,
      hash: signature.hash,
      engine: engine.engine,
      usesRuntime: engine.engine === 'onnxruntime' || engine.usesRuntime === true,
      engineNotes: [...(engine.reason === undefined ? [] : [engine.reason]), ...(engine.details ?? [])],
      signature,
      inputs,
      batchSize: planBatchSize(pipeline, model, signature, findings) ?? autoBatchSize(inputs, signature, engine),
      fixedBatch: fixedBatchSize(signature) !== undefined,
    };
  });
  findings.throwIfAny();

  const carried = pipeline.sink.mode === 'append' ? [] : sinkColumns.filter((name) => columns.has(name));
  const driftNotes = compareSchemas(facts.schemas, new Set([...columnsRead, ...pipeline.source.key, ...carried]));
  const rowGroups = files.flatMap((file) => file.rowGroups);
  const largest = rowGroups.reduce((most, rowGroup) => Math.max(most, rowGroup.rows), 0);
  const bytesRead = sum(files, (file) =>
    sum(
      file.columns.filter(({ name }) => columnsRead.includes(name)),
      ({ bytes }) => bytes,
    ),
  );
  const rows = sum(files, (file) => file.rows);
  const warnings = models.flatMap(({ name, engineNotes }, i) =>
    facts.engines?.[i]?.disagrees === true
      ? engineNotes.map((note) => `${name === undefined ? '' : `model ${name}: `}ONNX Runtime scores: ${note}`)
      : [],
  );

  return freeze({
    format: 1,
    name: pipeline.name,
    pipeline: {
      file: pipeline.file,
      hash: pipeline.hash,
      ...(pipeline.vars === undefined ? {} : { vars: pipeline.vars }),
    },
    files: files.map((file, index): PlannedFile => {
      const { path, relativePath, fingerprint, rowGroups: groups, hive } = file;
      return { index, path, relativePath, fingerprint, rows: file.rows, rowGroups: groups, hive };
    }),
    shards: planShards(files),
    columnsRead,
    sourceColumns,
    key: pipeline.source.key,
    hiveTypes: facts.hiveTypes,
    projection: projection.columns,
    models,
    outputs,
    onInvalid: pipeline.validate.onInvalid,
    ...(pipeline.validate.maxInvalid === undefined ? {} : { maxInvalid: pipeline.validate.maxInvalid }),
    ...(pipeline.validate.maxNan === undefined ? {} : { maxNan: pipeline.validate.maxNan }),
    sink: {
      mode: pipeline.sink.mode,
      path: pipeline.sink.path,
      partitionBy: pipeline.sink.partitionBy,
      columns: sinkColumns,
      exists: pipeline.sink.exists,
      compression: pipeline.sink.compression,
      rowGroupSize: pipeline.sink.rowGroupSize,
    },
    run: pipeline.run,
    expected: {
      rows,
      bytesRead,
      bytesInFiles: sum(files, ({ fingerprint }) => fingerprint.size),
      memory: expectedMemory({
        outputs,
        models,
        largestRowGroup: largest,
        compressedRowGroup: rows === 0 ? 0 : Math.round((bytesRead / rows) * largest),
      }),
    },
    notes: [
      ...assigned.flatMap(({ notes }) => notes),
      ...projection.notes,
      ...driftNotes,
      ...hiddenFolders(files, sourceColumns),
      ...models.flatMap(({ name, signature }) =>
        signature.mayHang === true
          ? [
              `${name === undefined ? 'the model' : `model ${name}`} has a Loop, which may never end: it is run in worker processes alone, and was not tried`,
            ]
          : [],
      ),
      ...warnings,
    ],
    warnings,
  } satisfies Plan);
}

/** The inputs as the engine takes them: what it reads column by column needs no matrix. */
function byColumns(inputs: readonly PlannedInput[], { columns }: EngineFact): readonly PlannedInput[] {
  return inputs.map((input): PlannedInput => {
    const reads = columns?.[input.name];
    return reads === undefined || input.layout === 'list' ? input : { ...input, layout: 'columns', reads };
  });
}

/** With several models, a feature that none of them takes would be read for nothing. */
function checkFed(
  pipeline: Pipeline,
  assigned: readonly { readonly assignments: readonly InputAssignment[] }[],
  findings: Findings,
): void {
  // Where a model could not be fed, what it takes is not known.
  if (pipeline.models.length === 1 || assigned.some(({ assignments }) => assignments.length === 0)) return;
  const fed = new Set(assigned.flatMap(({ assignments }) => assignments.flatMap(({ features }) => features)));
  pipeline.features.forEach((feature, i) => {
    if (fed.has(feature)) return;
    findings.add(
      'MODEL_MISMATCH',
      pipelineProblem(
        pipeline,
        `features[${i}]`,
        `feature ${feature.name} feeds none of the models`,
        'remove it, or add it to the features or inputs of a model',
      ),
    );
  });
}

/** Notes about hive folders that are not read, as the files have a column of that name themselves. */
function hiddenFolders(files: readonly SourceFile[], columns: readonly SourceColumn[]): string[] {
  return Object.keys(files[0]?.hive ?? {}).flatMap((name) => {
    const own = columns.find((column) => !column.hive && column.name.toLowerCase() === name.toLowerCase());
    if (own === undefined) return [];
    const folder = `${name}=${files[0]!.hive[name] ?? '…'}`;
    return [
      `the values of the folders ${folder}, … are not read: the files have a column ${shownName(own.name)} themselves`,
    ];
  });
}

function checkKeys(pipeline: Pipeline, columns: ReadonlyMap<string, SourceColumn>, findings: Findings): void {
  pipeline.source.key.forEach((name, i) => {
    if (!columns.has(name))
      findings.add('COLUMN_MISSING', missingColumn(pipeline, `source.key[${i}]`, name, 'key', columns));
  });
}

function checkOutputNames(pipeline: Pipeline, columns: ReadonlyMap<string, SourceColumn>, findings: Findings): void {
  const taken = new Map([...columns.keys()].map((name) => [name.toLowerCase(), name]));
  for (const name of ['_file', '_row', '_reason']) {
    const other = taken.get(name);
    if (other !== undefined && pipeline.validate.onInvalid === 'quarantine') {
      findings.add(
        'COLUMN_EXISTS',
        pipelineProblem(
          pipeline,
          'validate.on_invalid',
          `the source has a column ${other}, which the quarantine adds to its rows`,
          'rename it in the source, or write validate.on_invalid: null',
        ),
      );
    }
  }
  for (const { name, key } of pipeline.outputs) {
    const other = taken.get(name.toLowerCase());
    if (other !== undefined) {
      const how =
        other === name
          ? 'the source has a column of that name'
          : `the source has a column ${other}, apart only by case`;
      findings.add(
        'COLUMN_EXISTS',
        pipelineProblem(
          pipeline,
          key,
          `output column ${name}: ${how}`,
          `choose another name, for instance ${freeName(name, taken)}`,
        ),
      );
    }
    if (name === STATUS_COLUMN || name === REASON_COLUMN) {
      findings.add(
        'COLUMN_EXISTS',
        pipelineProblem(pipeline, key, `output column ${name}: the name is reserved`, 'choose another name'),
      );
    }
  }
}

function freeName(name: string, taken: ReadonlyMap<string, string>): string {
  let candidate = `${name}_predicted`;
  for (let i = 2; taken.has(candidate.toLowerCase()); i += 1) candidate = `${name}_predicted_${i}`;
  return candidate;
}

/** Columns of the output by mode, in order. */
function planSinkColumns(pipeline: Pipeline, columns: ReadonlyMap<string, SourceColumn>, findings: Findings): string[] {
  const outputs = pipeline.outputs.map(({ name }) => name);
  const { mode, partitionBy } = pipeline.sink;
  if (mode === 'append') return outputs;
  if (mode === 'predictions') return [...pipeline.source.key.filter((name) => columns.has(name)), ...outputs];

  const available = [...columns.keys(), ...outputs];
  const unknown = (name: string, key: string): void => {
    const near = nearest(name, available);
    findings.add(
      'COLUMN_MISSING',
      pipelineProblem(
        pipeline,
        key,
        `${shownName(name)} is neither a column of the source nor an output; there are ${shownNames(available)}`,
        near === undefined ? 'name one of them' : `did you mean ${near}?`,
      ),
    );
  };
  const chosen = pipeline.sink.columns ?? available;
  chosen.forEach((name, i) => {
    if (!available.includes(name)) unknown(name, `sink.columns[${i}]`);
  });
  partitionBy.forEach((name, i) => {
    const key = `sink.partition_by[${i}]`;
    if (!available.includes(name)) return unknown(name, key);
    const isList = pipeline.outputs.some((output) => output.name === name && output.take.kind === 'list');
    const type = isList ? 'a list' : columns.get(name)?.type;
    const kind = type === undefined ? undefined : columnType(type).kind;
    if (
      isList ||
      kind === 'list' ||
      type?.startsWith('STRUCT') === true ||
      type?.startsWith('MAP') === true ||
      type === 'BLOB'
    ) {
      findings.add(
        'COLUMN_TYPE',
        pipelineProblem(
          pipeline,
          key,
          `${name} is ${type}; folders are named by plain values`,
          'partition by a column of text, whole numbers or dates',
        ),
      );
    }
  });
  const written = [...chosen, ...partitionBy.filter((name) => !chosen.includes(name))];
  if (written.length > 0 && written.every((name) => partitionBy.includes(name))) {
    findings.add(
      'COLUMN_TYPE',
      pipelineProblem(
        pipeline,
        'sink.columns',
        'every column is a folder: no column is left to write into the files',
        'choose a column that is not in partition_by',
      ),
    );
  }
  return written;
}

function checkSplice(pipeline: Pipeline, files: readonly SourceFile[], findings: Findings): void {
  if (pipeline.sink.mode !== 'append') return;
  for (const file of files) {
    if (file.spliceObstacle === undefined) continue;
    findings.add('NOT_SPLICEABLE', {
      message: `${file.path}: no column can be appended: ${file.spliceObstacle}`,
      hint: 'write new files instead: sink.mode: partition or predictions',
    });
  }
}

/** Digits of the widest decimal that DuckDB holds; it misreads wider ones without an error. */
const DECIMAL_DIGITS = 38;

/** Refuses decimals that would come out of DuckDB as other numbers. An append copies what it does not need unread. */
function checkDecimals(
  pipeline: Pipeline,
  files: readonly SourceFile[],
  used: ReadonlySet<string>,
  findings: Findings,
): void {
  const quarantines = pipeline.validate.onInvalid === 'quarantine';
  const reported = new Set<string>();
  for (const { path, columns } of files) {
    for (const { name, type } of columns) {
      const tooWide = [...type.matchAll(/DECIMAL\((\d+)/g)].some(([, digits]) => Number(digits) > DECIMAL_DIGITS);
      if (!tooWide || reported.has(name) || !(quarantines || used.has(name))) continue;
      reported.add(name);
      findings.add('COLUMN_TYPE', {
        message: `${path}: column ${name} is ${type}; decimals of more than ${DECIMAL_DIGITS} digits cannot be read`,
        hint: used.has(name)
          ? 'leave the column out, or write it with fewer digits'
          : 'an append carries it over unread if no row is quarantined: write validate.on_invalid: null',
      });
    }
  }
}

function planBatchSize(
  pipeline: Pipeline,
  { key, batchSize }: PipelineModel,
  signature: ModelSignature,
  findings: Findings,
): number | undefined {
  const fixed = fixedBatchSize(signature);
  const extents = new Set(signature.inputs.map(({ shape }) => shape[0]).filter((extent) => typeof extent === 'number'));
  if (extents.size > 1) {
    findings.add(
      'MODEL_MISMATCH',
      pipelineProblem(
        pipeline,
        `${key}.path`,
        `the model's inputs fix different batch sizes: ${[...extents].join(', ')}`,
        'export it with one batch size, best with a dynamic one',
      ),
    );
  }
  if (batchSize === 'auto') return fixed;
  if (fixed !== undefined && batchSize !== fixed) {
    findings.add(
      'MODEL_MISMATCH',
      pipelineProblem(
        pipeline,
        `${key}.batch_size`,
        `the model takes batches of exactly ${fixed} rows, batch_size is ${batchSize}`,
        `leave batch_size out, write ${fixed}, or export the model with a dynamic batch`,
      ),
    );
  }
  return batchSize;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}
