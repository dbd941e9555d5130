import { describe, expect, it } from 'vitest';
import { bash, colonnade, COLONNADE, onlyObject, openShop, records, SHOP, STACK } from './program.js';

const bench = await openShop();
const start = (...args: string[]) => colonnade(args, { cwd: bench.folder });
const ESCAPE = '\u001b';

describe('stdout', () => {
  it('is one object with --json, with the keys that scripts rely on', async () => {
    const run = await start('run', 'shop.yaml', '--replace', '--json');
    expect(onlyObject(run.stdout)).toMatchObject({
      status: 'done',
      rows: 6000,
      scored: 5400,
      quarantined: 600,
      nulled: 0,
      filtered: 0,
      pipeline: 'shop',
      output: bench.path('out'),
      manifest: bench.path('out.colonnade/manifest.json'),
      quarantine: bench.path('out.colonnade/quarantine'),
      reasons: { 'x: NULL': 600 },
      run_id: expect.stringMatching(/^\d{8}T\d{6}-[0-9a-f]{8}$/) as string,
      elapsed_s: expect.any(Number) as number,
      rows_per_s: expect.any(Number) as number,
    });

    const plan = await start('plan', 'shop.yaml', '--json', '--replace');
    expect(onlyObject(plan.stdout)).toMatchObject({
      name: 'shop',
      expected: { rows: 6000 },
      shards: [{ rows: 3000 }, { rows: 3000 }],
      columnsRead: ['x'],
    });

    const preview = await start('preview', 'shop.yaml', '--json', '-n', '2');
    expect(onlyObject(preview.stdout)).toEqual({
      status: 'done',
      columns: [
        { name: 'id', kind: 'key' },
        { name: 'x', kind: 'feature' },
        { name: 'score', kind: 'output' },
        { name: '_status', kind: 'status' },
      ],
      rows: [
        { id: 0, x: 0, score: 0, _status: 'scored' },
        { id: 1, x: 1, score: 2, _status: 'scored' },
      ],
      looked: 2,
      of: 6000,
    });

    const file = await start('inspect', 'data/region=north/part.parquet', '--json');
    expect(onlyObject(file.stdout)).toMatchObject({ kind: 'parquet', rows: 3000, spliceObstacle: null });
    const model = await start('inspect', 'models/double.onnx', '--json');
    expect(onlyObject(model.stdout)).toMatchObject({ kind: 'model', inputs: [{ name: 'X', type: 'float32' }] });

    const validate = await start('validate', 'shop.yaml', '--json');
    expect(onlyObject(validate.stdout)).toEqual({
      status: 'done',
      files: [{ file: 'shop.yaml', valid: true, name: 'shop' }],
    });

    const completion = await start('completion', 'bash', '--json');
    expect(onlyObject(completion.stdout)).toMatchObject({ status: 'done', shell: 'bash' });

    for (const { code, stderr } of [plan, preview, file, model, validate, completion])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('has nothing but the result without --json either: no log, no colour, no bar', async () => {
    const { code, stdout, stderr } = await start('run', 'shop.yaml', '--replace', '--log-level', 'trace');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^✓ shop: scored 5,400 of 6,000 rows in /);
    expect(stdout).not.toContain('"level"');
    expect(stdout + stderr).not.toContain(ESCAPE);
    expect(records(stderr).length).toBeGreaterThan(3);
  });

  it('has an error as one object with --json, and as text on stderr', async () => {
    await bench.write(
      'wrong.yaml',
      SHOP.replace('features: [x]', 'featurs: [x]').replace('mode: append', 'mode: apend'),
    );
    for (const command of ['run', 'plan', 'preview']) {
      const { code, stdout, stderr } = await start(command, 'wrong.yaml', '--json');
      expect(code).toBe(78);
      expect(onlyObject(stdout)).toMatchObject({
        status: 'failed',
        error: {
          code: 'PIPELINE_INVALID',
          problems: [
            { key: 'featurs', file: 'wrong.yaml', position: { line: 5, column: 1 }, hint: 'did you mean `features`?' },
            { key: 'sink.mode', position: { line: 12, column: 15 }, hint: 'did you mean `append`?' },
          ],
        },
      });
      expect(stderr).toMatch(/^error PIPELINE_INVALID /);
    }
  });

  it('can be cut off by its reader, without a word about it', async () => {
    const lines = await bash(
      `${COLONNADE} preview shop.yaml -n 6000 | head -1; echo "status \${PIPESTATUS[0]}"; ${COLONNADE} schema | head -c 1; echo "status \${PIPESTATUS[0]}"`,
      { cwd: bench.folder },
    );
    expect(lines.stdout).toMatch(/^ *id +x +score +_status\nstatus 0\n\{status 0\n$/);
    expect(lines.stderr).toBe('');
    // Nor does a run end early because nobody reads its log.
    const run = await bash(`${COLONNADE} run shop.yaml --replace --json --log-level trace 2> >(exec head -c 0)`, {
      cwd: bench.folder,
    });
    expect(run.code).toBe(0);
    expect(onlyObject(run.stdout)).toMatchObject({ status: 'done' });
  });
});

describe('stderr', () => {
  it('has JSON records where it is no terminal, and by --log-format json', async () => {
    for (const format of [[], ['--log-format', 'auto'], ['--log-format=json']]) {
      const { stderr } = await start('run', 'shop.yaml', '--replace', ...format);
      const log = records(stderr);
      expect(log.map(({ msg }) => msg)).toEqual([
        expect.stringMatching(/^scoring 6,000 rows in 2 shards, \d+ workers?$/),
        expect.stringMatching(/^done: 5,400 of 6,000 rows scored in /),
      ]);
      expect(log[1]).toMatchObject({ level: 'info', name: 'colonnade', rows: 6000, scored: 5400 });
      expect(new Set(log.map((record) => record['run_id'])).size).toBe(1);
      expect(Date.parse(String(log[0]!['time']))).not.toBeNaN();
    }
  });

  it('has dated lines by --log-format pretty', async () => {
    const { stderr } = await start('run', 'shop.yaml', '--replace', '--log-format', 'pretty');
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info {2}\w/);
  });

  it('tells more by --log-level debug, and less by warn', async () => {
    const levels = async (level: string): Promise<string[]> =>
      records((await start('run', 'shop.yaml', '--replace', '--log-level', level)).stderr).map(
        (record) => record.level,
      );
    expect(await levels('debug')).toEqual(['info', 'debug', 'debug', 'debug', 'info']);
    expect(await levels('warn')).toEqual([]);
  });

  it('is empty with --quiet where there is nothing to warn of, and so is stdout unless something is asked for', async () => {
    const silent = await start('run', 'shop.yaml', '--replace', '-q', '--log-level', 'trace');
    expect(silent).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    const quiet = await start('run', 'shop.yaml', '--replace', '--quiet', '--json');
    expect(quiet.stderr).toBe('');
    expect(onlyObject(quiet.stdout)).toMatchObject({ status: 'done' });
    // What another command is asked for is shown, warnings and errors are told all the same.
    expect((await start('plan', 'shop.yaml', '-q')).stdout).toContain('6,000 in 4 row groups');
    expect((await start('preview', 'shop.yaml', '-q', '-n', '3')).stdout.split('\n')).toHaveLength(5);
    expect(await start('validate', 'shop.yaml', '-q')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const refused = await start('run', 'shop.yaml', '--quiet');
    expect(refused.code).toBe(78);
    expect(refused.stderr).toMatch(/^error OUTPUT_EXISTS /);
  });

  it('has an error as a record by --log-format json', async () => {
    const { stderr } = await start('plan', 'nowhere.yaml', '--log-format=json');
    expect(records(stderr)).toMatchObject([
      { level: 'error', name: 'colonnade', error: { code: 'PIPELINE_NOT_FOUND', phase: 'pipeline' } },
    ]);
  });

  it('shows every mistake of a pipeline with file, line, column, a caret below it and a way out', async () => {
    await bench.write(
      'wrong.yaml',
      SHOP.replace('features: [x]', 'featurs: [x]').replace('mode: append', 'mode: apend'),
    );
    const { code, stdout, stderr } = await start('plan', 'wrong.yaml');
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    const lines = stderr.split('\n');
    for (const [place, text, word, hint] of [
      ['wrong.yaml:5:1: ', 'featurs: [x]', 'featurs', 'did you mean `features`?'],
      ['wrong.yaml:12:15: ', 'sink: { mode: apend, path: out }', 'apend', 'did you mean `append`?'],
    ] as const) {
      const at = lines.findIndex((line) => line.includes(place));
      expect(lines[at]).toContain(word);
      expect(lines[at + 1]).toContain(text);
      expect(lines[at + 2]!.indexOf('^')).toBe(lines[at + 1]!.indexOf(word));
      expect(lines[at + 3]).toContain(`hint: ${hint}`);
    }
    expect(stderr).not.toMatch(STACK);
  });

  it('has a stack trace only where one asks for details', async () => {
    const plain = await start('plan', 'nowhere.yaml', '--log-level', 'info');
    expect(plain.stderr).not.toMatch(STACK);
    const detailed = await start('plan', 'nowhere.yaml', '--log-level', 'debug');
    expect(detailed.stderr).toMatch(STACK);
  });
});

describe('text from files', () => {
  it('never moves the cursor or colours the terminal', async () => {
    const name = `${ESCAPE}[31mred\u202e`;
    await bench.parquet('odd/a.parquet', `SELECT 1::FLOAT AS x, chr(27) || '[2J' AS "${name}"`);
    await bench.write(
      'odd.yaml',
      SHOP.replace('path: data, key: id', `path: odd, key: ["\\e[31mred\\u202e"]`).replace(
        'path: out',
        'path: odd-out',
      ),
    );
    const texts = [
      await start('inspect', 'odd/a.parquet'),
      await start('plan', 'odd.yaml'),
      await start('preview', 'odd.yaml'),
      await start('plan', 'odd.yaml', '--var', `${ESCAPE}[31m=1`),
    ];
    expect(texts.map(({ code }) => code)).toEqual([0, 0, 0, 78]);
    for (const { stdout, stderr } of texts) {
      expect(stdout + stderr).toContain('[31m');

      expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    }
    // JSON has it as it is, escaped by JSON itself.
    const { stdout } = await start('preview', 'odd.yaml', '--json');
    expect(onlyObject(stdout)['rows']).toMatchObject([{ [name]: `${ESCAPE}[2J` }]);
  });
});
