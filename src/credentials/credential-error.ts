import type { Problem } from '../core/failure.ts';

/**
 * Why a credential cannot be used now. The message says what was expected and what came, as the end of a sentence:
 * "the file is empty". It never holds what was read, nor what a library or a server said.
 */
export class CredentialError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, detail: string) {
    super(detail);
    this.name = 'CredentialError';
    this.problem = problem;
  }
}
