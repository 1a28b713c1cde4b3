import type { Target } from './client.ts';
import type { Failure } from './failure.ts';
import { awaitsAnswer, type Gate, type GateEvent, type GateScope } from './gate.ts';
import { NO_TENANT } from './target.ts';

export interface GateReport {
  readonly scope: GateScope;
  readonly event: GateEvent;
}

/** The two gates above a target, as they were when its request was taken up, with their limits, requests a second. */
export interface GatesAbove {
  readonly host: Gate;
  readonly tenant: Gate;
  readonly perHost: number;
  readonly perTenant: number;
}

/** What names the scopes above a target. */
export type Scoped = Pick<Target, 'id' | 'host' | 'tenant' | 'tenantScope'>;

/**
 * What one request tells about the scopes above its target; the scope follows from the evidence. A detected loop
 * concerns the identical request alone, which its own log and `retryAt` hold. An OAuth answer proves the host
 * alive, unless it says that the server is in trouble. `failure`: undefined for a token.
 */
export function gateReports(
  target: Scoped,
  gates: GatesAbove,
  failure: Failure | undefined,
  startedAt: number,
): GateReport[] {
  const host: GateScope = { host: target.host };
  const toHost = { startedAt, ceiling: gates.perHost };
  const toTenant = { startedAt, ceiling: gates.perTenant };
  const issued = failure === undefined;
  const alive: GateReport[] = awaitsAnswer(gates.host, issued)
    ? [{ scope: host, event: { kind: 'answered', issued, ...toHost } }]
    : [];
  if (failure === undefined) {
    const ofTenant = awaitsAnswer(gates.tenant, issued)
      ? [answeredOf(target.tenantScope, { kind: 'answered', issued, ...toTenant })]
      : [];
    return [...alive, ...ofTenant];
  }
  // Nothing was sent, or evertoken itself gave it up: that tells nothing about the host.
  if (failure.answeredBy === 'unsent' || failure.code === 'aborted') return [];
  // Where an endpoint has no tenants, its targets stand for them; of throttling, which has a budget, its clients.
  const [tenant, budget] =
    target.tenant === NO_TENANT ? [target.id, target.tenantScope] : [target.tenant, target.tenant];
  const throttled = (told: typeof toHost, wholeScope: boolean): GateEvent => ({
    ...told,
    kind: 'throttled',
    tenant: budget,
    retryAfterMs: failure.retryAfterMs,
    wholeScope,
  });
  const isThrottling = failure.kind === 'throttled' || failure.retryAfterMs !== undefined;

  const down = (isAnswered: boolean): GateReport[] => [
    { scope: host, event: { ...toHost, kind: 'unreachable', tenant, code: failure.code, isAnswered } },
  ];

  if (failure.answeredBy === 'server') {
    if (failure.loopDetected) return alive;
    // A token that is no use is an answer of a server that is well.
    if (!isThrottling) return failure.kind === 'transient' && failure.status !== 200 ? down(true) : alive;
    return [
      ...alive,
      { scope: { tenantScope: target.tenantScope }, event: throttled(toTenant, true) },
      { scope: host, event: throttled(toHost, false) },
    ];
  }
  if (isThrottling) return [{ scope: host, event: throttled(toHost, true) }];
  if (failure.kind !== 'transient') return [];
  if (failure.answeredBy === 'nobody') return down(false);
  // A proxy's page or an odd body of a 200 is trouble, but of a host that is there.
  return (failure.status ?? 0) >= 500 || failure.status === 408 ? down(true) : [];
}

const answeredOf = (tenantScope: string, event: GateEvent): GateReport => ({ scope: { tenantScope }, event });
