/** `colonnade completion`: scripts that complete commands, flags and files in a shell. */
import type { Command, Terminal } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions, usageError } from './flags.js';
import { bashCompletion, fishCompletion, zshCompletion } from './render/completion.js';
import { toJson } from './render/json.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const SCRIPTS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** @param commands all commands, this one among them. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Print a completion script for bash, zsh or fish',
    about:
      'Prints a script that completes commands, flags, their values and files. Without a name it is for the shell that $SHELL names.',
    positional: { name: 'shell', describe: 'The shell', required: false, many: false, choices: SHELLS },
    flags: OUTPUT_FLAGS,
    examples: [
      ['colonnade completion bash >> ~/.bashrc', 'bash'],
      ['colonnade completion zsh >> ~/.zshrc', 'zsh'],
      ['colonnade completion fish > ~/.config/fish/completions/colonnade.fish', 'fish'],
    ],
    run(args, terminal) {
      const shell = shellOf(args['shell'], terminal);
      const script = SCRIPTS[shell](commands());
      terminal.stdout.write(readOutputOptions(args).json ? `${toJson({ status: 'done', shell, script })}\n` : script);
      return Promise.resolve(0);
    },
  };
}

function shellOf(given: unknown, { env }: Terminal): Shell {
  const name = given ?? env['SHELL']?.split('/').at(-1);
  const shell = SHELLS.find((candidate) => candidate === name);
  if (shell === undefined) throw usageError('which shell?', `name one: colonnade completion ${SHELLS.join('|')}`);
  return shell;
}
