/**
 * Drives a plan from its first shard to the published output. The order of things, and what each guarantees:
 *
 * 1. the output may be written at all (`checkOutput`), nobody else is writing it (`takeOutput`), and what a run that
 *    died while publishing has begun is finished (`recover`);
 * 2. shards are scored into staging; those that an unfinished run of the same plan has left are used;
 * 3. files whose shards are done go to the sink, which joins scores and source in staging;
 * 4. the checks: not too many invalid rows, inputs unchanged, ledger balanced, what was written read back;
 * 5. `publish` makes all of it visible at once.
 *
 * Until step 5 nothing outside `<output>.colonnade/` is touched.
 */
import { setMaxListeners } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { exists, makeFolder } from '../commit/durable.js';
import { refuseHeld } from '../commit/epoch.js';
import { balance, type LedgerEntry } from '../commit/ledger.js';
import type { Manifest } from '../commit/manifest.js';
import { isOfPlan, placesOf, type Places } from '../commit/places.js';
import { checkOutput } from '../commit/preflight.js';
import { isPublishing, publish, recover } from '../commit/publish.js';
import { sweepRecords, writeRecord, type RunRecord } from '../commit/records.js';
import { syncTree, writeSuccess } from '../commit/stage.js';
import { thisSystem } from '../commit/system.js';
import { earlierRuns, goOnFromEarlier, leave, takeOutput, type Holding } from '../commit/takeover.js';
import { ColonnadeError, EXIT } from '../errors.js';
import { checkUnchanged } from '../parquet/unchanged.js';
import type { Plan, Shard } from '../plan/plan.js';
import type { ShardCounts } from '../score/shard.js';
import { openSink } from '../sink/open.js';
import { writeQuarantine } from '../sink/quarantine.js';
import { openDatabase, type Database } from '../source/database.js';
import { systemError } from '../system-errors.js';
import type { RunEvent, RunOptions, RunSummary } from './events.js';
import { planHash } from './plan-hash.js';
import { finishedShards, hasFinishedShards, sweepShards } from './resume.js';
import { doneRecord, failedRecord, recordRecovered } from './run-record.js';
import { scoreIntoSink } from './score-into-sink.js';
import { scoresOf } from './shard-files.js';
import type { ShardResult } from './shard-attempt.js';
import type { ShardWorker } from './shard-worker.js';
import { changesSince, describePlan, leftovers, writeStagedPlan } from './staged-plan.js';
import { addUp, round, sum, summaryOf } from './summary.js';
import { versions } from './versions.js';
import { WrittenCheck } from './written-check.js';
import { chooseWorkers, openWorker, type WorkerChoice } from './workers.js';

/**
 * Statements of the sink at once. Each takes one of the four threads that Node has for files, hashes and DuckDB alike until
 * it is done: one must be left.
 */
const MOST_WRITERS = 3;

/** Inputs that are looked at in a row. */
const INPUTS_AT_ONCE = 64;

/** One run of a plan. */
export class Execution {
  readonly #startedAt = new Date();
  readonly #clock = performance.now();
  readonly #timings: Record<string, number> = {};
  readonly #hash: string;
  /** With the folder of this run once the output is taken. */
  #places: Places;
  /** By file. */
  readonly #shards: ReadonlyMap<number, readonly Shard[]>;
  /** Known once the run has begun. */
  #choice: WorkerChoice = { workers: 1, mainScores: true };
  /** An earlier run of the plan has died while its main process scored. */
  #mainDied = false;
  /** The sink's. */
  #database: Promise<Database> | undefined;
  /** The one that the plan was made with, until a worker has taken it. */
  #planning: Database | undefined;

  readonly #plan: Plan;
  readonly #id: string;
  readonly #options: RunOptions;
  readonly #emit: (event: RunEvent) => void;
  /** What it has gone on from. */
  #resumed: RunRecord['resumed'];
  /** Ends what is under way when a part of the run has failed. */
  readonly #failed = new AbortController();
  /** Aborted when the run has failed or is to stop, with what it is rejected with. */
  readonly #signal: AbortSignal;

  /** @param planning as in `startRun` */
  constructor(
    plan: Plan,
    id: string,
    options: RunOptions,
    emit: (event: RunEvent) => void,
    planning: Database | undefined,
  ) {
    this.#planning = planning;
    this.#plan = plan;
    this.#id = id;
    this.#options = options;
    this.#emit = emit;
    this.#signal = AbortSignal.any([this.#failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    // Sink and workers listen, of which there may be many.
    setMaxListeners(0, this.#signal);

    this.#hash = planHash(plan);
    this.#places = placesOf(plan.sink.path, this.#hash);
    this.#shards = shardsByFile(plan);
  }

  async execute(): Promise<RunSummary> {
    const plan = this.#plan;
    const places = this.#places;
    this.#stopIfAborted();
    await refuseHeld(places.epochs, places.output);
    // What a run left half-published is finished first: until then nothing true can be said of the output.
    if (!(await isPublishing(places))) await checkOutput(plan, places);
    const holding = await takeOutput(places.output, this.#hash, this.#id);
    this.#places = holding.places;
    await this.#writeRecord({ state: 'running' });
    try {
      await sweepRecords(places);
      const recovered = await recover(holding);
      if (recovered !== undefined) {
        await recordRecovered(places, recovered, this.#id);
        this.#emit({
          type: 'warning',
          message: `run ${recovered.run_id} had died while publishing ${places.output}; it was finished`,
        });
        // The same plan has the same output: there is nothing left to do.
        if (recovered.plan_hash === this.#hash && this.#options.fresh !== true) {
          await goOnFromEarlier(holding.places, this.#hash, { fresh: true });
          this.#resumed = { rows: recovered.ledger.rows, run_id: recovered.run_id };
          await this.#writeRecord(doneRecord(recovered));
          const summary = this.#summary(recovered, recovered.ledger.rows);
          this.#emit({ type: 'finished', summary });
          return summary;
        }
      }
      // Another run may have come and gone since it was looked at.
      await checkOutput(plan, holding.places);
      return await this.#run(holding);
    } catch (error) {
      await this.#writeRecord(failedRecord(error, this.#options.signal));
      throw error;
    } finally {
      for (const model of this.#choice.models ?? []) await model.release().catch(() => undefined);
      await this.#database?.then((database) => database.close()).catch(() => undefined);
      await leave(holding);
    }
  }

  async #run(holding: Holding): Promise<RunSummary> {
    try {
      return await this.#scoreAndPublish(holding);
    } catch (error) {
      // What goes wrong in clearing up must not hide what went wrong.
      await this.#afterFailure(error).catch(() => undefined);
      throw error;
    }
  }

  async #scoreAndPublish(holding: Holding): Promise<RunSummary> {
    const plan = this.#plan;
    const { staging } = this.#places;
    const left = await leftovers(this.#places, this.#hash);
    this.#mainDied = await this.#hasMainDied();
    await goOnFromEarlier(this.#places, this.#hash, { fresh: this.#options.fresh === true });
    for (const folder of [staging.shards, staging.output, staging.work, staging.spill]) await makeFolder(folder);
    const staged = describePlan(plan, this.#hash, this.#id);
    await writeStagedPlan(staging.root, staged);
    // From here on models are run in this process, be it to measure them. Once one has died the mark stays until the run is
    // done: what fails in a worker process is not to be tried here the next time.
    await this.#markMainScores();
    this.#choice = await chooseWorkers(plan, this.#options.workers, this.#mainDied);
    if (!this.#choice.mainScores) await this.#unmarkMainScores();
    const results = await finishedShards(plan, this.#hash, staging.shards, this.#signal);
    await sweepShards(staging.shards, results);
    const resumedRows = sum([...results.values()], ({ counts }) => counts.rows);
    const from = left.find(({ isSame }) => isSame)?.plan.run_id;
    if (results.size > 0) this.#resumed = { rows: resumedRows, ...(from === undefined ? {} : { run_id: from }) };
    this.#emit({
      type: 'started',
      runId: this.#id,
      rows: plan.expected.rows,
      shards: plan.shards.length,
      workers: this.#choice.workers,
    });
    for (const message of plan.warnings) this.#emit({ type: 'warning', message });
    if (this.#mainDied && results.size < plan.shards.length) {
      this.#emit({
        type: 'warning',
        message:
          'an earlier run of this plan died while its main process scored; this one scores in a worker process, so that a crash of the model is told and costs a part',
      });
    }
    if (results.size > 0)
      this.#emit({
        type: 'resumed',
        rows: resumedRows,
        shards: results.size,
        ...(from === undefined ? {} : { runId: from }),
      });
    for (const { plan: before, isSame, shards } of left)
      if (!isSame && shards > 0 && this.#options.fresh !== true)
        this.#emit({ type: 'startedOver', runId: before.run_id, shards, changed: changesSince(before, staged) });

    const manifest = await this.#stage(results);
    // From here on the run is done, by itself or by the next one: it cannot be stopped any more.
    await publish(holding, manifest);
    this.#lap('publish');
    await this.#writeRecord(doneRecord(manifest));
    const summary = this.#summary(manifest, resumedRows);
    this.#emit({ type: 'finished', summary });
    return summary;
  }

  /**
   * Scores what is not scored yet, and makes the output in staging, whole, checked and synced.
   * @param results of the shards that are done already, by shard.
   * @returns the manifest of what is staged.
   */
  async #stage(results: Map<number, ShardResult>): Promise<Manifest> {
    const plan = this.#plan;
    const { staging } = this.#places;
    const check = new WrittenCheck({
      plan,
      staging,
      shardsOf: (file) => this.#shardsOf(file),
      scoresOf: (file) => scoresOf(this.#shardsOf(file), staging.shards, results),
      countsOf: (file) => this.#countsOf(results, file),
      database: () => (this.#database ??= this.#openDatabase()),
      signal: this.#signal,
    });
    const sink = openSink({
      plan,
      output: staging.output,
      work: staging.work,
      metadata: this.#metadata(),
      signal: this.#signal,
      onWritten: (file) => check.written(file),
      writers: Math.min(availableParallelism(), MOST_WRITERS),
      database: () => (this.#database ??= this.#openDatabase()),
    });
    try {
      sink.begin((error) => this.#failed.abort(error));
      const written = await scoreIntoSink({
        plan,
        planHash: this.#hash,
        folder: staging.shards,
        shardsOf: (file) => this.#shardsOf(file),
        results,
        sink,
        workers: this.#choice.workers,
        open: () => this.#openWorker(),
        emit: this.#emit,
        signal: this.#signal,
        fail: (error) => this.#failed.abort(error),
      }).finally(() => this.#unmarkMainScores());
      this.#lap('score');
      this.#emit({ type: 'phase', phase: 'writing' });
      const outputs = await sink.finish();
      const quarantine = await writeQuarantine(plan, {
        folder: staging.quarantine,
        scoresOf: (file) => scoresOf(this.#shardsOf(file), staging.shards, results),
        quarantinedOf: (file) => sum(this.#countsOf(results, file), ({ quarantined }) => quarantined),
        signal: this.#signal,
        database: () => (this.#database ??= this.#openDatabase()),
        metadata: this.#metadata(),
      });
      this.#lap('write');
      this.#stopIfAborted();

      const entries = plan.files.map((file): LedgerEntry => {
        const counts = this.#countsOf(results, file.index);
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
      await this.#checkInputs();

      this.#emit({ type: 'phase', phase: 'publishing' });
      await writeSuccess(staging.output);
      // Before the sync is waited for: the one needs the processor, the other the disk.
      const checking = check.finish(outputs, quarantine, ledger);
      checking.catch(() => undefined);
      await syncTree(staging.output);
      if (quarantine.length > 0) await syncTree(staging.quarantine);
      await checking;
      // Again: to sync takes a while.
      await this.#checkInputs();
      await checkOutput(plan, this.#places);
      this.#stopIfAborted();
      const all = [...results.values()];
      return {
        format: 1,
        run_id: this.#id,
        plan_hash: this.#hash,
        pipeline: { name: plan.name, ...plan.pipeline },
        models: plan.models.map(({ name, path, hash, engine, batchSize }) => ({
          ...(name === undefined ? {} : { name }),
          path,
          hash,
          engine,
          batch_size: batchSize,
        })),
        inputs: plan.files.map(({ path, rows, fingerprint }) => ({ path, rows, fingerprint })),
        output: this.#places.output,
        outputs: outputs.map(({ sharedBytes, ...file }) =>
          sharedBytes === undefined ? file : { ...file, shared_bytes: sharedBytes },
        ),
        columns: plan.outputs.map(({ name, type, list }) => ({ name, type, list })),
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
    } catch (error) {
      await sink.abort().catch(() => undefined);
      await check.close();
      // What was stopped may say so in its own words.
      this.#stopIfAborted();
      throw error;
    }
  }

  async #checkInputs(): Promise<void> {
    for (const file of this.#plan.files) {
      checkUnchanged(file);
      // There may be thousands of them: a signal is heard in between.
      if (file.index % INPUTS_AT_ONCE === 0) await setImmediate();
      this.#stopIfAborted();
    }
  }

  /** Shards of a file, in their order. */
  #shardsOf(file: number): readonly Shard[] {
    return this.#shards.get(file) ?? [];
  }

  #countsOf(results: ReadonlyMap<number, ShardResult>, file: number): readonly ShardCounts[] {
    return this.#shardsOf(file).flatMap(({ index }) => results.get(index)?.counts ?? []);
  }

  #openWorker(): Promise<ShardWorker> {
    const choice = this.#choice;
    const database = this.#planning;
    // Models and database are the first worker's: another one, opened after a failure, opens its own.
    this.#choice = { workers: choice.workers, mainScores: choice.mainScores && choice.workers === 1 };
    this.#planning = undefined;
    return openWorker(
      {
        plan: this.#plan,
        planHash: this.#hash,
        staging: this.#places.staging,
        ...choice,
        ...(database === undefined ? {} : { database }),
      },
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
      ...Object.fromEntries(
        this.#plan.models.map(({ name, hash }) => [
          name === undefined ? 'colonnade.model_hash' : `colonnade.model_hash.${name}`,
          hash,
        ]),
      ),
      'colonnade.version': versions().colonnade!,
    };
  }

  /**
   * Scores that a later run can go on from stay; after a failed check or a misfit nothing is worth keeping. All of it is in
   * the run's own folder, which is not there any more where another run has taken the output over.
   */
  async #afterFailure(error: unknown): Promise<void> {
    const { staging } = this.#places;
    // A publication that has begun is finished by the next run from what is staged.
    if (await isPublishing(this.#places)) return;
    await this.#unmarkMainScores();
    const final: readonly number[] = [EXIT.checkFailed, EXIT.usage, EXIT.tryLater, EXIT.mismatch];
    const resumable = !(error instanceof ColonnadeError) || !final.includes(error.exitCode);
    const keep = resumable && (await hasFinishedShards(this.#plan, this.#hash, staging.shards));
    const work = [staging.output, staging.quarantine, staging.work, staging.spill];
    const leftovers = keep ? work : this.#mainDied && resumable ? [...work, staging.shards] : [staging.root];
    for (const path of leftovers) await rm(path, { recursive: true, force: true });
  }

  /** Says beside the output what is known of this run. Of one that failed it must outlive a power cut. */
  async #writeRecord(end: Pick<RunRecord, 'state' | 'ledger' | 'error'>): Promise<void> {
    const { name, pipeline } = this.#plan;
    const record: RunRecord = {
      format: 1,
      run_id: this.#id,
      plan_hash: this.#hash,
      pipeline: { name, file: pipeline.file },
      process: await thisSystem.self(),
      started_at: this.#startedAt.toISOString(),
      rows: this.#plan.expected.rows,
      ...end,
      ...(end.state === 'running' ? {} : { finished_at: new Date().toISOString() }),
      ...(this.#resumed === undefined ? {} : { resumed: this.#resumed }),
    };
    await writeRecord(this.#places, record, { sync: end.state === 'failed' || end.state === 'interrupted' });
  }

  /** Whether a main process has died while it scored shards of this plan. Asked while the folders of earlier runs are there. */
  async #hasMainDied(): Promise<boolean> {
    for (const { root, mainScores } of await earlierRuns(this.#places.staging))
      if (isOfPlan(basename(root), this.#hash) && (await exists(mainScores))) return true;
    return false;
  }

  /** Not synced: it is to survive the end of this process, not that of the machine. */
  async #markMainScores(): Promise<void> {
    const path = this.#places.staging.mainScores;
    await writeFile(path, '').catch((error: unknown) => {
      throw systemError(error, 'run', 'writing', path);
    });
  }

  async #unmarkMainScores(): Promise<void> {
    // One that cannot be removed costs a worker process, no more.
    if (!this.#mainDied) await rm(this.#places.staging.mainScores, { force: true }).catch(() => undefined);
  }

  #stopIfAborted(): void {
    this.#signal.throwIfAborted();
  }

  #lap(phase: string): void {
    const spent = Object.values(this.#timings).reduce((total, seconds) => total + seconds, 0);
    this.#timings[phase] = round((performance.now() - this.#clock) / 1000 - spent);
  }

  #summary(manifest: Manifest, resumedRows: number): RunSummary {
    return summaryOf(manifest, {
      output: this.#places.output,
      manifest: this.#places.manifest,
      quarantine: this.#places.quarantine,
      workers: this.#choice.workers,
      resumedRows,
      elapsed: (performance.now() - this.#clock) / 1000,
    });
  }
}

function shardsByFile({ shards }: Plan): ReadonlyMap<number, readonly Shard[]> {
  const byFile = new Map<number, Shard[]>();
  for (const shard of shards) {
    const others = byFile.get(shard.file);
    if (others === undefined) byFile.set(shard.file, [shard]);
    else others.push(shard);
  }
  return byFile;
}
