/** From the process to a command and back: streams, signals, errors and the exit status. */
import { ColonnadeError, EXIT, messageOf } from '../errors.js';
import { versions } from '../run/versions.js';
import type { Terminal } from './command.js';
import { COMMANDS } from './commands.js';
import { writeError } from './error-output.js';
import { readOutputOptions, type OUTPUT_FLAGS } from './flags.js';
import { TextOutput } from './output.js';
import { parseCommandLine } from './parse.js';
import { commandHelp, programHelp } from './render/help.js';
import { toJson } from './render/json.js';
import { abortOnSignals } from './signals.js';

/** Lines of help are no longer than this, however wide the terminal is. */
const WIDEST_HELP = 110;
const SHOW_CURSOR = '\u001b[?25h';
/** After a second signal the process ends at the latest after this many milliseconds. */
const LET_GO_MS = 500;

/** Does what the command line of the process asks for and ends the process with the exit status of the contract. */
export async function runCommandLine(process: NodeJS.Process): Promise<void> {
  const argv = process.argv.slice(2);
  const stdout = new TextOutput(process.stdout, process.env);
  const stderr = new TextOutput(process.stderr, process.env);
  let stopped: number | undefined;
  const fault = new AbortController();
  const asked = abortOnSignals(process, {
    onSecond: (status) => {
      // A bar hides the cursor; nobody else will bring it back.
      if (stopped === undefined && stderr.interactive) process.stderr.write(`\r\n${SHOW_CURSOR}`);
      stopped = status;
      // Not at once: to exit waits for DuckDB's threads, and these may be waiting for this one to take their rows. The
      // first signal has ended their query, which they see at their next turn.
      setTimeout(() => process.exit(status), LET_GO_MS);
    },
  });
  const signal = AbortSignal.any([asked, fault.signal]);
  const terminal: Terminal = {
    stdout,
    stderr,
    env: process.env,
    cwd: process.cwd(),
    version: versions()['colonnade'] ?? '',
    signal,
  };
  // What is thrown outside of any promise is told like any other fault.
  process.on('uncaughtException', (error) => {
    const status = reportError(error, argv, terminal);
    stopped ??= status;
    // As after a signal: what is under way is ended first.
    fault.abort(error);
    setTimeout(() => void end(process, terminal, status), LET_GO_MS);
  });
  let status: number;
  try {
    status = await dispatch(argv, terminal);
  } catch (error) {
    if (stopped !== undefined) process.exit(stopped);
    status = reportError(error, argv, terminal);
  }
  await end(process, terminal, status);
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { stdout, stderr } = terminal;
  const parsed = parseCommandLine(argv, COMMANDS);
  switch (parsed.kind) {
    case 'command':
      // Every command has these; what is wrong with them is told before anything is looked at.
      readOutputOptions(parsed.args);
      return parsed.command.run(parsed.args, terminal);
    case 'version':
      stdout.write(`${terminal.version}\n`);
      return EXIT.ok;
    case 'help': {
      const columns = Math.min(stdout.columns, WIDEST_HELP);
      stdout.write(
        parsed.command === undefined
          ? programHelp(COMMANDS, columns, stdout.colors)
          : commandHelp(parsed.command, columns, stdout.colors),
      );
      return EXIT.ok;
    }
    case 'nothing':
      stderr.write(programHelp(COMMANDS, Math.min(stderr.columns, WIDEST_HELP), stderr.colors));
      return EXIT.usage;
  }
}

/**
 * Tells an error: on stderr as text, or as a record where the log is JSON by request; with `--json` as an object on
 * stdout as well, so that a script always finds one.
 * @returns the exit status.
 */
function reportError(thrown: unknown, argv: readonly string[], terminal: Terminal): number {
  const flags = flagsOf(argv);
  const error = thrown instanceof ColonnadeError ? thrown : internalError(thrown);
  if (flags.some((argument) => /^--json(=true)?$/.test(argument)))
    terminal.stdout.write(`${toJson({ status: 'failed', error: error.toJSON() })}\n`);
  const json = valueOf(flags, 'log-format') === 'json';
  writeError(error, json ? 'json' : 'pretty', terminal);
  const stack = stackOf(thrown);
  if (!json && stack !== undefined && ['debug', 'trace'].includes(valueOf(flags, 'log-level') ?? '')) {
    terminal.stderr.write(`\n${stack}\n`);
  }
  return error.exitCode;
}

/** What was not foreseen is a fault of Colonnade's own. */
function internalError(thrown: unknown): ColonnadeError {
  return new ColonnadeError('INTERNAL', messageOf(thrown), {
    phase: 'run',
    cause: thrown,
    hint: 'this is a fault of Colonnade: please report it, with what the same command writes with --log-level debug',
  });
}

/** The stack of an error and of its causes. */
function stackOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const cause = stackOf(thrown.cause);
  return `${thrown.stack ?? thrown.message}${cause === undefined ? '' : `\ncaused by ${cause}`}`;
}

/** The arguments before `--`: what follows are names of files. */
function flagsOf(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

/** The value of an output flag as it stands in the arguments; they may not have been understood. */
function valueOf(argv: readonly string[], flag: keyof typeof OUTPUT_FLAGS): string | undefined {
  const at = argv.findLastIndex((argument) => argument === `--${flag}` || argument.startsWith(`--${flag}=`));
  const argument = argv[at];
  return argument?.includes('=') === true
    ? argument.slice(argument.indexOf('=') + 1)
    : argument === undefined
      ? undefined
      : argv[at + 1];
}

/** Ends the process once every byte is out: a pipe's reader may be slow. */
async function end(process: NodeJS.Process, terminal: Terminal, status: number): Promise<never> {
  process.exitCode = status;
  try {
    await terminal.stdout.flushed();
  } catch (error) {
    const failure = new ColonnadeError('IO_FAILED', `stdout cannot be written: ${messageOf(error)}`, {
      phase: 'run',
      hint: 'what the command did is done; only its result could not be told',
      cause: error,
    });
    writeError(failure, 'pretty', terminal);
    process.exitCode = status === EXIT.ok ? EXIT.failed : status;
  }
  await terminal.stderr.flushed().catch(() => undefined);
  process.exit();
}
