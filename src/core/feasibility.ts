import { type AfterOutage, afterOutage } from './after-outage.ts';
import { perSecond, type Rate } from './duration.ts';
import {
  heldOutOfReachMs,
  identicalCycleMs,
  isInReach,
  longestHeldMs,
  outlivedMs,
  PLAN_AT_MOST,
  type RefreshWindow,
  refreshWindow,
} from './plan.ts';

/** More than this of a limit is not planned with: retries, orders and catching up after an outage need the rest. */
export const USABLE_SHARE = 0.8;

/**
 * How long the tokens of one client live. The mean is of tokens as they come: what lives short comes often, so it is
 * right for the demand of a mix too.
 */
export interface Life {
  readonly shortestMs: number;
  readonly meanMs: number;
  readonly longestMs: number;
}

/** What one client asks for. */
export interface ClientLoad {
  readonly client: string;
  readonly tenants: number;
  readonly resources: number;
  readonly life: Life;
  /** Whether that is of tokens that were seen lately, or what the configuration expects. */
  readonly isSeen: boolean;
  readonly outageTargetMs: number;
  readonly latestShare: number;
  readonly identical: Rate;
  readonly perTenant: Rate;
}

/** What all clients of one token endpoint ask for, and what the fleet may ask of it. */
export interface HostLoad {
  readonly host: string;
  readonly limitPerSecond: number;
  readonly clients: readonly ClientLoad[];
}

/** What keeps a client from its outage target. */
export type Obstacle = 'life' | 'identical limit' | 'tenant limit' | 'host limit';

export interface ClientPlan {
  readonly client: string;
  readonly tenants: number;
  readonly resources: number;
  readonly targets: number;
  readonly life: Life;
  readonly isSeen: boolean;
  readonly outageTargetMs: number;
  /** What windows are made from in place of the target. */
  readonly plannedOutageMs: number;
  /** Of a token of mean life. */
  readonly window: RefreshWindow;
  readonly requestsPerSecond: number;
  /** Of one tenant. */
  readonly tenantRequestsPerSecond: number;
  readonly tenantLimitPerSecond: number;
  /** The limit that it takes to plan for the target, as far as the lives allow. */
  readonly tenantNeededPerSecond: number;
  /** Whether what is asked of a tenant is within the usable share of the limit. */
  readonly tenantFits: boolean;
  /** A plan can refresh a token no more often than this, by the identical limit. */
  readonly identicalCycleMs: number;
  /** The longest outage, up to the target, that the shortest-lived tokens outlive, the recovery included. */
  readonly holdsMs: number;
  /** Undefined where the target is held. */
  readonly obstacle: Obstacle | undefined;
  /** The longest target that the lives and the identical limit allow. */
  readonly longestTargetMs: number;
}

export interface HostPlan {
  readonly host: string;
  readonly targets: number;
  readonly limitPerSecond: number;
  /** The share of it that plans may use. */
  readonly usablePerSecond: number;
  readonly requestsPerSecond: number;
  /** The limit that it takes to plan for all targets, as far as the lives allow. */
  readonly neededPerSecond: number;
  readonly fits: boolean;
  /** Undefined where none is held by all its clients. */
  readonly afterOutage: AfterOutage | undefined;
  readonly clients: readonly ClientPlan[];
}

/**
 * Plans for one host. The demand of the outage targets, Σ targets / (mean point · life), has to fit into the usable share
 * of the limit; where it does not, all outages are scaled down by one factor until it does, and those of one client
 * further where its tenants' limit asks for it. That no token ends before its turn after an outage follows: refreshed
 * evenly, tokens end no faster than they are refreshed, and none ends within outage and recovery (`late` counts it).
 */
export function planHost({ host, limitPerSecond, clients }: HostLoad): HostPlan {
  const usablePerSecond = USABLE_SHARE * limitPerSecond;
  const loads = clients.map((load) => ({ load, tenantShare: largestShareOfTenants(load) }));
  const demandAt = (share: number): number =>
    sum(loads.map(({ load, tenantShare }) => demandPerSecond(load, Math.min(share, tenantShare))));
  const hostShare = largestShare((share) => demandAt(share) <= usablePerSecond);
  const requestsPerSecond = demandAt(hostShare);
  const isServed = requestsPerSecond <= limitPerSecond;
  const plans = loads.map(({ load, tenantShare }) => planClient(load, { hostShare, tenantShare, isServed }));
  const heldMs = Math.min(...plans.map(({ holdsMs }) => holdsMs));
  return {
    host,
    targets: sum(plans.map(({ targets }) => targets)),
    ...{ limitPerSecond, usablePerSecond, requestsPerSecond },
    neededPerSecond: demandAt(1) / USABLE_SHARE,
    fits: requestsPerSecond <= usablePerSecond,
    afterOutage: heldMs > 0 ? afterOutage(plans, heldMs, limitPerSecond) : undefined,
    clients: plans,
  };
}

const largestShareOfTenants = (load: ClientLoad): number =>
  largestShare((share) => tenantDemandPerSecond(load, share) <= USABLE_SHARE * perSecond(load.perTenant));

/** The most that fits, in [0, 1]; 0 also where not even that does. What fits must fit for every smaller share. */
function largestShare(fits: (share: number) => boolean): number {
  if (fits(1)) return 1;
  let [fitting, excessive] = [0, 1];
  for (let i = 0; i < 40; i++) {
    const middle = (fitting + excessive) / 2;
    if (fits(middle)) fitting = middle;
    else excessive = middle;
  }
  return fitting;
}

/**
 * In full it is the target, of which each token holds what its own life allows. A part is of what the mean life can hold:
 * a target out of reach asks for less than one that is just within, and a part of it would ask for more.
 */
function scaledOutageMs({ outageTargetMs, life }: ClientLoad, share: number): number {
  if (share === 1) return outageTargetMs;
  return share * (isInReach(life.meanMs, outageTargetMs) ? outageTargetMs : heldOutOfReachMs(life.meanMs));
}

const windowOf = (load: ClientLoad, lifeMs: number, outageMs: number): RefreshWindow =>
  refreshWindow(lifeMs, { ...load, outageTargetMs: outageMs });

function demandPerSecond(load: ClientLoad, share: number): number {
  const { meanMs } = load.life;
  const { earliest, latest } = windowOf(load, meanMs, scaledOutageMs(load, share));
  return (1000 * load.tenants * load.resources) / (((earliest + latest) / 2) * meanMs);
}

const tenantDemandPerSecond = (load: ClientLoad, share: number): number =>
  demandPerSecond({ ...load, tenants: 1 }, share);

/** What is left of the outage targets, in [0, 1], and whether the host is asked for no more than its limit. */
interface Allowed {
  readonly hostShare: number;
  readonly tenantShare: number;
  readonly isServed: boolean;
}

function planClient(load: ClientLoad, allowed: Allowed): ClientPlan {
  const { client, tenants, resources, life, isSeen, outageTargetMs } = load;
  const share = Math.min(allowed.hostShare, allowed.tenantShare);
  const plannedOutageMs = scaledOutageMs(load, share);
  const tenantRequestsPerSecond = tenantDemandPerSecond(load, share);
  const tenantLimitPerSecond = perSecond(load.perTenant);
  const cycleMs = identicalCycleMs(load.identical);
  const longestTargetMs = longestHeldMs(life.shortestMs, cycleMs);
  const isServed = allowed.isServed && tenantRequestsPerSecond <= tenantLimitPerSecond;
  const outlived = isServed ? outlivedBy(load, plannedOutageMs, cycleMs) : 0;
  const isHeld = outlived > outageTargetMs - 1;
  return {
    ...{ client, tenants, resources, targets: tenants * resources, life, isSeen, outageTargetMs },
    ...{ plannedOutageMs, window: windowOf(load, life.meanMs, plannedOutageMs) },
    requestsPerSecond: demandPerSecond(load, share),
    ...{ tenantRequestsPerSecond, tenantLimitPerSecond, identicalCycleMs: cycleMs, longestTargetMs },
    tenantNeededPerSecond: tenantDemandPerSecond(load, 1) / USABLE_SHARE,
    tenantFits: tenantRequestsPerSecond <= USABLE_SHARE * tenantLimitPerSecond,
    holdsMs: isHeld ? outageTargetMs : Math.floor(outlived),
    obstacle: isHeld ? undefined : obstacleOf(load, cycleMs, longestTargetMs, allowed),
  };
}

/** What the shortest-lived tokens outlive, refreshed at the end of their window. */
function outlivedBy(load: ClientLoad, plannedOutageMs: number, cycleMs: number): number {
  const { shortestMs } = load.life;
  const { latest } = windowOf(load, shortestMs, plannedOutageMs);
  // A plan that the identical limit does not allow is carried out when it does.
  return outlivedMs(shortestMs, Math.min((1 - latest) * shortestMs, shortestMs - cycleMs));
}

function obstacleOf(
  { life, outageTargetMs }: ClientLoad,
  cycleMs: number,
  longestTargetMs: number,
  { hostShare, tenantShare }: Allowed,
): Obstacle {
  if (cycleMs > PLAN_AT_MOST * life.shortestMs) return 'identical limit';
  if (!isInReach(life.shortestMs, outageTargetMs)) return 'life';
  if (longestTargetMs < outageTargetMs) return 'identical limit';
  return tenantShare <= hostShare ? 'tenant limit' : 'host limit';
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
