import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { escapePath } from 'tinyglobby';
import { describe, expect, it } from 'vitest';
import { findFiles } from '../../src/source/files.js';
import { hiveTypes } from '../../src/source/hive.js';
import { containing, testFolder } from './folder.js';

const root = await testFolder();
let made = 0;

/** A new folder with empty files of these names. */
async function folderWith(...names: string[]): Promise<string> {
  const folder = join(root, String(made++));
  await mkdir(folder);
  for (const name of names) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), '');
  }
  return folder;
}

const relative = async (...paths: string[]): Promise<string[]> =>
  (await findFiles(paths)).map(({ relativePath }) => relativePath);

describe('findFiles', () => {
  it('walks a folder for Parquet files of any spelling, in the order of their bytes', async () => {
    const folder = await folderWith('b.parquet', 'a/z.PARQUET', 'a/é.parq', 'B.pq', 'a.csv', 'a/notes.txt');
    expect(await relative(folder)).toEqual(['B.pq', 'a/z.PARQUET', 'a/é.parq', 'b.parquet']);
  });

  it('passes over what writers leave beside data, and over the folder beside an output', async () => {
    const folder = await folderWith(
      'a.parquet',
      '_temporary/b.parquet',
      '.hidden.parquet',
      '_metadata.parquet',
      'out.colonnade/q.parquet',
      '_k=1/c.parquet',
    );
    expect(
      (await findFiles([join(folder, '*.parquet'), join(folder, 'out.*', '*.parquet')].slice(0, 1))).map(
        (file) => file.relativePath,
      ),
    ).toEqual(['a.parquet']);
    await expect(findFiles([folder])).rejects.toMatchObject({ code: 'SCHEMA_DRIFT' });
    const plain = await folderWith('a.parquet', '_temporary/b.parquet', '.x/c.parquet', 'out.colonnade/q.parquet');
    expect(await relative(plain)).toEqual(['a.parquet']);
    expect(await relative(join(plain, '**'))).toEqual(['a.parquet']);
  });

  it('names files of a glob relative to its fixed part, and takes folders that match whole', async () => {
    const folder = await folderWith(
      'x/day=1/a.parquet',
      'x/day=1/b.snappy',
      'x/day=2/deep/a.parquet',
      'x/other/a.parquet',
    );
    expect(await relative(join(folder, 'x', 'day=*'))).toEqual(['day=1/a.parquet', 'day=2/deep/a.parquet']);
    expect(await relative(join(folder, 'x', '*', '*.snappy'))).toEqual(['day=1/b.snappy']);
    expect(await relative(join(folder, 'x', 'day=[12]', '**', 'a.parquet'))).toEqual([
      'day=1/a.parquet',
      'day=2/deep/a.parquet',
    ]);
  });

  it('takes a path that exists literally, whatever characters it holds', async () => {
    const folder = await folderWith("a[1]*?'q.parquet", 'a1.parquet', 'data.bin');
    expect(await relative(join(folder, "a[1]*?'q.parquet"))).toEqual(["a[1]*?'q.parquet"]);
    expect(await relative(join(folder, 'data.bin'))).toEqual(['data.bin']);
  });

  it.each(['a (x)', 'a [y]', 'a {z}', '!a', 'a+(b)'])(
    'takes the folders before a wildcard literally, escaped or not: %s',
    async (name) => {
      const folder = await folderWith(`${name}/data/a.parquet`, `${name}/data/a[1].parquet`, `${name}/b.txt`);
      const data = join(folder, name, 'data');
      const escaped = join(folder, escapePath(name), 'data');
      for (const path of [data, escaped]) {
        expect(await relative(join(path, '*.parquet'))).toEqual(['a.parquet', 'a[1].parquet']);
        expect(await relative(join(path, 'a[1].parquet'))).toEqual(['a[1].parquet']);
        expect(await relative(join(dirname(path), '*'))).toEqual(['data/a.parquet', 'data/a[1].parquet']);
        await expect(relative(join(path, 'none*'))).rejects.toMatchObject({
          code: 'NO_INPUT',
          message: `nothing matches ${data}/none*`,
        });
      }
    },
  );

  it('takes what braces hold, slashes as well', async () => {
    const folder = await folderWith('2025/12/a.parquet', '2026/a.parquet', '2024/a.parquet');
    expect(await relative(join(folder, '{2025/12,2026}', '*.parquet'))).toEqual([
      '2025/12/a.parquet',
      '2026/a.parquet',
    ]);
  });

  it('keeps the order of the paths that were given, and counts a file once', async () => {
    const folder = await folderWith('a.parquet', 'b.parquet');
    expect(await relative(join(folder, 'b.parquet'), folder)).toEqual(['b.parquet', 'a.parquet']);
  });

  it('follows links, but never round in a circle', async () => {
    const folder = await folderWith('a.parquet');
    const other = await folderWith('b.parquet');
    await symlink(folder, join(folder, 'circle'));
    await symlink(other, join(folder, 'linked'));
    await symlink(join(folder, 'nowhere'), join(folder, 'dangling.parquet'));
    expect(await relative(folder)).toEqual(['a.parquet', 'linked/b.parquet']);
  });

  it('counts a file once that links lead to as well, at the place where it lies', async () => {
    const folder = await folderWith('day=1/a.parquet', 'sub/x.parquet', 'sub/deep/y.parquet');
    await symlink('.', join(folder, 'sub', 'loop'));
    await symlink('..', join(folder, 'sub', 'deep', 'up'));
    await symlink('x.parquet', join(folder, 'sub', 'again.parquet'));
    await symlink('day=1', join(folder, 'day=0'));
    const below = ['deep/y.parquet', 'x.parquet'];
    expect(await relative(join(folder, 'sub', '**', '*.parquet'))).toEqual(below);
    expect(await relative(join(folder, 'sub', '*'))).toEqual(below);
    expect(await relative(join(folder, 'sub'))).toEqual(below);
    expect(await relative(join(folder, 'sub', 'again.parquet'), join(folder, 'sub'))).toEqual([
      'again.parquet',
      'deep/y.parquet',
    ]);
    expect(await findFiles([join(folder, 'day=*')])).toMatchObject([
      { relativePath: 'day=1/a.parquet', hive: { day: '1' } },
    ]);
    expect(await relative(join(folder, 'day=0', '*'))).toEqual(['a.parquet']);
  });

  it('keeps files of one name apart by as many folders above them as it takes', async () => {
    const folder = await folderWith(
      'n/x/1.parquet',
      'n/y/1.parquet',
      'n/y/2.parquet',
      's/x/1.parquet',
      's/z/3.parquet',
      'single/3.parquet/1.parquet',
    );
    const at = (...names: string[]): string[] => names.map((name) => join(folder, name));
    expect(await relative(...at('n/x/1.parquet', 'n/y/1.parquet'))).toEqual(['x/1.parquet', 'y/1.parquet']);
    expect(await relative(...at('n/y', 'n/x', 's/z'))).toEqual(['y/1.parquet', 'y/2.parquet', 'x/1.parquet', '3.parquet']); // prettier-ignore
    expect(await relative(...at('n/x', 's/*'))).toEqual(['1.parquet', 'x/1.parquet', 'z/3.parquet']);
    expect(await relative(...at('n/x', 'n/y/1.parquet', 's/*'))).toEqual([
      'n/x/1.parquet',
      'y/1.parquet',
      's/x/1.parquet',
      's/z/3.parquet',
    ]);
    expect(await relative(...at('n/x', 's/x'))).toEqual(['n/x/1.parquet', 's/x/1.parquet']);
    // A folder and a file cannot have one place either.
    expect(await relative(...at('n/x', 'single/3.parquet', 's/z'))).toEqual([
      'x/1.parquet',
      'single/3.parquet/1.parquet',
      'z/3.parquet',
    ]);
  });

  it('writes folders that keep files apart so that readers do not pass over them', async () => {
    const folder = await folderWith('_a/1.parquet', '.a/1.parquet', 'a.colonnade/1.parquet', 'k=%2F/1.parquet');
    const names = ['_a', '.a', 'a.colonnade'].map((name) => join(folder, name, '1.parquet'));
    expect(await relative(...names)).toEqual(['%5Fa/1.parquet', '%2Ea/1.parquet', 'a%2Ecolonnade/1.parquet']);
    expect(await relative(join(folder, '_a'), join(folder, 'k=%2F'))).toEqual(['%5Fa/1.parquet', 'k=%2F/1.parquet']);
  });

  it('refuses files that their folders do not tell apart in an output', async () => {
    const folder = await folderWith('a/%2Eb/x.parquet', 'a/.b/x.parquet', 'd/x.parquet');
    const paths = ['a', 'a/.b', 'd'].map((name) => join(folder, name));
    await expect(findFiles(paths)).rejects.toMatchObject({
      code: 'OUTPUT_OVERLAPS',
      message: containing(`${folder}/a and ${folder}/a/.b`),
      hint: 'rename one of the folders, or read them in runs of their own',
    });
  });

  it('says what it looked for and what is there instead', async () => {
    const folder = await folderWith('a.csv', 'sub/b.csv');
    await expect(findFiles([folder])).rejects.toMatchObject({
      code: 'NO_INPUT',
      message: containing('*.parquet'),
      hint: `${folder} holds a.csv, sub/`,
    });
    await expect(findFiles([join(folder, 'no', 'such', 'x')])).rejects.toMatchObject({
      code: 'NO_INPUT',
      hint: `the nearest folder that exists is ${folder}`,
    });
    await expect(findFiles([join(folder, 'b.parquet')])).rejects.toMatchObject({
      code: 'NO_INPUT',
      hint: `${folder} holds a.csv, sub/`,
    });
    await expect(findFiles([join(folder, '*.pq')])).rejects.toMatchObject({
      code: 'NO_INPUT',
      message: `nothing matches ${folder}/*.pq`,
    });
    await expect(findFiles([join(folder, 'no', '*.pq')])).rejects.toMatchObject({
      code: 'NO_INPUT',
      message: containing(`${folder}/no does not exist`),
    });
  });
});

describe('hive folders', () => {
  it('are columns below a named folder, decoded, NULL by the name that stands for it', async () => {
    const folder = await folderWith(
      'k=out/region=a%2Fb%20c/dt=2026-01-01/x.parquet',
      'k=out/region=__HIVE_DEFAULT_PARTITION__/dt=100%-%2F-%FF/y.parquet',
    );
    expect((await findFiles([join(folder, 'k=out')])).map(({ hive }) => hive)).toEqual([
      { region: null, dt: '100%-/-%FF' },
      { region: 'a/b c', dt: '2026-01-01' },
    ]);
  });

  it('count right above a file or a glob, but not above a folder that is named', async () => {
    const folder = await folderWith('a=0/plain/b=1/c=2/x.parquet');
    const named = join(folder, 'a=0', 'plain', 'b=1');
    expect((await findFiles([join(named, 'c=2', 'x.parquet')]))[0]!.hive).toEqual({ b: '1', c: '2' });
    expect((await findFiles([join(named, '*', '*.parquet')]))[0]!.hive).toEqual({ b: '1', c: '2' });
    expect((await findFiles([named]))[0]!.hive).toEqual({ c: '2' });
  });

  it('must be the same for all files, and each column once on a path', async () => {
    const mixed = await folderWith('k=1/a.parquet', 'b.parquet');
    await expect(findFiles([mixed])).rejects.toMatchObject({
      code: 'SCHEMA_DRIFT',
      message: containing('(none)'),
    });
    const twice = await folderWith('k=1/K=2/a.parquet');
    await expect(findFiles([twice])).rejects.toMatchObject({ code: 'COLUMN_AMBIGUOUS' });
  });

  it.each([
    [['1', '-20', '0'], 'BIGINT'],
    [['9223372036854775807', '-9223372036854775808'], 'BIGINT'],
    [['9223372036854775808'], 'VARCHAR'],
    [['01', '2'], 'VARCHAR'],
    [['-0'], 'VARCHAR'],
    [['1', null], 'BIGINT'],
    [[null], 'VARCHAR'],
    [['2026-01-31', '2024-02-29'], 'DATE'],
    [['2026-02-29'], 'VARCHAR'],
    [['2026-01-01', '5'], 'VARCHAR'],
    [['north', '1'], 'VARCHAR'],
    [[''], 'VARCHAR'],
  ])('of the values %j have the type %s', (values, type) => {
    expect(hiveTypes(values.map((value) => ({ hive: { k: value } })))).toEqual({ k: type });
  });
});
