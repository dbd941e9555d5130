import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sampleModel } from '../run/workbench.js';
import { bash, colonnade, COLONNADE, onlyObject, openShop, records, SHOP } from './program.js';

const bench = await openShop();
const start = (...args: string[]) => colonnade(args, { cwd: bench.folder });

describe('plan', () => {
  it('warns where a run would be refused for the output that is there, and plans all the same', async () => {
    await bench.write('taken.yaml', SHOP.replace('path: out', 'path: taken'));
    await bench.write('taken/notes.txt', 'mine');
    const { code, stdout, stderr } = await start('plan', 'taken.yaml', '--log-format', 'json');
    expect(code).toBe(0);
    expect(stdout).toContain('6,000 in 4 row groups');
    expect(records(stderr)).toMatchObject([
      { level: 'warn', code: 'OUTPUT_EXISTS', msg: 'a run would be refused: taken exists already' },
    ]);
    const foreign = await start('plan', 'taken.yaml', '--replace', '--json');
    expect(onlyObject(foreign.stdout)).toMatchObject({ name: 'shop' });
    expect(foreign.stderr).toContain('notes.txt, for one');
  });

  it('says what would be read, fed, written and checked, by the words of the pipeline', async () => {
    const { code, stdout, stderr } = await start('plan', 'shop.yaml', '--var', 'most=24', '--workers', '2');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of [
      /^ {2}rows +6,000 in 4 row groups$/m,
      /^ {2}columns +1 of 4: x$/m,
      /^ {2}input +X float32\[N, 1\] ← x\b/m,
      /^ {2}score +float32 +← score$/m,
      /^ {2}check +x: at most 24, not missing, finite$/m,
      /^ {2}workers +2$/m,
    ])
      expect(stdout).toMatch(line);
  });
});

describe('preview', () => {
  const rows = (stdout: string): string[] => stdout.trimEnd().split('\n').slice(1);

  it('shows as many rows as there should be, from the first on, over files', async () => {
    expect(rows((await start('preview', 'shop.yaml')).stdout)).toHaveLength(20);
    const three = await start('preview', 'shop.yaml', '-n', '3');
    expect(three.stdout).toBe(
      'id  x  score  _status\n 0  0      0  scored\n 1  1      2  scored\n 2  2      4  scored\n',
    );
    const over = rows((await start('preview', 'shop.yaml', '--rows', '3002')).stdout);
    expect(over.slice(-3).map((line) => line.trim().split(/ +/)[0])).toEqual(['2999', '3000', '3001']);
    // All there are.
    expect(rows((await start('preview', 'shop.yaml', '-n', '10000')).stdout)).toHaveLength(6000);
  });

  it('says why a row is not scored, passes over what is filtered, and writes nothing', async () => {
    const before = await bench.files('.');
    await bench.write('shop.yaml', SHOP.replace('key: id', 'key: id, where: id <> 3'));
    const { stdout } = await start('preview', 'shop.yaml', '-n', '9', '--var', 'most=7');
    await bench.write('shop.yaml', SHOP);
    expect(rows(stdout).slice(2)).toEqual([
      ' 2     2      4  scored',
      ' 4     4      8  scored',
      ' 5     5     10  scored',
      ' 6     6     12  scored',
      ' 7     7     14  scored',
      ' 8     8   NULL  quarantined: x: above max 7',
      ' 9  NULL   NULL  quarantined: x: NULL',
    ]);
    expect(await bench.files('.')).toEqual(before);
  });

  it('says so where source.where keeps fewer rows than are asked for, but not with --quiet', async () => {
    await bench.write('rare.yaml', SHOP.replace('key: id', 'key: id, where: id = 2999 OR id = 3001 OR id = 5998'));
    const { stdout, stderr } = await start('preview', 'rare.yaml');
    expect(rows(stdout).map((line) => line.trim().split(/ +/)[0])).toEqual(['2999', '3001', '5998']);
    expect(records(stderr)).toMatchObject([
      { level: 'info', msg: 'source.where keeps 3 rows of all 6,000 rows', rows: 3, looked: 6000, of: 6000 },
    ]);
    expect((await start('preview', 'rare.yaml', '-q')).stderr).toBe('');
    const two = await start('preview', 'rare.yaml', '-n', '2', '--json');
    expect(two.stderr).toBe('');
    expect(onlyObject(two.stdout)).toMatchObject({ rows: [{ id: 2999 }, { id: 3001 }], looked: 3002, of: 6000 });
  });
});

describe('validate', () => {
  it('looks at every file, and says of each what it is', async () => {
    await bench.write('wrong.yaml', SHOP.replace('mode: append', 'mode: apend'));
    const { code, stdout, stderr } = await start('validate', 'shop.yaml', 'wrong.yaml', 'none.yaml');
    expect(code).toBe(78);
    expect(stdout).toBe('✓ shop.yaml is valid\n✗ wrong.yaml is not valid\n✗ none.yaml is not valid\n');
    expect(stderr.match(/^error \w+/gm)).toEqual(['error PIPELINE_INVALID', 'error PIPELINE_NOT_FOUND']);
    const json = onlyObject((await start('validate', '--json', 'shop.yaml', 'wrong.yaml', 'none.yaml')).stdout);
    expect(json).toMatchObject({
      status: 'failed',
      files: [
        { file: 'shop.yaml', valid: true },
        { file: 'wrong.yaml', valid: false, error: { code: 'PIPELINE_INVALID' } },
        { file: 'none.yaml', valid: false, error: { code: 'PIPELINE_NOT_FOUND' } },
      ],
    });
  });

  it('takes for a file whatever follows --', async () => {
    const files = ['-p.yaml', '--json', 'true'];
    for (const file of files) await bench.write(file, SHOP);
    const both = await start('validate', 'shop.yaml', '--', ...files, 'shop.yaml');
    expect(both).toMatchObject({ code: 0, stderr: '' });
    expect(both.stdout.match(/\S+(?= is valid)/g)).toEqual([
      'shop.yaml',
      ...files.map((file) => `./${file}`),
      'shop.yaml',
    ]);
    expect((await start('validate', '--json', '--', 'true')).code).toBe(0);
    expect((await start('plan', '--', 'shop.yaml')).stdout).toContain('6,000 in 4 row groups');
    for (const name of ['--json', '--log-format=json']) {
      const { stdout, stderr } = await start('plan', '--', 'shop.yaml', name);
      expect(stdout).toBe('');
      expect(stderr).toMatch(new RegExp(`^error USAGE .*unexpected argument ./${name}`, 's'));
    }
  });

  it('needs neither the data nor the model, but the variables', async () => {
    await bench.write('alone/shop.yaml', SHOP.replace('most: 1000', 'most: "${MOST:?say how much}"'));
    const missing = await start('validate', 'alone/shop.yaml');
    expect(missing.code).toBe(78);
    expect(missing.stderr).toContain('say how much');
    expect((await start('validate', 'alone/shop.yaml', '--var', 'most=3')).stdout).toContain('is valid');
    const set = await colonnade(['validate', 'alone/shop.yaml'], { cwd: bench.folder, env: { MOST: '3' } });
    expect({ code: set.code, stderr: set.stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('inspect', () => {
  it('shows what a Parquet file holds', async () => {
    const { code, stdout } = await start('inspect', 'data/region=north/part.parquet');
    expect(code).toBe(0);
    for (const line of [
      /^data\/region=north\/part\.parquet {2}Parquet$/m,
      /^ {2}rows +3,000 in 2 row groups$/m,
      /^ {2}append +columns can be spliced in$/m,
      /^ {2}id +INT64 .* no NULL +0 to 2999$/m,
      /^ {2}x +FLOAT .* 300 NULLs +0 to 48$/m,
      /^ {2}0 +2,048 rows /m,
      /^ {2}1 +952 rows /m,
    ])
      expect(stdout).toMatch(line);
  });

  it('shows what a run has left in a file that it wrote', async () => {
    const run = onlyObject((await start('run', 'shop.yaml', '--json', '-q')).stdout);
    const { stdout } = await start('inspect', 'out/region=south/part.parquet');
    expect(stdout).toMatch(/^ {2}score +FLOAT .* 300 NULLs +0 to 96$/m);
    expect(stdout).toMatch(/^Colonnade$/m);
    expect(stdout).toContain(String(run['run_id']));
  });

  it('shows what a model takes and gives', async () => {
    const { code, stdout } = await start('inspect', sampleModel('segments.onnx'));
    expect(code).toBe(0);
    for (const line of [
      /ONNX model$/m,
      /^ {2}X +float32\[N, 4\]$/m,
      /^ {2}output_label +string\[N\]$/m,
      /^ {2}output_probability +float32\[N, 4\] +classes "dormant", "loyal", "new", "occasional"$/m,
      /^ {2}engine +onnxruntime$/m,
    ])
      expect(stdout).toMatch(line);
  });

  it('says of anything else what it is not', async () => {
    await bench.write('torn.parquet', (await readFile(bench.path('data/region=north/part.parquet'))).subarray(0, 500));
    for (const [file, error] of [
      ['shop.yaml', 'NO_INPUT'],
      ['torn.parquet', 'BAD_PARQUET'],
      ['nothing', 'NO_INPUT'],
    ] as const) {
      const { code, stdout, stderr } = await start('inspect', file);
      expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^error ${error} ${file}`));
      expect(stderr).toContain('hint: ');
    }
  });
});

describe('schema', () => {
  it('is the schema that editors are given by the repository', async () => {
    const { stdout, stderr } = await start('schema');
    const kept = await readFile(fileURLToPath(new URL('../../schema/pipeline.schema.json', import.meta.url)), 'utf8');
    expect(JSON.parse(stdout)).toEqual(JSON.parse(kept));
    expect(stderr).toBe('');
  });
});

describe('completion for bash', () => {
  /** What bash offers for a command line, once it has read the script. */
  async function offered(...lines: string[]): Promise<string[][]> {
    const asked = lines.map((line) => {
      const words = line.split(' ');
      // bash itself splits words at `=`, as COMP_WORDBREAKS says.
      return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); "$complete" colonnade '${words.at(-1)}' '${words.at(-2)}'; echo "\${COMPREPLY[*]}"`;
    });
    const { code, stdout, stderr } = await bash(
      `set -u; source <(${COLONNADE} completion bash); complete=$(complete -p colonnade | sed 's/.*-F \\([^ ]*\\).*/\\1/'); ${asked.join('\n')}`,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout
      .split('\n')
      .slice(0, lines.length)
      .map((line) => line.split(' ').filter((word) => word !== ''));
  }

  it('offers commands, flags and their values', async () => {
    const [commands, plan, flags, levels, some, shells, short] = await offered(
      'colonnade ',
      'colonnade pl',
      'colonnade run shop.yaml --',
      'colonnade run shop.yaml --log-level ',
      'colonnade run --log-format p',
      'colonnade completion ',
      'colonnade preview -',
    );
    expect(commands).toEqual(expect.arrayContaining(['run', 'plan', 'preview', 'validate', 'inspect', 'schema']));
    expect(plan).toEqual(['plan']);
    expect(flags).toEqual(expect.arrayContaining(['--fresh', '--replace', '--var', '--workers', '--json', '--quiet']));
    expect(flags).not.toContain('-n');
    expect(levels).toEqual(['error', 'warn', 'info', 'debug', 'trace']);
    expect(some).toEqual(['pretty']);
    expect(shells).toEqual(['bash', 'zsh', 'fish']);
    expect(short).toEqual(expect.arrayContaining(['-n', '-q', '--rows']));
  });

  it('leaves files to bash, where a command takes one', async () => {
    expect(await offered('colonnade run ', 'colonnade inspect da', 'colonnade run shop.yaml --var ')).toEqual([
      [],
      [],
      [],
    ]);
  });

  it('offers the values of --flag=value, whether or not bash splits words at the =', async () => {
    for (const breaks of ['', 'COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}']) {
      const typed = [
        `source <(${COLONNADE} completion bash)`,
        breaks,
        `colonnade() { printf '<%s>' "$@"; echo; }`,
        'colonnade run --log-level=de\t',
        'colonnade run --log-format=j\tshop.yaml',
        'colonnade preview --log-level wa\t',
        'exit',
      ].join('\n');
      await bench.write('typed', `${typed}\n`);
      const { stdout } = await bash(`bash --norc --noprofile -i < '${bench.path('typed')}'`);
      expect(stdout.split('\n').filter((line) => line.startsWith('<'))).toEqual([
        '<run><--log-level=debug>',
        '<run><--log-format=json><shop.yaml>',
        '<preview><--log-level><warn>',
      ]);
    }
  });

  it('is for the shell of the user where none is named', async () => {
    const zsh = await colonnade(['completion'], { env: { SHELL: '/usr/bin/zsh' } });
    expect(zsh.stdout).toMatch(/^#compdef colonnade\n/);
    const unknown = await colonnade(['completion'], { env: { SHELL: '/bin/tcsh' } });
    expect(unknown.code).toBe(64);
    expect(unknown.stderr).toContain('colonnade completion bash|zsh|fish');
  });
});
