/** Gathers what is wrong with a plan, so that a person sees all of it at once. */
import { ColonnadeError, type ErrorCode, type Problem } from '../errors.js';

export class Findings {
  readonly #found: { readonly code: ErrorCode; readonly problem: Problem }[] = [];

  add(code: ErrorCode, problem: Problem): void {
    this.#found.push({ code, problem });
  }

  /** True while nothing was found. */
  get none(): boolean {
    return this.#found.length === 0;
  }

  /**
   * @throws ColonnadeError with the code of the first finding and all findings as its problems, where there are any.
   */
  throwIfAny(): void {
    const first = this.#found[0];
    if (first === undefined) return;
    const problems = this.#found.map(({ problem }) => problem);
    const message = problems.length === 1 ? first.problem.message : `${problems.length} things do not fit`;
    throw new ColonnadeError(first.code, message, {
      phase: 'plan',
      problems,
      ...(problems.length === 1 && first.problem.hint !== undefined ? { hint: first.problem.hint } : {}),
    });
  }
}
