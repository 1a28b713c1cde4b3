import type { Clock } from './clock.ts';

/** From the claim of a target to the begin of its job: a few round trips through Redis. */
const QUEUE_MS = 3;

/** Something that runs jobs, a few at once. */
export interface Worker {
  /** How many jobs it can take now. */
  readonly free: number;
  run(target: number): void;
}

/** The queue of what should run now: FIFO, each target at most once, shared by all workers. */
export class JobQueue {
  readonly #clock: Clock;
  readonly #waiting: number[] = [];
  /** The same, to find one by its target. */
  readonly #isWaiting: Uint8Array;
  #workers: readonly Worker[] = [];
  #lastWorker = 0;

  constructor(clock: Clock, targets: number) {
    this.#clock = clock;
    this.#isWaiting = new Uint8Array(targets);
  }

  set workers(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  add(targets: readonly number[]): void {
    for (const target of targets) {
      if (this.#isWaiting[target] === 1) continue;
      this.#isWaiting[target] = 1;
      this.#waiting.push(target);
    }
    this.#clock.after(QUEUE_MS, () => this.handOut());
  }

  /** Gives what waits to workers that are free, in turn. */
  handOut(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#nextFree();
      if (worker === undefined) return;
      const target = this.#waiting.shift() as number;
      this.#isWaiting[target] = 0;
      worker.run(target);
    }
  }

  #nextFree(): Worker | undefined {
    for (let i = 1; i <= this.#workers.length; i++) {
      const at = (this.#lastWorker + i) % this.#workers.length;
      const worker = this.#workers[at];
      if (worker === undefined || worker.free <= 0) continue;
      this.#lastWorker = at;
      return worker;
    }
    return undefined;
  }
}
