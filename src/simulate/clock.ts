import { MinHeap } from './min-heap.ts';

/** The virtual clock: what is to happen happens in the order of its moments, and those of one moment in the order asked for. */
export class Clock {
  readonly #moments = new MinHeap();
  readonly #actions = new Map<number, () => void>();
  #now: number;
  #asked = 0;

  /** `now`: whole milliseconds, as of Redis. */
  constructor(now: number) {
    this.#now = now;
  }

  get now(): number {
    return this.#now;
  }

  /** Has something happen `ms` from now; a fraction of a millisecond counts as a whole one. */
  after(ms: number, action: () => void): void {
    this.#asked += 1;
    this.#actions.set(this.#asked, action);
    this.#moments.push(this.#now + Math.max(0, Math.ceil(ms)), this.#asked);
  }

  /** Lets everything happen up to a moment, which is the time then. */
  runUntil(end: number): void {
    while (this.#moments.size > 0 && this.#moments.leastKey <= end) {
      this.#now = this.#moments.leastKey;
      const asked = this.#moments.pop();
      const action = this.#actions.get(asked);
      this.#actions.delete(asked);
      action?.();
    }
    this.#now = end;
  }
}
