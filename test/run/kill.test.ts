/** `kill -9` of a whole run, anywhere in its work: the output is absent or whole, and the next run goes on. */
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunSummary } from '../../src/run/events.js';
import { linearModel } from './onnx.js';
import { runProgram, summaryOf, untilGone, writtenBy, type Disturbance } from './program.js';
import { exists, openWorkbench, type Parts } from './workbench.js';

const bench = await openWorkbench();
const ROWS = 600;
const rowsOf = (from: number): string => `
  SELECT i AS id, CASE WHEN i % 100 = 7 THEN NULL ELSE i / 7 END::FLOAT AS x, (i / 3)::FLOAT AS y
  FROM range(${from}, ${from + ROWS}) t(i)`;

const FOLDERS = ['out', 'out.colonnade'];
let parts: Parts;
let pipeline: string;
/** What an earlier run of another pipeline wrote, kept aside as `earlier` and `earlier.colonnade`. */
let earlier: Record<string, string>;
/** What the run writes when nothing disturbs it. */
let whole: Record<string, string>;

beforeAll(async () => {
  const model = await bench.write('models/linear.onnx', linearModel([0.1, -0.7], 0.2));
  parts = {
    features: ['x', 'y'],
    model: { path: model },
    outputs: { score: 'score' },
    sink: { exists: 'replace' },
  };
  for (const [i, name] of ['a', 'b', 'c'].entries()) await bench.parquet(`data/${name}.parquet`, rowsOf(ROWS * i));
  const before = await bench.run({ ...parts, source: { path: 'data/b.parquet' }, outputs: { old_score: 'score' } });
  earlier = await writtenBy(bench, before.summary.run_id);
  for (const folder of FOLDERS)
    await cp(bench.path(folder), bench.path(folder.replace('out', 'earlier')), { recursive: true });
  pipeline = await bench.pipeline(parts, 'killed.yaml');
  whole = await writtenBy(bench, summaryOf(await runProgram(bench, pipeline, [])).run_id);
});

/** The output as before the run: none, or an earlier one. */
async function reset(withEarlier: boolean): Promise<void> {
  for (const folder of FOLDERS) {
    await rm(bench.path(folder), { recursive: true, force: true });
    if (withEarlier) await cp(bench.path(folder.replace('out', 'earlier')), bench.path(folder), { recursive: true });
  }
}

const text = (name: string): Promise<string | undefined> => readFile(bench.path(name), 'utf8').catch(() => undefined);
const runIdOf = (json: string | undefined): string | undefined => {
  if (json === undefined) return undefined;
  const value = JSON.parse(json) as { readonly run_id: string } | { readonly manifest: { readonly run_id: string } };
  return 'manifest' in value ? value.manifest.run_id : value.run_id;
};

/** Rows of the shards whose manifests a killed run has left. */
async function rowsLeft(): Promise<number> {
  let rows = 0;
  const staging = bench.path('out.colonnade/staging');
  for (const file of (await exists(staging)) ? await readdir(staging, { recursive: true }) : [])
    // One that was made and not written yet is none.
    if (/shards\/\d+\.json$/.test(file) && (await readFile(join(staging, file), 'utf8')).endsWith('}')) rows += ROWS;
  return rows;
}

type Place = 'nothing scored' | 'some scored' | 'all scored' | 'publishing' | 'published';

/** Kills a run, looks at what is there, and lets the next run go on. Gives where it was; undefined when it was done. */
async function killAndGoOn(
  withEarlier: boolean,
  args: readonly string[],
  how: Disturbance,
): Promise<Place | undefined> {
  await reset(withEarlier);
  const told = await runProgram(bench, pipeline, args, how);
  await untilGone(told.workers);
  if (told.signal === null) {
    summaryOf(told);
    return undefined;
  }
  expect({ signal: told.signal, stdout: told.stdout }).toEqual({ signal: 'SIGKILL', stdout: '' });

  const journal = runIdOf(await text('out.colonnade/publish.json'));
  const manifest = runIdOf(await text('out.colonnade/manifest.json'));
  const before = withEarlier ? runIdOf(await text('earlier.colonnade/manifest.json')) : undefined;
  const published = manifest !== before;
  const left = await rowsLeft();
  const seen = await bench.files('out');
  const last = (await text(`out/${seen.at(-1) ?? ''}`)) ?? '';
  if (journal !== undefined && last.includes(journal)) {
    expect(await writtenBy(bench, journal, ['out'])).toEqual(dataOf(whole));
  } else if (journal !== undefined && seen.length === 0) {
    // The new one has not come, and the earlier one, where there was any, has left: the one moment without either.
  } else if (published) {
    expect(await writtenBy(bench, manifest!)).toEqual(whole);
  } else if (withEarlier) {
    expect(await writtenBy(bench, before!)).toEqual(earlier);
  } else {
    expect(seen).toEqual([]);
  }

  const { summary, warnings } = await goOn();
  expect(summary).toMatchObject({
    rows: 3 * ROWS,
    quarantined: 18,
    resumed_rows: journal === undefined ? left : 3 * ROWS,
  });
  expect(await writtenBy(bench, summary.run_id)).toEqual(whole);
  expect(await strayFiles()).toEqual([]);
  expect(warnings.some((text) => text.includes('had died while publishing'))).toBe(journal !== undefined);
  if (journal !== undefined) {
    expect(summary.run_id).toBe(journal);
    return 'publishing';
  }
  if (published) return 'published';
  return left === 0 ? 'nothing scored' : left < 3 * ROWS ? 'some scored' : 'all scored';
}

/**
 * Runs the pipeline again. Where the main process was killed while it scored, it says so, and leaves the scoring to a worker
 * process: only the built program has one.
 */
async function goOn(): Promise<{ readonly summary: RunSummary; readonly warnings: readonly string[] }> {
  const inMain = (await bench.files('out.colonnade')).some((file) => file.endsWith('/main-scores'));
  if (!inMain) {
    const { summary, events } = await bench.run(parts);
    return { summary, warnings: events.flatMap((event) => (event.type === 'warning' ? event.message : [])) };
  }
  const isScored = (await rowsLeft()) === 3 * ROWS;
  const told = await runProgram(bench, pipeline, []);
  const warnings = told.log.flatMap(({ level, msg }) => (level === 'warn' ? String(msg) : []));
  expect(warnings).toEqual(isScored ? [] : [expect.stringContaining('died while its main process scored')]);
  expect(told.workers.length > 0).toBe(!isScored);
  return { summary: summaryOf(told), warnings };
}

/** What lies beside the output, but for the manifest, the quarantine and the last epoch. */
async function strayFiles(): Promise<string[]> {
  const beside = await bench.beside();
  const last = beside.findLast((file) => /^epochs\/\d+\.json$/.test(file));
  return beside.filter((file) => file !== 'manifest.json' && file !== last && !file.startsWith('quarantine/'));
}

const dataOf = (written: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(written).filter(([path]) => path.startsWith('out/')));

const KILL = { signals: ['SIGKILL'], when: 'before' } as const;

describe('a run that is killed', () => {
  it('leaves the output absent or whole wherever it was, and the next run writes what it would have written', async () => {
    const places: Place[] = [];
    for (let i = 0; ; i += 1) {
      const place = await killAndGoOn(i % 2 === 1, [], { ...KILL, who: 'main', at: 1 + 3 * i });
      if (place === undefined) break;
      places.push(place);
    }
    // In this order, and none of them left out: it was killed all along its way.
    expect([...new Set(places)]).toEqual(['nothing scored', 'some scored', 'all scored', 'publishing', 'published']);
  });

  it('leaves no worker process behind, and what its workers had done is used', async () => {
    // Of three shards the last is begun when one of two workers has done one of the others.
    const last = { who: 'worker', from: '/shards/000002' } as const;
    for (const [i, how] of [
      { ...last, at: 1, target: 'parent' },
      { ...last, at: 3, target: 'group' },
      { ...last, at: 4, target: 'parent' },
      { ...last, at: 5, target: 'group' },
      { who: 'main', at: 1, from: '/publish\\.json', target: 'self' },
    ].entries()) {
      const place = await killAndGoOn(i % 2 === 1, ['--workers', '2'], { ...KILL, ...how } as Disturbance);
      expect(['some scored', 'all scored']).toContain(place);
    }
  });

  it('twice is gone on from as well, each shard is scored once, and no draft is kept', async () => {
    await reset(false);
    for (const [shard, who] of [
      ['000001', 'main'],
      // It does not score again.
      ['000002', 'worker'],
    ] as const) {
      await kill(`/shards/${shard}`, 'after', who);
      const drafts = (await bench.files('out.colonnade')).filter((file) => file.endsWith('.tmp'));
      expect(drafts).toEqual([]);
      // Scores that no manifest names.
      const scores = (await bench.files('out.colonnade')).filter((file) => file.includes(`/shards/${shard}.`));
      expect(scores).toEqual([expect.stringMatching(/\.\d+-\d+\.parquet$/)]);
    }
    const summary = summaryOf(await runProgram(bench, pipeline, []));
    expect(summary.resumed_rows).toBe(2 * ROWS);
    expect(await writtenBy(bench, summary.run_id)).toEqual(whole);
  });

  it('leaves drafts beside the output, which the next run removes', async () => {
    for (const [from, draft] of [
      ['/epochs/draft-', /^epochs\/draft-\d+-/],
      ['/staging/.*/publish\\.json', /^staging\/[\w-]+\/publish\.json$/],
      ['/staging/.*/manifest\\.json', /^staging\/[\w-]+\/manifest\.json$/],
    ] as const) {
      await reset(false);
      await kill(from, 'after');
      expect((await strayFiles()).filter((file) => draft.test(file))).toHaveLength(1);
      await bench.run(parts);
      expect(await strayFiles()).toEqual([]);
    }
  });

  it('is started over with --fresh', async () => {
    await reset(true);
    await kill('/shards/000002');
    // Two threads of a query may have begun the last file before the second was done.
    expect(await rowsLeft()).toBeGreaterThanOrEqual(ROWS);
    const summary = summaryOf(await runProgram(bench, pipeline, ['--fresh']));
    expect(summary.resumed_rows).toBe(0);
    expect(await writtenBy(bench, summary.run_id)).toEqual(whole);
  });

  it('is not gone on from by a run that would score otherwise', async () => {
    await reset(false);
    await kill('/shards/000002');
    const { summary } = await bench.run({ ...parts, validate: { rules: { x: { missing: 0 } } } });
    expect(summary).toMatchObject({ resumed_rows: 0, quarantined: 0 });
    expect(await bench.beside()).toEqual(['epochs/2.json', 'manifest.json']);
  });

  it('is not gone on from where its scores were damaged', async () => {
    await reset(false);
    await kill('/shards/000002');
    const scores = (await bench.files('out.colonnade')).find((file) => /\/shards\/000001\..*parquet$/.test(file))!;
    const bytes = await readFile(bench.path(`out.colonnade/${scores}`));
    bytes[100]! ^= 1;
    await bench.write(`out.colonnade/${scores}`, bytes);
    const summary = summaryOf(await runProgram(bench, pipeline, []));
    expect(summary.resumed_rows).toBe(ROWS);
    expect(await writtenBy(bench, summary.run_id)).toEqual(whole);
  });
});

/** Kills a run with one worker where that, in the main process or one of its own, comes to a path. */
async function kill(from: string, when: 'before' | 'after' = 'before', who: 'main' | 'worker' = 'main'): Promise<void> {
  const target = who === 'main' ? 'self' : 'group';
  const { signal, workers } = await runProgram(bench, pipeline, ['--workers', '1'], {
    ...KILL,
    who,
    target,
    at: 1,
    from,
    when,
  });
  expect(signal).toBe('SIGKILL');
  await untilGone(workers);
}
