import type { Moment } from '../core/client-authentication.ts';
import type { Secret } from '../core/secret.ts';

interface Signed {
  readonly assertion: Promise<Secret>;
  readonly signedAt: number;
}

/** A client with more tenants than that signs more often, instead of holding ever more assertions. */
const AT_MOST = 1000;
/** What an assertion must have left when it is sent again, for the way to the server and for its clock. */
const SPARE_MS = 120_000;
/** Requests that begin together may come here in another order than their times. */
const JITTER_MS = 1000;

/** Assertions that may be sent again. Requests that want the same one at the same time share one signature. */
export class AssertionCache {
  readonly #signed = new Map<string, Signed>();
  readonly #usableMs: number;

  /** `lifetimeMs`: of each assertion. */
  constructor(lifetimeMs: number) {
    this.#usableMs = lifetimeMs - Math.min(SPARE_MS, lifetimeMs / 2);
  }

  /** The one under `key` if it may still be sent, or what `sign` gives. */
  take(key: string, { now, signAgain }: Moment, sign: () => Promise<Secret>): Promise<Secret> {
    const known = this.#signed.get(key);
    if (known && !signAgain && this.#isUsable(known, now)) return known.assertion;
    const fresh = { assertion: sign(), signedAt: now };
    // Deleted first, so that the order of the map is the order of signing.
    this.#signed.delete(key);
    this.#signed.set(key, fresh);
    this.#dropOldest();
    fresh.assertion.catch(() => {
      if (this.#signed.get(key) === fresh) this.#signed.delete(key);
    });
    return fresh.assertion;
  }

  /** One from the future was signed before the clock was corrected: the server would say "not yet valid". */
  #isUsable({ signedAt }: Signed, now: number): boolean {
    return signedAt <= now + JITTER_MS && now < signedAt + this.#usableMs;
  }

  #dropOldest(): void {
    const oldest = this.#signed.size > AT_MOST ? this.#signed.keys().next() : undefined;
    if (oldest?.done === false) this.#signed.delete(oldest.value);
  }
}
