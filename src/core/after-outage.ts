import { type Recovery, type RefreshWindow, recoveryFrom, recoveryMs } from './plan.ts';

/** Tokens of one client, refreshed evenly at moments drawn from their window. */
export interface Refreshing {
  readonly targets: number;
  readonly requestsPerSecond: number;
  readonly life: { readonly meanMs: number };
  /** Of a token of mean life. */
  readonly window: RefreshWindow;
}

/** What happens when the endpoint comes back; of a plan, after the longest outage that all its clients hold. */
export interface AfterOutage {
  readonly outageMs: number;
  /** What passes then until the full rate is there. */
  readonly recovery: Recovery;
  /** Targets that are due by then. */
  readonly behind: number;
  /** How long it takes from then, at the limit, until nothing is behind; what comes due meanwhile included. */
  readonly caughtUpMs: number;
  /** The most tokens that have ended before their turn, earliest expiry first, at any moment from then. */
  readonly late: number;
}

/** What an outage of one host leaves behind, whether it is held or not. */
export function afterOutage(
  plans: readonly Refreshing[],
  outageMs: number,
  limitPerSecond: number,
): AfterOutage {
  const untilServedMs = ({ life }: Refreshing): number => outageMs + recoveryMs(life.meanMs, outageMs);
  // In an even state as many tokens have a refresh further ahead than a time as are older than that.
  const behind = sum(
    plans.map((plan) => plan.targets * (1 - olderThan(plan, untilServedMs(plan) / plan.life.meanMs))),
  );
  const ended = (plan: Refreshing, afterMs: number): number =>
    plan.targets * olderThan(plan, 1 - (untilServedMs(plan) + afterMs) / plan.life.meanMs);
  // Between two of these moments the number of those that have ended is convex: it is highest above a line at one.
  const moments = plans.flatMap((plan) =>
    [plan.window.latest, plan.window.earliest, 0].map((age) =>
      Math.max(0, (1 - age) * plan.life.meanMs - untilServedMs(plan)),
    ),
  );
  const lateAt = (ms: number): number =>
    sum(plans.map((plan) => ended(plan, ms))) - (limitPerSecond * ms) / 1000;
  const targets = sum(plans.map((plan) => plan.targets));
  const requestsPerSecond = sum(plans.map((plan) => plan.requestsPerSecond));
  return {
    outageMs,
    recovery: recoveryFrom(Math.max(...plans.map(({ life }) => life.meanMs)), outageMs),
    behind: Math.round(behind),
    caughtUpMs:
      1000 * Math.min(behind / Math.max(0, limitPerSecond - requestsPerSecond), targets / limitPerSecond),
    late: Math.max(0, Math.round(Math.max(...moments.map(lateAt)))),
  };
}

/** The share of tokens, refreshed evenly at moments drawn from their window, that are older than a share of their life. */
function olderThan({ window: { earliest, latest } }: Refreshing, age: number): number {
  const mean = (earliest + latest) / 2;
  if (age <= 0) return 1;
  if (age <= earliest) return (mean - age) / mean;
  return age >= latest ? 0 : (latest - age) ** 2 / (2 * (latest - earliest) * mean);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
