/** An error as people read it: code, message, each finding with its place and a caret, and the way out. */
import type { ColonnadeError, Problem } from '../../errors.js';
import { formatProblem } from '../../pipeline/problems.js';
import type { Colors } from '../output.js';
import { shortenPaths, shownPath } from './path.js';
import { printable } from './printable.js';

/**
 * @param cwd paths below it are shown relative to it.
 * @returns lines with an end.
 */
export function renderError(error: ColonnadeError, cwd: string, colors: Colors): string {
  const lines: string[] = [];
  const [only] = error.problems;
  // An error with one finding often has its message: once is enough.
  const repeats = error.problems.length === 1 && only?.message === error.message;
  const message = shortenPaths(printable(error.message), cwd);
  lines.push(`${colors.red(colors.bold(`error ${error.code}`))} ${colors.bold(message)}`);
  if (repeats) lines.push(...placeOf(only, cwd, colors));
  else for (const problem of error.problems) lines.push('', ...renderProblem(problem, cwd, colors));
  const hint = error.hint ?? (repeats ? only.hint : undefined);
  if (hint !== undefined) {
    if (!repeats && error.problems.length > 0) lines.push('');
    lines.push(...hintLines(hint, '  ', cwd, colors));
  }
  return `${lines.join('\n')}\n`;
}

/** One finding: `file:line:column: message`, the excerpt, the hint. */
export function renderProblem(problem: Problem, cwd: string, colors: Colors): string[] {
  const shown = problem.file === undefined ? problem : { ...problem, file: shownPath(problem.file, cwd) };
  const { hint, ...rest } = shown;
  const [head = '', ...excerpt] = shortenPaths(printable(formatProblem(rest)), cwd).split('\n');
  const place = placeText(shown);
  const headline = place !== '' && head.startsWith(place) ? `${colors.cyan(place)}${head.slice(place.length)}` : head;
  return [
    `  ${headline}`,
    ...excerpt.map((line) => `  ${excerptLine(line, colors)}`),
    ...(hint === undefined ? [] : hintLines(hint, '      ', cwd, colors)),
  ];
}

function placeOf(problem: Problem, cwd: string, colors: Colors): string[] {
  const file = problem.file === undefined ? '' : placeText({ ...problem, file: shownPath(problem.file, cwd) });
  const excerpt = problem.excerpt === undefined ? [] : printable(problem.excerpt).split('\n');
  return [
    ...(file === '' ? [] : [`  ${colors.dim('at')} ${colors.cyan(file)}`]),
    ...excerpt.map((line) => `    ${excerptLine(line, colors)}`),
  ];
}

function placeText({ file, position }: Problem): string {
  if (file === undefined) return '';
  return position === undefined ? printable(file) : `${printable(file)}:${position.line}:${position.column}`;
}

function excerptLine(line: string, colors: Colors): string {
  const caret = /^( *\| *)(\^+)$/.exec(line);
  if (caret !== null) return `${colors.dim(caret[1] ?? '')}${colors.red(caret[2] ?? '')}`;
  const bar = line.indexOf('|');
  return bar === -1 ? line : `${colors.dim(line.slice(0, bar + 1))}${line.slice(bar + 1)}`;
}

function hintLines(hint: string, indent: string, cwd: string, colors: Colors): string[] {
  const [first = '', ...rest] = shortenPaths(printable(hint), cwd).split('\n');
  return [`${indent}${colors.green('hint:')} ${first}`, ...rest.map((line) => `${indent}      ${line}`)];
}
