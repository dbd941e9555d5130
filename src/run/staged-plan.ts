/**
 * What the scores in a staging folder were made of, in pieces: a later run whose plan is another one can say which of them
 * changed. Whether scores may be used is for {@link planHash} alone to say.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Places } from '../commit/places.js';
import { earlierRuns } from '../commit/takeover.js';
import type { Plan, PlannedFile } from '../plan/plan.js';
import { versions } from './versions.js';

/** Lies in a staging folder, beside the scores. Neither synced nor relied on: without it, what changed is not told. */
const NAME = 'plan.json';

export interface StagedPlan {
  readonly format: 1;
  /** The run that was at work on it last. */
  readonly run_id: string;
  readonly plan_hash: string;
  /** What tells a file from what it was, by path. */
  readonly files: Readonly<Record<string, string>>;
  readonly models: Readonly<Record<string, StagedModel>>;
  /** Digests of what the pipeline says, by what a person would call it. */
  readonly settings: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
}

interface StagedModel {
  readonly path: string;
  readonly hash: string;
  readonly engine: string;
  readonly batch_size: number;
}

/** What an earlier run has left in staging. */
export interface Leftover {
  readonly plan: StagedPlan;
  /** Whether its plan is the present one. */
  readonly isSame: boolean;
  readonly shards: number;
}

/** Describes a plan for {@link writeStagedPlan} and {@link changesSince}. */
export function describePlan(plan: Plan, hash: string, runId: string): StagedPlan {
  return {
    format: 1,
    run_id: runId,
    plan_hash: hash,
    files: Object.fromEntries(plan.files.map((file) => [file.path, fileText(file)])),
    models: Object.fromEntries(
      plan.models.map(({ name = '', path, hash: sha256, engine, batchSize }) => [
        name,
        { path, hash: sha256, engine, batch_size: batchSize },
      ]),
    ),
    settings: Object.fromEntries(settingsOf(plan).map(([name, value]) => [name, digest(value)])),
    versions: versions(),
  };
}

function fileText({ fingerprint, relativePath, hive }: PlannedFile): string {
  const { size, mtimeNs, inode, footerHash } = fingerprint;
  return [size, mtimeNs, inode, footerHash.slice(0, 16), relativePath, JSON.stringify(hive)].join(' ');
}

/** What a plan says of how to score and what to write, by the names that the pipeline file has for it. */
function settingsOf(plan: Plan): (readonly [name: string, value: unknown])[] {
  const { sink } = plan;
  return [
    ['name', plan.name],
    ['source.key', plan.key],
    ['the hive folders', plan.hiveTypes],
    ['the shards', plan.shards],
    ...plan.projection.flatMap(({ name, role, sql, element, listLength, rule }): (readonly [string, unknown])[] => {
      if (role === 'where') return [['source.where', sql]];
      if (role === 'check') return [[`the check of ${name}`, sql]];
      return [
        [`${role === 'feature' ? 'feature' : 'column'} ${name}`, [sql, element, listLength]],
        [`validate.rules.${name}`, rule],
      ];
    }),
    ['features', plan.projection.map(({ name, role }) => [name, role])],
    ...plan.models.map(
      ({ name, inputs, fixedBatch, signature: { path: _, hash: __, ...signature } }) =>
        [`the inputs and outputs of ${modelName(name)}`, [inputs, fixedBatch, signature]] as const,
    ),
    ['validate.on_invalid', plan.onInvalid],
    ...plan.outputs.map((output) => [`outputs.${output.name}`, output] as const),
    ['outputs', plan.outputs.map(({ name }) => name)],
    ['sink.mode', sink.mode],
    ['sink.path', sink.path],
    ['sink.partition_by', sink.partitionBy],
    ['sink.columns', sink.columns],
    ['sink.compression', sink.compression],
    ['sink.row_group_size', sink.rowGroupSize],
  ];
}

function modelName(name: string | undefined): string {
  return name === undefined || name === '' ? 'the model' : `the model ${name}`;
}

function digest(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([value]))
    .digest('hex')
    .slice(0, 16);
}

/** Changes that are told one by one, files for the most part. */
const MOST_TOLD = 5;

/** What differs between the plan that scores were made by and the present one, in words; at least one. */
export function changesSince(before: StagedPlan, now: StagedPlan): string[] {
  const changes = [
    ...differing(before.versions, now.versions, (name, was, is) => `${name} ${was ?? 'none'} became ${is ?? 'none'}`),
    ...modelChanges(before.models, now.models),
    ...settingChanges(before.settings, now.settings),
    ...differing(before.files, now.files, (path, was, is) =>
      was === undefined
        ? `${path} is new`
        : is === undefined
          ? `${path} is not read any more`
          : `${path} was written to`,
    ),
  ];
  if (changes.length === 0) {
    const derived = differing(before.settings, now.settings, (name) => name);
    return [derived.length === 0 ? 'the plan is another one' : `these changed: ${derived.join(', ')}`];
  }
  const more = changes.length - MOST_TOLD;
  return more > 1 ? [...changes.slice(0, MOST_TOLD), `${more} more changes`] : changes;
}

function modelChanges(before: StagedPlan['models'], now: StagedPlan['models']): string[] {
  return Object.keys({ ...before, ...now }).flatMap((name) => {
    const [was, is] = [before[name], now[name]];
    const called = modelName(name);
    if (was === undefined) return [`${called} is new`];
    if (is === undefined) return [`${called} is not used any more`];
    if (was.hash !== is.hash)
      return [was.path === is.path ? `${called} ${is.path} changed` : `${called} is ${is.path} instead of ${was.path}`];
    return [
      ...(was.path === is.path ? [] : [`${called} moved from ${was.path} to ${is.path}`]),
      ...(was.engine === is.engine ? [] : [`the engine of ${called} is ${is.engine} instead of ${was.engine}`]),
      ...(was.batch_size === is.batch_size
        ? []
        : [`the batch size of ${called} is ${is.batch_size} instead of ${was.batch_size}`]),
    ];
  });
}

/** What follows from other changes, which are told. */
const DERIVED: ReadonlySet<string> = new Set(['features', 'outputs', 'the shards']);

/** One line for all of them: they stand side by side in the pipeline file. */
function settingChanges(before: StagedPlan['settings'], now: StagedPlan['settings']): string[] {
  const changed = differing(before, now, (name) => name).filter((name) => !DERIVED.has(name));
  return changed.length === 0 ? [] : [`the pipeline changed: ${changed.join(', ')}`];
}

function differing(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
  tell: (name: string, was: string | undefined, is: string | undefined) => string,
): string[] {
  return Object.keys({ ...before, ...now })
    .filter((name) => before[name] !== now[name])
    .map((name) => tell(name, before[name], now[name]));
}

/** Writes it into a staging folder that is there. */
export async function writeStagedPlan(root: string, plan: StagedPlan): Promise<void> {
  // A run does not fail for what a later one would have told.
  await writeFile(join(root, NAME), JSON.stringify(plan)).catch(() => undefined);
}

/** What earlier runs have left with what it was made of, where that can be read: of a run that has taken the output. */
export async function leftovers({ staging }: Places, planHash: string): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for (const { root, shards } of await earlierRuns(staging)) {
    const left = await readdir(shards).catch((): string[] => []);
    try {
      const plan = JSON.parse(await readFile(join(root, NAME), 'utf8')) as Omit<StagedPlan, 'format'> & {
        format: number;
      };
      const isWhole = [plan.files, plan.models, plan.settings, plan.versions].every((part) => typeof part === 'object');
      if (plan.format === 1 && isWhole)
        found.push({
          plan: { ...plan, format: 1 },
          isSame: plan.plan_hash === planHash,
          shards: left.filter((file) => file.endsWith('.json')).length,
        });
    } catch {
      // None, or cut off: what changed cannot be told.
    }
  }
  return found;
}
