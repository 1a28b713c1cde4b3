const PRUNE_ABOVE = 10_000;

/** The ids of assertions that were used, kept until they end (RFC 7523 section 3, point 7). */
export class SeenAssertions {
  readonly #endsAt = new Map<string, number>();

  /** Whether it was used before, or has no id; if not, it is from now on. Epoch seconds. */
  isKnown(clientId: string, jti: string | undefined, endsAt: number, now: number): boolean {
    const key = `${clientId} ${jti}`;
    if (jti === undefined || this.#endsAt.has(key)) return true;
    if (this.#endsAt.size >= PRUNE_ABOVE) this.#prune(now);
    this.#endsAt.set(key, endsAt);
    return false;
  }

  /** One that has ended is refused by its time. */
  #prune(now: number): void {
    for (const [key, endsAt] of this.#endsAt) if (endsAt < now - 60) this.#endsAt.delete(key);
  }
}
