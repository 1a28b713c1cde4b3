import { classify, type Failure } from '../core/failure.ts';
import { RateLimit } from '../mock-idp/rate-limit.ts';
import type { Outage, Scenario } from './scenario.ts';
import type { SimulatedTarget } from './targets.ts';

/** What becomes of a request. `takesMs`: Infinity when no answer comes. */
export interface Exchange {
  readonly takesMs: number;
  /** Undefined: a token. */
  readonly failure: Failure | undefined;
}

const DOWN: Readonly<Record<Outage['kind'], { readonly answers: boolean; readonly failure: Failure }>> = {
  refuses: { answers: true, failure: classify({ answeredBy: 'nobody', networkCode: 'ECONNREFUSED' }) },
  hangs: { answers: false, failure: classify({ answeredBy: 'nobody', problem: 'timeout' }) },
  unavailable: { answers: true, failure: classify({ answeredBy: 'host', status: 503 }) },
};
/** The application is absent from the tenant: for its administrator to mend. */
const TENANT_FAILS = classify({
  answeredBy: 'server',
  status: 400,
  error: 'unauthorized_client',
  errorCodes: [700_016],
});

const BAD_GATEWAY = classify({ answeredBy: 'host', status: 502 });

/** The authorization server of a simulation. What it says holds from the moment at which the request is sent. */
export class SimulatedServer {
  readonly #scenario: Scenario;
  readonly #start: number;
  readonly #capacity: RateLimit;
  readonly #tooMany: Failure;
  #throttledUntil: number | undefined;

  /** `start`: the moment from which the times of the scenario count. */
  constructor(scenario: Scenario, start: number) {
    this.#scenario = scenario;
    this.#start = start;
    // Rates may be fractions, and a bucket counts whole requests.
    const capacity = { count: Math.round(scenario.idpPerSecond * 1000), windowMs: 1_000_000 };
    this.#capacity = new RateLimit(capacity, start);
    this.#tooMany = classify({ answeredBy: 'host', status: 429, retryAfterMs: scenario.retryAfterMs });
  }

  request(target: SimulatedTarget, now: number): Exchange {
    const { latencyMs: takesMs } = this.#scenario;
    const outage = this.#outageAt(now);
    if (outage !== undefined) {
      const { answers, failure } = DOWN[outage.kind];
      return { takesMs: answers ? takesMs : Number.POSITIVE_INFINITY, failure };
    }
    if (!this.#capacity.allows(now)) return { takesMs, failure: this.#tooMany };
    if (target.fails) return { takesMs, failure: TENANT_FAILS };
    if (target.isTroubled) return { takesMs, failure: BAD_GATEWAY };
    return { takesMs, failure: this.#tenantRefusal(target, now) };
  }

  #outageAt(now: number): Outage | undefined {
    const at = now - this.#start;
    return this.#scenario.outages.find(({ fromMs, lengthMs }) => fromMs <= at && at < fromMs + lengthMs);
  }

  /** The first request after the beginning is told to wait for all of it, and who comes earlier, for the rest. */
  #tenantRefusal({ isThrottled }: SimulatedTarget, now: number): Failure | undefined {
    const throttle = this.#scenario.tenantThrottle;
    if (throttle === undefined || !isThrottled || now < this.#start + throttle.fromMs) return undefined;
    this.#throttledUntil ??= now + throttle.lengthMs;
    if (now >= this.#throttledUntil) return undefined;
    return classify({
      answeredBy: 'server',
      status: 429,
      error: 'temporarily_unavailable',
      retryAfterMs: Math.max(1000, this.#throttledUntil - now),
    });
  }
}
