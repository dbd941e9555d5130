/**
 * Decides which engine scores each model. The decision is a part of the plan: made once, from the model, the number of rows
 * and the first of them, and never by the clock, so that the same pipeline over the same data has the same scores.
 */
import { ColonnadeError } from '../errors.js';
import { BatchBuilder } from '../model/batch-builder.js';
import type { Model, ModelBatch } from '../model/engine.js';
import { neutralBatch } from '../model/probe.js';
import { openTrees } from '../model/session.js';
import { differenceOn, differenceOnMadeUp } from '../model/trees/agreement.js';
import { graphInWords } from '../model/trees/graph-analysis.js';
import { inputReads, type TreesModel } from '../model/trees/model.js';
import type { EngineChoice } from '../pipeline/pipeline.js';
import type { EngineFact } from '../plan/facts.js';
import type { Plan, PlannedModel } from '../plan/plan.js';
import { counted } from '../plan/quantities.js';
import type { Database } from '../source/database.js';
import { openScanner } from '../source/scanner.js';
import { validateBatch } from '../validate/validate.js';

/** Seconds that ONNX Runtime takes for a row and a tree more than the kernel does: of a hundred trees 4 µs a row. */
const SAVED_S = 40e-9;
/** Seconds that it takes to read the trees and to hold the engines against each other; and those for each number in the trees. */
const OPENING_S = 0.15;
const READING_S = 5e-6;

/**
 * Trees of each of several ensembles at least: of isolation forests and of forests for several labels each tree is an ensemble
 * of its own, and what puts them together takes longer than the trees.
 */
const TREES_OF_ENSEMBLES = 4;

/** Rows of the data that the engines are compared on. */
const COMPARED_ROWS = 1024;

/** What an engine is chosen for. */
export interface Candidate {
  readonly wanted: EngineChoice;
  /** ONNX Runtime on the model, for all outputs. */
  readonly runtime: Model;
}

/**
 * The engine of each model of a plan that was made for ONNX Runtime.
 *
 * @param candidates of each model
 * @param signal ends the reading of the first rows, with its reason
 * @throws ColonnadeError `MODEL_UNSUPPORTED` where `trees` is asked for and cannot score a model, `MODEL_MISMATCH` where it
 *   gives something else than ONNX Runtime; `onRefusal` gets both before
 */
export async function chooseEngines(
  plan: Plan,
  candidates: readonly Candidate[],
  database: Database,
  onRefusal: (model: number, error: ColonnadeError) => unknown,
  signal?: AbortSignal,
): Promise<EngineFact[]> {
  const facts = new Map<number, EngineFact>();
  const opened = new Map<number, TreesModel>();
  try {
    for (const [i, model] of plan.models.entries()) {
      const { wanted } = candidates[i]!;
      const reason = reasonAgainst(model, wanted, plan.expected.rows);
      if (reason !== undefined) {
        facts.set(i, { engine: 'onnxruntime', ...(reason === '' ? {} : { reason }) });
        continue;
      }
      const taken = plan.outputs.filter((output) => output.model === i).map(({ from }) => from);
      try {
        opened.set(i, await openTrees(model.path, model.signature, { outputs: [...new Set(taken)] }));
      } catch (error) {
        if (!(error instanceof ColonnadeError) || error.code !== 'MODEL_UNSUPPORTED') throw error;
        if (wanted === 'trees') throw onRefusal(i, error);
        facts.set(i, { engine: 'onnxruntime', reason: error.message });
      }
    }
    const differences = opened.size === 0 ? [] : await compare(plan, candidates, opened, database, signal);
    for (const [i, trees] of opened) {
      const difference = differences[i];
      if (difference === undefined) {
        facts.set(i, factOf(trees, plan.models[i]!));
        continue;
      }
      const reason = `the trees engine does not give the same (${difference})`;
      if (candidates[i]!.wanted === 'trees') {
        throw onRefusal(
          i,
          new ColonnadeError('MODEL_MISMATCH', `${reason} as ONNX Runtime for ${plan.models[i]!.path}`, {
            phase: 'plan',
            hint: 'leave engine out: ONNX Runtime scores the model',
          }),
        );
      }
      facts.set(i, { engine: 'onnxruntime', reason, disagrees: true });
    }
  } finally {
    for (const model of opened.values()) await model.release();
  }
  return plan.models.map((_, i) => facts.get(i)!);
}

/** Why ONNX Runtime scores a model without a further look; empty where nobody would ask. */
function reasonAgainst({ signature }: PlannedModel, wanted: EngineChoice, rows: number): string | undefined {
  if (wanted === 'onnxruntime') return '';
  if (wanted === 'trees') return undefined;
  if (signature.trees === 0) return '';
  const ensembles = Object.entries(signature.operators)
    .filter(([name]) => name.startsWith('ai.onnx.ml.TreeEnsemble'))
    .reduce((sum, [, count]) => sum + count, 0);
  if (ensembles > 1 && signature.trees < ensembles * TREES_OF_ENSEMBLES)
    return `${counted(ensembles, 'ensemble')} of ${counted(signature.trees, 'tree')} in all are too small for the trees engine to pay`;
  const saved = rows * signature.trees * SAVED_S;
  return saved < OPENING_S + signature.parameters * READING_S
    ? `${counted(rows, 'row')} and ${counted(signature.trees, 'tree')} are too few for the trees engine to pay`
    : undefined;
}

function factOf(trees: TreesModel, { inputs }: PlannedModel): EngineFact {
  const { graph } = trees;
  const { columns } = inputReads(
    graph,
    inputs.map(({ name }) => name),
  );
  return {
    engine: 'trees',
    details: graphInWords(graph),
    columns: Object.fromEntries(columns),
    usesRuntime: graph.prefix !== undefined || graph.suffix !== undefined,
  };
}

/** What differs, by model; undefined where nothing does. */
async function compare(
  plan: Plan,
  candidates: readonly Candidate[],
  opened: ReadonlyMap<number, TreesModel>,
  database: Database,
  signal: AbortSignal | undefined,
): Promise<(string | undefined)[]> {
  const differences: (string | undefined)[] = plan.models.map(() => undefined);
  const compared = new Set<number>();
  const look = (i: number, batch: ModelBatch): void => {
    const trees = opened.get(i)!;
    const { runtime } = candidates[i]!;
    differences[i] ??= differenceOn(batch, trees, runtime);
    if (compared.has(i)) return;
    compared.add(i);
    differences[i] ??= differenceOnMadeUp(trees, runtime, plan.models[i]!, batch);
  };
  await eachFirstBatch(plan, [...opened.keys()], database, look, signal);
  for (const i of opened.keys()) {
    // Without a single row to score, what is made up is all there is.
    const neutral = compared.has(i) ? undefined : neutralBatch(plan.models[i]!);
    if (neutral !== undefined) look(i, neutral);
  }
  return differences;
}

/** Gives the first rows that are to be scored to `look`, in batches of each of the models. */
async function eachFirstBatch(
  plan: Plan,
  models: readonly number[],
  database: Database,
  look: (model: number, batch: ModelBatch) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = plan.files.find(({ rows }) => rows > 0);
  if (file === undefined) return;
  const builders = new Map(
    models.map((i) => {
      const { inputs, fixedBatch, batchSize } = plan.models[i]!;
      const size = fixedBatch ? batchSize : COMPARED_ROWS;
      return [
        i,
        { size, builder: new BatchBuilder({ inputs, fixedBatch, batchSize: size }, plan.projection) },
      ] as const;
    }),
  );
  const flush = (i: number): void => {
    const { builder } = builders.get(i)!;
    if (builder.rows > 0) look(i, builder.take());
  };
  const scanner = await openScanner(database, plan.projection);
  try {
    await scanner.scan(
      {
        file,
        hiveTypes: plan.hiveTypes,
        firstRow: 0,
        rows: Math.min(COMPARED_ROWS, file.rows),
        ...(signal === undefined ? {} : { signal }),
      },
      ({ batch }) => {
        const { keep, kept } = validateBatch(batch, plan.projection);
        for (const [i, { size, builder }] of builders) {
          for (let from = 0; from < kept;) {
            const to = Math.min(kept, from + size - builder.rows);
            const positions = Uint32Array.from({ length: to - from }, (_, at) => keep?.[from + at] ?? from + at);
            builder.add(batch, positions);
            if (builder.rows === size) flush(i);
            from = to;
          }
          builder.own();
        }
      },
    );
  } finally {
    scanner.close();
  }
  for (const i of models) flush(i);
}
