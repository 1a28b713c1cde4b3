import type { Failure } from '../core/failure.ts';
import { CallRate } from './call-rate.ts';
import { Recoveries } from './recoveries.ts';
import type { SimulatedTarget } from './targets.ts';

/** How the targets are at one moment. */
export interface Sample {
  readonly at: number;
  /** Their tokens live and are not yet to be refreshed. */
  readonly fresh: number;
  /** Their tokens live. */
  readonly live: number;
  /** The least life left, ms; 0: a token has ended and was not replaced. Undefined: there is no token. */
  readonly shortestLifeMs: number | undefined;
}

/** One request as the server saw it. */
export interface SeenRequest {
  readonly target: SimulatedTarget;
  readonly at: number;
  /** Undefined: a token. */
  readonly failure: Failure | undefined;
}

export interface RecorderOptions {
  readonly targets: readonly SimulatedTarget[];
  readonly start: number;
  readonly forMs: number;
  /** Told of every request. */
  readonly onRequest?: ((seen: SeenRequest) => void) | undefined;
}

/** Counts what happens in a run. */
export class Recorder {
  readonly calls: CallRate;
  readonly recoveries: Recoveries;
  readonly samples: Sample[] = [];
  /** Calls of daemons that were killed before the token arrived. */
  lostCalls = 0;
  failedCalls = 0;
  throttledCalls = 0;
  issuedTokens = 0;
  readonly #options: RecorderOptions;
  /** When the next refresh of each target is planned for. */
  readonly #plannedAt: Float64Array;
  readonly #expired = new Set<number>();
  #expiredMs = 0;
  #shortestLifeMs = Number.POSITIVE_INFINITY;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.calls = new CallRate(options.start, options.forMs);
    this.recoveries = new Recoveries();
    this.#plannedAt = new Float64Array(options.targets.length);
  }

  called(target: SimulatedTarget, at: number, failure: Failure | undefined): void {
    this.calls.count(at, failure !== undefined);
    if (failure !== undefined) this.failedCalls += 1;
    if (failure?.kind === 'throttled') this.throttledCalls += 1;
    this.#options.onRequest?.({ target, at, failure });
  }

  /** Tokens came whose daemon was no longer there. */
  lost(calls: number): void {
    this.lostCalls += calls;
    this.failedCalls += calls;
  }

  /** A token came that could not be used. */
  unusable(): void {
    this.failedCalls += 1;
  }

  /** A token came and is published. `endedAt`: when the one before it ends; 0: there was none. */
  issued(target: SimulatedTarget, endedAt: number, now: number): void {
    this.issuedTokens += 1;
    if (endedAt > 0) this.#ended(target, endedAt - now);
    this.recoveries.refreshed(target.index, now);
  }

  planned({ index }: SimulatedTarget, at: number): void {
    this.#plannedAt[index] = at;
  }

  outageEnded(now: number): void {
    const isDue = ({ index, fails, isTroubled, isThrottled }: SimulatedTarget): boolean =>
      !fails && !isTroubled && !isThrottled && (this.#plannedAt[index] as number) <= now;
    this.recoveries.begin(
      this.#options.targets.filter(isDue).map(({ index }) => index),
      now,
    );
  }

  sample(now: number): void {
    let [fresh, live, shortest] = [0, 0, Number.POSITIVE_INFINITY];
    for (const { index, state, fails } of this.#options.targets) {
      const leftMs = state.expiresAt - now;
      if (leftMs > 0) {
        live += 1;
        if ((this.#plannedAt[index] as number) > now) fresh += 1;
      }
      if (state.expiresAt > 0 && !fails && leftMs < shortest) shortest = leftMs;
    }
    const shortestLifeMs = shortest === Number.POSITIVE_INFINITY ? undefined : Math.max(0, shortest);
    this.samples.push({ at: now - this.#options.start, fresh, live, shortestLifeMs });
  }

  /** The run is over: tokens that have ended by now were never replaced. */
  end(now: number): void {
    for (const target of this.#options.targets) {
      const { expiresAt } = target.state;
      if (expiresAt > 0) this.#ended(target, expiresAt - now);
    }
  }

  /** The time for which there was no live token where there had been one, over all targets. */
  get expiredTokenMs(): number {
    return this.#expiredMs;
  }

  /** Targets whose token has ended before the next one came. */
  get expiredTargets(): number {
    return this.#expired.size;
  }

  /** The least life that any token had left before the next one came; 0: one had ended. Undefined: there was none. */
  get shortestLifeMs(): number | undefined {
    return this.#shortestLifeMs === Number.POSITIVE_INFINITY ? undefined : this.#shortestLifeMs;
  }

  /** A token was replaced, or is looked at for the last time, with so much of its life left. */
  #ended({ index }: SimulatedTarget, leftMs: number): void {
    this.#shortestLifeMs = Math.min(this.#shortestLifeMs, Math.max(0, leftMs));
    if (leftMs >= 0) return;
    this.#expired.add(index);
    this.#expiredMs -= leftMs;
  }
}
