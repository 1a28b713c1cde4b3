import { Dispatcher, type DispatcherDependencies } from './dispatcher.ts';
import { RefreshWorker, type WorkerDependencies } from './worker.ts';

export type DaemonDependencies = DispatcherDependencies & Omit<WorkerDependencies, 'onFree'>;

/** Daemons do not begin at the same moment. */
const APART_MS = 13;

/** One process: a dispatcher and a worker. */
export class Daemon {
  readonly worker: RefreshWorker;
  readonly #number: number;
  readonly #deps: DaemonDependencies;
  /** Counts the kills: a loop of an earlier life ends. */
  #life = 0;

  constructor(number: number, deps: DaemonDependencies) {
    this.#number = number;
    this.#deps = deps;
    this.worker = new RefreshWorker({ ...deps, onFree: () => deps.queue.handOut() });
  }

  start(): void {
    const { clock, queue } = this.#deps;
    const life = ++this.#life;
    const dispatcher = new Dispatcher(this.#deps);
    const step = (): void => {
      if (this.#life === life) clock.after(dispatcher.step(clock.now), step);
    };
    this.worker.restart();
    // A queue that is full takes no claim, and so nothing else would hand out what it holds.
    queue.handOut();
    clock.after(this.#number * APART_MS, step);
  }

  /** What it had in hand is lost; what waits in the queue goes to the others. */
  kill(): void {
    this.#life += 1;
    this.worker.kill();
  }
}
