import type { Rate } from '../core/duration.ts';
import { LoopDetector } from './loop-detector.ts';
import { RateLimit } from './rate-limit.ts';

/** The whole server; a client in a tenant; the identical request. */
export type LimitName = 'rate' | 'tenantRate' | 'loop';

/** The part of the behaviour that is about limits. Undefined is without one. */
export interface LimitSettings {
  readonly rate: Rate | undefined;
  readonly tenantRate: Rate | undefined;
  readonly loop: Rate | undefined;
  readonly retryAfterMs: number | undefined;
  readonly graceMs: number;
}

export interface Asker {
  readonly tenant: string;
  readonly clientId: string;
  /** What is the same in identical requests. */
  readonly identity: string;
}

/** What was found of a request when it came. */
export interface Arrival {
  readonly keys: Readonly<Record<LimitName, string>>;
  readonly isLoop: boolean;
  /** The Retry-After that it came too early for, though its client could know. */
  readonly ignored: Closure | undefined;
}

/** A Retry-After that was given. ms of the clock of the calls. */
export interface Closure {
  readonly limit: LimitName;
  readonly sentAt: number;
  readonly until: number;
}

/** A request that is to be answered by 429. */
export interface Throttled {
  readonly limit: LimitName;
  /** At least 1; undefined: without the header. */
  readonly retryAfterSeconds: number | undefined;
}

const MOST_TENANTS = 100_000;
const MOST_CLOSURES = 100_000;

/** How many requests the server takes, and which Retry-After it has given. Times are values, in ms of any one clock. */
export class Limits {
  /** Read at every request: it changes while the server runs. */
  readonly #settings: LimitSettings;
  readonly #host = new MadeFor((rate, nowMs) => new RateLimit(rate, nowMs));
  readonly #tenants = new MadeFor((rate) => new TenantLimits(rate));
  readonly #loops = new MadeFor((limit) => new LoopDetector(limit));
  /** Oldest first. */
  readonly #closures = new Map<string, Closure>();

  constructor(settings: LimitSettings) {
    this.#settings = settings;
  }

  /** There is no limit, and no Retry-After to be kept: nothing needs to be asked. */
  get isIdle(): boolean {
    const { rate, tenantRate, loop } = this.#settings;
    const isOff = rate === undefined && tenantRate === undefined && loop === undefined;
    return isOff && this.#closures.size === 0;
  }

  /** Looks at a request that has come, whatever becomes of it. */
  arrived({ tenant, clientId, identity }: Asker, nowMs: number): Arrival {
    const { loop } = this.#settings;
    this.#dropEnded(nowMs);
    const keys = {
      rate: 'rate',
      tenantRate: `tenantRate ${JSON.stringify([clientId, tenant])}`,
      loop: `loop ${identity}`,
    };
    const closures = Object.values(keys).map((key) => this.#closures.get(key));
    return {
      keys,
      isLoop: loop !== undefined && this.#loops.of(loop, nowMs).isLoop(identity, nowMs),
      ignored: closures.find((closure) => closure !== undefined && this.#ignores(closure, nowMs)),
    };
  }

  /** Whether the request is over a limit; otherwise it is counted. To be asked when its answer is sent. */
  refuse(arrival: Arrival, nowMs: number): Throttled | undefined {
    const { ignored, keys } = arrival;
    if (ignored !== undefined && nowMs < ignored.until && this.#settings[ignored.limit] !== undefined)
      return { limit: ignored.limit, retryAfterSeconds: secondsUntil(ignored, nowMs) };
    const limit = this.#exceeded(arrival, nowMs);
    return limit && { limit, retryAfterSeconds: this.#close(limit, keys[limit], nowMs) };
  }

  /** A client that got the answer later than others did was told the same end. */
  #ignores({ sentAt, until }: Closure, nowMs: number): boolean {
    return nowMs > sentAt + this.#settings.graceMs && nowMs < until;
  }

  #exceeded({ keys, isLoop }: Arrival, nowMs: number): LimitName | undefined {
    const { rate, tenantRate } = this.#settings;
    if (rate !== undefined && !this.#host.of(rate, nowMs).allows(nowMs)) return 'rate';
    if (tenantRate !== undefined && !this.#tenants.of(tenantRate, nowMs).allows(keys.tenantRate, nowMs))
      return 'tenantRate';
    return isLoop ? 'loop' : undefined;
  }

  /** The seconds that are told. Whoever is refused while a Retry-After lasts is told the same end. */
  #close(limit: LimitName, key: string, nowMs: number): number | undefined {
    const { retryAfterMs } = this.#settings;
    const known = this.#closures.get(key);
    if (known !== undefined && nowMs < known.until) return secondsUntil(known, nowMs);
    if (retryAfterMs === undefined) return undefined;
    const seconds = Math.ceil(retryAfterMs / 1000);
    this.#closures.delete(key);
    this.#closures.set(key, { limit, sentAt: nowMs, until: nowMs + seconds * 1000 });
    return seconds;
  }

  #dropEnded(nowMs: number): void {
    for (const [key, { until }] of this.#closures) {
      if (until > nowMs && this.#closures.size <= MOST_CLOSURES) break;
      this.#closures.delete(key);
    }
  }
}

const secondsUntil = ({ until }: Closure, nowMs: number): number =>
  Math.max(1, Math.ceil((until - nowMs) / 1000));

/** A limit of its own for each key. Of more than 100,000 the one that was idle for longest is forgotten. */
class TenantLimits {
  readonly #rate: Rate;
  readonly #byKey = new Map<string, RateLimit>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  allows(key: string, nowMs: number): boolean {
    const limit = this.#byKey.get(key) ?? new RateLimit(this.#rate, nowMs);
    this.#byKey.delete(key);
    this.#byKey.set(key, limit);
    if (this.#byKey.size > MOST_TENANTS) this.#byKey.delete(this.#byKey.keys().next().value ?? '');
    return limit.allows(nowMs);
  }
}

/** What belongs to a rate, made anew when another one is set. */
class MadeFor<Made> {
  readonly #make: (rate: Rate, nowMs: number) => Made;
  #current: { readonly rate: Rate; readonly made: Made } | undefined;

  constructor(make: (rate: Rate, nowMs: number) => Made) {
    this.#make = make;
  }

  of(rate: Rate, nowMs: number): Made {
    if (this.#current?.rate !== rate) this.#current = { rate, made: this.#make(rate, nowMs) };
    return this.#current.made;
  }
}
