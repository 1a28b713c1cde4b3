import type { TargetPolicy } from './state.ts';

/** Fractions of a token's life between which its next refresh is planned. */
export interface RefreshWindow {
  readonly earliest: number;
  readonly latest: number;
}

/** However short an outage is to be survived, a token is not kept longer than this share of its life by default. */
export const LATEST_SHARE_DEFAULT = 0.75;
/** A token is not refreshed before this share of its life is over, even for an outage that would ask for it. */
export const LATEST_AT_LEAST = 0.2;
/** What the life cannot hold at all is not chased: to refresh ever more often would win ever less. */
const LATEST_WHEN_OUT_OF_REACH = 0.5;
/** The window's start relative to its end: wide enough to spread a cycle, late enough to save calls. */
const EARLIEST_TO_LATEST = 0.6;
/** And no further before it than this share of the life: who refreshes late does so to save calls. */
const WIDEST = 0.3;
/** Share of the life beyond which a plan leaves none for a second attempt. */
export const PLAN_AT_MOST = 0.85;
const NARROWEST = 0.05;
/** No window begins before this share of the life, whatever a server says. */
const EARLIEST = EARLIEST_TO_LATEST * LATEST_AT_LEAST;

/** What passes between the end of an outage and the first new tokens; each for a short life no more than a share of it. */
const RECOVERY = {
  /** A request that hangs when the endpoint comes back. */
  requestTimeoutMs: 10_000,
  requestTimeoutOfLife: 0.1,
  /** The pause before the probe that finds it, which is a share of the outage so far. */
  probeMs: 15_000,
  probeOfOutage: 0.4,
  /** Slow start: what it gives less than the full rate. */
  slowStartMs: 5000,
  slowStartOfLife: 0.05,
} as const;

/** What passes after the end of an outage, ms. */
export interface Recovery {
  readonly requestTimeoutMs: number;
  readonly probeMs: number;
  readonly slowStartMs: number;
}

/** After an outage of `outageMs`, for tokens of `lifeMs`. */
export function recoveryFrom(lifeMs: number, outageMs: number): Recovery {
  return {
    requestTimeoutMs: Math.min(RECOVERY.requestTimeoutMs, RECOVERY.requestTimeoutOfLife * lifeMs),
    probeMs: Math.min(RECOVERY.probeMs, RECOVERY.probeOfOutage * outageMs),
    slowStartMs: Math.min(RECOVERY.slowStartMs, RECOVERY.slowStartOfLife * lifeMs),
  };
}

/** How long after the end of an outage of `outageMs` a token of `lifeMs` may have to wait for its turn, ms. */
export function recoveryMs(lifeMs: number, outageMs: number): number {
  const { requestTimeoutMs, probeMs, slowStartMs } = recoveryFrom(lifeMs, outageMs);
  return requestTimeoutMs + probeMs + slowStartMs;
}

/** The longest outage that a token of `lifeMs` with `leftMs` left outlives, the recovery included; 0: none. */
export function outlivedMs(lifeMs: number, leftMs: number): number {
  const rest = leftMs - recoveryMs(lifeMs, 0);
  const share = RECOVERY.probeOfOutage / (1 + RECOVERY.probeOfOutage);
  return Math.max(0, rest - Math.min(RECOVERY.probeMs, share * rest));
}

/** What of the life passes until only an outage of `outageMs` and the recovery from it are left. */
const beforeOutage = (lifeMs: number, outageMs: number): number =>
  1 - (outageMs + recoveryMs(lifeMs, outageMs)) / lifeMs;

/** More than calculating with shares of a life is off by, and less than anybody would notice, ms. */
export const ROUNDING_MS = 0.001;

/** Whether tokens of `lifeMs` can outlive such an outage at all, and are refreshed early enough for it. */
export const isInReach = (lifeMs: number, outageMs: number): boolean =>
  outageMs + recoveryMs(lifeMs, outageMs) <= (1 - LATEST_AT_LEAST) * lifeMs + ROUNDING_MS;

/** The longest outage that tokens of `lifeMs` outlive where a longer one, out of their reach, is asked for. */
export const heldOutOfReachMs = (lifeMs: number): number =>
  outlivedMs(lifeMs, (1 - LATEST_WHEN_OUT_OF_REACH) * lifeMs);

/** The longest outage that can be asked of tokens of `lifeMs`, whose cycle takes `cycleMs` at least, and is held. */
export function longestHeldMs(lifeMs: number, cycleMs: number): number {
  const cycle = cycleMs / lifeMs;
  const latest = Math.max(LATEST_AT_LEAST, Math.min(cycle, PLAN_AT_MOST) + NARROWEST, cycle);
  return outlivedMs(lifeMs, (1 - latest) * lifeMs);
}

/** What a window depends on beside the life. */
export type WindowPolicy = Pick<TargetPolicy, 'outageTargetMs' | 'latestShare' | 'identical'>;

/**
 * When to refresh a token of `lifeMs`, so that what is left outlives an outage of `outageTargetMs` and the recovery
 * from it, as far as the life allows. `refreshInMs`: when the server itself would have it refreshed (`refresh_in`),
 * which is where the window begins, but neither before 12 % of the life nor at its own end; 0: it did not say. A plan
 * uses one request less than the identical limit gives, which stays for an operator; where that makes the cycle longer
 * than the window, the limit wins.
 */
export function refreshWindow(lifeMs: number, policy: WindowPolicy, refreshInMs = 0): RefreshWindow {
  const latest = latestOf(lifeMs, policy);
  const usual = Math.max(latest * EARLIEST_TO_LATEST, latest - WIDEST);
  const start = refreshInMs > 0 ? clamp(refreshInMs / lifeMs, EARLIEST, latest - NARROWEST) : usual;
  const shortestCycle = identicalCycleMs(policy.identical) / lifeMs;
  const earliest = clamp(shortestCycle, start, Math.max(start, PLAN_AT_MOST));
  return { earliest, latest: Math.max(latest, Math.min(earliest + NARROWEST, PLAN_AT_MOST + NARROWEST)) };
}

function latestOf(lifeMs: number, { outageTargetMs, latestShare }: WindowPolicy): number {
  const least = isInReach(lifeMs, outageTargetMs) ? LATEST_AT_LEAST : LATEST_WHEN_OUT_OF_REACH;
  return clamp(beforeOutage(lifeMs, outageTargetMs), least, latestShare ?? LATEST_SHARE_DEFAULT);
}

/** The shortest time between two planned requests for one token, ms. */
export function identicalCycleMs({ count, windowMs }: TargetPolicy['identical']): number {
  return windowMs / plannedRequests(count);
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
