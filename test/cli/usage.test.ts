import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { loadPipeline } from '../../src/pipeline/load.js';
import { bash, colonnade, COLONNADE, onlyObject, STACK } from './program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };

describe('a command line that is wrong', () => {
  it.each([
    ['a command that is nearly right', ['rnu', 'p.yaml'], /no command rnu/, 'did you mean `run`?'],
    ['a command that is nothing like one', ['frobnicate'], /no command frobnicate/, '--help lists the commands'],
    ['a flag that is nearly right', ['run', 'p.yaml', '--fersh'], /run has no flag --fersh/, 'did you mean `--fresh`?'],
    ['one before the argument', ['run', '--fersh', 'p.yaml'], /run has no flag --fersh/, 'did you mean `--fresh`?'],
    ['one with a value', ['plan', 'p.yaml', '--worker=2'], /plan has no flag --worker/, 'did you mean `--workers`?'],
    ['a flag of another command', ['plan', 'p.yaml', '--dry-run'], /plan has no flag --dry-run/, 'plan --help'],
    ['a letter', ['run', '-x', 'p.yaml'], /run has no flag -x/, 'run --help'],
    ['a flag before the command', ['--json', 'run', 'p.yaml'], /--json before the command/, 'colonnade run … --json'],
    ['a flag alone', ['--versoin'], /no flag --versoin/, 'did you mean `--version`?'],
    ['no pipeline', ['run'], /run needs a pipeline/, 'run --help'],
    ['none behind --', ['run', '--'], /run needs a pipeline/, 'run --help'],
    ['no file', ['inspect', '--json'], /inspect needs a file/, 'inspect --help'],
    ['too much', ['run', 'p.yaml', 'q.yaml'], /unexpected argument q\.yaml/, 'run --help'],
    ['a flag without its value', ['run', 'p.yaml', '--workers'], /--workers needs a value/, 'run --help'],
    ['no workers', ['run', 'p.yaml', '--workers', '0'], /--workers 0: a whole number from 1 to 1024/, ''],
    ['half a worker', ['run', 'p.yaml', '--workers=1.5'], /--workers 1\.5: a whole number/, ''],
    ['a variable without a value', ['run', 'p.yaml', '--var', 'day'], /--var day: KEY=VALUE/, '--var day=2026-11-01'],
    ['one that is two things', ['plan', 'p', '--var', 'a=1', '--var', 'a=2'], /a is given twice, as 1 and as 2/, ''],
    ['a level that there is not', ['run', 'p.yaml', '--log-level', 'loud'], /--log-level loud: one of error, warn/, ''],
    ['a format that there is not', ['plan', 'p.yaml', '--log-format=xml'], /xml: one of auto, pretty, json/, ''],
    ['rows that are no number', ['preview', 'p.yaml', '-n', 'all'], /-n all: a whole number from 1 to 10000/, ''],
    ['no rows', ['preview', 'p.yaml', '-n', '0'], /-n 0: a whole number/, ''],
    ['a shell that there is not', ['completion', 'tcsh'], /tcsh: one of bash, zsh, fish/, ''],
  ])('is refused with status 64 and a way out: %s', async (_, args, message, hint) => {
    const { code, stdout, stderr } = await colonnade(args);
    expect({ code, stdout: args.includes('--json') ? '' : stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^error USAGE /);
    expect(stderr).toMatch(message);
    expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(STACK);
  });

  it.each([['--json'], ['--json=true']])('is told as an object where that is wished: %s', async (flag) => {
    const { code, stdout } = await colonnade(['run', flag, '--fersh']);
    expect(code).toBe(64);
    expect(onlyObject(stdout)).toMatchObject({ status: 'failed', error: { code: 'USAGE', phase: 'usage' } });
  });

  it('that says nothing is answered with the help, on stderr', async () => {
    const { code, stdout, stderr } = await colonnade([]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain('Usage: colonnade COMMAND');
  });
});

describe('help', () => {
  it.each([['--help'], ['-h'], ['help']])('lists every command and every exit status: %s', async (flag) => {
    const { code, stdout, stderr } = await colonnade([flag]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const { name, summary } of COMMANDS) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
      expect(stdout).toContain(summary);
    }
    for (const status of ['0', '1', '3', '64', '75', '78', '130, 143'])
      expect(stdout).toMatch(new RegExp(`^ {2}${status} {2,}\\w`, 'm'));
  });

  it('of a command names its argument and its flags, in lines that fit', async () => {
    // One process for all of them: the shell marks where each begins.
    const { stdout } = await bash(
      COMMANDS.map(({ name }) => `echo "# ${name}"; ${COLONNADE} ${name} --help`).join('; '),
    );
    const texts = new Map(
      stdout
        .split(/^# /m)
        .slice(1)
        .map((text) => [text.slice(0, text.indexOf('\n')), text]),
    );
    for (const { name, flags, positional } of COMMANDS) {
      const text = texts.get(name) ?? '';
      expect(text).toContain(`Usage: colonnade ${name}`);
      if (positional !== undefined) expect(text).toContain(positional.name.toUpperCase());
      for (const flag of Object.keys(flags))
        expect(text).toMatch(new RegExp(`(^|\\s)${flag.length === 1 ? '-' : '--'}${flag}\\b`));
      expect(text.split('\n').filter((line) => line.length > 110)).toEqual([]);
    }
    expect(texts.get('preview')).toMatch(/^ {2}-n, --rows ROWS {2}/m);
    expect(texts.get('run')).toMatch(/^ {2}-q, --quiet {2}/m);
  });

  it('gives examples whose variables the pipelines in them have', async () => {
    const examples = COMMANDS.flatMap(({ examples }) => examples.map(([example]) => example)).flatMap((example) => {
      const [, file] = /^colonnade (?:run|plan|preview|validate) (?:--\S+ )?(pipelines\/\w+\.yaml)/.exec(example) ?? [];
      const vars = [...example.matchAll(/--var (\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!] as const);
      return file === undefined ? [] : [{ file, vars: Object.fromEntries(vars) }];
    });
    expect(examples.filter(({ vars }) => Object.keys(vars).length > 0)).toHaveLength(2);
    for (const { file, vars } of examples) await loadPipeline(`${root}${file}`, { vars });
  });

  it('wins over what is wrong beside it', async () => {
    const { code, stdout } = await colonnade(['run', '--help', '--no-such-flag']);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: colonnade run PIPELINE');
  });
});

describe('--version', () => {
  it('is the version of the package and nothing else', async () => {
    expect(await colonnade(['--version'])).toEqual({ code: 0, signal: null, stdout: `${version}\n`, stderr: '' });
  });
});
