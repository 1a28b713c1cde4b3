const SECOND_MS = 1000;

/** How many calls were made when: for each second of the run, and the most in any second, wherever that begins. */
export class CallRate {
  readonly #start: number;
  /** Calls in each second of the run. */
  readonly perSecond: Uint32Array;
  /** Those of them that failed. */
  readonly failedPerSecond: Uint32Array;
  #calls = 0;
  #peak = 0;
  /** Moments of the calls of the last second, oldest first. */
  readonly #recent: number[] = [];

  constructor(start: number, forMs: number) {
    this.#start = start;
    const seconds = Math.ceil(forMs / SECOND_MS) + 1;
    this.perSecond = new Uint32Array(seconds);
    this.failedPerSecond = new Uint32Array(seconds);
  }

  get calls(): number {
    return this.#calls;
  }

  get peakPerSecond(): number {
    return this.#peak;
  }

  count(at: number, failed: boolean): void {
    const second = Math.floor((at - this.#start) / SECOND_MS);
    this.perSecond[second] = (this.perSecond[second] ?? 0) + 1;
    if (failed) this.failedPerSecond[second] = (this.failedPerSecond[second] ?? 0) + 1;
    this.#calls += 1;
    this.#recent.push(at);
    while ((this.#recent[0] ?? at) <= at - SECOND_MS) this.#recent.shift();
    this.#peak = Math.max(this.#peak, this.#recent.length);
  }
}
