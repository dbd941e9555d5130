/** An output is held against its manifest and its source, at any later time. */
import { createHash } from 'node:crypto';
import { cp, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Manifest } from '../../src/commit/manifest.js';
import { loadPipeline } from '../../src/pipeline/load.js';
import { chooseWindows } from '../../src/run/verify-sample.js';
import { verifyOutput, type Check, type Verification } from '../../src/run/verify.js';
import type { PlannedFile } from '../../src/plan/plan.js';
import { batchSumModel, linearModel } from './onnx.js';
import { openWorkbench, rejection, type Parts } from './workbench.js';

const bench = await openWorkbench();
const ROWS = 3000;
/** Every tenth row is invalid, every eighth filtered; some scores are NaN. */
const SOURCE = (from: number): string =>
  `SELECT i AS id, CASE WHEN i % 10 = 9 THEN NULL WHEN i % 100 = 1 THEN 'nan'::FLOAT ELSE i::FLOAT END AS x, 'r' || i % 3 AS region, i % 8 AS k, 'text ' || i AS name FROM range(${from}, ${from + ROWS}) t(i)`;
let parts: Parts;

beforeAll(async () => {
  parts = {
    source: { key: ['id', 'region'], where: 'k > 0' },
    features: ['x'],
    model: { path: await bench.write('models/linear.onnx', linearModel([2])), batch_size: 500 },
    outputs: { score: 'score' },
    validate: { rules: { x: { missing: 'nan' } } },
    sink: { compression: 'none' },
  };
});

const SINKS = {
  append: {},
  partition: { mode: 'partition', partition_by: ['region'] },
  predictions: { mode: 'predictions' },
} as const;
type Mode = keyof typeof SINKS;

/** Lays source and output out as a run leaves them. */
async function layOut(mode: Mode, changes: Partial<Parts> = {}): Promise<void> {
  for (const folder of ['data', 'out', 'out.colonnade']) await rm(bench.path(folder), { recursive: true, force: true });
  for (const [i, name] of ['a', 'b'].entries())
    await bench.parquet(`data/${name}.parquet`, SOURCE(i * ROWS), 'row_group_size 2048, compression uncompressed');
  await bench.run({ ...parts, ...changes, sink: { ...parts.sink, ...SINKS[mode] } });
}

/** Without `missing: nan` rows are quarantined. */
const QUARANTINED = { validate: { on_invalid: 'quarantine' } };

async function verify(options: { readonly sample?: number; readonly pipeline?: string } = {}): Promise<Verification> {
  return verifyOutput(bench.path('out'), {
    sample: 1000,
    load: (file, vars) => loadPipeline(file, { env: {}, vars }),
    signal: new AbortController().signal,
    ...options,
  });
}

const states = ({ checks }: Verification): Record<string, Check['state']> =>
  Object.fromEntries(checks.map(({ name, state }) => [name, state]));
const SOUND = {
  files: 'ok',
  bytes: 'ok',
  rows: 'ok',
  ledger: 'ok',
  source: 'ok',
  'old columns': 'ok',
  'new columns': 'ok',
  quarantine: 'ok',
  scores: 'ok',
};
const told = (verification: Verification, name: Check['name']): string =>
  verification.checks.find((check) => check.name === name)!.told;
const problems = (verification: Verification): string[] => verification.checks.flatMap((check) => check.problems);

const manifestPath = bench.path('out.colonnade/manifest.json');
async function editManifest(edit: (manifest: Manifest) => object): Promise<void> {
  const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as Manifest;
  await writeFile(manifestPath, JSON.stringify({ ...manifest, ...edit(manifest) }));
}

/** Writes a file of the output anew, and has the manifest say that this is what was written. */
async function forge(file: string, change: (path: string) => Promise<unknown>): Promise<void> {
  const path = bench.path(`out/${file}`);
  await change(path);
  const bytes = await readFile(path);
  await editManifest(({ outputs }) => ({
    outputs: outputs.map((each) =>
      each.path === file
        ? { ...each, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
        : each,
    ),
  }));
}
const rewrite = (select: string) => async (path: string) => {
  await bench.rows(
    `COPY (SELECT ${select} FROM read_parquet('${path}', hive_partitioning = false)) TO '${path}.new' (FORMAT parquet)`,
  );
  await cp(`${path}.new`, path);
  await rm(`${path}.new`);
};
/** Overwrites the last place of a file that holds a value: that of the new column, where an old one has it too. */
const overwrite = (value: number, other: number) => async (path: string) => {
  const bytes = await readFile(path);
  const [from, to] = [value, other].map((each) => Buffer.from(new Float32Array([each]).buffer));
  const at = bytes.lastIndexOf(from!);
  expect(at).toBeGreaterThan(0);
  to!.copy(bytes, at);
  await writeFile(path, bytes);
};

describe('a sound output', () => {
  for (const mode of ['append', 'partition', 'predictions'] as const)
    for (const [what, changes] of [
      ['with NaN and filtered rows', {}],
      ['with nulled rows', { validate: { on_invalid: 'null' }, source: { key: ['id'] } }],
      [
        'with quarantined and filtered rows, by a model whose scores depend on the batch',
        { model: { path: 'models/sum.onnx', batch_size: 700 }, outputs: { score: 'Y' }, ...QUARANTINED },
      ],
    ] as const)
      it(`passes every check, and each row of it can be scored again: ${mode} ${what}`, async () => {
        await bench.write('models/sum.onnx', batchSumModel());
        await layOut(mode, changes);
        const before = await stat(manifestPath);
        const verification = await verify({ sample: 1e6 });
        expect(problems(verification)).toEqual([]);
        expect(states(verification)).toEqual(SOUND);
        expect(verification.status).toBe('done');
        expect(told(verification, 'scores')).toMatch(
          /^6,000 rows in \d+ batches of 2 files scored again: all the same$/,
        );
        expect(await stat(manifestPath)).toMatchObject({ mtimeMs: before.mtimeMs, ino: before.ino });
      });

  it('is verified by the variables that its run was given, or by those that are given now', async () => {
    await layOut('append');
    const text = (most: string): string =>
      `version: 1\nvars: { most: 7 }\nsource: { path: data, where: 'k < \${vars.most}' }\nfeatures: [x]\nmodel: { path: models/linear.onnx }\noutputs: { score: score }\nsink: { mode: append, path: out, exists: replace }\n${most}`;
    const file = await bench.write('vars.yaml', text(''));
    const { preparePlan } = await import('../../src/run/prepare.js');
    const { startRun } = await import('../../src/run/run.js');
    await startRun(await preparePlan(await loadPipeline(file, { vars: { most: '3' } }))).result;
    expect(states(await verify())).toEqual(SOUND);
    expect((await readFile(manifestPath, 'utf8')).match(/"vars":\s*\{\s*"most":\s*"3"\s*\}/)).not.toBeNull();
    await editManifest(({ pipeline: { vars: _, ...pipeline } }) => ({ pipeline }));
    expect(told(await verify(), 'scores')).toContain('does not say any more what it said for this run');
  });
});

describe('an output that was damaged', () => {
  const out = (file: string): string => bench.path(`out/${file}`);
  const CASES: readonly (readonly [
    what: string,
    mode: Mode,
    damage: () => Promise<unknown>,
    checks: readonly string[],
    problem: () => string | RegExp,
  ])[] = [
    [
      'a file is gone',
      'append',
      () => rm(out('b.parquet')),
      ['files', 'bytes', 'rows'],
      () => `${out('b.parquet')} is missing`,
    ],
    ['_SUCCESS is gone', 'append', () => rm(out('_SUCCESS')), ['files'], () => `${out('_SUCCESS')} is missing`],
    [
      'a file came',
      'append',
      () => writeFile(out('c.parquet'), ''),
      ['files'],
      () => `${out('c.parquet')} is there, and no run has written it`,
    ],
    [
      'a file is cut off',
      'append',
      () => truncate(out('a.parquet'), 5000),
      ['bytes', 'rows'],
      () => new RegExp(`^${out('a.parquet')}: it begins as Parquet but ends without a footer`),
    ],
    [
      'a score was flipped',
      'append',
      () => overwrite(4004, 4005)(out('a.parquet')),
      ['bytes', 'scores'],
      () => `${out('a.parquet')} has another sha256 than was written`,
    ],
    [
      'a score was changed, and the manifest with it',
      'append',
      () => forge('a.parquet', overwrite(4004, 4005)),
      ['scores'],
      () => `${bench.path('data/a.parquet')}, rows 2000 to 2047: 1 row is not as scored again`,
    ],
    [
      'an old value was changed, and the manifest with it',
      'append',
      () => forge('a.parquet', overwrite(2043, 2041)),
      ['old columns'],
      () => /a\.parquet differs from .*a\.parquet at byte [\d,]+$/,
    ],
    [
      'a score became NaN, and the manifest says the hash',
      'append',
      () => forge('b.parquet', overwrite(8004, NaN)),
      ['new columns', 'scores'],
      () => 'score holds 661 NaN, by the manifest 660',
    ],
    [
      'a score of a partition was changed',
      'partition',
      () => forge('region=r1/part-0.parquet', rewrite('* REPLACE (CASE WHEN id = 4 THEN 9 ELSE score END AS score)')),
      ['scores'],
      () => /data\/a\.parquet, rows 0 to 499: 1 row is not/,
    ],
    [
      'an old value of a partition was changed',
      'partition',
      () =>
        forge('region=r1/part-0.parquet', rewrite("* REPLACE (CASE WHEN id = 4 THEN 'other' ELSE name END AS name)")),
      ['old columns', 'scores'],
      () => `${bench.path('out')}: id, x, region, k, name do not hold what the source holds`,
    ],
    [
      'two rows of predictions changed places',
      'predictions',
      () => forge('a.parquet', rewrite('* REPLACE (CASE id WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE id END AS id)')),
      ['old columns', 'scores'],
      () => /rows 0 to 499: 2 rows are not/,
    ],
    [
      'a score of predictions is NULL',
      'predictions',
      () => forge('b.parquet', rewrite('* REPLACE (CASE WHEN id = 3001 THEN NULL ELSE score END AS score)')),
      ['new columns', 'scores'],
      () => 'score is NULL in 1 row, by the ledger in 0',
    ],
    [
      'the ledger says otherwise',
      'append',
      () =>
        editManifest(({ ledger }) => ({
          ledger: {
            ...ledger,
            files: ledger.files.map((file, i) =>
              i === 0 ? { ...file, scored: file.scored + 1, filtered: file.filtered - 1 } : file,
            ),
          },
        })),
      ['ledger', 'new columns'],
      () => 'scored is 5,250 in all, and 5,251 file by file',
    ],
  ];
  for (const [what, mode, damage, damagedChecks, problem] of CASES)
    it(`fails the checks that it should, which say where: ${what}`, async () => {
      await layOut(mode);
      await damage();
      const verification = await verify({ sample: 1e6 });
      expect(verification.status).toBe('failed');
      expect(verification.checks.filter(({ state }) => state === 'damaged').map(({ name }) => name)).toEqual(
        damagedChecks,
      );
      const wanted = problem();
      expect(problems(verification)).toContainEqual(
        typeof wanted === 'string' ? wanted : (expect.stringMatching(wanted) as string),
      );
    });

  it('fails where the quarantine has other rows than were quarantined', async () => {
    await layOut('append', QUARANTINED);
    const path = bench.path('out.colonnade/quarantine/a.parquet');
    await rewrite('* REPLACE (CASE WHEN _row = 19 THEN 29 ELSE _row END AS _row)')(path);
    const verification = await verify({ sample: 1e6 });
    expect(states(verification)).toEqual({ ...SOUND, bytes: 'damaged', quarantine: 'damaged' });
    expect(problems(verification)).toContain(`of ${bench.path('data/a.parquet')} some rows are there more than once`);
  });
});

describe('what cannot be looked at', () => {
  beforeEach(() => layOut('append'));
  const unchecked = (verification: Verification): string[] =>
    verification.checks.filter(({ state }) => state === 'unchecked').map(({ name }) => name);

  it('as a file of the source changed, is told, and the others are looked at', async () => {
    await utimes(bench.path('data/a.parquet'), new Date(1e12), new Date(1e12));
    const verification = await verify();
    expect([verification.status, unchecked(verification)]).toEqual(['done', ['source']]);
    expect(told(verification, 'source')).toBe(
      `1 of 2 files as they were: ${bench.path('data/a.parquet')} changed since: it was written to`,
    );
    expect(told(verification, 'old columns')).toMatch(/ of 1 file are .*; 1 file not compared, as the source changed$/);
    expect(told(verification, 'scores')).toMatch(/ of 1 file scored again: all the same$/);
  });

  it('as the source is gone, is told', async () => {
    await rm(bench.path('data'), { recursive: true });
    const verification = await verify();
    expect([verification.status, unchecked(verification)]).toEqual(['done', ['source', 'old columns', 'scores']]);
    expect(told(verification, 'source')).toContain('there is no such file');
  });

  it('as pipeline or model changed, is told', async () => {
    const model = await readFile(bench.path('models/linear.onnx'));
    await bench.write('models/linear.onnx', linearModel([3]));
    const other = await verify();
    await bench.write('models/linear.onnx', model);
    expect([other.status, unchecked(other)]).toEqual(['done', ['scores']]);
    expect(told(other, 'scores')).toBe(`the model ${bench.path('models/linear.onnx')} has changed since`);
    await bench.pipeline({ ...parts, features: [{ name: 'x', sql: 'x + 1' }] });
    expect(told(await verify(), 'scores')).toContain('does not say any more what it said for this run');
    await rm(bench.path('pipeline.yaml'));
    expect(told(await verify(), 'scores')).toContain('cannot read the pipeline');
    const kept = await bench.pipeline(parts, 'elsewhere.yaml');
    expect(states(await verify({ pipeline: kept }))).toEqual(SOUND);
    await bench.pipeline(parts);
  });

  it('as other versions score, is told where they give something else, and is no damage', async () => {
    await forge('a.parquet', overwrite(4004, 4005));
    await editManifest(({ versions }) => ({ versions: { ...versions, onnxruntime: '1.2.3' } }));
    const verification = await verify({ sample: 1e6 });
    expect(unchecked(verification)).toEqual(['scores']);
    expect(told(verification, 'scores')).toMatch(
      /some differ .* but onnxruntime 1\.2\.3 is .* now, which may change last bits/,
    );
  });

  it('is an output without a manifest', async () => {
    await rm(manifestPath);
    const error = await rejection(verify());
    expect(error).toMatchObject({ code: 'OUTPUT_NOT_FOUND', exitCode: 78 });
    expect(error.message).toContain(manifestPath);
    expect(await rejection(verify())).toBeInstanceOf(Error);
  });

  it('is no row where none is asked for', async () => {
    expect(unchecked(await verify({ sample: 0 }))).toEqual(['scores']);
  });
});

describe('a sample', () => {
  const file = (rows: readonly number[], path: string): PlannedFile => ({
    index: 0,
    path,
    relativePath: path,
    fingerprint: { size: 0, mtimeNs: '0', inode: '0', footerHash: '' },
    rows: rows.reduce((sum, each) => sum + each, 0),
    rowGroups: rows.map((each) => ({ rows: each, bytes: 0 })),
    hive: {},
  });
  const models = [{ batchSize: 400 }, { batchSize: 600 }] as unknown as Parameters<typeof chooseWindows>[1]['models'];

  it('is whole batches of all models, from each row group on, spread over the files', () => {
    const files = [file([3000, 100], 'a'), undefined, file([0, 1300], 'b')];
    const all = chooseWindows(files, { models }, 1e6);
    expect(all.map(({ input, firstRow, rows }) => [input, firstRow, rows])).toEqual([
      [0, 0, 1200],
      [0, 1200, 1200],
      [0, 2400, 600],
      [0, 3000, 100],
      [2, 0, 1200],
      [2, 1200, 100],
    ]);
    const some = chooseWindows(files, { models }, 1);
    expect(some).toHaveLength(4);
    expect(new Set(some.map(({ input }) => input))).toEqual(new Set([0, 2]));
    expect(all).toEqual(expect.arrayContaining(some));
  });
});
