/** Reads the command line: which command, with what arguments; or which text is asked for instead. */
import yargs, { type Argv, type Options } from 'yargs';
import { didYouMean } from '../pipeline/nearest.js';
import type { Arguments, Command, Flag } from './command.js';
import { usageError } from './flags.js';

/** What a command line asks for. */
export type Parsed =
  | { readonly kind: 'command'; readonly command: Command; readonly args: Arguments }
  /** Help of the program, or of a command. */
  | { readonly kind: 'help'; readonly command?: Command }
  | { readonly kind: 'version' }
  /** Nothing is asked for: `colonnade` alone. */
  | { readonly kind: 'nothing' };

/** @throws ColonnadeError `USAGE`, with the nearest command or flag where one is near. */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Parsed {
  // Help wins over anything that is missing or wrong beside it.
  const end = argv.indexOf('--');
  const words = end === -1 ? argv : argv.slice(0, end);
  if (words[0] === 'help' || words.includes('--help') || words.includes('-h')) {
    const named = words.find((word) => commands.some(({ name }) => name === word));
    const command = commands.find(({ name }) => name === named);
    return command === undefined ? { kind: 'help' } : { kind: 'help', command };
  }
  if (words[0] === '--version' || words[0] === '-V') return { kind: 'version' };
  const [first] = argv;
  // yargs does not take what follows `--` for the argument of a command.
  const plain = end === -1 ? argv : [...words, ...argv.slice(end + 1).map(asArgument)];
  if (first === undefined) return { kind: 'nothing' };
  const command = commands.find(({ name }) => name === first);
  if (command === undefined) throw unknownCommand(argv, commands);

  let chosen: { command: Command; args: Arguments } | undefined;
  const parser = yargs()
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    })
    .locale('en')
    .exitProcess(false)
    .strict()
    .help(false)
    .version(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw message === null || message === ''
        ? (error ?? new Error('the command line was refused'))
        : new Refusal(message);
    });
  parser.command(
    usageOf(command),
    command.summary,
    (sub) => build(sub, command),
    (args) => {
      chosen = { command, args };
    },
  );
  try {
    void parser.parse([...plain]);
  } catch (error) {
    throw error instanceof Refusal ? explain(error.message, plain, commands) : error;
  }
  return chosen === undefined ? { kind: 'nothing' } : { kind: 'command', ...chosen };
}

/** A word behind `--` as yargs cannot take it for a flag, or for the value of one. */
function asArgument(word: string): string {
  return word.startsWith('-') || word === 'true' || word === 'false' ? `./${word}` : word;
}

/** What yargs has against a command line. */
class Refusal extends Error {}

function usageOf({ name, positional }: Command): string {
  if (positional === undefined) return name;
  const inner = positional.many ? `${positional.name}..` : positional.name;
  return `${name} ${positional.required ? `<${inner}>` : `[${inner}]`}`;
}

function build(sub: Argv, command: Command): Argv {
  const { positional } = command;
  if (positional !== undefined) {
    const choices = positional.choices === undefined ? {} : { choices: positional.choices };
    sub.positional(positional.name, { type: 'string', ...choices });
  }
  for (const [name, flag] of Object.entries(command.flags)) sub.option(name, optionOf(flag));
  return sub;
}

function optionOf(flag: Flag): Options {
  const alias = flag.alias === undefined ? {} : { alias: flag.alias };
  if (flag.kind === 'boolean') return { ...alias, type: 'boolean' };
  return {
    ...alias,
    type: 'string',
    requiresArg: true,
    // A flag that is given twice comes as an array.
    coerce: (value: unknown): unknown => {
      const values = (Array.isArray(value) ? value : [value]).map(String);
      return flag.kind === 'list' ? values : values.at(-1);
    },
  };
}

function unknownCommand(argv: readonly string[], commands: readonly Command[]): Error {
  const hint = 'colonnade --help lists the commands';
  const word = argv.find((argument) => !argument.startsWith('-'));
  const known = commands.find(({ name }) => name === word);
  if (known !== undefined)
    return usageError(
      `${argv[0]} before the command`,
      `flags follow the command: colonnade ${known.name} … ${argv[0]}`,
    );
  if (word === undefined)
    return usageError(
      `there is no flag ${argv[0]}, and no command is given`,
      didYouMean(argv[0] ?? '', ['--help', '--version']) ?? hint,
    );
  return usageError(
    `there is no command ${word}`,
    didYouMean(
      word,
      commands.map(({ name }) => name),
    ) ?? hint,
  );
}

/** Says what yargs says in our words, with the nearest right name. */
function explain(message: string, argv: readonly string[], commands: readonly Command[]): Error {
  const command = commands.find(({ name }) => name === argv[0]);
  if (command === undefined) return usageError(message);
  const more = `colonnade ${command.name} --help tells more`;
  const unknown = /^Unknown (?:arguments?|commands?): (.*)$/s.exec(message)?.[1]?.split(', ')[0];
  if (unknown !== undefined) {
    const given = argv.find((argument) => ['-', '--'].some((dashes) => argument.split('=')[0] === dashes + unknown));
    return given === undefined
      ? usageError(`${command.name}: unexpected argument ${unknown}`, more)
      : unknownFlag(given, command, more);
  }
  const missing = /^Not enough arguments following: (.*)$/s.exec(message)?.[1]?.split(', ')[0];
  if (missing !== undefined) {
    const [name, flag] = Object.entries(command.flags).find(
      ([key, { alias }]) => key === missing || alias === missing,
    ) ?? [missing];
    const shown = `${name.length === 1 ? '-' : '--'}${name}`;
    return usageError(`${shown} needs a value: ${shown} ${flag?.value ?? 'VALUE'}`, more);
  }
  if (message.startsWith('Not enough non-option arguments') && command.positional !== undefined) {
    // A flag that is not known is taken to have a value: the argument may have been there, behind it.
    const stranger = argv.slice(1).find((word) => /^--?[a-z]/i.test(word) && !isFlagOf(command, word));
    if (stranger !== undefined) return unknownFlag(stranger, command, more);
    const { name } = command.positional;
    return usageError(`${command.name} needs a ${name}: colonnade ${command.name} ${name.toUpperCase()}`, more);
  }
  const choice = /Argument: ([^,]+), Given: (.*), Choices: (.*)$/s.exec(message);
  if (choice !== null) {
    const text = (at: number): string => (choice[at] ?? '').replaceAll('"', '');
    return usageError(
      `${text(1)} ${text(2)}: one of ${text(3)} is wanted`,
      didYouMean(text(2), text(3).split(', ')) ?? more,
    );
  }
  return usageError(message.trim().split('\n')[0] ?? message, more);
}

/** `--workers=2` and `-q` as they are typed, whatever their value. */
function isFlagOf({ flags }: Command, word: string): boolean {
  const spelled = word.split('=')[0];
  return Object.entries(flags)
    .flatMap(([name, { alias }]) => [name, ...(alias === undefined ? [] : [alias])])
    .some((name) => spelled === `${name.length === 1 ? '-' : '--'}${name}`);
}

function unknownFlag(given: string, command: Command, more: string): Error {
  const flag = given.split('=')[0] ?? given;
  const names = ['help', ...Object.keys(command.flags)].filter((name) => name.length > 1);
  return usageError(
    `${command.name} has no flag ${flag}`,
    didYouMean(
      flag,
      names.map((name) => `--${name}`),
    ) ?? more,
  );
}
