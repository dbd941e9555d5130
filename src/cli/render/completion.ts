/** Completion scripts, from the same data that the command line is parsed with. They never start Colonnade. */
import type { Command, Flag } from '../command.js';

/** Flags as they are typed: `--json`, `-q`, `-n`. */
function spellings(command: Command): string[] {
  return Object.entries(command.flags)
    .flatMap(([name, { alias }]) => [name, ...(alias === undefined ? [] : [alias])].map(dashed))
    .concat('--help');
}

function dashed(name: string): string {
  return `${name.length === 1 ? '-' : '--'}${name}`;
}

/** Flags with a fixed set of values, once each. */
function choiceFlags(commands: readonly Command[]): [name: string, choices: readonly string[]][] {
  const all = new Map<string, readonly string[]>();
  for (const { flags } of commands) {
    for (const [name, { choices }] of Object.entries(flags)) if (choices !== undefined) all.set(name, choices);
  }
  return [...all];
}

export function bashCompletion(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const choices = choiceFlags(commands).map(
    ([name, values]) =>
      `    --${name}) COMPREPLY=($(compgen -P "$inside" -W '${values.join(' ')}' -- "$current")); return ;;`,
  );
  const perCommand = commands.map((command) => {
    const words = [...spellings(command)].join(' ');
    const values = command.positional?.choices?.join(' ') ?? '';
    return `    ${command.name}) flags='${words}'; values='${values}' ;;`;
  });
  return `# colonnade completion for bash: colonnade completion bash >> ~/.bashrc
_colonnade() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" flags='' values=''
  COMPREPLY=()
  # bash splits words at the = of --flag=value, unless COMP_WORDBREAKS has none.
  local inside=''
  if [ "$current" = '=' ]; then
    current=''
  elif [ "$previous" = '=' ] && [ "$COMP_CWORD" -gt 2 ]; then
    previous="\${COMP_WORDS[COMP_CWORD-2]}"
  elif [[ "$current" == --*=* ]]; then
    previous="\${current%%=*}" inside="\${current%%=*}=" current="\${current#*=}"
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names} --help --version' -- "$current"))
    return
  fi
  case "$previous" in
${choices.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${perCommand.join('\n')}
  esac
  case "$current" in
    -*) [ -n "$inside" ] || COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;
    *) if [ -n "$values" ]; then COMPREPLY=($(compgen -W "$values" -- "$current")); fi ;;
  esac
}
complete -o bashdefault -o default -F _colonnade colonnade
`;
}

export function zshCompletion(commands: readonly Command[]): string {
  const list = commands.map(({ name, summary }) => `    ${zshWord(`${name}:${summary}`)}`).join('\n');
  const cases = commands
    .map((command) => {
      const flags = Object.entries(command.flags).flatMap(([name, flag]) => zshFlags(name, flag));
      const { positional } = command;
      const what =
        positional === undefined
          ? []
          : [
              `${positional.many ? '*' : '1'}:${positional.name}:${positional.choices === undefined ? '_files' : `(${positional.choices.join(' ')})`}`,
            ];
      const specs = [...flags, '--help[Show help]', ...what].map((spec) => `        ${zshWord(spec)}`);
      return `    ${command.name})\n      _arguments \\\n${specs.join(' \\\n')} ;;`;
    })
    .join('\n');
  return `#compdef colonnade
# colonnade completion for zsh: colonnade completion zsh >> ~/.zshrc
_colonnade() {
  local -a commands=(
${list}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases}
  esac
}
if [ "$funcstack[1]" = "_colonnade" ]; then _colonnade "$@"; elif (( $+functions[compdef] )); then compdef _colonnade colonnade; fi
`;
}

/** \`--log-level[Least weight]:LEVEL:(error warn)\`; a flag that may be repeated begins with a star. */
function zshFlags(name: string, flag: Flag): string[] {
  const text = flag.describe.replaceAll(/[[\]:]/g, (character) => `\\${character}`);
  const value =
    flag.kind === 'boolean'
      ? ''
      : `:${flag.value ?? 'value'}:${flag.choices === undefined ? '' : `(${flag.choices.join(' ')})`}`;
  const repeat = flag.kind === 'list' ? '*' : '';
  return [name, ...(flag.alias === undefined ? [] : [flag.alias])].map(
    (spelling) => `${repeat}${dashed(spelling)}[${text}]${value}`,
  );
}

function zshWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function fishCompletion(commands: readonly Command[]): string {
  const lines = [
    '# colonnade completion for fish: colonnade completion fish > ~/.config/fish/completions/colonnade.fish',
    'complete -c colonnade -n __fish_use_subcommand -f',
    ...commands.map(
      ({ name, summary }) => `complete -c colonnade -n __fish_use_subcommand -a ${name} -d ${fishWord(summary)}`,
    ),
  ];
  for (const { name, flags, positional } of commands) {
    const on = `complete -c colonnade -n '__fish_seen_subcommand_from ${name}'`;
    for (const [flagName, flag] of Object.entries(flags)) {
      const names = [flagName, ...(flag.alias === undefined ? [] : [flag.alias])].map((word) =>
        word.length === 1 ? `-s ${word}` : `-l ${word}`,
      );
      const value =
        flag.kind === 'boolean'
          ? ''
          : ` -x${flag.choices === undefined ? '' : ` -a ${fishWord(flag.choices.join(' '))}`}`;
      lines.push(`${on} ${names.join(' ')}${value} -d ${fishWord(flag.describe)}`);
    }
    if (positional?.choices !== undefined) lines.push(`${on} -f -a ${fishWord(positional.choices.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}

function fishWord(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
