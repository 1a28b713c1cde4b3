import type { Rate } from '../core/duration.ts';

/**
 * A token bucket. It holds what one second brings, and at least one request; it begins full and refills evenly. So in
 * any span of time it allows at most what the span brings and what it holds. Times are in ms of any one clock.
 *
 * It counts in shares of a request: each ms brings `count`, and a request costs `windowMs`. In whole ms nothing is
 * rounded.
 */
export class RateLimit {
  readonly #rate: Rate;
  readonly #most: number;
  #level: number;
  #at: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#most = Math.max(rate.windowMs, rate.count * 1000);
    this.#level = this.#most;
    this.#at = nowMs;
  }

  /** Whether one more request is within the rate; if so, it is counted. A clock that goes back brings nothing. */
  allows(nowMs: number): boolean {
    const { count, windowMs } = this.#rate;
    this.#level = Math.min(this.#most, this.#level + Math.max(0, nowMs - this.#at) * count);
    this.#at = nowMs;
    if (this.#level < windowMs) return false;
    this.#level -= windowMs;
    return true;
  }
}
