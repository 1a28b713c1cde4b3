import type { FailureKind, FailureNote } from './state.ts';

/**
 * Who answered, which says how far a failure reaches. `server`: an OAuth body, so the host is alive and the
 * failure concerns this client and tenant. `host`: an HTTP answer without one (a proxy, a load balancer).
 * `nobody`: no whole answer (network, time-out).
 */
export type AnsweredBy = 'server' | 'host' | 'nobody';

/** One request that gave no token. Holds codes and ids only, never text that a server wrote. */
export interface Failure extends FailureNote {
  readonly answeredBy: AnsweredBy;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** From Retry-After, clamped to [1 s, 1 h]. */
  readonly retryAfterMs: number | undefined;
  /** AADSTS50196: only this identical request is to wait. */
  readonly loopDetected: boolean;
  /** Ids that the server's support can look up. */
  readonly correlationId: string | undefined;
  readonly traceId: string | undefined;
}

export type { FailureKind };
