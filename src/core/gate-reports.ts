import type { Target } from '../core/client.ts';
import type { Failure } from '../core/failure.ts';
import { awaitsAnswer, type Gate, type GateEvent, type GateScope } from '../core/gate.ts';
import { NO_TENANT } from '../core/target.ts';

export interface GateReport {
  readonly scope: GateScope;
  readonly event: GateEvent;
}

/**
 * What one request tells about the scopes above its target; the scope follows from the evidence. A detected loop
 * concerns the identical request alone, which its own log and `retryAt` hold. An OAuth answer proves the host
 * alive, whatever it says.
 */
export function gateReports(
  target: Target,
  hostGate: Gate,
  failure: Failure | undefined,
  startedAt: number,
): GateReport[] {
  const host: GateScope = { host: target.host };
  const alive: GateReport[] = awaitsAnswer(hostGate)
    ? [{ scope: host, event: { kind: 'answered', startedAt } }]
    : [];
  if (failure === undefined) return alive;
  // Nothing was sent, or evertoken itself gave it up: that tells nothing about the host.
  if (failure.answeredBy === 'unsent' || failure.code === 'aborted') return [];
  // Where an endpoint has no tenants, its targets stand for them; of throttling, which has a budget, its clients.
  const [tenant, budget] =
    target.tenant === NO_TENANT ? [target.id, target.tenantScope] : [target.tenant, target.tenant];
  const throttled = (wholeScope: boolean): GateEvent => ({
    kind: 'throttled',
    tenant: budget,
    startedAt,
    retryAfterMs: failure.retryAfterMs,
    wholeScope,
  });
  const isThrottling = failure.kind === 'throttled' || failure.retryAfterMs !== undefined;

  if (failure.answeredBy === 'server') {
    if (!isThrottling || failure.loopDetected) return alive;
    return [
      ...alive,
      { scope: { tenantScope: target.tenantScope }, event: throttled(true) },
      { scope: host, event: throttled(false) },
    ];
  }
  if (isThrottling) return [{ scope: host, event: throttled(true) }];
  // A proxy's page or an odd body of a 200 is trouble, but of a host that is there.
  const isDown = failure.answeredBy === 'nobody' || (failure.status ?? 0) >= 500 || failure.status === 408;
  if (failure.kind !== 'transient' || !isDown) return [];
  return [{ scope: host, event: { kind: 'unreachable', tenant, startedAt, code: failure.code } }];
}
