import { heldMs, plannedOutageMs, problemsOf } from './planned.ts';
import type { Run } from './run.ts';
import { type OutageKind, targetCount } from './scenario.ts';
import { windowsOf } from './windows.ts';

/** What a run has shown: the one object that `--json` prints. Times are seconds. */
export interface Summary {
  readonly targets: number;
  readonly durationSeconds: number;
  readonly seed: number;
  /** Requests that the server saw. */
  readonly calls: number;
  /** Calls that gave no token, or gave it to a daemon that had been killed; throttled ones included. */
  readonly failedCalls: number;
  /** Calls that were answered by 429. */
  readonly throttledCalls: number;
  /** Those of the failed ones whose token came when its daemon had been killed. */
  readonly lostCalls: number;
  /** Time without a live token where there had been one, over all targets. */
  readonly expiredTokenMinutes: number;
  /** Targets whose token ended before the next one came. */
  readonly expiredTargets: number;
  /** The least life that any token had left; 0: one ended before the next came. Null: there was no token. */
  readonly shortestLifeSeconds: number | null;
  /** The most calls in any second, wherever it begins. */
  readonly peakPerSecond: number;
  readonly meanPerSecond: number;
  /** The longest of the outages' recoveries; null: there was no outage, or the run ended before. */
  readonly recoverySeconds: number | null;
  readonly outages: readonly OutageSummary[];
  /** [earliest, latest] share of the life at which a token is refreshed; for several lifetimes one such pair for each. */
  readonly window: readonly number[] | readonly (readonly number[])[];
  /** What the tokens are to outlive. */
  readonly outageTargetSeconds: number;
  /** What they outlive by the arithmetic of `evertoken check`. */
  readonly holdsSeconds: number;
  /** Why that is less than the target, or what else does not fit. */
  readonly problems: readonly string[];
}

export interface OutageSummary {
  readonly startSeconds: number;
  readonly lengthSeconds: number;
  readonly kind: OutageKind;
  /** Targets that were due when it ended. */
  readonly backlog: number | null;
  /** From its end until all of those were refreshed; null: the run ended before. */
  readonly recoverySeconds: number | null;
}

export function summarise({ scenario, plan, recorder, start }: Run): Summary {
  const seconds = scenario.forMs / 1000;
  const outages = scenario.outages.map(({ fromMs, lengthMs, kind }): OutageSummary => {
    const recovery = recorder.recoveries.all.find(
      ({ outageEndedAt }) => outageEndedAt === start + fromMs + lengthMs,
    );
    return {
      ...{ startSeconds: fromMs / 1000, lengthSeconds: lengthMs / 1000, kind },
      backlog: recovery?.backlog ?? null,
      recoverySeconds: recovery?.tookMs === undefined ? null : recovery.tookMs / 1000,
    };
  });
  const recoveries = outages.map(({ recoverySeconds }) => recoverySeconds);
  const pairs = windowsOf(scenario, plannedOutageMs(plan)).map(({ earliest, latest }) => [
    rounded(earliest, 4),
    rounded(latest, 4),
  ]);
  const { shortestLifeMs } = recorder;
  return {
    ...{ targets: targetCount(scenario), durationSeconds: seconds, seed: scenario.seed },
    calls: recorder.calls.calls,
    failedCalls: recorder.failedCalls,
    throttledCalls: recorder.throttledCalls,
    lostCalls: recorder.lostCalls,
    expiredTokenMinutes: rounded(recorder.expiredTokenMs / 60_000, 3),
    expiredTargets: recorder.expiredTargets,
    shortestLifeSeconds: shortestLifeMs === undefined ? null : shortestLifeMs / 1000,
    peakPerSecond: recorder.calls.peakPerSecond,
    meanPerSecond: rounded(recorder.calls.calls / seconds, 3),
    recoverySeconds:
      recoveries.every((took) => took !== null) && recoveries.length > 0 ? Math.max(...recoveries) : null,
    outages,
    ...{ outageTargetSeconds: scenario.outageTargetMs / 1000, holdsSeconds: heldMs(plan) / 1000 },
    problems: problemsOf(scenario, plan),
    window: pairs.length === 1 ? (pairs[0] as number[]) : pairs,
  };
}

/** What is not nothing does not become nothing. */
function rounded(value: number, digits: number): number {
  const unit = 10 ** -digits;
  const text = Number(value.toFixed(digits));
  return text === 0 && value > 0 ? unit : text;
}
