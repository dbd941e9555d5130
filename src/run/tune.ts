/**
 * Tunes a pipeline: scores a sample of its rows with other batch sizes and numbers of workers, and says whether any of
 * them is better than what the pipeline has. The order of things:
 *
 * 1. a sample is found that takes a fraction of a second and has rows to score;
 * 2. batch sizes of each model, each in a worker process of its own and in turn with one that is set as the pipeline is;
 * 3. what was fastest is measured once more: the best of many is partly the luckiest;
 * 4. numbers of workers, with the batch sizes that came out of it;
 * 5. threads of DuckDB in each, with these workers.
 *
 * The workers are those of a run and do what they do there: scan, validate, score, encode and write scores, which go to a
 * private temporary folder. What the sink does beside them is not measured.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ColonnadeError } from '../errors.js';
import { writeKey } from '../pipeline/write-scalar.js';
import { autoBatchSize } from '../plan/estimate.js';
import type { Plan, PlannedModel } from '../plan/plan.js';
import { counted, formatBytes, formatCount } from '../plan/quantities.js';
import { samplePlan, type SamplePart } from '../plan/sample.js';
import { systemError } from '../system-errors.js';
import { Contender } from './contender.js';
import { compare, isBetter, median, type Comparison } from './paired.js';
import { round } from './summary.js';
import {
  DEFAULT_SECONDS,
  SAMPLE_ROWS,
  SECONDS,
  WORKERS,
  type BatchSizeTrial,
  type FailedTrial,
  type ThreadsTrial,
  type Trial,
  type TunedBatchSize,
  type TunedThreads,
  type TunedWorkers,
  type TuneOptions,
  type TuneProgress,
  type Tuning,
  type WorkersTrial,
} from './tuning.js';
import { chooseWorkers, scanThreads } from './workers.js';

/** Batch sizes that are tried: powers of two. */
const BATCH_SIZES = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] as const;
/** A number in the pipeline file has to be faster by this share: `auto` follows the model, a number does not. */
const WORTH_BATCH_SIZE = 0.05;
/** More than that: what the sink does beside the workers, and takes cores for, is not measured. */
const WORTH_WORKERS = 0.1;
/** And so many seconds of a run: how long processes take to start differs by more. */
const WORTH_WORKERS_S = 0.5;
/** With fewer seconds for scoring all rows a run mostly starts and ends. */
const SMALL_S = 0.2;

/** Rows of the smallest sample. */
const LEAST_SAMPLE = 2048;
/** Rows of the largest, unless more are asked for. */
const MOST_SAMPLE = 2 ** 21;
/** Places in the data where rows to score are looked for. */
const PLACES = 8;
/** A pass over the sample takes at least this share of the budget, and no more seconds than this. */
const PASS = { share: 1 / 200, most: 0.1 } as const;
/** Share of the budget that one pass may take so that the sample holds a whole batch. */
const LONGEST_PASS = 1 / 20;

/** Pairs of passes that two settings are compared by. */
const PAIRS = { least: 4, most: 20 } as const;
/** What is slower than this share, by more than the noise, is not looked at more closely. */
const CLEARLY_SLOWER = 0.9;
/** A comparison that is this sure needs no more pairs. */
const SURE = 0.015;
/** Shares of the budget at whose end batch sizes and the second look have to be done, where workers are tried after them. */
const BATCH_SIZES_UNTIL = 0.6;
const CHECKED_UNTIL = 0.75;
/** The same for workers, where threads are tried after them. */
const WORKERS_UNTIL = 0.9;
/** `run.memory` is doubled until it suffices, up to this many bytes. */
const MOST_MEMORY = 64 * 2 ** 30;
/** Share of the memory that is free which workers may take while they are measured. */
const FREE_MEMORY_SHARE = 0.8;

/**
 * Measures which batch sizes and how many workers score the rows of a plan fastest. Nothing is written but to a temporary
 * folder, which is removed; the output is not looked at.
 *
 * @throws ColonnadeError `USAGE` for options that make no sense; what a run of the plan as it is would fail with.
 */
export async function tunePlan(plan: Plan, options: TuneOptions = {}): Promise<Tuning> {
  refuseOptions(options);
  options.signal?.throwIfAborted();
  const folder = await mkdtemp(join(tmpdir(), 'colonnade-tune-')).catch((error: unknown) => {
    throw systemError(error, 'run', 'making a folder in', tmpdir());
  });
  // Also where the process is ended at once.
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', remove);
  const tuner = new Tuner(plan, folder, options);
  const stop = (): void => {
    void tuner.close();
  };
  options.signal?.addEventListener('abort', stop);
  try {
    return await tuner.tune();
  } catch (error) {
    // What was stopped may say so in its own words.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await tuner.close();
    await rm(folder, { recursive: true, force: true });
    process.off('exit', remove);
  }
}

/** A contender with the times of its passes. */
interface Entry {
  readonly contender: Contender;
  readonly workers: number;
  readonly times: number[];
}

/** What a setting has shown beside the one that the pipeline has. */
type Measured = Trial & { readonly opening: number };

class Tuner {
  readonly #plan: Plan;
  readonly #folder: string;
  readonly #options: TuneOptions;
  readonly #clock = performance.now();
  readonly #budget: number;
  readonly #open = new Set<Contender>();
  readonly #notes: string[] = [];
  #folders = 0;
  #memory: number;
  /** The sample's plan, as the pipeline sets it, and the rows of it that are measured with. */
  #sample!: { readonly plan: Plan; readonly part: SamplePart; readonly scored: number };

  constructor(plan: Plan, folder: string, options: TuneOptions) {
    this.#plan = plan;
    this.#folder = folder;
    this.#options = options;
    this.#budget = options.seconds ?? DEFAULT_SECONDS;
    this.#memory = plan.run.memory;
  }

  /** Ends all workers. May be called at any time, and again. */
  async close(): Promise<void> {
    const open = [...this.#open];
    this.#open.clear();
    await Promise.all(open.map((contender) => contender.close().catch(() => undefined)));
  }

  async tune(): Promise<Tuning> {
    const { rows } = this.#plan.expected;
    const workers = await this.#workersNow();
    if (rows === 0) {
      this.#notes.push('there is no row to score');
      return this.#untried('small', workers, undefined);
    }
    const reference = await this.#findSample();
    const { part, scored } = this.#sample;
    const expected = (rows / part.rows) * median(reference.times);
    const sample = { rows: part.rows, scored, all_s: round(expected) };
    if (scored === 0) {
      this.#notes.push(
        `of ${counted(part.rows, 'row')} looked at, none goes to the model: all are filtered or invalid`,
      );
      return this.#untried('unscored', workers, sample);
    }
    if (expected < SMALL_S) return this.#untried('small', workers, sample);

    const counts = this.#workerCounts(workers);
    const models = await this.#tryBatchSizes(reference, counts.length > 1);
    const checked = await this.#check(reference, models, counts.length > 1);
    const tunedWorkers = await this.#tryWorkers(workers, counts, checked);
    const threads = await this.#tryThreads(expected, tunedWorkers, checked);
    return this.#result(sample, checked, tunedWorkers, threads);
  }

  /** What `auto` stands for, and what a run would take. */
  async #workersNow(): Promise<{ readonly auto: number; readonly current: number }> {
    const auto = await chooseWorkers({ ...this.#plan, run: { ...this.#plan.run, workers: 'auto' } });
    for (const model of auto.models ?? []) await model.release();
    const wanted = this.#options.workers ?? this.#plan.run.workers;
    const current = wanted === 'auto' ? auto.workers : (await chooseWorkers(this.#plan, wanted)).workers;
    return { auto: auto.workers, current };
  }

  /**
   * Looks for a sample: a place where there are rows to score, and as many rows from there as a pass of the wanted length
   * takes.
   * @returns one worker, set as the pipeline is, that has been warmed up with it.
   */
  async #findSample(): Promise<Entry> {
    const sizes = this.#sampleSizes();
    const full = this.#plan.shards.filter((shard) => shard.rows > 0).length;
    const places = Math.min(PLACES, full);
    const wanted = Array.from({ length: places }, (_, i) => Math.floor((i * full) / places)).flatMap((from) =>
      sizes.map((rows) => ({ rows, from })),
    );
    // A row that may not be invalid ends a run, and would end the measuring.
    const onInvalid = this.#plan.onInvalid === 'fail' ? 'quarantine' : this.#plan.onInvalid;
    const { plan, parts } = samplePlan({ ...this.#plan, onInvalid }, wanted);
    for (;;) {
      try {
        const withMemory = { ...plan, run: { ...plan.run, memory: this.#memory } };
        const part = await this.#climb(await this.#enter(withMemory, 1), parts, sizes.length);
        this.#sample = { plan: withMemory, ...part };
        // Another one: what looking for the sample took in memory is not what scoring it takes.
        await this.close();
        const reference = await this.#enter(withMemory, 1);
        await this.#warmUp(reference);
        await this.#pass(reference, part.part);
        return reference;
      } catch (error) {
        this.#throwIfAborted();
        const short = error instanceof ColonnadeError && error.code === 'OUT_OF_MEMORY';
        if (!short || 2 * this.#memory > MOST_MEMORY) throw error;
        await this.close();
        this.#memory *= 2;
      }
    }
  }

  /** Rows of samples, ascending, from the smallest to the largest that may be measured with. */
  #sampleSizes(): readonly number[] {
    const { rows } = this.#plan.expected;
    if (this.#options.rows !== undefined) {
      const most = Math.min(this.#options.rows, rows);
      return most <= LEAST_SAMPLE ? [most] : [LEAST_SAMPLE, most];
    }
    const sizes: number[] = [];
    for (let size = LEAST_SAMPLE; size < rows && size < MOST_SAMPLE; size *= 2) sizes.push(size);
    return [...sizes, Math.min(rows, MOST_SAMPLE)];
  }

  /** @param parts place by place, of each place `steps` of ascending size. */
  async #climb(
    entry: Entry,
    parts: readonly SamplePart[],
    steps: number,
  ): Promise<{ readonly part: SamplePart; readonly scored: number }> {
    this.#tell({ stage: 'sample' });
    let place = 0;
    for (let at = 0; at < parts.length; at += steps) {
      const { scored } = await this.#pass(entry, parts[at]!);
      if (scored === 0) continue;
      place = at;
      break;
    }
    const longEnough = Math.min(PASS.most, this.#budget * PASS.share);
    const batch = Math.max(...this.#plan.models.map(({ batchSize }) => batchSize));
    // A sample that is asked for is taken, however long it takes.
    let before = Infinity;
    for (let step = this.#options.rows === undefined ? 0 : steps - 1; ; step += 1) {
      const part = parts[place + step]!;
      const { seconds, scored } = await this.#pass(entry, part);
      // Of a row group that is cut off, DuckDB may decode more than is asked for: that must not be most of the time.
      const byRows = seconds > 1.5 * before;
      const tooLong = 2 * seconds > Math.max(longEnough, this.#budget * LONGEST_PASS);
      const enough = seconds >= longEnough && ((byRows && part.rows >= batch) || tooLong);
      if (enough || step === steps - 1) return { part, scored };
      before = seconds;
    }
  }

  /** Tries sizes for each model whose size is open. @returns what is fastest of each, not yet sure. */
  async #tryBatchSizes(reference: Entry, workersFollow: boolean): Promise<TunedBatchSize[]> {
    const { models } = this.#plan;
    const { part, plan } = this.#sample;
    const until = this.#budget * (workersFollow ? BATCH_SIZES_UNTIL : CHECKED_UNTIL);
    const queue = models.flatMap((model, at) =>
      model.fixedBatch ? [] : sizesFor(model, part).map((size) => ({ at, size })),
    );
    // The nearest first: what there is no time for is what is least likely.
    queue.sort((a, b) => steps(models[a.at]!, a.size) - steps(models[b.at]!, b.size));
    const trials = models.map((): Map<number, BatchSizeTrial> => new Map());
    const untried = new Set<number>();
    let peak_memory = 0;
    for (const [i, { at, size }] of queue.entries()) {
      const share = (until - this.#seconds()) / (queue.length - i);
      if (this.#seconds() + this.#leastTime(reference) > until) {
        untried.add(size);
        continue;
      }
      const { name } = models[at]!;
      this.#tell({ stage: 'batch_size', value: size, ...(name === undefined ? {} : { model: name }) });
      const measured = await this.#tried(withBatchSizes(plan, new Map([[at, size]])), 1, reference, share);
      if ('opening' in measured) trials[at]!.set(size, { batch_size: size, ...withoutOpening(measured) });
      else trials[at]!.set(size, { batch_size: size, ...measured });
      // After about as many passes as the others have had.
      if (peak_memory === 0) peak_memory = await reference.contender.peakMemory();
    }
    this.#noteBatchSizes([...untried]);
    return models.map((model, at): TunedBatchSize => {
      const current = model.batchSize;
      const auto = autoOf(model);
      if (trials[at]!.size > 0) {
        const rows_per_s = Math.round(part.rows / median(reference.times));
        trials[at]!.set(current, { batch_size: current, rows_per_s, speedup: 1, noise: 0, peak_memory });
      }
      const tried = [...trials[at]!.values()].sort((a, b) => a.batch_size - b.batch_size);
      const best = pick(
        tried.map(({ batch_size, ...trial }) => ({ value: batch_size, ...trial })),
        { current, auto },
        WORTH_BATCH_SIZE,
      );
      return { ...(model.name === undefined ? {} : { model: model.name }), auto, current, recommended: best, tried };
    });
  }

  /** Measures once more what is to be recommended, beside what the pipeline has: the best of many is partly the luckiest. */
  async #check(reference: Entry, models: readonly TunedBatchSize[], workersFollow: boolean): Promise<TunedBatchSize[]> {
    const changed = new Map(
      models.flatMap((model, at): [number, number][] =>
        valueOf(model) === model.current ? [] : [[at, valueOf(model)]],
      ),
    );
    if (changed.size === 0) return [...models];
    const kept = (): TunedBatchSize[] => models.map((model) => ({ ...model, recommended: asWritten(model) }));
    const until = this.#budget * (workersFollow ? CHECKED_UNTIL : 1);
    const [first] = changed.values();
    this.#tell({ stage: 'check', ...(changed.size === 1 && first !== undefined ? { value: first } : {}) });
    const again = await this.#tried(withBatchSizes(this.#sample.plan, changed), 1, reference, until - this.#seconds());
    if ('error' in again || !isBetter(again, WORTH_BATCH_SIZE)) {
      const sizes = [...changed.values()].map(formatCount).join(', ');
      this.#notes.push(`batch size ${sizes} seemed faster at first, which a second look did not bear out`);
      return kept();
    }
    return models.map((model, at) => {
      const size = changed.get(at);
      if (size === undefined) return model;
      // Of several models the second look was at all changes together.
      const tried =
        changed.size > 1
          ? model.tried
          : model.tried.map((trial) =>
              trial.batch_size === size ? { batch_size: size, ...withoutOpening(again) } : trial,
            );
      return { ...model, tried };
    });
  }

  /** Numbers of workers that make sense, ascending; only the current one where there is nothing to choose. */
  #workerCounts({ auto, current }: { readonly auto: number; readonly current: number }): readonly number[] {
    if (this.#options.workers !== undefined) return [current];
    const shards = this.#plan.shards.filter((shard) => shard.rows > 0).length;
    const most = Math.min(availableParallelism(), shards);
    const counts = new Set([current, auto, most]);
    for (let count = 1; count < most; count *= 2) counts.add(count);
    if (counts.size === 1) {
      const why = shards === 1 ? 'the data is one shard' : 'there is one processor';
      this.#notes.push(`${why}: no other number of workers is tried`);
    }
    return [...counts].sort((a, b) => a - b);
  }

  async #tryWorkers(
    { auto, current }: { readonly auto: number; readonly current: number },
    counts: readonly number[],
    batchSizes: readonly TunedBatchSize[],
  ): Promise<TunedWorkers> {
    if (counts.length === 1) return { auto, current, recommended: asWritten({ auto, current }), tried: [] };
    const plan = withBatchSizes(this.#sample.plan, new Map(batchSizes.map(valueOf).entries()));
    await this.close();
    this.#tell({ stage: 'workers', value: current });
    const reference = await this.#enter(plan, current);
    await this.#warmUp(reference);
    const rowsOf = this.#plan.shards.map(({ rows }) => rows);
    const trials: WorkersTrial[] = [];
    let fastest = Infinity;
    for (const [i, workers] of counts.entries()) {
      if (workers === current) continue;
      const threads = this.#threads(workers);
      const share = (this.#budget * WORKERS_UNTIL - this.#seconds()) / (counts.length - i);
      const room = await this.#roomFor(workers, reference);
      if (room !== undefined) {
        this.#notes.push(room);
        continue;
      }
      if (this.#seconds() + this.#leastTime(reference) > this.#budget) {
        this.#notes.push(`${counted(workers, 'worker')} not tried for want of time`);
        continue;
      }
      this.#tell({ stage: 'workers', value: workers });
      const measured = await this.#tried(plan, workers, reference, share);
      if ('error' in measured) {
        trials.push({ workers, threads, ...measured });
        continue;
      }
      const { opening, ...trial } = measured;
      const all_s = secondsForAll(rowsOf, workers, trial.rows_per_s, opening);
      trials.push({ workers, threads, ...trial, all_s: round(all_s) });
      // Where more have become slower, still more will not be faster.
      if (workers > current && all_s > 1.2 * fastest) {
        const more = counts.filter((count) => count > workers);
        if (more.length > 0) this.#notes.push(`more than ${workers} workers not tried: these are slower already`);
        break;
      }
      fastest = Math.min(fastest, all_s);
    }
    const rows_per_s = Math.round((current * this.#sample.part.rows) / median(reference.times));
    const all_s = secondsForAll(rowsOf, current, rows_per_s, reference.contender.openingSeconds);
    trials.push({
      workers: current,
      threads: this.#threads(current),
      rows_per_s,
      speedup: 1,
      noise: 0,
      peak_memory: await reference.contender.peakMemory(),
      all_s: round(all_s),
    });
    trials.sort((a, b) => a.workers - b.workers);
    return { auto, current, recommended: pickWorkers(trials, { current, auto }), tried: trials };
  }

  /** Threads of DuckDB with the workers that came out, while there is time. @param expected seconds for scoring all rows */
  async #tryThreads(
    expected: number,
    tuned: TunedWorkers,
    batchSizes: readonly TunedBatchSize[],
  ): Promise<TunedThreads> {
    const workers = valueOf(tuned);
    const auto = scanThreads({ onInvalid: this.#plan.onInvalid, run: {} }, workers);
    const current = this.#threads(workers);
    const untried = { auto, current, recommended: asWritten({ auto, current }), tried: [] };
    const most = Math.max(1, availableParallelism());
    const counts = [1, 2, 4, auto].filter((count, i, all) => count <= most && all.indexOf(count) === i);
    const others = counts.filter((count) => count !== current);
    // One thread reads the rows in their order, which `on_invalid: fail` counts on.
    if (others.length === 0 || this.#plan.onInvalid === 'fail') return untried;
    const all_s = expected / workers;
    if (all_s < WORTH_WORKERS_S) return untried;
    const { plan: sampled, part } = this.#sample;
    const groups = part.shards.reduce((sum, index) => {
      const [from, to] = sampled.shards[index]!.rowGroups;
      return sum + to - from;
    }, 0);
    // A row group is read by one thread: of a single one nothing can be learnt.
    if (groups < 2) {
      this.#notes.push(
        'threads of DuckDB not tried: the sample is one row group, which one thread reads; --rows takes more',
      );
      return untried;
    }
    const plan = withBatchSizes(this.#sample.plan, new Map(batchSizes.map(valueOf).entries()));
    await this.close();
    const reference = await this.#enter(plan, workers);
    await this.#warmUp(reference);
    await this.#pass(reference, this.#sample.part);
    const trials: ThreadsTrial[] = [];
    for (const [i, threads] of others.entries()) {
      if (this.#seconds() + this.#leastTime(reference) > this.#budget) {
        this.#notes.push(`${counted(threads, 'thread')} of DuckDB not tried for want of time`);
        continue;
      }
      this.#tell({ stage: 'threads', value: threads });
      const share = (this.#budget - this.#seconds()) / (others.length - i);
      const measured = await this.#tried(withThreads(plan, threads), workers, reference, share);
      trials.push({ threads, ...('opening' in measured ? withoutOpening(measured) : measured) });
    }
    if (trials.length === 0) return untried;
    const rows_per_s = Math.round((workers * this.#sample.part.rows) / median(reference.times));
    const peak_memory = await reference.contender.peakMemory();
    trials.push({ threads: current, rows_per_s, speedup: 1, noise: 0, peak_memory });
    trials.sort((a, b) => a.threads - b.threads);
    // As for workers: a tenth, and half a second of a run.
    const worth = trials.filter(
      (trial) => 'error' in trial || trial.threads === current || all_s - all_s / trial.speedup >= WORTH_WORKERS_S,
    );
    const choices = worth.map(({ threads, ...trial }) => ({ value: threads, ...trial }));
    return { auto, current, recommended: pick(choices, { current, auto }, WORTH_WORKERS), tried: trials };
  }

  /** Why so many workers find no room in memory beside those of the reference; undefined where they do. */
  async #roomFor(workers: number, reference: Entry): Promise<string | undefined> {
    const needed = workers * (await reference.contender.peakMemory());
    const free = process.availableMemory() * FREE_MEMORY_SHARE;
    if (needed <= free) return undefined;
    return `${counted(workers, 'worker')} not tried: they take ${formatBytes(needed)}, and ${formatBytes(free)} are free`;
  }

  /** Opens workers and compares them with the reference in turn, for about `share` seconds. What fails is a result as well. */
  async #tried(plan: Plan, workers: number, reference: Entry, share: number): Promise<Measured | FailedTrial> {
    const until = this.#seconds() + share;
    let entry: Entry | undefined;
    try {
      entry = await this.#enter(plan, workers);
      await this.#warmUp(entry);
      const comparison = await this.#compare(reference, entry, until);
      const speed = (reference.workers * this.#sample.part.rows) / median(reference.times);
      return {
        rows_per_s: Math.round(speed * comparison.speedup),
        speedup: share3(comparison.speedup),
        noise: share3(comparison.noise),
        peak_memory: await entry.contender.peakMemory(),
        opening: entry.contender.openingSeconds,
      };
    } catch (error) {
      this.#throwIfAborted();
      if (!(error instanceof ColonnadeError)) throw error;
      return { error: { code: error.code, message: error.message } };
    } finally {
      if (entry !== undefined) {
        this.#open.delete(entry.contender);
        await entry.contender.close();
      }
    }
  }

  /** Passes of both in turn, each first every other time, until the outcome is clear or the time is over. */
  async #compare(reference: Entry, candidate: Entry, until: number): Promise<Comparison> {
    const pairs: [number, number][] = [];
    // Of equal work: seconds for the rows that one worker takes.
    const seconds = async (entry: Entry): Promise<number> =>
      (await this.#pass(entry, this.#sample.part)).seconds / entry.workers;
    for (;;) {
      const pair: [number, number] = [0, 0];
      const order = pairs.length % 2 === 0 ? [0, 1] : [1, 0];
      for (const which of order) pair[which] = await seconds(which === 0 ? reference : candidate);
      pairs.push(pair);
      const comparison = compare(pairs);
      const took = 1.2 * (pair[0] * reference.workers + pair[1] * candidate.workers);
      const late = this.#seconds() + took > until;
      const clear = comparison.noise < SURE || comparison.speedup * (1 + comparison.noise) < CLEARLY_SLOWER;
      if (pairs.length >= PAIRS.most || (pairs.length >= PAIRS.least && (late || clear))) return comparison;
    }
  }

  #threads(workers: number): number {
    return scanThreads(this.#plan, workers);
  }

  async #enter(plan: Plan, workers: number): Promise<Entry> {
    this.#throwIfAborted();
    const contender = await Contender.open({
      plan,
      workers,
      // As the workers of a run have them, see `openLocalWorker`.
      threads: scanThreads(plan, workers),
      folder: join(this.#folder, String((this.#folders += 1))),
    });
    this.#open.add(contender);
    this.#throwIfAborted();
    return { contender, workers, times: [] };
  }

  async #warmUp(entry: Entry): Promise<void> {
    await this.#pass(entry, this.#sample.part);
    entry.times.length = 0;
  }

  async #pass(entry: Entry, part: SamplePart): Promise<{ readonly seconds: number; readonly scored: number }> {
    const { seconds, scored, rows } = await entry.contender.pass(part.shards);
    this.#throwIfAborted();
    if (rows !== entry.workers * part.rows)
      throw new ColonnadeError('INTERNAL', `a pass over ${part.rows} rows read ${rows}`, { phase: 'run' });
    entry.times.push(seconds);
    return { seconds, scored: scored / entry.workers };
  }

  /** Seconds that the least that has to be measured of one more setting will take. */
  #leastTime({ contender, times }: Entry): number {
    return contender.openingSeconds + (2 * PAIRS.least + 1) * median(times);
  }

  #noteBatchSizes(untried: readonly number[]): void {
    const { models } = this.#plan;
    for (const { name, batchSize, fixedBatch } of models) {
      if (!fixedBatch) continue;
      const who = name === undefined ? 'the model' : `model ${name}`;
      this.#notes.push(`${who} takes batches of exactly ${counted(batchSize, 'row')}: no other batch size is tried`);
    }
    if (models.every(({ fixedBatch }) => fixedBatch)) return;
    const largest = Math.max(...this.#plan.files.flatMap(({ rowGroups }) => rowGroups.map(({ rows }) => rows)));
    const { largestRowGroup } = this.#sample.part;
    if (largestRowGroup < BATCH_SIZES.at(-1)!)
      this.#notes.push(
        largestRowGroup === largest
          ? `row groups have at most ${counted(largest, 'row')}: larger batches are never full`
          : `the sample has too few rows for batches of more than ${formatCount(largestRowGroup)}; --rows takes more`,
      );
    if (untried.length > 0) {
      const sizes = untried
        .toSorted((a, b) => a - b)
        .map(formatCount)
        .join(', ');
      this.#notes.push(`batch sizes not tried for want of time: ${sizes}; --seconds gives more`);
    }
  }

  /** What is said where nothing was tried. */
  #untried(
    verdict: 'small' | 'unscored',
    { auto, current }: { readonly auto: number; readonly current: number },
    sample: Tuning['sample'],
  ): Tuning {
    const models = this.#plan.models.map((model): TunedBatchSize => {
      const base = { auto: autoOf(model), current: model.batchSize };
      return {
        ...(model.name === undefined ? {} : { model: model.name }),
        ...base,
        recommended: asWritten(base),
        tried: [],
      };
    });
    const workers = { auto, current, recommended: asWritten({ auto, current }), tried: [] };
    const byDefault = scanThreads({ onInvalid: this.#plan.onInvalid, run: {} }, current);
    const now = { auto: byDefault, current: this.#threads(current) };
    const threads = { ...now, recommended: asWritten(now), tried: [] };
    return this.#result(sample, models, workers, threads, verdict);
  }

  #result(
    sample: Tuning['sample'],
    batch_sizes: readonly TunedBatchSize[],
    workers: TunedWorkers,
    threads: TunedThreads,
    verdict?: Tuning['verdict'],
  ): Tuning {
    const { name, onInvalid, run } = this.#plan;
    if (onInvalid === 'fail' && sample !== undefined && sample.scored < sample.rows)
      this.#notes.push('rows of the sample are filtered or invalid; with on_invalid: fail, an invalid one ends a run');
    const changes: [path: readonly string[], value: number | string][] = [];
    for (const { model, ...size } of batch_sizes)
      if (valueOf(size) !== size.current)
        changes.push([
          model === undefined ? ['model', 'batch_size'] : ['models', model, 'batch_size'],
          size.recommended,
        ]);
    if (valueOf(workers) !== workers.current) changes.push([['run', 'workers'], workers.recommended]);
    if (valueOf(threads) !== threads.current) changes.push([['run', 'threads'], threads.recommended]);
    if (this.#memory !== run.memory) changes.push([['run', 'memory'], `${Math.ceil(this.#memory / 1e6)}MB`]);
    return {
      status: 'done',
      pipeline: name,
      verdict: changes.length > 0 ? 'change' : (verdict ?? 'keep'),
      rows: this.#plan.expected.rows,
      ...(sample === undefined ? {} : { sample }),
      batch_sizes,
      workers,
      threads,
      memory: this.#memory,
      settings: Object.fromEntries(changes.map(([path, value]) => [path.join('.'), value])),
      yaml: yamlOf(changes),
      notes: this.#notes,
      elapsed_s: round(this.#seconds()),
    };
  }

  #tell(what: Pick<TuneProgress, 'stage' | 'value' | 'model'>): void {
    const seconds = this.#seconds();
    this.#options.onProgress?.({ ...what, seconds, secondsLeft: Math.max(0, this.#budget - seconds) });
  }

  #seconds(): number {
    return (performance.now() - this.#clock) / 1000;
  }

  #throwIfAborted(): void {
    this.#options.signal?.throwIfAborted();
  }
}

/** A setting with what it has shown; only what counts for a choice. */
type Choice = { readonly value: number } & (Pick<Trial, 'speedup' | 'noise'> | FailedTrial);

/**
 * What to recommend of settings that were compared with the current one. `auto` stands before any number that is not
 * faster by `worth` and by more than the noise, and what the pipeline has stands before all others.
 * @returns `auto`, or a number: that of the pipeline where that is kept.
 */
export function pick(
  tried: readonly Choice[],
  { current, auto }: { readonly current: number; readonly auto: number },
  worth: number,
): number | 'auto' {
  const kept = asWritten({ current, auto });
  const measured = tried.flatMap((trial) => ('error' in trial ? [] : [trial]));
  const [best] = measured.toSorted((a, b) => b.speedup - a.speedup);
  if (best === undefined) return kept;
  const byAuto = measured.find(({ value }) => value === auto);
  const autoIsAsFast =
    byAuto !== undefined &&
    !isBetter({ speedup: best.speedup / byAuto.speedup, noise: Math.max(best.noise, byAuto.noise) }, worth);
  const chosen = autoIsAsFast ? byAuto : best;
  if (chosen.value === current || !isBetter(chosen, worth)) return kept;
  return chosen.value === auto ? 'auto' : chosen.value;
}

/** What to recommend of numbers of workers: what counts is the time of a run, not the speed once all have started. */
export function pickWorkers(
  tried: readonly WorkersTrial[],
  { current, auto }: { readonly current: number; readonly auto: number },
): number | 'auto' {
  const measured = tried.flatMap((trial) => ('error' in trial ? [] : [trial]));
  const now = measured.find(({ workers }) => workers === current)?.all_s ?? 0;
  const worth = measured.filter(({ workers, all_s }) => workers === current || now - all_s >= WORTH_WORKERS_S);
  return pick(
    worth.map(({ workers, all_s, noise }) => ({ value: workers, speedup: now / all_s, noise })),
    { current, auto },
    WORTH_WORKERS,
  );
}

/** What stands in a pipeline file that has this value; a number that is what `auto` stands for is as good as `auto`. */
function asWritten({ current, auto }: { readonly current: number; readonly auto: number }): number | 'auto' {
  return current === auto ? 'auto' : current;
}

/** The number that is recommended. */
function valueOf({ auto, recommended }: Pick<TunedWorkers, 'auto' | 'recommended'>): number {
  return recommended === 'auto' ? auto : recommended;
}

function autoOf(model: PlannedModel): number {
  return model.fixedBatch ? model.batchSize : autoBatchSize(model.inputs, model.signature, model);
}

/** Batch sizes to try for a model beside the one that it has: those of which the part has a whole batch. */
function sizesFor(model: PlannedModel, { largestRowGroup }: SamplePart): number[] {
  const sizes = new Set([...BATCH_SIZES, autoOf(model)]);
  sizes.delete(model.batchSize);
  return [...sizes].filter((size) => size <= largestRowGroup);
}

/** How far a size is from the one that a model has, in doublings. */
function steps({ batchSize }: PlannedModel, size: number): number {
  return Math.abs(Math.log2(size / batchSize));
}

/** The plan with other batch sizes, by position of the model. */
function withBatchSizes(plan: Plan, sizes: ReadonlyMap<number, number>): Plan {
  return {
    ...plan,
    models: plan.models.map((model, at) => ({ ...model, batchSize: sizes.get(at) ?? model.batchSize })),
  };
}

/** The plan with so many threads of DuckDB in each worker. */
function withThreads(plan: Plan, threads: number): Plan {
  return { ...plan, run: { ...plan.run, threads } };
}

/**
 * Seconds until workers of a common speed have scored shards of these rows, each taking the next one when it is done. One
 * worker is the process that is there already; others have to be started.
 */
export function secondsForAll(
  rows: readonly number[],
  workers: number,
  rowsPerSecond: number,
  opening: number,
): number {
  const busy = new Array<number>(workers).fill(0);
  for (const each of rows) {
    const free = busy.indexOf(Math.min(...busy));
    busy[free]! += each;
  }
  return (workers === 1 ? 0 : opening) + (Math.max(...busy) * workers) / rowsPerSecond;
}

function withoutOpening({ opening: _, ...trial }: Measured): Trial {
  return trial;
}

/** A share with three decimals. */
function share3(share: number): number {
  return Math.round(share * 1000) / 1000;
}

/** Settings as lines for a pipeline file. */
function yamlOf(changes: readonly (readonly [path: readonly string[], value: number | string])[]): string {
  const lines: string[] = [];
  let before: readonly string[] = [];
  for (const [path, value] of changes) {
    path.forEach((key, depth) => {
      if (depth < path.length - 1 && path.slice(0, depth + 1).every((other, i) => before[i] === other)) return;
      const last = depth === path.length - 1;
      lines.push(`${'  '.repeat(depth)}${writeKey(key)}:${last ? ` ${value}` : ''}`);
    });
    before = path;
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** @throws ColonnadeError `USAGE`: TypeScript does not hold callers in JavaScript. */
function refuseOptions({ rows, seconds, workers }: TuneOptions): void {
  const check = (name: string, value: unknown, least: number, most: number, whole: boolean): void => {
    if (value === undefined) return;
    const fits = typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (fits) return;
    throw new ColonnadeError(
      'USAGE',
      `${name} is ${JSON.stringify(value)}; allowed: ${whole ? 'a whole number' : 'a number'} from ${least} to ${most}`,
      { phase: 'usage', hint: 'leave it out for the default' },
    );
  };
  check('rows', rows, SAMPLE_ROWS.least, SAMPLE_ROWS.most, true);
  check('seconds', seconds, SECONDS.least, SECONDS.most, false);
  check('workers', workers, WORKERS.least, WORKERS.most, true);
}
