import { isClaim } from './claim.ts';
import { HELD_SPREAD_MS, type Hold } from './credential-choice.ts';
import { formatDuration } from './duration.ts';
import { lastKeptUntil, nextAllowedAt } from './guard.ts';
import { plannedRequests, refreshWindow, type Span } from './plan.ts';
import { isDormant, isUnread, lastLookAt, nextDormantLook, unreadForMs } from './retire.ts';
import { hasLiveToken, isWanted, type TargetPolicy, type TargetState } from './state.ts';

/** What to do about a target, and why, in words that the log, the metrics and `explain` all show. */
export type Decision = Refresh | Wait;

export interface Refresh {
  readonly act: 'refresh';
  readonly reason: RefreshReason;
  readonly why: string;
}

export interface Wait {
  readonly act: 'wait';
  readonly reason: WaitReason;
  readonly why: string;
  /** When to look again: a moment, or a span to draw one from. */
  readonly until: Span;
}

export type RefreshReason = 'wanted' | 'never issued' | 'expired' | 'due';
export type WaitReason =
  | 'fresh'
  | 'unread'
  | 'dormant'
  | 'in progress'
  | 'credential'
  | 'backoff'
  | 'identical limit';

/**
 * The one policy. The dispatcher asks it before it claims and the worker asks it again after `begin`, of the
 * state as it was before that attempt: first whether there is a reason to refresh, then whether something
 * stands in the way. `hold`: why the credentials of its client are not used now. `idleMs`: since its token key was last
 * read; not known to a worker, which so carries out what the dispatcher has found to be read.
 */
export function decide(
  state: TargetState,
  policy: TargetPolicy,
  now: number,
  hold?: Hold,
  idleMs?: number,
): Decision {
  const reason = reasonToRefresh(state, policy, now, idleMs);
  return reason.act === 'wait' ? reason : (obstacle(state, policy, now, hold) ?? reason);
}

function reasonToRefresh(
  state: TargetState,
  policy: TargetPolicy,
  now: number,
  idleMs: number | undefined,
): Decision {
  if (isWanted(state)) return { act: 'refresh', reason: 'wanted', why: `wanted: ${state.wantedBy}` };
  if (isDormant(state, policy))
    return dormant(now, `dormant for ${formatDuration(now - state.dormantSince)}`);
  if (state.expiresAt === 0) return { act: 'refresh', reason: 'never issued', why: 'no token yet' };
  if (!hasLiveToken(state, now)) {
    return { act: 'refresh', reason: 'expired', why: `expired ${formatDuration(now - state.expiresAt)} ago` };
  }
  const lifeMs = state.expiresAt - state.issuedAt;
  const used = (now - state.issuedAt) / lifeMs;
  const window = refreshWindow(lifeMs, policy, state.refreshInMs);
  if (used >= window.earliest) {
    if (idleMs !== undefined && isUnread(state, policy, now, idleMs)) return leaveUnread(state, now, idleMs);
    return { act: 'refresh', reason: 'due', why: `due: ${percent(used)} of its life used` };
  }
  return {
    act: 'wait',
    reason: 'fresh',
    why: `fresh: ${percent(Math.max(0, used))} of its life used, to be refreshed between ${percent(window.earliest)} and ${percent(window.latest)}`,
    until: { from: state.issuedAt + window.earliest * lifeMs, to: state.issuedAt + window.latest * lifeMs },
  };
}

function leaveUnread(state: TargetState, now: number, idleMs: number): Wait {
  const why = `nobody has read it for ${formatDuration(unreadForMs(state, now, idleMs))}`;
  const lookAt = lastLookAt(state);
  return now < lookAt ? wait('unread', lookAt, why) : dormant(now, why);
}

function dormant(now: number, why: string): Wait {
  return { act: 'wait', reason: 'dormant', why, until: nextDormantLook(now) };
}

/** How soon a target that is wanted is looked at again while an older attempt is running. */
const WANTED_LOOK_MS = 250;

function obstacle(
  state: TargetState,
  policy: TargetPolicy,
  now: number,
  hold: Hold | undefined,
): Wait | undefined {
  // A lease further ahead than any claim is of a clock that has gone back since.
  if (state.leaseUntil > now && isClaim(state.leaseUntil, now)) {
    // The running attempt began before the order did, so the order is carried out as soon as it ends.
    const lookAt = isWanted(state) ? Math.min(state.leaseUntil, now + WANTED_LOOK_MS) : state.leaseUntil;
    return wait('in progress', lookAt, 'another attempt is running');
  }
  // An order brings the next probe forward; it does not make each of its targets one.
  if (hold !== undefined && hold.until > now)
    return {
      act: 'wait',
      reason: 'credential',
      why: hold.why,
      until: { from: hold.until, to: hold.until + HELD_SPREAD_MS },
    };
  // What is wanted gets around parking once: after an attempt that failed since, backoff counts for it as well.
  // One that never ended (its process was killed) does not use this up; the identical limit bounds how often.
  // It never gets around what the server asked for: a detected loop closes no gate, only `retryAt` holds it.
  const triedSinceWanted = state.concluded >= state.wanted;
  const getsAroundParking = isWanted(state) && !triedSinceWanted && state.failure?.kind !== 'throttled';
  if (state.retryAt > now && !getsAroundParking) {
    const failure =
      state.failure === undefined ? 'a failure' : `${state.failure.kind} (${state.failure.code})`;
    return wait(
      'backoff',
      state.retryAt,
      `next try in ${formatDuration(state.retryAt - now)} after ${failure}`,
    );
  }
  const { count, windowMs } = policy.identical;
  const allowed = isWanted(state) ? count : plannedRequests(count);
  const allowedAt = nextAllowedAt(state.requestLog, allowed, windowMs, now);
  if (allowedAt > now) {
    return wait(
      'identical limit',
      allowedAt,
      `${allowed} identical requests in ${formatDuration(windowMs)} are sent; next in ${formatDuration(allowedAt - now)}`,
    );
  }
  const isTrying = state.failures > 0 && hasLiveToken(state, now) && !isWanted(state);
  const keptUntil = isTrying ? lastKeptUntil(state.requestLog, allowed, windowMs, state.expiresAt, now) : now;
  if (keptUntil > now) {
    return wait(
      'identical limit',
      keptUntil,
      `of ${allowed} identical requests in ${formatDuration(windowMs)} one is kept for when its token is about to end; next in ${formatDuration(keptUntil - now)}`,
    );
  }
  return undefined;
}

function wait(reason: WaitReason, at: number, why: string): Wait {
  return { act: 'wait', reason, why, until: { from: at, to: at } };
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}
