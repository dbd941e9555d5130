/** Flags that several commands share, and how their values are read. */
import { ColonnadeError } from '../errors.js';
import type { Arguments, Flag } from './command.js';

export const LOG_FORMATS = ['auto', 'pretty', 'json'] as const;
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];

const PIPELINE = 'Pipeline:';
const OUTPUT = 'Output:';

/** Values for the pipeline file. */
export const VAR_FLAG = {
  var: {
    describe: 'Set a variable of the pipeline; may be repeated',
    group: PIPELINE,
    kind: 'list',
    value: 'KEY=VALUE',
  },
} as const satisfies Record<string, Flag>;

export const WORKERS_FLAG = {
  workers: {
    describe: 'Worker processes; overrides run.workers of the pipeline',
    group: PIPELINE,
    kind: 'text',
    value: 'N|auto',
  },
} as const satisfies Record<string, Flag>;

export const REPLACE_FLAG = {
  replace: {
    describe: 'Replace an earlier output, as sink.exists: replace does',
    group: PIPELINE,
    kind: 'boolean',
  },
} as const satisfies Record<string, Flag>;

/** How results and messages are written; every command has these. */
export const OUTPUT_FLAGS = {
  json: { describe: 'Write the result to stdout as one JSON object', group: OUTPUT, kind: 'boolean' },
  quiet: {
    describe:
      'Tell only warnings and errors: no summary, verdicts or progress. What plan, preview, inspect, tune or --json is asked for is shown',
    group: OUTPUT,
    kind: 'boolean',
    alias: 'q',
  },
  'log-format': {
    describe: 'Form of messages on stderr; auto: pretty on a terminal, JSON elsewhere',
    group: OUTPUT,
    kind: 'text',
    value: 'FORMAT',
    choices: LOG_FORMATS,
    fallback: 'auto',
  },
  'log-level': {
    describe: 'Least weight of messages on stderr',
    group: OUTPUT,
    kind: 'text',
    value: 'LEVEL',
    choices: LOG_LEVELS,
    fallback: 'info',
  },
} as const satisfies Record<string, Flag>;

/** {@link OUTPUT_FLAGS} as read. */
export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly logFormat: LogFormat;
  /** No lower than `warn` where `quiet`. */
  readonly logLevel: LogLevel;
}

export function readOutputOptions(args: Arguments): OutputOptions {
  const quiet = args['quiet'] === true;
  const level = oneOf('log-level', LOG_LEVELS, args['log-level'] ?? 'info');
  return {
    json: args['json'] === true,
    quiet,
    logFormat: oneOf('log-format', LOG_FORMATS, args['log-format'] ?? 'auto'),
    logLevel: quiet && level !== 'error' ? 'warn' : level,
  };
}

/**
 * `--var day=2026-11-01 --var region=north` as an object; the value is everything after the first `=`.
 * @throws ColonnadeError `USAGE` for one without `=` or without a name, and for a name given twice with two values.
 */
export function readVars(args: Arguments): Record<string, string> {
  const vars = new Map<string, string>();
  for (const item of (args['var'] as readonly string[] | undefined) ?? []) {
    const at = item.indexOf('=');
    if (at < 1) throw usageError(`--var ${item}: KEY=VALUE is wanted`, 'for instance --var day=2026-11-01');
    const key = item.slice(0, at).trim();
    const value = item.slice(at + 1);
    const before = vars.get(key);
    if (before !== undefined && before !== value) {
      throw usageError(`--var ${key} is given twice, as ${before} and as ${value}`, 'give it once');
    }
    vars.set(key, value);
  }
  return Object.fromEntries(vars);
}

/**
 * @returns undefined where the flag is not given.
 * @throws ColonnadeError `USAGE` for anything but `auto` and whole numbers from 1 to 1024.
 */
export function readWorkers(args: Arguments): number | 'auto' | undefined {
  const value = args['workers'];
  if (value === undefined || value === 'auto') return value;
  return wholeNumber('--workers', value, 1, 1024, 'a whole number from 1 to 1024, or auto');
}

/** @throws ColonnadeError `USAGE` for anything else than a whole number between `least` and `most`. */
export function wholeNumber(flag: string, value: unknown, least: number, most: number, allowed?: string): number {
  const text = String(value);
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) {
    throw usageError(`${flag} ${text}: ${allowed ?? `a whole number from ${least} to ${most}`} is wanted`);
  }
  return number;
}

/** An error of usage: exit status 64. */
export function usageError(message: string, hint?: string): ColonnadeError {
  return new ColonnadeError('USAGE', message, { phase: 'usage', ...(hint === undefined ? {} : { hint }) });
}

function oneOf<const T extends string>(flag: string, allowed: readonly T[], value: unknown): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw usageError(`--${flag} ${String(value)}: one of ${allowed.join(', ')} is wanted`);
  return found;
}
