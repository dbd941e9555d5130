/**
 * Runs the commit protocol, the real code of `src/commit/`, on a file system in memory, call by call: a schedule says which
 * process makes the next call, which one is killed, and when the power fails. The same schedule gives the same trace, so that
 * a search over schedules is a search over everything that may happen.
 */
import { join } from 'node:path';
import { takeOutput, goOnFromEarlier, leave } from '../../src/commit/takeover.js';
import { publish, recover } from '../../src/commit/publish.js';
import { exists, makeFolder } from '../../src/commit/durable.js';
import type { Files, ProcessId, System } from '../../src/commit/system.js';
import { manifestOf } from './folder.js';
import { MemoryFiles } from './memory-files.js';

export const OUTPUT = '/data/out';
const STATE = `${OUTPUT}.colonnade`;
export const PLAN = 'a'.repeat(64);

/** A run as the protocol sees it. */
export interface RunCase {
  readonly name: string;
  readonly exists: 'fail' | 'replace';
  /** Others take it for dead from the start, though it lives: another container, a machine that was cut off. */
  readonly seemsDead?: boolean;
  readonly quarantine?: boolean;
}

/** What a run leaves at `sink.path`, by its name. */
export function wholeOutput(run: string): Record<string, string> {
  return { 'a.parquet': `data of ${run}`, 'b/b.parquet': `more of ${run}`, _SUCCESS: '' };
}

/** Ways to break the protocol, so that it can be seen that a search finds them. */
export type Broken = (files: Files) => Files;

/** A process under the control of a schedule. */
interface Actor {
  readonly run: RunCase;
  readonly id: ProcessId;
  alive: boolean;
  /** The call that it waits to make. */
  waiting: { readonly what: string; readonly go: () => void } | undefined;
  outcome: 'published' | 'failed' | undefined;
  error: unknown;
  /** That it took; undefined before. */
  epoch: number | undefined;
  /** All that it has done, with what came of it: two actors with one history will do the same. */
  history: string;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Files and processes that a schedule is played on. */
export class World {
  files: MemoryFiles;
  readonly actors: Actor[] = [];
  readonly #broken: Broken;

  constructor(files: MemoryFiles, broken: Broken = (files) => files) {
    this.files = files;
    this.#broken = broken;
  }

  /** Starts a run; it stops before its first call. */
  async start(run: RunCase): Promise<Actor> {
    const actor: Actor = {
      run,
      id: { host: 'host', pid: this.actors.length + 1, started: '1' },
      alive: true,
      waiting: undefined,
      epoch: undefined,
      outcome: undefined,
      error: undefined,
      history: run.name,
    };
    this.actors.push(actor);
    const turn = <T>(what: string, work: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const go = (): void => {
          try {
            const result = work();
            actor.epoch ??= epochOf(what);
            actor.history += `|${what}:${shown(result)}`;
            resolve(result);
          } catch (error) {
            const failure = error as NodeJS.ErrnoException;
            actor.history += `|${what}!${failure.code}`;
            reject(failure);
          }
        };
        actor.waiting = { what, go };
      });
    const system: System = {
      files: this.#broken(this.files.through(turn)),
      self: () => Promise.resolve(actor.id),
      isAlive: ({ pid }) => {
        const other = this.actors.find(({ id }) => id.pid === pid);
        return Promise.resolve(other !== undefined && other.alive && other.run.seemsDead !== true);
      },
    };
    perform(run, system).then(
      () => (actor.outcome = 'published'),
      (error: unknown) => {
        actor.outcome = 'failed';
        actor.error = error;
      },
    );
    await settle();
    return actor;
  }

  /** Has an actor make the call that it waits to make. @returns what it was; undefined where it has ended. */
  async step(actor: Actor): Promise<string | undefined> {
    const { waiting } = actor;
    if (waiting === undefined || !actor.alive) return undefined;
    actor.waiting = undefined;
    waiting.go();
    await settle();
    return waiting.what;
  }

  /** Steps until it ends. */
  async finish(actor: Actor, after?: () => void): Promise<void> {
    while ((await this.step(actor)) !== undefined) after?.();
    if (actor.outcome === undefined) throw new Error(`${actor.run.name} neither ended nor waits for a call`);
  }

  /** As kill -9: nothing more is heard of it. */
  kill(actor: Actor): void {
    actor.alive = false;
  }

  /** What readers see at `sink.path`; undefined where there is nothing. */
  get output(): Record<string, string> | undefined {
    return this.files.tree(OUTPUT);
  }

  get manifest(): { readonly run_id: string } | undefined {
    const text = this.files.tree(STATE)?.['manifest.json'];
    return text === undefined ? undefined : (JSON.parse(text) as { run_id: string });
  }

  get journal(): string | undefined {
    return this.files.tree(STATE)?.['publish.json'];
  }

  /** Scores of shards that a later run can find, wherever they lie. */
  get shards(): string[] {
    return Object.entries(this.files.tree(STATE) ?? {}).flatMap(([path, text]) =>
      path.includes('/shards/') ? [text] : [],
    );
  }
}

/** A run makes its own folder once it has its epoch. */
function epochOf(call: string): number | undefined {
  const number = /^mkdir .*\/staging\/(\d+)-[0-9a-f]+$/.exec(call)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Whether a call changes what others may see. */
export function changes(call: string): boolean {
  return /^(link|mkdir|open w|rename|rm|rmdir|write|writeFile) ?/.test(call);
}

function shown(value: unknown): string {
  if (value === undefined || typeof value === 'string') return String(value);
  return Array.isArray(value) ? value.join() : typeof (value as { isDirectory?: unknown }).isDirectory;
}

/** What a run does with its output, from the first call to the last; scoring is one file of scores. */
async function perform(run: RunCase, system: System): Promise<void> {
  const { files } = system;
  const holding = await takeOutput(OUTPUT, PLAN, run.name, system);
  const { staging, output } = holding.places;
  try {
    const recovered = await recover(holding, system);
    if (recovered !== undefined && run.name === 'finisher') return;
    await goOnFromEarlier(holding.places, PLAN, { system });
    if (run.name === 'finisher') return;
    if (run.exists === 'fail' && (await exists(output, files))) throw new Error('OUTPUT_EXISTS');
    await makeFolder(staging.shards, { files });
    await write(files, join(staging.shards, '000000.parquet'), 'scores');
    for (const folder of [staging.output, join(staging.output, 'b')]) await makeFolder(folder, { files });
    for (const [path, text] of Object.entries(wholeOutput(run.name)))
      await write(files, join(staging.output, path), text);
    await sync(files, join(staging.output, 'b'));
    await sync(files, staging.output);
    if (run.quarantine === true) {
      await makeFolder(staging.quarantine, { files });
      await write(files, join(staging.quarantine, 'q.parquet'), `quarantine of ${run.name}`);
      await sync(files, staging.quarantine);
    }
    const { exists: mode, quarantine = false } = run;
    await publish(holding, manifestOf(OUTPUT, run.name, { exists: mode, quarantine, planHash: PLAN }), system);
  } finally {
    await leave(holding, system);
  }
}

async function write(files: Files, path: string, text: string): Promise<void> {
  const file = await files.open(path, 'w');
  await file.writeFile(text);
  await file.sync();
  await file.close();
}

async function sync(files: Files, folder: string): Promise<void> {
  const file = await files.open(folder, 'r');
  await file.sync();
  await file.close();
}

/** Files with an earlier output, whole and committed, or with none. */
export function filesBefore(earlier: string | undefined): MemoryFiles {
  if (earlier === undefined) return new MemoryFiles({ '/data/source.parquet': 'source' });
  const published = Object.entries(wholeOutput(earlier)).map(([path, text]) => [`${OUTPUT}/${path}`, text] as const);
  return new MemoryFiles({
    '/data/source.parquet': 'source',
    ...Object.fromEntries(published),
    [`${STATE}/manifest.json`]: JSON.stringify(manifestOf(OUTPUT, earlier)),
    [`${STATE}/epochs/1.json`]: JSON.stringify({ run: earlier, host: 'host', pid: 99, started: '1', released: true }),
  });
}
