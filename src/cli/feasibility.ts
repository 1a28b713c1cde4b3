import type { Client } from '../core/client.ts';
import { formatDuration, perSecond, type Rate } from '../core/duration.ts';
import { PLAN_AT_MOST, plannedRequests, type RefreshWindow, refreshWindow } from '../core/plan.ts';

/** More than this of a limit is not planned with: retries, orders and catching up after an outage need the rest. */
const USABLE_SHARE = 0.8;

/** What one client asks of its endpoint when all is well. */
export interface ClientDemand {
  readonly client: string;
  readonly host: string;
  readonly tenants: number;
  readonly resources: number;
  readonly targets: number;
  readonly expectLifetimeMs: number;
  readonly outageTargetMs: number;
  readonly window: RefreshWindow;
  /** The longest outage that a token, refreshed at the end of its window, outlives. */
  readonly survivesMs: number;
  readonly requestsPerSecond: number;
  /** Of one tenant. */
  readonly tenantRequestsPerSecond: number;
  readonly tenantLimitPerSecond: number;
  /** A plan can refresh a token no more often than this, by the identical limit. */
  readonly identicalCycleMs: number;
}

export interface HostDemand {
  readonly host: string;
  readonly targets: number;
  readonly requestsPerSecond: number;
  readonly limitPerSecond: number;
  readonly fits: boolean;
}

const fits = (requestsPerSecond: number, limitPerSecond: number): boolean =>
  requestsPerSecond <= USABLE_SHARE * limitPerSecond;

/** Each target is refreshed once in the mean point of its window. */
export function demandOf(client: Client, host: string): ClientDemand {
  const { expectLifetimeMs, outageTargetMs, latestShare, limits } = client;
  const window = refreshWindow(expectLifetimeMs, {
    outageTargetMs,
    latestShare,
    identical: limits.identical,
  });
  const cycleMs = (expectLifetimeMs * (window.earliest + window.latest)) / 2;
  const [tenants, resources] = [client.tenants.length, client.resources.length];
  return {
    ...{ client: client.name, host, tenants, resources, expectLifetimeMs, outageTargetMs, window },
    targets: tenants * resources,
    survivesMs: expectLifetimeMs * (1 - window.latest),
    requestsPerSecond: (1000 * tenants * resources) / cycleMs,
    tenantRequestsPerSecond: (1000 * resources) / cycleMs,
    tenantLimitPerSecond: perSecond(limits.perTenant),
    identicalCycleMs: limits.identical.windowMs / plannedRequests(limits.identical.count),
  };
}

/** What all clients together ask of each host. */
export function demandOfHosts(
  clients: readonly ClientDemand[],
  limits: ReadonlyMap<string, { readonly perHost: Rate }>,
): HostDemand[] {
  return [...limits].map(([host, { perHost }]) => {
    const own = clients.filter((client) => client.host === host);
    const requestsPerSecond = own.reduce((sum, client) => sum + client.requestsPerSecond, 0);
    const limitPerSecond = perSecond(perHost);
    const targets = own.reduce((sum, client) => sum + client.targets, 0);
    return {
      host,
      targets,
      requestsPerSecond,
      limitPerSecond,
      fits: fits(requestsPerSecond, limitPerSecond),
    };
  });
}

/** What does not hold, in words; each is a reason for `check` to fail. */
export function problemsOf(clients: readonly ClientDemand[], hosts: readonly HostDemand[]): string[] {
  return [
    ...hosts
      .filter((host) => !host.fits)
      .map(
        ({ host, requestsPerSecond, limitPerSecond }) =>
          `${host} is asked for ${rateText(requestsPerSecond)}, which is more than ${USABLE_SHARE * 100} % of limits.perHost (${rateText(limitPerSecond)}): tokens would expire while they wait; raise the limit, or have tokens live longer`,
      ),
    ...clients
      .filter((demand) => demand.identicalCycleMs > demand.expectLifetimeMs * PLAN_AT_MOST)
      .map(
        ({ client, identicalCycleMs, expectLifetimeMs }) =>
          `client ${client} may refresh a token once in ${formatDuration(identicalCycleMs)} by limits.identical (one request is kept for operators), which is too seldom for tokens that live ${formatDuration(expectLifetimeMs)}: tokens would expire; raise limits.identical, or have tokens live longer`,
      ),
    ...clients
      .filter((demand) => !fits(demand.tenantRequestsPerSecond, demand.tenantLimitPerSecond))
      .map(
        ({ client, tenantRequestsPerSecond, tenantLimitPerSecond }) =>
          `client ${client} asks for ${rateText(tenantRequestsPerSecond)} in each tenant, which is more than ${USABLE_SHARE * 100} % of limits.perTenant (${rateText(tenantLimitPerSecond)})`,
      ),
  ];
}

/** `0.25/s`. */
export function rateText(countPerSecond: number): string {
  return `${Number(countPerSecond.toPrecision(countPerSecond < 100 ? 2 : 3))}/s`;
}
