/**
 * Drives a plan from its first shard to the published output. The order of things, and what each guarantees:
 *
 * 1. the output may be written at all (`checkOutput`), nobody else is writing it (`takeEpoch`), and what a run that
 *    died while publishing has begun is finished (`recover`);
 * 2. shards are scored into staging; those that an unfinished run of the same plan has left are used;
 * 3. files whose shards are done go to the sink, which joins scores and source in staging;
 * 4. the checks: not too many invalid rows, inputs unchanged, ledger balanced;
 * 5. `publish` makes all of it visible at once.
 *
 * Until step 5 nothing outside `<output>.colonnade/` is touched.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../commit/durable.js';
import { takeEpoch, type Epoch } from '../commit/epoch.js';
import { balance, type LedgerEntry } from '../commit/ledger.js';
import type { Manifest } from '../commit/manifest.js';
import { placesOf, type Places } from '../commit/places.js';
import { checkOutput } from '../commit/preflight.js';
import { isPublishing, publish, recover, sweepState } from '../commit/publish.js';
import { syncTree, writeSuccess } from '../commit/stage.js';
import { ColonnadeError, EXIT, messageOf } from '../errors.js';
import { checkUnchanged } from '../parquet/unchanged.js';
import type { Plan } from '../plan/plan.js';
import { openSink } from '../sink/open.js';
import type { Sink } from '../sink/sink.js';
import { writeQuarantine } from '../sink/quarantine.js';
import { openDatabase, type Database } from '../source/database.js';
import { EventQueue } from './event-queue.js';
import type { Run, RunEvent, RunOptions, RunSummary } from './events.js';
import { InvalidRows } from './invalid-rows.js';
import { Meter } from './meter.js';
import { planHash } from './plan-hash.js';
import { scoreShards } from './pool.js';
import { clearStaging, finishedShard, finishedShards } from './resume.js';
import { shardFiles } from './shard-files.js';
import type { ShardResult, ShardWorker } from './shard-worker.js';
import { versions } from './versions.js';
import { chooseWorkers, openWorker, type WorkerChoice } from './workers.js';

/**
 * Runs a plan. The run goes on whether or not its events are read.
 *
 * {@link Run.result} rejects with a ColonnadeError; the output is then as it was before.
 */
export function startRun(plan: Plan, options: RunOptions = {}): Run {
  const id = newRunId(new Date());
  const events = new EventQueue<RunEvent>();
  const result = new Execution(plan, id, options, (event) => events.push(event))
    .execute()
    .catch((error: unknown) => {
      throw toldError(error, options.signal);
    })
    .finally(() => events.close());
  // Whoever only reads the events must not be ended by an unhandled rejection.
  result.catch(() => undefined);
  return { id, result, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() };
}

/** What a run is rejected with, whatever was thrown. */
function toldError(error: unknown, signal: AbortSignal | undefined): ColonnadeError {
  if (error instanceof ColonnadeError) return error;
  if (signal?.aborted === true && error === signal.reason) {
    return new ColonnadeError('INTERRUPTED', `the run was aborted: ${messageOf(error)}`, {
      phase: 'run',
      cause: error,
    });
  }
  return new ColonnadeError('INTERNAL', messageOf(error), {
    phase: 'run',
    cause: error,
    hint: 'this is a fault of Colonnade; please report it',
  });
}

/** @throws ColonnadeError `USAGE`: TypeScript does not hold callers in JavaScript, and no worker would score nothing. */
function refuseWorkers(workers: unknown): void {
  if (workers === undefined || (Number.isSafeInteger(workers) && (workers as number) >= 1)) return;
  throw new ColonnadeError('USAGE', `workers is ${JSON.stringify(workers)}; allowed: a whole number from 1`, {
    phase: 'usage',
    hint: 'leave it out to follow run.workers of the pipeline',
  });
}

/** Sorts by time, and differs between runs that begin in the same second. */
function newRunId(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:]|\.\d+Z$/g, '')}-${randomBytes(4).toString('hex')}`;
}

class Execution {
  readonly #startedAt = new Date();
  readonly #clock = performance.now();
  readonly #timings: Record<string, number> = {};
  readonly #hash: string;
  readonly #places: Places;
  /** Known once the run has begun. */
  #choice: WorkerChoice = { workers: 1 };
  #database: Promise<Database> | undefined;

  readonly #plan: Plan;
  readonly #id: string;
  readonly #options: RunOptions;
  readonly #emit: (event: RunEvent) => void;
  /** Ends what is under way when a part of the run has failed. */
  readonly #failed = new AbortController();
  /** Aborted when the run has failed or is to stop, with what it is rejected with. */
  readonly #signal: AbortSignal;

  constructor(plan: Plan, id: string, options: RunOptions, emit: (event: RunEvent) => void) {
    this.#plan = plan;
    this.#id = id;
    this.#options = options;
    this.#emit = emit;
    this.#signal = AbortSignal.any([this.#failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    // Sink and workers listen, of which there may be many.
    setMaxListeners(0, this.#signal);

    this.#hash = planHash(plan);
    this.#places = placesOf(plan.sink.path, this.#hash);
  }

  async execute(): Promise<RunSummary> {
    const plan = this.#plan;
    const places = this.#places;
    refuseWorkers(this.#options.workers);
    this.#stopIfAborted();
    // What a run left half-published is finished first: until then nothing true can be said of the output.
    if (!(await isPublishing(places))) await checkOutput(plan, places);
    const epoch = await takeEpoch(places.epochs, places.output, this.#id);
    try {
      await sweepState(places);
      const recovered = await recover(places);
      if (recovered !== undefined) {
        this.#emit({
          type: 'warning',
          message: `run ${recovered.run_id} had died while publishing ${places.output}; it was finished`,
        });
        // The same plan has the same output: there is nothing left to do.
        if (recovered.plan_hash === this.#hash && this.#options.fresh !== true) {
          const summary = this.#summary(recovered, recovered.ledger.rows);
          this.#emit({ type: 'finished', summary });
          return summary;
        }
        await checkOutput(plan, places);
      }
      return await this.#run(epoch);
    } catch (error) {
      // What goes wrong in clearing up must not hide what went wrong.
      await this.#afterFailure(error).catch(() => undefined);
      throw error;
    } finally {
      await this.#choice.model?.release();
      await this.#database?.then((database) => database.close()).catch(() => undefined);
      await epoch.release().catch(() => undefined);
    }
  }

  async #run(epoch: Epoch): Promise<RunSummary> {
    const plan = this.#plan;
    const { staging } = this.#places;
    await clearStaging(this.#places, this.#options.fresh === true);
    for (const folder of [staging.shards, staging.output, staging.work, staging.spill]) await makeFolder(folder);
    this.#choice = await chooseWorkers(plan, this.#options.workers);
    const results = await finishedShards(plan, this.#hash, staging.shards);
    const resumedRows = sum([...results.values()], ({ counts }) => counts.rows);
    this.#emit({
      type: 'started',
      runId: this.#id,
      rows: plan.expected.rows,
      shards: plan.shards.length,
      workers: this.#choice.workers,
    });
    if (results.size > 0) this.#emit({ type: 'resumed', rows: resumedRows, shards: results.size });

    const sink = openSink({
      plan,
      output: staging.output,
      work: staging.work,
      metadata: this.#metadata(),
      signal: this.#signal,
      database: () => (this.#database ??= this.#openDatabase()),
    });
    try {
      sink.begin((error) => this.#failed.abort(error));
      const written = await this.#score(results, sink);
      this.#lap('score');
      this.#emit({ type: 'phase', phase: 'writing' });
      const outputs = await sink.finish();
      const quarantine = await writeQuarantine(plan, {
        folder: staging.quarantine,
        scoresOf: (file) => this.#scoresOf(file),
        quarantinedOf: (file) => sum(this.#resultsOf(results, file), ({ counts }) => counts.quarantined),
        signal: this.#signal,
        database: () => (this.#database ??= this.#openDatabase()),
        metadata: this.#metadata(),
      });
      this.#lap('write');
      this.#stopIfAborted();

      const entries = plan.files.map((file): LedgerEntry => {
        const counts = this.#resultsOf(results, file.index).map((result) => result.counts);
        return {
          file: file.path,
          rows: file.rows,
          scored: sum(counts, ({ scored }) => scored),
          quarantined: sum(counts, ({ quarantined }) => quarantined),
          nulled: sum(counts, ({ nulled }) => nulled),
          filtered: sum(counts, ({ filtered }) => filtered),
          written: written.get(file.index) ?? null,
        };
      });
      const ledger = balance(
        plan.sink.mode,
        entries,
        sum(outputs, ({ rows }) => rows),
        sum(quarantine, ({ rows }) => rows),
      );
      for (const file of plan.files) await checkUnchanged(file);

      this.#emit({ type: 'phase', phase: 'publishing' });
      await writeSuccess(staging.output);
      await syncTree(staging.output);
      if (quarantine.length > 0) await syncTree(staging.quarantine);
      await checkOutput(plan, this.#places);
      await epoch.check();
      this.#stopIfAborted();
      const all = [...results.values()];
      const manifest: Manifest = {
        format: 1,
        run_id: this.#id,
        plan_hash: this.#hash,
        pipeline: { name: plan.name, file: plan.pipeline.file, hash: plan.pipeline.hash },
        model: {
          path: plan.model.path,
          hash: plan.model.hash,
          engine: plan.model.engine,
          batch_size: plan.model.batchSize,
        },
        inputs: plan.files.map(({ path, rows, fingerprint }) => ({ path, rows, fingerprint })),
        output: this.#places.output,
        outputs,
        quarantine,
        ledger,
        reasons: addUp(all.map(({ counts }) => counts.reasons)),
        nan: addUp(all.map(({ counts }) => counts.nan)),
        versions: versions(),
        started_at: this.#startedAt.toISOString(),
        finished_at: new Date().toISOString(),
        timings: { ...this.#timings },
        sink: plan.sink,
      };
      await publish(this.#places, manifest);
      this.#lap('publish');
      const summary = this.#summary(manifest, resumedRows);
      this.#emit({ type: 'finished', summary });
      return summary;
    } catch (error) {
      await sink.abort().catch(() => undefined);
      throw error;
    }
  }

  /** Scores what is not scored yet; gives each file to the sink once all its shards are. */
  async #score(results: Map<number, ShardResult>, sink: Sink): Promise<Map<number, number | null>> {
    const plan = this.#plan;
    const signal = this.#signal;
    this.#emit({ type: 'phase', phase: 'scoring' });
    const meter = new Meter(
      plan.expected.rows,
      sum([...results.values()], ({ counts }) => counts.rows),
    );
    const invalid = new InvalidRows(plan);
    const shardsOf = plan.files.map((file) => plan.shards.filter((shard) => shard.file === file.index));
    /** Shards of each file that the sink was given. */
    const given = plan.files.map(() => 0);
    const written = new Map<number, number | null>();
    // One shard or file at a time goes to the sink, while the workers go on.
    let sinking = Promise.resolve();
    const inTurn = (work: () => Promise<void> | undefined): void => {
      sinking = sinking
        .then(() => (signal.aborted ? undefined : work()))
        // The first failure counts: what fails after it, or after an abort, does so because of that.
        .catch((error: unknown) => this.#failed.abort(error));
    };
    /** Gives the sink what has become the next of a file. */
    const offer = (index: number): void => {
      const file = plan.files[index]!;
      const shards = shardsOf[index]!;
      for (
        let shard = shards[given[index]!];
        shard !== undefined && results.has(shard.index);
        shard = shards[given[index]!]
      ) {
        const { scores } = shardFiles(this.#places.staging.shards, shard.index);
        inTurn(() => sink.addShard?.(file, scores));
        given[index]! += 1;
        if (given[index] === shards.length)
          inTurn(async () => {
            written.set(index, await sink.addFile(file, this.#scoresOf(index)));
          });
      }
    };
    for (const result of results.values()) invalid.add(result.counts);
    for (const { index } of plan.files) offer(index);
    const report = (shard: number, rows: number): void => {
      const reading = meter.update(shard, rows);
      if (reading !== undefined) this.#emit({ type: 'progress', ...reading });
    };
    try {
      await scoreShards(
        plan.shards.map(({ index }) => index).filter((index) => !results.has(index)),
        {
          workers: this.#choice.workers,
          retries: plan.run.retries,
          open: () => this.#openWorker(),
          onRows: report,
          onDone: (result) => {
            results.set(result.shard, result);
            report(result.shard, result.counts.rows);
            invalid.add(result.counts);
            offer(plan.shards[result.shard]!.file);
          },
          findDone: (shard) => finishedShard(plan, this.#hash, this.#places.staging.shards, shard),
          onFound: (shard, error) =>
            this.#emit({ type: 'warning', message: `shard ${shard} was done when its worker died: ${error.message}` }),
          onRetry: (shard, attempt, delayMs, error) =>
            this.#emit({ type: 'retry', shard, attempt, delayMs, error: error.toJSON() }),
          signal,
        },
      );
    } catch (error) {
      // What waits for the sink is not needed any more.
      this.#failed.abort(error);
    }
    await sinking;
    this.#stopIfAborted();
    return written;
  }

  #resultsOf(results: ReadonlyMap<number, ShardResult>, file: number): ShardResult[] {
    return this.#plan.shards.filter((shard) => shard.file === file).flatMap(({ index }) => results.get(index) ?? []);
  }

  #scoresOf(file: number): string[] {
    return this.#plan.shards
      .filter((shard) => shard.file === file)
      .map(({ index }) => shardFiles(this.#places.staging.shards, index).scores);
  }

  #openWorker(): Promise<ShardWorker> {
    const choice = this.#choice;
    // The model is the first worker's: another one, opened after a failure, opens its own.
    this.#choice = { workers: choice.workers };
    return openWorker(
      { plan: this.#plan, planHash: this.#hash, staging: this.#places.staging, ...choice },
      this.#signal,
    );
  }

  #openDatabase(): Promise<Database> {
    const plan = this.#plan;
    const { staging } = this.#places;
    return openDatabase({
      memoryLimit: plan.run.memory,
      threads: 1,
      spillDirectory: join(staging.spill, 'sink'),
      readable: [...plan.files.map(({ path }) => path), staging.root],
      writable: [staging.root],
      signal: this.#signal,
    });
  }

  #metadata(): Record<string, string> {
    return {
      'colonnade.run_id': this.#id,
      'colonnade.pipeline': this.#plan.name,
      'colonnade.model_hash': this.#plan.model.hash,
      'colonnade.version': versions().colonnade!,
    };
  }

  /** Scores that a later run can go on from stay; after a failed check or a misfit nothing is worth keeping. */
  async #afterFailure(error: unknown): Promise<void> {
    const { staging } = this.#places;
    // A publication that has begun is finished by the next run from what is staged; and what another run has taken over
    // is no longer this one's to clear.
    if (await isPublishing(this.#places)) return;
    if (error instanceof ColonnadeError && error.code === 'OUTPUT_CONFLICT') return;
    const final: readonly number[] = [EXIT.checkFailed, EXIT.usage, EXIT.tryLater, EXIT.mismatch];
    const resumable = !(error instanceof ColonnadeError) || !final.includes(error.exitCode);
    const keep = resumable && (await finishedShards(this.#plan, this.#hash, staging.shards)).size > 0;
    const leftovers = keep ? [staging.output, staging.quarantine, staging.work, staging.spill] : [staging.root];
    for (const path of leftovers) await rm(path, { recursive: true, force: true });
  }

  #stopIfAborted(): void {
    this.#signal.throwIfAborted();
  }

  #lap(phase: string): void {
    const spent = Object.values(this.#timings).reduce((total, seconds) => total + seconds, 0);
    this.#timings[phase] = round((performance.now() - this.#clock) / 1000 - spent);
  }

  #summary(manifest: Manifest, resumedRows: number): RunSummary {
    const { ledger } = manifest;
    const elapsed = (performance.now() - this.#clock) / 1000;
    return {
      status: 'done',
      run_id: manifest.run_id,
      pipeline: this.#plan.name,
      output: this.#places.output,
      manifest: this.#places.manifest,
      ...(manifest.quarantine.length === 0 ? {} : { quarantine: this.#places.quarantine }),
      rows: ledger.rows,
      scored: ledger.scored,
      quarantined: ledger.quarantined,
      nulled: ledger.nulled,
      filtered: ledger.filtered,
      reasons: manifest.reasons,
      nan: manifest.nan,
      files: manifest.outputs.length,
      bytes: sum(manifest.outputs, ({ bytes }) => bytes),
      engine: this.#plan.model.engine,
      batch_size: this.#plan.model.batchSize,
      workers: this.#choice.workers,
      resumed_rows: resumedRows,
      elapsed_s: round(elapsed),
      rows_per_s: Math.round((ledger.rows - resumedRows) / elapsed),
    };
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  // A Map: a column may be called `constructor`.
  const total = new Map<string, number>();
  for (const each of counts)
    for (const [name, count] of Object.entries(each)) total.set(name, (total.get(name) ?? 0) + count);
  return Object.fromEntries(total);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
