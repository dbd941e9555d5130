/**
 * What a command of the command line is: plain data for parsing, help, "did you mean" and completion, and a function
 * that does it. A command's module imports no more than this; what it needs to work it imports when it is called, so
 * that `--help` does not load DuckDB.
 */
import type { TextOutput } from './output.js';

/** What a command sees of the process. */
export interface Terminal {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Colonnade's own version. */
  readonly version: string;
  /** Aborted by SIGINT and SIGTERM, with a ColonnadeError as reason. */
  readonly signal: AbortSignal;
}

/** A flag of the command line. */
export interface Flag {
  readonly describe: string;
  /** The heading that it stands under in help. */
  readonly group: string;
  /** `boolean`: without a value. `text`: with one; the last one counts. `list`: with one, as often as wanted. */
  readonly kind: 'boolean' | 'text' | 'list';
  /** What the value is called in help: `N`, `KEY=VALUE`. */
  readonly value?: string;
  readonly alias?: string;
  readonly choices?: readonly string[];
  /** What help says of the default. */
  readonly fallback?: string;
}

/** The positional argument of a command. */
export interface Positional {
  readonly name: string;
  readonly describe: string;
  readonly required: boolean;
  readonly many: boolean;
  readonly choices?: readonly string[];
}

/** Flags and positionals as given: text, lists of text, true, or undefined. */
export type Arguments = Readonly<Record<string, unknown>>;

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** More about it, for its own help. */
  readonly about: string;
  readonly positional?: Positional;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly examples: readonly (readonly [line: string, what: string])[];
  /**
   * Does it.
   * @returns the exit status.
   * @throws ColonnadeError for what was foreseen; anything else is a fault of Colonnade.
   */
  run(args: Arguments, terminal: Terminal): Promise<number>;
}
