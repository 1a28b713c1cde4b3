import { EMPTY_STATE, type FailureNote, type TargetPolicy, type TargetState } from '../core/state.ts';
import { type Draw, type LifetimeGroup, type Scenario, targetCount } from './scenario.ts';

/** A state that changes in place: the only copy there is, since nothing else runs while it is looked at. */
export type MutableState = {
  -readonly [Key in keyof TargetState]: Key extends 'requestLog' ? number[] : TargetState[Key];
} & { failure: FailureNote | undefined };

/** One target of a simulation: what is configured of it, and its state. */
export interface SimulatedTarget extends TargetPolicy {
  /** Its number, in the order of the names. */
  readonly index: number;
  readonly tenant: string;
  /** The number of its client and tenant. */
  readonly scope: number;
  readonly lifetime: LifetimeGroup;
  /** Its tenant refuses always. */
  readonly fails: boolean;
  /** Its tenant is answered by a gateway's error page. */
  readonly isTroubled: boolean;
  /** Its tenant is the one that asks for a pause. */
  readonly isThrottled: boolean;
  readonly state: MutableState;
}

/** `host:port` of the only token endpoint. */
export const HOST = 'idp.example:443';

/**
 * All targets, in the order of their names. Each client has the same tenants, and each of those about as many targets.
 * `outageTargetMs`: what the daemons plan with.
 */
export function createTargets(scenario: Scenario, outageTargetMs: number, draw: Draw): SimulatedTarget[] {
  const { clients, tenants, failingTenants, troubledTenants } = scenario;
  const { tenantThrottle, identical, latestShare } = scenario;
  const lifetimes = shuffledLifetimes(scenario.lifetimes, draw);
  const scopes = clients * tenants;
  const numbered = (letter: string, number: number, of: number): string =>
    letter + String(number + 1).padStart(String(of).length, '0');
  return lifetimes.map((lifetime, index) => {
    const scope = Math.floor((index * scopes) / lifetimes.length);
    const tenantNumber = scope % tenants;
    const tenant = numbered('t', tenantNumber, tenants);
    const tenantScope = `${numbered('c', Math.floor(scope / tenants), clients)}/${tenant}`;
    return {
      ...{ index, tenant, scope, lifetime, host: HOST, tenantScope, fingerprint: 'simulated' },
      id: `${tenantScope}/${numbered('r', index, lifetimes.length)}`,
      ...{ outageTargetMs, latestShare, identical },
      fails: tenantNumber < failingTenants,
      isTroubled: tenantNumber >= failingTenants && tenantNumber < failingTenants + troubledTenants,
      isThrottled: tenantThrottle !== undefined && tenantNumber === tenants - 1,
      state: { ...EMPTY_STATE, requestLog: [] },
    };
  });
}

function shuffledLifetimes(groups: readonly LifetimeGroup[], draw: Draw): LifetimeGroup[] {
  const all = groups.flatMap((group) => Array.from({ length: group.targets }, () => group));
  if (groups.length === 1) return all;
  for (let i = targetCount({ lifetimes: groups }) - 1; i > 0; i--) {
    const other = Math.floor(draw() * (i + 1));
    [all[i], all[other]] = [all[other] as LifetimeGroup, all[i] as LifetimeGroup];
  }
  return all;
}

/** The life of the next token, whole seconds, as `expires_in` has them. */
export function drawLifeMs({ minMs, maxMs }: LifetimeGroup, draw: Draw): number {
  return minMs === maxMs ? minMs : 1000 * Math.round((minMs + draw() * (maxMs - minMs)) / 1000);
}
