/**
 * The commit protocol under everything that may happen to it: the real code, on a file system in memory, by every schedule of
 * a kind. `COLONNADE_EXHAUSTIVE=true` (`npm run model-check`) widens the search for two runs side by side; it takes minutes.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Files } from '../../src/commit/system.js';
import type { MemoryFiles } from './memory-files.js';
import { changes, filesBefore, OUTPUT, wholeOutput, World, type Broken, type RunCase } from './schedule.js';

const EXHAUSTIVE = process.env.COLONNADE_EXHAUSTIVE === 'true';
const FINISHER: RunCase = { name: 'finisher', exists: 'replace' };

/** What has to hold, and what has been seen. */
class Checker {
  schedules = 0;
  calls = 0;
  readonly states = new Set<string>();
  /** Runs whose manifest was there, in that order, of the present schedule. */
  committed: string[] = [];
  readonly #earlier: string | undefined;

  constructor(earlier: string | undefined) {
    this.#earlier = earlier;
  }

  /** At every moment: a whole output of some run, or none; and never a manifest of another output than the one that is seen. */
  look(world: World, what: string): void {
    this.calls += 1;
    const { output, manifest } = world;
    const runs = [...(this.#earlier === undefined ? [] : [this.#earlier]), ...world.actors.map(({ run }) => run.name)];
    const seen = output === undefined ? undefined : runs.find((run) => isDeepStrictEqual(output, wholeOutput(run)));
    if (output !== undefined && seen === undefined)
      throw new Violation(`${what}: readers see a part of an output: ${Object.keys(output).join()}`);
    if (manifest !== undefined && manifest.run_id !== seen)
      throw new Violation(
        `${what}: the manifest is that of ${manifest.run_id}, the output that of ${seen ?? 'nobody'}`,
      );
    if (manifest === undefined || manifest.run_id === this.#earlier || this.committed.at(-1) === manifest.run_id)
      return;
    const epochOf = (name: string): number => world.actors.find(({ run }) => run.name === name)?.epoch ?? 0;
    const later = this.committed.find((name) => epochOf(name) > epochOf(manifest.run_id));
    if (later !== undefined)
      throw new Violation(`${what}: ${manifest.run_id} has committed after ${later}, which had taken the output over`);
    this.committed.push(manifest.run_id);
  }

  /** In the end, whoever has died: another run comes to an end, and leaves a whole output and nothing to be finished. */
  async settleAll(world: World, what: string, expectations: { readonly mustShow?: string } = {}): Promise<void> {
    for (const actor of world.actors) if (actor.outcome === undefined) world.kill(actor);
    const before = world.output;
    const journal = world.journal;
    const finisher = await world.start(FINISHER);
    await world.finish(finisher, () => this.look(world, `${what}, then finished`));
    if (finisher.outcome !== 'published')
      throw new Violation(`${what}: what was left cannot be finished: ${String(finisher.error)}`);
    if (world.journal !== undefined) throw new Violation(`${what}: a journal is left`);
    // Without a journal nothing had begun that could be finished.
    if (journal === undefined && !isDeepStrictEqual(before, world.output))
      throw new Violation(`${what}: finishing has changed an output that nobody was publishing`);
    if (this.#earlier !== undefined && world.output === undefined)
      throw new Violation(`${what}: there was an output, and there is none`);
    if (world.output !== undefined && world.manifest === undefined)
      throw new Violation(`${what}: the output is there, and no manifest of it`);
    const { mustShow } = expectations;
    if (mustShow !== undefined && !isDeepStrictEqual(world.output, wholeOutput(mustShow)))
      throw new Violation(`${what}: ${mustShow} had published, and its output is not there`);
    this.schedules += 1;
  }
}

class Violation extends Error {}

/** The names of runs that have told that they are done, the last one last. */
const published = (world: World): string[] =>
  world.actors.flatMap(({ outcome, run }) => (outcome === 'published' && run.name !== 'finisher' ? [run.name] : []));

interface Case {
  readonly earlier: string | undefined;
  readonly exists: 'fail' | 'replace';
  readonly quarantine?: boolean;
  readonly broken?: Broken;
}

const CASES: readonly (Case & { readonly what: string })[] = [
  { what: 'a new output', earlier: undefined, exists: 'fail' },
  { what: 'a new output with a quarantine', earlier: undefined, exists: 'fail', quarantine: true },
  { what: 'an output that is replaced', earlier: 'old', exists: 'replace' },
];

/** A run that is killed before its n-th call, for every n; `then` goes on from each distinct state. */
async function killedAtEveryCall(
  { earlier, exists, quarantine = false, broken }: Case,
  checker: Checker,
  then: (make: () => Promise<World>, what: string) => Promise<void>,
): Promise<void> {
  const run: RunCase = { name: 'first', exists, quarantine };
  for (let calls = 0; ; calls += 1) {
    const make = async (): Promise<World> => {
      const world = new World(filesBefore(earlier), broken);
      const actor = await world.start(run);
      for (let call = 0; call < calls; call += 1) {
        await world.step(actor);
        checker.look(world, `call ${call}`);
      }
      return world;
    };
    const world = await make();
    if (world.actors[0]!.outcome !== undefined) return;
    if (checker.states.has(world.files.key())) continue;
    checker.states.add(world.files.key());
    await then(make, `killed before call ${calls} (${world.actors[0]!.waiting?.what ?? 'the end'})`);
  }
}

/** The files that a power cut may leave, with nobody alive. */
const afterPowerCut = (world: World): MemoryFiles[] => world.files.afterPowerCut();

describe.each(CASES)('publishing $what', (each) => {
  it('is finished or undone by the next run, wherever the run was killed, and wherever the next one was', async () => {
    const checker = new Checker(each.earlier);
    await killedAtEveryCall(each, checker, async (make, what) => {
      await checker.settleAll(await make(), what, mustShow(await make()));
      // The one that finishes it is killed as well, before each of its calls.
      const seen = new Set<string>();
      for (let calls = 1; ; calls += 1) {
        const world = await make();
        world.kill(world.actors[0]!);
        const second = await world.start({ ...FINISHER, name: 'finisher' });
        let ended = false;
        for (let call = 0; call < calls && !ended; call += 1) {
          ended = (await world.step(second)) === undefined;
          checker.look(world, `${what}, finished up to call ${call}`);
        }
        if (ended) break;
        if (seen.has(world.files.key())) continue;
        seen.add(world.files.key());
        await checker.settleAll(world, `${what}, then its finisher before call ${calls}`);
      }
    });
    expect(checker.states.size).toBeGreaterThan(20);
    expect(checker.schedules).toBeGreaterThan(100);
  });

  it('is finished or undone after a power cut at any call, whatever of what was not synced is lost', async () => {
    const checker = new Checker(each.earlier);
    let cuts = 0;
    await killedAtEveryCall(each, checker, async (make, what) => {
      for (const files of afterPowerCut(await make())) {
        cuts += 1;
        const world = new World(files);
        // Names of the runs that may be seen.
        await startDead(world, { name: 'first', exists: each.exists });
        checker.look(world, `${what}, power cut`);
        await checker.settleAll(world, `${what}, power cut`);
      }
    });
    expect(cuts).toBeGreaterThan(50);
  });

  it('loses no scores of a run that was killed', async () => {
    const checker = new Checker(each.earlier);
    await killedAtEveryCall(each, checker, async (make, what) => {
      const world = await make();
      if (world.shards.length === 0 || world.journal !== undefined || world.manifest?.run_id === 'first') return;
      world.kill(world.actors[0]!);
      const next = await world.start({ name: 'second', exists: each.exists });
      // Up to where it would score.
      while (next.waiting !== undefined && !next.waiting.what.startsWith('open w')) await world.step(next);
      while (next.waiting !== undefined && !/000000|publish|output/.test(next.waiting.what)) await world.step(next);
      if (world.shards.length === 0) throw new Violation(`${what}: the scores are gone`);
    });
  });

  it.skipIf(!EXHAUSTIVE && each.quarantine === true)(
    'goes to one of two runs at most, however their calls alternate, also where one takes the other for dead',
    async () => {
      const checker = new Checker(each.earlier);
      await interleaved(each, checker);
      expect(checker.schedules).toBeGreaterThan(300);
    },
  );
});

/** What a world must show in the end: that of the last run which has told that it is done. */
function mustShow(world: World): { readonly mustShow?: string } {
  const last = published(world).at(-1);
  return last === undefined ? {} : { mustShow: last };
}

/** An actor that has done nothing, and is dead: its name is known. */
async function startDead(world: World, run: RunCase): Promise<void> {
  world.kill(await world.start(run));
}

/**
 * Two runs, of which the second takes the first for dead. The first makes `i` calls, the second `j`, then the first comes to its
 * end, then the second: for all `i` and `j` before a call that changes something. The exhaustive search takes all `i` and `j`,
 * and those of three changes from one to the other, with the second at its end before the first.
 */
async function interleaved({ earlier, exists, quarantine = false, broken }: Case, checker: Checker): Promise<void> {
  const first: RunCase = { name: 'first', exists, quarantine, seemsDead: true };
  const second: RunCase = { name: 'second', exists };
  const play = async (segments: readonly number[]): Promise<void> => {
    const world = new World(filesBefore(earlier), broken);
    const actors = [await world.start(first), await world.start(second)];
    checker.committed = [];
    for (const [at, calls] of segments.entries()) {
      for (let call = 0; call < calls; call += 1) {
        await world.step(actors[at % 2]!);
        checker.look(world, `calls ${segments.join(', ')}`);
      }
    }
    const last = segments.length % 2;
    for (const actor of [actors[last]!, actors[1 - last]!]) {
      await world.finish(actor, () => checker.look(world, `calls ${segments.join(', ')}, then the rest`));
    }
    const what = `calls ${segments.join(', ')}: ${actors.map(({ run, outcome }) => `${run.name} ${outcome}`).join(', ')}`;
    const { committed } = checker;
    for (const { run, outcome } of actors)
      if (outcome === 'published' && !committed.includes(run.name))
        throw new Violation(`${what}: ${run.name} says that it has published, and no manifest of it was there`);
    // Without `replace` the second to come finds an output.
    if (exists === 'fail' && committed.length > 1) throw new Violation(`${what}: both have published`);
    const winner = committed.at(-1);
    await checker.settleAll(world, what, winner === undefined ? {} : { mustShow: winner });
  };
  /** Whether both are where the segments end, and the one that goes on there is about to change something. */
  const isPlace = async (
    segments: readonly number[],
  ): Promise<{ readonly ended: boolean; readonly changing: boolean }> => {
    const world = new World(filesBefore(earlier), broken);
    const actors = [await world.start(first), await world.start(second)];
    let ended = false;
    for (const [at, count] of segments.entries())
      for (let call = 0; call < count && !ended; call += 1) ended = (await world.step(actors[at % 2]!)) === undefined;
    return { ended, changing: changes(actors[(segments.length - 1) % 2]!.waiting?.what ?? 'rm') };
  };
  const search = async (segments: readonly number[], most: number, everywhere: boolean): Promise<void> => {
    for (let calls = segments.length === 0 ? 0 : 1; ; calls += 1) {
      const next = [...segments, calls];
      const { ended, changing } = await isPlace(next);
      if (ended) return;
      // What one run reads without a change in between, the other cannot tell when: it goes on before a change.
      if (!everywhere && !changing) continue;
      if (next.length > 1) await play(next);
      if (next.length < most) await search(next, most, everywhere);
    }
  };
  await search([], 2, EXHAUSTIVE);
  if (EXHAUSTIVE) await search([], 3, false);
}

describe('the search', () => {
  const finds = async (each: Case, search: (checker: Checker) => Promise<void>): Promise<string> => {
    try {
      await search(new Checker(each.earlier));
      return 'nothing';
    } catch (error) {
      if (error instanceof Violation) return error.message;
      throw error;
    }
  };
  const settleEach =
    (each: Case) =>
    (checker: Checker): Promise<void> =>
      killedAtEveryCall(each, checker, async (make, what) => checker.settleAll(await make(), what));

  it('finds an output that is put in place file by file', async () => {
    const broken: Broken = (files) => ({
      ...files,
      rename: async (from, to) => {
        if (to !== OUTPUT || !from.endsWith('/output')) return files.rename(from, to);
        await files.mkdir(to);
        for (const name of await files.readdir(from)) await files.rename(`${from}/${name}`, `${to}/${name}`);
        await files.rmdir(from);
      },
    });
    const each: Case = { earlier: undefined, exists: 'fail', broken };
    expect(await finds(each, settleEach(each))).toMatch(/readers see a part of an output/);
  });

  it('finds an earlier manifest that stays while its output is replaced', async () => {
    const broken: Broken = (files) => ({
      ...files,
      rename: (from, to) => (from.endsWith('.colonnade/manifest.json') ? Promise.resolve() : files.rename(from, to)),
    });
    const each: Case = { earlier: 'old', exists: 'replace', broken };
    expect(await finds(each, settleEach(each))).toMatch(/the manifest is that of old/);
  });

  it('finds a run that is taken over and keeps its folder', async () => {
    const broken: Broken = (files: Files) => ({
      ...files,
      // What is taken from an earlier run is copied in thought only: its folder stays where it was.
      rename: (from, to) => (to.includes('/earlier/') ? Promise.resolve() : files.rename(from, to)),
    });
    const each: Case = { earlier: 'old', exists: 'replace', broken };
    expect(await finds(each, (checker) => interleaved(each, checker))).toMatch(
      /first has committed after second|the manifest is that of first/,
    );
  });

  it('finds names that are not synced', async () => {
    const broken: Broken = (files) => ({
      ...files,
      open: async (path, flags) => ({ ...(await files.open(path, flags)), sync: () => Promise.resolve() }),
    });
    const each: Case = { earlier: 'old', exists: 'replace', broken };
    const search = (checker: Checker): Promise<void> =>
      killedAtEveryCall(each, checker, async (make, what) => {
        for (const files of afterPowerCut(await make())) {
          const world = new World(files);
          await startDead(world, { name: 'first', exists: 'replace' });
          checker.look(world, what);
          await checker.settleAll(world, what);
        }
      });
    expect(await finds(each, search)).not.toBe('nothing');
  });
});
