/** Messages on stderr: JSON records by pino, or lines for people. */
import { pino, type Logger } from 'pino';
import type { OutputOptions } from './flags.js';
import type { Colors, TextOutput } from './output.js';
import { printable } from './render/printable.js';

/** `json`: one record a line. `lines`: dated lines. `terminal`: bare lines, for someone who watches. */
export type LogStyle = 'json' | 'lines' | 'terminal';

export function logStyle(
  { logFormat }: Pick<OutputOptions, 'logFormat'>,
  stderr: Pick<TextOutput, 'interactive'>,
): LogStyle {
  if (logFormat === 'json' || (logFormat === 'auto' && !stderr.interactive)) return 'json';
  return stderr.interactive ? 'terminal' : 'lines';
}

/** A logger that writes to stderr; a reader that goes away does not disturb it. */
export function createLog(options: Pick<OutputOptions, 'logFormat' | 'logLevel'>, stderr: TextOutput): Logger {
  const style = logStyle(options, stderr);
  const write =
    style === 'json'
      ? (record: string): void => {
          stderr.write(record);
        }
      : (record: string): void => {
          stderr.write(`${formatRecord(JSON.parse(record) as LogRecord, style, stderr.colors)}\n`);
        };
  return pino(
    {
      level: options.logLevel,
      base: { name: 'colonnade', pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
}

/** A record as pino writes it. */
export interface LogRecord {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

/** Fields that every record has and nobody reads on a line. */
const COMMON = new Set(['level', 'time', 'msg', 'name', 'pid', 'run_id']);

/** A record as one line; its fields follow at `debug` and `trace`, where nothing else tells them. */
export function formatRecord(record: LogRecord, style: Exclude<LogStyle, 'json'>, colors: Colors): string {
  const { level, msg = '' } = record;
  const detailed = level === 'debug' || level === 'trace';
  const fields = detailed
    ? Object.entries(record)
        .filter(([name]) => !COMMON.has(name))
        .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
        .join('')
    : '';
  const text = printable(`${msg}${fields === '' ? '' : colors.dim(fields)}`.replaceAll('\n', '\n    ')).trimEnd();
  const label = { error: colors.red, warn: colors.yellow }[level] ?? colors.dim;
  if (style === 'lines') return `${record.time.slice(0, 19)}Z ${level.padEnd(5)} ${text}`;
  if (level === 'info') return text;
  return `${label(level === 'warn' ? 'warning' : level)} ${text}`;
}
