import { refreshWindow } from '../core/plan.ts';
import type { LifetimeGroup, Scenario } from './scenario.ts';

/** When tokens of one lifetime are refreshed. */
export interface LifetimeWindow {
  readonly lifetime: LifetimeGroup;
  readonly earliest: number;
  readonly latest: number;
}

/** The window of each lifetime; for a range, of its middle. */
export function windowsOf(scenario: Scenario, plannedOutageMs: number): LifetimeWindow[] {
  const policy = { ...scenario, outageTargetMs: plannedOutageMs };
  return scenario.lifetimes.map((lifetime) => ({
    lifetime,
    ...refreshWindow((lifetime.minMs + lifetime.maxMs) / 2, policy),
  }));
}
