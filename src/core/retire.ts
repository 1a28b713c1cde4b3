import { LONGEST_CLAIM_MS } from './claim.ts';
import type { Span } from './plan.ts';
import { hasLiveToken, isWanted, type TargetPolicy, type TargetState } from './state.ts';

/**
 * Demand-aware refresh (`refresh.retireUnreadAfter`): a target whose token nobody has read for that long is left alone
 * until somebody asks. All of it errs towards refreshing: whatever is not known counts as a read.
 */

/** A reader may come until the end: what is unread when it is due is looked at once more after this share of its life. */
const LAST_LOOK_SHARE = 0.9;
const LAST_LOOK_AT_LEAST = 0.5;

const DAY_MS = 86_400_000;
/** A dormant target is looked at once in a while, only so that its state is kept. */
const DORMANT_LOOK: Span = { from: 400 * DAY_MS, to: 430 * DAY_MS };
/** For so long the state of a dormant target is kept: longer than until it is looked at next. */
export const KEEP_DORMANT_MS = 500 * DAY_MS;
/** Nothing but a dormant target is planned so far ahead: the longest life of a token is 31 days. */
export const BEYOND_ANY_PLAN_MS = 32 * DAY_MS;

type RetirePolicy = Pick<TargetPolicy, 'retireUnreadAfterMs'>;

/**
 * Whether it is left alone until somebody asks. One that is wanted, or whose client no longer retires, is not; nor is one
 * that has got a token since, of a daemon that does not know of dormancy and so has not ended it.
 */
export function isDormant(state: TargetState, policy: RetirePolicy): boolean {
  const isLeftAlone = state.dormantSince > state.issuedAt && !isWanted(state);
  return isLeftAlone && policy.retireUnreadAfterMs !== undefined;
}

/**
 * Whether, by what the state alone knows of reads, it may be time to retire: only then it is worth asking for how long
 * the token key has been idle.
 */
export function looksUnread(state: TargetState, policy: RetirePolicy, now: number): boolean {
  return isUnread(state, policy, now, Number.POSITIVE_INFINITY);
}

/** Whether nobody has read the live token for too long. `idleMs`: since the key was last read; undefined: not known. */
export function isUnread(
  state: TargetState,
  policy: RetirePolicy,
  now: number,
  idleMs: number | undefined,
): boolean {
  const { retireUnreadAfterMs } = policy;
  if (retireUnreadAfterMs === undefined || idleMs === undefined) return false;
  // Also one whose dormancy has ended does not retire before it has lost its mark, which a retirement would keep.
  if (isWanted(state) || state.dormantSince > 0 || !hasLiveToken(state, now)) return false;
  // Who takes a token once and uses it to its end is a reader, however short the option.
  const atLeastMs = Math.max(retireUnreadAfterMs, state.expiresAt - state.issuedAt);
  return unreadForMs(state, now, idleMs) >= atLeastMs;
}

/** For how long nobody has read, as far as is known: since the last known read, or since it was first issued. */
export function unreadForMs(state: TargetState, now: number, idleMs: number): number {
  return Math.min(idleMs, now - (state.readAt || state.issuedAt));
}

/** When an unread token is looked at for the last time: with time left to replace it, should a reader have come. */
export function lastLookAt({ issuedAt, expiresAt }: TargetState): number {
  const lifeMs = expiresAt - issuedAt;
  const lookMs = Math.min(LAST_LOOK_SHARE * lifeMs, lifeMs - LONGEST_CLAIM_MS);
  return issuedAt + Math.max(LAST_LOOK_AT_LEAST * lifeMs, lookMs);
}

export const nextDormantLook = (now: number): Span => ({
  from: now + DORMANT_LOOK.from,
  to: now + DORMANT_LOOK.to,
});
