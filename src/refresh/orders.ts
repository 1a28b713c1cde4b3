/** What an operator may order through the `commands` queue. The queue adapter checks the shapes. */

export interface RefreshOrder {
  readonly select: string;
  readonly all?: boolean | undefined;
  /** Refresh although the plan says later. Without it only what is due or missing is refreshed. */
  readonly force?: boolean | undefined;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** No pause may last longer. */
export const LONGEST_PAUSE_MS = 24 * 3_600_000;

export interface PauseOrder {
  readonly select: string;
  readonly all?: boolean | undefined;
  /** How long from now, ms: at most 24 h. */
  readonly forMs?: number | undefined;
  /** Until when, epoch ms; instead of `forMs`. */
  readonly untilMs?: number | undefined;
  readonly by?: string | undefined;
}

export interface ResumeOrder {
  readonly select: string;
  readonly by?: string | undefined;
}

export interface PurgeOrder {
  readonly select: string;
  readonly all?: boolean | undefined;
  readonly by?: string | undefined;
}

export interface AddOrder {
  readonly client: string;
  readonly tenants: readonly string[];
  readonly by?: string | undefined;
}

export interface RemoveOrder {
  readonly client: string;
  /** Empty with `absent`. */
  readonly tenants: readonly string[];
  /** Instead of tenants: confirms the removal of whatever of the client is no longer configured. */
  readonly absent?: boolean | undefined;
  readonly by?: string | undefined;
}

/** What became of an order: the return value of its job. */
export interface OrderResult {
  /** Managed targets that the order means. */
  readonly matched: number;
  /** Those for which it was carried out or will be. */
  readonly accepted: number;
  readonly refused: number;
  /** Why, with how many: `{ "fresh": 3, "identical limit": 1 }`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** A forced refresh: it is done for a target when its generation has reached this. */
  readonly order?: number;
  /** A pause: until when, epoch seconds. */
  readonly until?: number;
}

/** Counts what happens to the targets of one order. */
export class Tally {
  #accepted = 0;
  readonly #reasons = new Map<string, number>();

  accept(count = 1): void {
    this.#accepted += count;
  }

  refuse(reason: string): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }

  get matched(): number {
    return this.#accepted + this.#refused;
  }

  get #refused(): number {
    return [...this.#reasons.values()].reduce((sum, count) => sum + count, 0);
  }

  result(extra: Pick<OrderResult, 'order' | 'until'> = {}): OrderResult {
    return {
      matched: this.matched,
      accepted: this.#accepted,
      refused: this.#refused,
      reasons: Object.fromEntries(this.#reasons),
      ...extra,
    };
  }
}
