/**
 * A claim is a lease on the work: what is not concluded by its end is offered again. It has to be long enough
 * for a slow endpoint and short enough for the life at stake, so it follows the life that is left:
 *
 *   attempt time-out < lease < claim
 *
 * Both are shares of what is left of the claim when the attempt begins, so the inequality holds by construction.
 */
export const CLAIM = {
  /** The work may wait this long in the queue, on top. */
  queueMs: 2000,
  /** Share of the life left that a lost claim may cost. */
  shareOfLife: 0.3,
  shortestMs: 3000,
  longestMs: 18_000,
  /** For a target without a live token: there is no life to be measured by. */
  withoutTokenMs: 10_000,
} as const;

/** No claim, and so no lease, reaches further than this. */
export const LONGEST_CLAIM_MS = CLAIM.queueMs + CLAIM.longestMs;
const LONGEST_ATTEMPT_MS = 10_000;
const LEASE_SHARE = 0.85;
const ATTEMPT_SHARE = 0.7;
/** With less than this left of its claim a job is not begun: the claim's end will offer the target again. */
const SHORTEST_ATTEMPT_MS = 500;

export interface AttemptTiming {
  /** For one attempt with all of its requests. */
  readonly timeoutMs: number;
  readonly leaseMs: number;
}

/** Whether a due score can be the end of a claim. One further away is a plan: that job has not been claimed. */
export function isClaim(dueAt: number, now: number): boolean {
  return dueAt - now <= LONGEST_CLAIM_MS;
}

/** How long an attempt may take that begins now under a claim that ends at `claimUntil`; undefined: not at all. */
export function attemptTiming(claimUntil: number, now: number): AttemptTiming | undefined {
  const left = Math.min(claimUntil - now, LONGEST_CLAIM_MS);
  const timeoutMs = Math.min(LONGEST_ATTEMPT_MS, Math.floor(left * ATTEMPT_SHARE));
  return timeoutMs >= SHORTEST_ATTEMPT_MS
    ? { timeoutMs, leaseMs: Math.floor(left * LEASE_SHARE) }
    : undefined;
}
