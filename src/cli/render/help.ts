/** The help of the program and of a command, from the same data that is parsed with. */
import type { Command, Flag } from '../command.js';
import type { Colors } from '../output.js';

const STATUSES = [
  ['0', 'done'],
  ['1', 'the run failed; run it again to resume'],
  ['3', 'a check failed: too many invalid rows'],
  ['64', 'wrong usage'],
  ['75', 'try again later'],
  ['78', 'the pipeline, the model or the data do not fit each other'],
  ['130, 143', 'interrupted, terminated: nothing half-visible'],
] as const;

const GENERAL: Readonly<Record<string, Flag>> = {
  help: { describe: 'Show help, also of a command', group: 'Help:', kind: 'boolean', alias: 'h' },
  version: { describe: 'Show the version', group: 'Help:', kind: 'boolean', alias: 'V' },
};

/** `colonnade --help`. */
export function programHelp(commands: readonly Command[], columns: number, colors: Colors): string {
  const sections = [
    'Score columnar data with ONNX models: Parquet in, predictions beside the data, whole or not at all.',
    `${colors.bold('Usage:')} colonnade COMMAND [flags]`,
    section(
      'Commands:',
      commands.map((command) => [synopsis(command), command.summary]),
      columns,
      colors,
    ),
    section('Help:', flagRows(Object.entries(GENERAL)), columns, colors),
    section(
      'Examples:',
      [
        ['colonnade run pipelines/append.yaml', 'score, and say where the result is'],
        ['colonnade plan pipelines/append.yaml', 'see what would be done, before a row is scored'],
        ['colonnade run --help', 'flags and examples of a command'],
      ],
      columns,
      colors,
    ),
    section('Exit status:', STATUSES, columns, colors),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** `colonnade COMMAND --help`. */
export function commandHelp(command: Command, columns: number, colors: Colors): string {
  const flags = [...Object.entries(command.flags), ...Object.entries(GENERAL).filter(([name]) => name === 'help')];
  const groups = new Map<string, [string, Flag][]>();
  for (const entry of flags) groups.set(entry[1].group, [...(groups.get(entry[1].group) ?? []), entry]);
  const { positional } = command;
  const sections = [
    `${colors.bold('Usage:')} colonnade ${synopsis(command)} [flags]`,
    wrap(command.about, columns).join('\n'),
    ...(positional === undefined
      ? []
      : [
          section(
            'Argument:',
            [[positionalName(command), positional.describe + choicesOf(positional.choices)]],
            columns,
            colors,
          ),
        ]),
    ...[...groups].map(([title, entries]) => section(title, flagRows(entries), columns, colors)),
    section('Examples:', command.examples, columns, colors),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** `run PIPELINE`. */
export function synopsis(command: Command): string {
  const name = positionalName(command);
  return name === '' ? command.name : `${command.name} ${name}`;
}

function positionalName({ positional }: Command): string {
  if (positional === undefined) return '';
  const name = positional.name.toUpperCase() + (positional.many ? '…' : '');
  return positional.required ? name : `[${name}]`;
}

function flagRows(flags: readonly (readonly [string, Flag])[]): (readonly [string, string])[] {
  const short = flags.some(([, { alias }]) => alias !== undefined);
  return flags.map(([name, flag]) => {
    // A letter first, whichever of the two is the flag's name.
    const names = flag.alias === undefined ? [name] : [name, flag.alias].toSorted((a, b) => a.length - b.length);
    const shown = names.map((word) => `${word.length === 1 ? '-' : '--'}${word}`).join(', ');
    const indent = short && flag.alias === undefined ? '    ' : '';
    const fallback = flag.fallback === undefined ? '' : ` (default: ${flag.fallback})`;
    const value = flag.kind === 'boolean' ? '' : ` ${flag.value ?? 'VALUE'}`;
    return [`${indent}${shown}${value}`, `${flag.describe}${choicesOf(flag.choices)}${fallback}`];
  });
}

function choicesOf(choices: readonly string[] | undefined): string {
  return choices === undefined ? '' : `: ${choices.join(', ')}`;
}

function section(title: string, rows: readonly (readonly [string, string])[], columns: number, colors: Colors): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.flatMap(([left, right]) => {
    const [first = '', ...rest] = wrap(right, Math.max(30, columns - width - 4));
    return [
      `  ${colors.cyan(left)}${' '.repeat(width - left.length)}  ${first}`,
      ...rest.map((line) => `  ${' '.repeat(width)}  ${line}`),
    ];
  });
  return [colors.bold(title), ...lines].join('\n');
}

/** Lines of at most `width` characters, broken between words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
