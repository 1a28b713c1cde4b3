import { Violations } from './violations.ts';

/** One token request, as it was counted when its body had arrived. */
export interface RecordedRequest {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly tenant: string;
  readonly clientId: string;
  readonly scope: string;
  /** 0 until it is answered, and for ever when it never is. */
  status: number;
  /** The name of what the client proved itself with, or tried to: 8 characters, never a secret. */
  credential?: string | undefined;
  /**
   * What it was refused with: Entra's number, the `error` where the server gives no numbers, `rate` by the whole
   * server's; or the mode of a wrong answer.
   */
  error?: number | string | undefined;
}

/** What the server saw. The counts are for its whole life, what is about spans of time for the bounded log. */
export interface MockIdpStats {
  readonly requests: number;
  /** Answers with a token. */
  readonly issued: number;
  readonly failed: number;
  readonly inFlight: number;
  /** Answers with 429. */
  readonly throttled: number;
  /** The most requests in any second, not only in whole ones. */
  readonly peakPerSecond: number;
  /** The most requests with the same tenant, client and scope in any `identicalWindowMs`. */
  readonly maxIdenticalInWindow: number;
  readonly identicalWindowMs: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byError: Readonly<Record<string, number>>;
  /** What no client must do, by name. */
  readonly violations: Readonly<Record<string, number>>;
  /** Processor time of the whole process, user and system. */
  readonly cpuMs: number;
  readonly uptimeMs: number;
}

const LOG_LIMIT = 200_000;
const SECOND_MS = 1000;

/** The counts, and a ring of the newest requests. */
export class RequestRecord {
  readonly violations = new Violations();
  readonly #limit: number;
  readonly #ring: RecordedRequest[] = [];
  readonly #startedAt = performance.now();
  readonly #byStatus: Record<string, number> = {};
  readonly #byError: Record<string, number> = {};
  #count = 0;
  #ended = 0;
  #issued = 0;
  #firstOfSecond = 0;
  #peakPerSecond = 0;

  constructor(limit = LOG_LIMIT) {
    this.#limit = limit;
  }

  /** Counts a request; `conclude` must follow, once. */
  add(at: number, tenant: string, clientId: string, scope: string): RecordedRequest {
    const request: RecordedRequest = {
      at,
      tenant,
      clientId,
      scope,
      status: 0,
      // There from the beginning, so that all have one shape.
      credential: undefined,
      error: undefined,
    };
    this.#ring[this.#count % this.#limit] = request;
    this.#count += 1;
    this.#firstOfSecond = Math.max(this.#firstOfSecond, this.#oldest());
    while (this.#at(this.#firstOfSecond) <= at - SECOND_MS) this.#firstOfSecond += 1;
    this.#peakPerSecond = Math.max(this.#peakPerSecond, this.#count - this.#firstOfSecond);
    return request;
  }

  /** `status` 0: the connection ended without an answer. `isIssued`: there was a token in it. */
  conclude(request: RecordedRequest, status: number, isIssued = status === 200): void {
    request.status = status;
    this.#byStatus[status] = (this.#byStatus[status] ?? 0) + 1;
    if (request.error !== undefined) this.#byError[request.error] = (this.#byError[request.error] ?? 0) + 1;
    if (isIssued) this.#issued += 1;
    this.#ended += 1;
  }

  /** Oldest first. */
  requests(): RecordedRequest[] {
    const first = this.#oldest();
    return Array.from(
      { length: this.#count - first },
      (_, i) => this.#ring[(first + i) % this.#limit] as RecordedRequest,
    );
  }

  /** Looks through the whole log for the identical requests, so it is not for the hot path. */
  stats(identicalWindowMs: number): MockIdpStats {
    const { user, system } = process.cpuUsage();
    return {
      requests: this.#count,
      issued: this.#issued,
      failed: this.#ended - this.#issued,
      inFlight: this.#count - this.#ended,
      throttled: this.#byStatus['429'] ?? 0,
      peakPerSecond: this.#peakPerSecond,
      maxIdenticalInWindow: maxIdentical(this.requests(), identicalWindowMs),
      identicalWindowMs,
      byStatus: { ...this.#byStatus },
      byError: { ...this.#byError },
      violations: this.violations.counts(),
      cpuMs: Math.round((user + system) / 1000),
      uptimeMs: Math.round(performance.now() - this.#startedAt),
    };
  }

  #oldest(): number {
    return Math.max(0, this.#count - this.#limit);
  }

  #at(index: number): number {
    return (this.#ring[index % this.#limit] as RecordedRequest).at;
  }
}

/** The most requests of one tenant, client and scope in any span of `windowMs`. `requests` is oldest first. */
export function maxIdentical(requests: readonly RecordedRequest[], windowMs: number): number {
  const recent = new Map<string, { times: number[]; first: number }>();
  let most = 0;
  for (const { at, tenant, clientId, scope } of requests) {
    const key = JSON.stringify([tenant, clientId, scope]);
    const entry = recent.get(key) ?? { times: [], first: 0 };
    entry.times.push(at);
    while ((entry.times[entry.first] as number) <= at - windowMs) entry.first += 1;
    recent.set(key, entry);
    most = Math.max(most, entry.times.length - entry.first);
  }
  return most;
}
