/** What no client must do. */
export const VIOLATIONS = [
  'retry-after-ignored',
  'loop',
  'secret-in-url',
  'common-tenant',
  'not-post',
  'not-a-form',
  'too-large',
  'duplicate-parameter',
  'two-authentications',
  'assertion-reused',
  'redirect-followed',
] as const;
export type ViolationName = (typeof VIOLATIONS)[number];

/** Who did it, and never what it was done with. */
export interface Violation {
  /** Epoch ms. */
  readonly at: number;
  readonly name: ViolationName;
  readonly tenant: string;
  readonly clientId: string;
}

const MOST_KEPT = 200;

/** The counts of all, and the newest 200. */
export class Violations {
  readonly #counts: Partial<Record<ViolationName, number>> = {};
  readonly #newest: Violation[] = [];

  add(violation: Violation): void {
    this.#counts[violation.name] = (this.#counts[violation.name] ?? 0) + 1;
    this.#newest.push(violation);
    if (this.#newest.length > MOST_KEPT) this.#newest.shift();
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  /** Oldest first. */
  newest(): readonly Violation[] {
    return this.#newest;
  }
}
