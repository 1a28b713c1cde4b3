import type { Rate } from '../core/duration.ts';

/** A draw in [0, 1). */
export type Draw = () => number;

/** Some of the targets, and the life of their tokens: each token's is drawn from the range, both ends included. */
export interface LifetimeGroup {
  readonly minMs: number;
  readonly maxMs: number;
  readonly targets: number;
}

/** What a server does that is down. `refuses`: no connection. `hangs`: no answer. `unavailable`: 503. */
export const OUTAGE_KINDS = ['refuses', 'hangs', 'unavailable'] as const;
export type OutageKind = (typeof OUTAGE_KINDS)[number];

export interface Outage {
  readonly fromMs: number;
  readonly lengthMs: number;
  readonly kind: OutageKind;
}

/** A daemon that is killed, and comes back. */
export interface Crash {
  /** From 1 on. */
  readonly daemon: number;
  readonly atMs: number;
  readonly downMs: number;
}

/** A time in which one tenant refuses: 429 with an OAuth body, and Retry-After as long as it lasts. */
export interface TenantThrottle {
  readonly fromMs: number;
  readonly lengthMs: number;
}

/** All that a run depends on: the same scenario gives the same run. Times are ms from the beginning. */
export interface Scenario {
  readonly seed: number;
  readonly forMs: number;
  readonly start: 'warm' | 'cold';
  /** All tokens of a warm start were issued within this time before it; undefined: as in the steady state. */
  readonly issuedWithinMs: number | undefined;

  readonly clients: number;
  /** Of each client. */
  readonly tenants: number;
  readonly lifetimes: readonly LifetimeGroup[];
  /** So many tenants refuse always, for a reason of their own; their targets have no token from the start. */
  readonly failingTenants: number;
  /** So many more get the error page of a gateway (502) for each request; they have tokens from before, as all others. */
  readonly troubledTenants: number;

  /** What the server can take, requests a second, with a burst of one second; more is answered by 429. */
  readonly idpPerSecond: number;
  /** Undefined: its 429 comes without Retry-After. */
  readonly retryAfterMs: number | undefined;
  /** From a request to its answer. */
  readonly latencyMs: number;
  readonly outages: readonly Outage[];
  /** Concerns the last tenant. */
  readonly tenantThrottle: TenantThrottle | undefined;

  readonly daemons: number;
  readonly crashes: readonly Crash[];
  /** Our `limits.perHost`, requests a second. */
  readonly perHost: number;
  /** Our `limits.perTenant`, requests a second. */
  readonly perTenant: number;
  readonly identical: Rate;
  readonly outageTargetMs: number;
  readonly latestShare: number;
}

export const targetCount = ({ lifetimes }: Pick<Scenario, 'lifetimes'>): number =>
  lifetimes.reduce((sum, { targets }) => sum + targets, 0);

export const longestLifeMs = ({ lifetimes }: Pick<Scenario, 'lifetimes'>): number =>
  Math.max(...lifetimes.map(({ maxMs }) => maxMs));
