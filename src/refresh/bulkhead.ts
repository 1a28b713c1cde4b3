/**
 * A process's slots. One host holds at most half of them, so that an endpoint that hangs cannot take the
 * others with it.
 */
export class Bulkhead {
  readonly #mostPerHost: number;
  readonly #inFlight = new Map<string, number>();

  constructor(slots: number) {
    this.#mostPerHost = Math.max(1, Math.floor(slots / 2));
  }

  /** Takes a slot for a host; false when it has its half. */
  enter(host: string): boolean {
    const inFlight = this.#inFlight.get(host) ?? 0;
    if (inFlight >= this.#mostPerHost) return false;
    this.#inFlight.set(host, inFlight + 1);
    return true;
  }

  leave(host: string): void {
    const inFlight = (this.#inFlight.get(host) ?? 0) - 1;
    if (inFlight > 0) this.#inFlight.set(host, inFlight);
    else this.#inFlight.delete(host);
  }

  get inFlight(): number {
    let sum = 0;
    for (const count of this.#inFlight.values()) sum += count;
    return sum;
  }
}
