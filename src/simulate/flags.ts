import { formatDuration, type Rate } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { LATEST_SHARE_DEFAULT } from '../core/plan.ts';
import { type LifetimeArgument, MOST_TARGETS } from './arguments.ts';
import {
  type Crash,
  type LifetimeGroup,
  type Outage,
  type Scenario,
  type TenantThrottle,
  targetCount,
} from './scenario.ts';

/** The options as commander gives them. */
export interface Flags {
  readonly targets?: number;
  readonly lifetime?: readonly LifetimeArgument[];
  readonly tenants?: number;
  readonly clients: number;
  readonly start: 'warm' | 'cold';
  readonly issuedWithin?: number;
  readonly idpRate: number;
  readonly retryAfter?: number | 'none';
  readonly latency?: number;
  readonly outage?: readonly Outage[];
  readonly failingTenants: number;
  readonly troubledTenants: number;
  readonly retryAfterTenant?: TenantThrottle;
  readonly daemons: number;
  readonly crash?: readonly Crash[];
  readonly limit?: number;
  readonly tenantLimit: number;
  readonly identical?: Rate;
  readonly outageTarget?: number;
  readonly latest?: number;
  readonly for?: number;
  readonly seed: number;
  readonly svg?: string;
  readonly json?: boolean;
}

const TARGETS_DEFAULT = 20_000;
const TARGETS_OF_A_TENANT = 10;
const OUTAGE_TARGET_DEFAULT_MS = 20 * 60_000;
const RETRY_AFTER_DEFAULT_MS = 10_000;
const LATENCY_DEFAULT_MS = 100;
const RUN_DEFAULT_MS = 8 * 3_600_000;
const HOUR: LifetimeArgument = { minMs: 3_600_000, maxMs: 3_600_000, targets: undefined };

/** The scenario that options ask for. Throws `USAGE` for what cannot be. */
export function scenarioOf(flags: Flags): Scenario {
  const lifetimes = groupsOf(flags);
  const targets = targetCount({ lifetimes });
  const { clients, outage = [], retryAfter = RETRY_AFTER_DEFAULT_MS } = flags;
  const longestOutageMs = Math.max(0, ...outage.map(({ lengthMs }) => lengthMs));
  const scenario: Scenario = {
    seed: flags.seed,
    forMs: flags.for ?? RUN_DEFAULT_MS,
    start: flags.start,
    issuedWithinMs: flags.issuedWithin,
    clients,
    tenants: flags.tenants ?? Math.max(1, Math.ceil(targets / clients / TARGETS_OF_A_TENANT)),
    lifetimes,
    failingTenants: flags.failingTenants,
    troubledTenants: flags.troubledTenants,
    idpPerSecond: flags.idpRate,
    retryAfterMs: retryAfter === 'none' ? undefined : retryAfter,
    latencyMs: flags.latency ?? LATENCY_DEFAULT_MS,
    outages: outage.toSorted((a, b) => a.fromMs - b.fromMs),
    tenantThrottle: flags.retryAfterTenant,
    daemons: flags.daemons,
    crashes: flags.crash ?? [],
    perHost: flags.limit ?? flags.idpRate,
    perTenant: flags.tenantLimit,
    identical: flags.identical ?? { count: 5, windowMs: 300_000 },
    outageTargetMs: flags.outageTarget ?? (longestOutageMs || OUTAGE_TARGET_DEFAULT_MS),
    latestShare: flags.latest ?? LATEST_SHARE_DEFAULT,
  };
  const problem = problemOf(scenario);
  if (problem !== undefined) throw new EvertokenError('USAGE', problem);
  return scenario;
}

function groupsOf({ targets, lifetime = [HOUR] }: Flags): LifetimeGroup[] {
  const all = targets ?? TARGETS_DEFAULT;
  const groups = lifetime.map((group) => ({ ...group, targets: group.targets ?? all }));
  const sum = targetCount({ lifetimes: groups });
  if (targets !== undefined && sum !== targets)
    throw new EvertokenError(
      'USAGE',
      `expected --targets and the numbers in --lifetime to agree, but got ${targets} and ${sum}: leave --targets out`,
    );
  return groups;
}

/** What cannot be, in words. */
function problemOf(scenario: Scenario): string | undefined {
  const { clients, tenants, failingTenants, troubledTenants, daemons, forMs, issuedWithinMs } = scenario;
  const targets = targetCount(scenario);
  const { outages, crashes, tenantThrottle } = scenario;
  const shortestLifeMs = Math.min(...scenario.lifetimes.map(({ minMs }) => minMs));
  const late = [...outages, ...(tenantThrottle ? [tenantThrottle] : [])].find(
    ({ fromMs }) => fromMs >= forMs,
  );
  const lateCrash = crashes.find(({ atMs }) => atMs >= forMs);
  const stranger = crashes.find(({ daemon }) => daemon > daemons);
  if (targets > MOST_TARGETS)
    return `expected at most ${MOST_TARGETS} targets, but got ${targets}: lower the numbers in --lifetime`;
  if (clients * tenants > targets)
    return `expected at least one target for each tenant of each client, but got ${targets} targets for ${clients} × ${tenants}: raise --targets`;
  if (failingTenants + troubledTenants > tenants)
    return `expected --failing-tenants and --troubled-tenants to be at most --tenants (${tenants}), but got ${failingTenants} and ${troubledTenants}`;
  if (scenario.start === 'cold' && issuedWithinMs !== undefined)
    return 'expected --issued-within with a warm start only: a cold one has no tokens; leave one of the two out';
  if (issuedWithinMs !== undefined && issuedWithinMs >= shortestLifeMs)
    return `expected --issued-within to be shorter than the shortest life (${formatDuration(shortestLifeMs)}), but got ${formatDuration(issuedWithinMs)}`;
  if (late !== undefined || lateCrash !== undefined)
    return `expected everything to begin before the run ends, but got ${formatDuration(late?.fromMs ?? lateCrash?.atMs ?? 0)}: raise --for (${formatDuration(forMs)})`;
  if (stranger !== undefined)
    return `expected --crash to name one of the ${daemons} daemons, but got ${stranger.daemon}: raise --daemons`;
  return undefined;
}
