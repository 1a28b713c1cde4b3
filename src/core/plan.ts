import type { TargetPolicy } from './state.ts';

/** Fractions of a token's life between which its next refresh is planned. */
export interface RefreshWindow {
  readonly earliest: number;
  readonly latest: number;
}

/** However short an outage is to be survived, a token is not kept longer than this share of its life by default. */
export const LATEST_SHARE_DEFAULT = 0.75;
/** However long: refreshing before half of the life is over doubles the load for ever less. */
const LATEST_AT_LEAST = 0.5;
/** The window's start relative to its end: wide enough to spread a cycle, late enough to save calls. */
const EARLIEST_TO_LATEST = 0.6;
/** And no further before it than this share of the life: who refreshes late does so to save calls. */
const WIDEST = 0.3;
/** What passes between the end of an outage and the new token, as a share of the life, at most two minutes. */
const RECOVERY_SHARE = 0.05;
const RECOVERY_AT_MOST_MS = 120_000;
/** Share of the life beyond which a plan leaves none for a second attempt. */
export const PLAN_AT_MOST = 0.85;
const NARROWEST = 0.05;

/**
 * When to refresh a token of `lifeMs`, so that what is left outlives an outage of `outageTargetMs`, as far as
 * the life allows. A plan uses one request less than the identical limit gives, which stays for an operator;
 * where that makes the cycle longer than the window, the limit wins.
 */
export function refreshWindow(
  lifeMs: number,
  policy: Pick<TargetPolicy, 'outageTargetMs' | 'latestShare' | 'identical'>,
): RefreshWindow {
  const recoveryMs = Math.min(RECOVERY_AT_MOST_MS, lifeMs * RECOVERY_SHARE);
  const survives = 1 - (policy.outageTargetMs + recoveryMs) / lifeMs;
  const latest = clamp(survives, LATEST_AT_LEAST, policy.latestShare ?? LATEST_SHARE_DEFAULT);
  const shortestCycle = policy.identical.windowMs / plannedRequests(policy.identical.count) / lifeMs;
  const start = Math.max(latest * EARLIEST_TO_LATEST, latest - WIDEST);
  const earliest = clamp(shortestCycle, start, Math.max(start, PLAN_AT_MOST));
  return { earliest, latest: Math.max(latest, Math.min(earliest + NARROWEST, PLAN_AT_MOST + NARROWEST)) };
}

/** How many of the identical requests that are allowed in a window a plan may use. */
export function plannedRequests(identicalCount: number): number {
  return Math.max(1, identicalCount - 1);
}

/** A span of time from which the moment of the next action is drawn; `from` equals `to` for a fixed one. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Two moments of the span, for two random draws in [0, 1): the emptier slot of the due index is taken. */
export function candidates(span: Span, draws: readonly [number, number]): readonly [number, number] {
  const width = span.to - span.from;
  return [Math.round(span.from + draws[0] * width), Math.round(span.from + draws[1] * width)];
}

/** Width of a slot of the histogram that the due index is. */
export function slotWidthMs(span: Span): number {
  return Math.max(1000, Math.round((span.to - span.from) / 3600));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
