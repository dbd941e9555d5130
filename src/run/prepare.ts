/** Gathers the facts that a plan is made from, and makes it. Nothing is written. */
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { refuseOutputInSource } from '../commit/preflight.js';
import { ColonnadeError } from '../errors.js';
import type { Model } from '../model/engine.js';
import { widthFault } from '../model/probe.js';
import { openModel } from '../model/session.js';
import { describeFile } from '../parquet/describe.js';
import { locate, pipelineProblem } from '../pipeline/locate.js';
import type { Pipeline, PipelineModel } from '../pipeline/pipeline.js';
import { buildPlan, type PlanFacts } from '../plan/build.js';
import type { SchemaGroup } from '../plan/columns.js';
import type { Expression, SourceFile } from '../plan/facts.js';
import type { Plan } from '../plan/plan.js';
import { counted } from '../plan/quantities.js';
import { quoteIdentifier } from '../plan/sql.js';
import { columnType } from '../plan/types.js';
import { DATABASE_SHARE, openDatabase, type Database } from '../source/database.js';
import { describeColumns } from '../source/columns.js';
import { bindExpressions } from '../source/expression.js';
import { findFiles } from '../source/files.js';
import { hiveTypes } from '../source/hive.js';
import { scanSql } from '../source/scan.js';
import { chooseEngines } from './engines.js';

/** Footers that are read at once: enough to keep a disk busy. */
const FOOTERS_AT_ONCE = 16;

/**
 * Plans a pipeline: finds the files, reads every footer, binds the SQL and opens the model.
 * @throws ColonnadeError when pipeline, data and model do not fit each other; codes as in {@link buildPlan},
 *   `NO_INPUT`, `OUTPUT_OVERLAPS`, `BAD_PARQUET`, `SQL_INVALID`, `SQL_FORBIDDEN`, and the codes of the model (`MODEL_NOT_FOUND`, …).
 */
export async function preparePlan(pipeline: Pipeline): Promise<Plan> {
  return usePlan(pipeline, (plan) => Promise.resolve(plan));
}

/**
 * Plans a pipeline, and uses the plan together with the database that it was made with, which reads the files of the
 * source and is closed afterwards.
 * @param signal ends what the database is at, with its reason.
 * @throws ColonnadeError as {@link preparePlan}, and what `use` throws.
 */
export async function usePlan<T>(
  pipeline: Pipeline,
  use: (plan: Plan, database: Database) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { plan, database } = await openPlan(pipeline, signal === undefined ? {} : { signal });
  try {
    return await use(plan, database);
  } finally {
    await database.close();
  }
}

/** A plan, and the database that it was made with, which reads the files of the source: whoever asked for it closes it. */
export interface OpenedPlan {
  readonly plan: Plan;
  readonly database: Database;
}

/**
 * Plans a pipeline with a database that can be used on.
 * @param options.threads of the database; 1 when absent. More are for a scan: queries give rows in the order of the file
 *   either way.
 * @param options.signal as for {@link usePlan}
 * @throws ColonnadeError as {@link preparePlan}
 */
export async function openPlan(
  pipeline: Pipeline,
  { threads = 1, signal }: { readonly threads?: number; readonly signal?: AbortSignal } = {},
): Promise<OpenedPlan> {
  const finding = findFiles(pipeline.source.paths).catch(pointingAt(pipeline, 'source.path'));
  const paths = finding.then((found) => found.map(({ path }) => path));
  // Both are waited for later.
  paths.catch(() => undefined);
  // DuckDB starts, and the models load, while the files are looked for and their footers read.
  const opening = openDatabase({
    memoryLimit: Math.round(pipeline.run.memory * DATABASE_SHARE),
    threads,
    // Only made when something is spilled, which nothing here does that reads no more than it shows.
    spillDirectory: join(tmpdir(), `colonnade-${process.pid}`),
    readable: paths,
    writable: [],
    ...(signal === undefined ? {} : { signal }),
  });
  opening.catch(() => undefined);
  // They are held until their engines are chosen.
  const loading = pipeline.models.map((model) => openPinned(pipeline, model));
  const loaded = Promise.all(loading);
  loaded.catch(() => undefined);
  try {
    const found = await finding;
    const files = await describeFiles(pipeline, found);
    const database = await opening;
    const schemas = await describeSchemas(database, files, hiveTypes(found));
    // A hive column that the files hold as well is read from the files.
    const types = Object.fromEntries(
      schemas[0]!.columns.filter(({ hive }) => hive).map(({ name, type }) => [name, type]),
    );
    const expressions = await bind(database, pipeline, files[0]!, types);
    const listLengths = await measureLists(database, pipeline, schemas, types, expressions);
    const models = await loaded;
    const facts: PlanFacts = {
      files,
      schemas,
      hiveTypes: types,
      expressions,
      listLengths,
      signatures: models.map(({ signature }) => signature),
    };
    const plan = buildPlan(pipeline, facts);
    tryOpenWidths(pipeline, plan, models);
    const engines = await chooseEngines(
      plan,
      pipeline.models.map(({ engine }, i) => ({ wanted: engine, runtime: models[i]! })),
      database,
      (i, error) => errorAt(pipeline, `${pipeline.models[i]!.key}.engine`, error),
      signal,
    );
    const isPlain = engines.every((fact) => fact.engine === 'onnxruntime' && fact.reason === undefined);
    return { plan: isPlain ? plan : buildPlan(pipeline, { ...facts, engines }), database };
  } catch (error) {
    // A process must not end while DuckDB starts.
    await opening.then(
      (database) => database.close(),
      () => undefined,
    );
    throw error;
  } finally {
    for (const each of await Promise.allSettled(loading)) if (each.status === 'fulfilled') await each.value.release();
  }
}

/** Reads the footers of the files that were found, none of which may lie where the output goes. */
async function describeFiles(
  pipeline: Pipeline,
  found: Awaited<ReturnType<typeof findFiles>>,
): Promise<readonly SourceFile[]> {
  const searched = new Set(found.filter(({ path, root }) => dirname(path) !== root).map(({ root }) => root));
  await refuseOutputInSource(pipeline.source.paths, searched, pipeline.sink.path).catch(
    pointingAt(pipeline, 'sink.path'),
  );
  return inParallel(found, FOOTERS_AT_ONCE, async ({ path, relativePath, hive }): Promise<SourceFile> => ({
    ...(await describeFile(path, dirname(path))),
    relativePath,
    hive,
  }));
}

/** An error as a problem with what the pipeline says at `key`. */
function errorAt(pipeline: Pipeline, key: string, error: unknown): unknown {
  if (!(error instanceof ColonnadeError) || error.problems.length > 0) return error;
  const { code, message, phase, hint, cause } = error;
  return new ColonnadeError(code, message, {
    phase,
    cause,
    problems: [pipelineProblem(pipeline, key, message, hint)],
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Throws an error on, as a problem with what the pipeline says at `key`. */
function pointingAt(pipeline: Pipeline, key: string): (error: unknown) => never {
  return (error) => {
    throw errorAt(pipeline, key, error);
  };
}

/** @throws ColonnadeError the codes of the model; `MODEL_CHANGED` where it is not the one that the pipeline pins. */
async function openPinned(pipeline: Pipeline, { key, path, sha256 }: PipelineModel): Promise<Model> {
  const model = await openModel(path).catch(pointingAt(pipeline, `${key}.path`));
  const { signature } = model;
  if (sha256 === undefined || sha256 === signature.hash) return model;
  await model.release();
  return pointingAt(
    pipeline,
    `${key}.sha256`,
  )(
    new ColonnadeError('MODEL_CHANGED', `the model ${signature.path} has the sha256 ${signature.hash}`, {
      phase: 'plan',
      hint: 'put the model back that was pinned; or, if this one is meant, write its hash here',
    }),
  );
}

/**
 * A model that leaves the width of an input open tells by failing how many features it was made for.
 * @throws ColonnadeError `MODEL_MISMATCH` where it does with as many as it is fed.
 */
function tryOpenWidths(pipeline: Pipeline, plan: Plan, models: readonly Model[]): void {
  for (const [i, { inputs }] of plan.models.entries()) {
    const fault = widthFault(models[i]!, inputs);
    if (fault === undefined) continue;
    const { key, inputs: stated, features } = pipeline.models[i]!;
    const fed = inputs.map(({ name, width }) => `${name} with ${counted(width, 'value')} a row`).join(', ');
    pointingAt(
      pipeline,
      stated !== undefined ? `${key}.inputs` : features !== undefined ? `${key}.features` : 'features',
    )(
      new ColonnadeError('MODEL_MISMATCH', `fed ${fed}, the model fails: ${fault}`, {
        phase: 'plan',
        hint: 'feed it the features that it was trained with, in their order',
      }),
    );
  }
}

/** Asks DuckDB for the columns once for each schema that the footers tell apart. */
async function describeSchemas(
  database: Database,
  files: readonly SourceFile[],
  types: Readonly<Record<string, string>>,
): Promise<SchemaGroup[]> {
  const groups = new Map<string, SourceFile[]>();
  for (const file of files) {
    const schema = JSON.stringify([file.columns.map(({ name, type }) => [name, type]), Object.keys(file.hive)]);
    const group = groups.get(schema);
    if (group === undefined) groups.set(schema, [file]);
    else group.push(file);
  }
  const described: SchemaGroup[] = [];
  for (const group of groups.values())
    described.push({ files: group, columns: await describeColumns(database, group[0]!, types) });
  return described;
}

async function bind(
  database: Database,
  pipeline: Pipeline,
  file: SourceFile,
  types: Readonly<Record<string, string>>,
): Promise<Map<string, Expression>> {
  const written = pipeline.features.flatMap(({ sql }, i) =>
    sql === undefined ? [] : [{ key: `features[${i}].sql`, sql }],
  );
  const { where } = pipeline.source;
  const all = where === undefined ? written : [...written, { key: 'source.where', sql: where, boolean: true }];
  if (all.length === 0) return new Map();
  const bound = await bindExpressions(database, file, types, all).catch((error: unknown) => {
    throw locateProblems(error, pipeline);
  });
  return new Map(all.map(({ key }, i) => [key, bound[i]!]));
}

/** Says where in the pipeline file the keys stand that the problems of an error name. */
function locateProblems(error: unknown, pipeline: Pipeline): unknown {
  if (!(error instanceof ColonnadeError)) return error;
  const { code, message, phase, hint, cause } = error;
  const problems = error.problems.map((problem) => {
    const place = problem.key === undefined ? {} : locate(pipeline, problem.key);
    return { ...problem, file: pipeline.file, ...(place.position === undefined ? {} : { position: place.position }) };
  });
  return new ColonnadeError(code, message, { phase, problems, cause, ...(hint === undefined ? {} : { hint }) });
}

/** Lists that are looked at to learn their length. */
const MEASURED_LISTS = 1000;

/**
 * The lengths of the first lists of each list feature that is to be scored, the most frequent one first, of several the one
 * that comes first. An empty list tells of no model. A single one could be the one that is cut short, and all others would
 * be called invalid.
 */
async function measureLists(
  database: Database,
  pipeline: Pipeline,
  schemas: readonly SchemaGroup[],
  types: Readonly<Record<string, string>>,
  expressions: ReadonlyMap<string, Expression>,
): Promise<Map<string, readonly number[]>> {
  const wanted = expressions.get('source.where');
  const where = wanted === undefined ? '' : ` AND COALESCE((${wanted.sql}), false)`;
  const typeIn = ({ columns }: SchemaGroup, name: string): string | undefined =>
    columns.find((column) => column.name === name)?.type;
  const lengths = new Map<string, readonly number[]>();
  for (const [i, feature] of pipeline.features.entries()) {
    const expression = expressions.get(`features[${i}].sql`);
    const type = expression?.type ?? typeIn(schemas[0]!, feature.name);
    if (type === undefined || columnType(type).kind !== 'list') continue;
    const measure = `len(${expression === undefined ? quoteIdentifier(feature.name) : `TRY(${expression.sql})`})`;
    const counts = new Map<number, number>();
    let left = MEASURED_LISTS;
    // Files that lack a column, or have it in another type, are refused later.
    const alike = schemas.filter((group) =>
      (expression?.columns ?? [feature.name]).every((name) => typeIn(group, name) === typeIn(schemas[0]!, name)),
    );
    for (const file of alike.flatMap(({ files }) => files)) {
      if (file.rows === 0) continue;
      if (left === 0) break;
      // In the order of the file, which DuckDB keeps whatever its threads.
      const rows = await database.rows(
        `SELECT ${measure} AS length FROM ${scanSql(file, types)} WHERE ${measure} > 0${where} LIMIT ${left}`,
        { file: file.path },
      );
      left -= rows.length;
      for (const row of rows) {
        const length = Number(row['length']);
        counts.set(length, (counts.get(length) ?? 0) + 1);
      }
    }
    if (counts.size > 0)
      lengths.set(
        feature.name,
        // Sorting keeps those that are equally frequent in their order.
        [...counts].sort(([, a], [, b]) => b - a).map(([length]) => length),
      );
  }
  return lengths;
}

/**
 * Applies `work` to all items, `limit` at a time; results in the order of the items. After a failure none is begun, and it
 * rejects once those under way have ended.
 */
async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const serve = async (): Promise<void> => {
    try {
      for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!);
    } finally {
      next = items.length;
    }
  };
  const served = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, serve));
  const failed = served.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}
