/** Gathers what is wrong with a pipeline file, so that all of it is told at once. */
import { ColonnadeError, type Position, type Problem } from '../errors.js';
import { excerptAt, LineIndex } from './excerpt.js';
import { keyPath, type Segment } from './key-path.js';

const HINT =
  'docs/pipeline-file.md tells what a pipeline file holds; `colonnade validate` checks it without running it';
/** More than this nobody reads; the rest is counted. */
export const MOST_PROBLEMS = 100;

/** A finding before it is given its place in the file. */
export interface Finding {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly path?: readonly Segment[];
  /** Where in the text, in UTF-16 units; absent where it is not in the text, as for a variable of the command line. */
  readonly offset?: number | undefined;
}

/** Collects findings about one file. */
export class ProblemList {
  readonly lines: LineIndex;
  private readonly file: string;
  private readonly found: Problem[] = [];
  private omitted = 0;

  constructor(file: string, text: string) {
    this.file = file;
    this.lines = new LineIndex(text);
  }

  get empty(): boolean {
    return this.found.length === 0;
  }

  add(finding: Finding): void {
    if (this.found.length >= MOST_PROBLEMS) {
      this.omitted++;
      return;
    }
    const position = finding.offset === undefined ? undefined : this.lines.position(finding.offset);
    this.found.push({
      message: finding.message,
      ...(finding.hint === undefined ? {} : { hint: finding.hint }),
      file: this.file,
      ...(position === undefined ? {} : { position, excerpt: excerptAt(this.lines, position) }),
      ...(finding.path === undefined ? {} : { key: keyPath(finding.path) }),
    });
  }

  /** The error that tells all findings in the order of the file; those without a place come last. */
  error(): ColonnadeError {
    const problems = this.found.toSorted((a, b) => order(a.position, b.position));
    const count = problems.length + this.omitted;
    const first = this.omitted === 0 ? '' : `, the first ${MOST_PROBLEMS} of which are told`;
    return new ColonnadeError(
      'PIPELINE_INVALID',
      `${this.file} has ${count === 1 ? '1 problem' : `${count} problems`}${first}`,
      {
        phase: 'pipeline',
        problems,
        // Where none of them tells a way out by itself.
        ...(problems.some(({ hint }) => hint !== undefined) ? {} : { hint: HINT }),
      },
    );
  }
}

function order(a: Position | undefined, b: Position | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1;
  return a.line - b.line || a.column - b.column;
}

/**
 * A problem as people read it: `file:line:column: message`, the excerpt, the hint.
 * Problems without a place in a file begin with the message.
 */
export function formatProblem(problem: Problem): string {
  const place = problem.position === undefined ? '' : `:${problem.position.line}:${problem.position.column}`;
  const head = problem.file === undefined ? problem.message : `${problem.file}${place}: ${problem.message}`;
  const excerpt = problem.excerpt === undefined ? [] : problem.excerpt.split('\n').map((line) => `    ${line}`);
  const hint = problem.hint === undefined ? [] : [`  hint: ${problem.hint}`];
  return [head, ...excerpt, ...hint].join('\n');
}
