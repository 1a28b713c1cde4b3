/** What passed after the end of an outage. */
export interface Recovery {
  readonly outageEndedAt: number;
  /** Targets that were due when the outage ended. */
  readonly backlog: number;
  /** Until all of them were refreshed; undefined: the run ended before. */
  readonly tookMs: number | undefined;
}

/** Follows each backlog until all of it has been refreshed. */
export class Recoveries {
  readonly #open: {
    outageEndedAt: number;
    backlog: number;
    left: Set<number>;
    tookMs: number | undefined;
  }[] = [];

  begin(due: readonly number[], now: number): void {
    const tookMs = due.length === 0 ? 0 : undefined;
    this.#open.push({ outageEndedAt: now, backlog: due.length, left: new Set(due), tookMs });
  }

  refreshed(target: number, now: number): void {
    for (const recovery of this.#open) {
      if (recovery.left.delete(target) && recovery.left.size === 0)
        recovery.tookMs = now - recovery.outageEndedAt;
    }
  }

  get all(): readonly Recovery[] {
    return this.#open;
  }
}
