import type { Health } from '../http/server.ts';

/** After this long without a turn of the heartbeat's loop, whatever its outcome, a restart would help. */
const STUCK_AFTER_MS = 60_000;

/** One failed turn is weather; failing for so long is a state. */
const FAILING_AFTER_MS = 5000;
const BLOCKING = ['redis-unreachable', 'stopping', 'heartbeat-failing', 'dispatch-failing'];

/** What the parts of a process say of its health. */
export class HealthState {
  readonly #problems = new Set<string>();
  readonly #failingSince = new Map<string, number>();
  #turnedAt = performance.now();

  /** A loop has had a turn that worked. */
  succeeded(problem: string): void {
    this.#failingSince.delete(problem);
    this.set(problem, false);
  }

  /** A loop has had a turn that failed: a problem when it has gone on for a while. */
  failed(problem: string): void {
    const since = this.#failingSince.get(problem) ?? performance.now();
    this.#failingSince.set(problem, since);
    if (performance.now() - since > FAILING_AFTER_MS) this.set(problem, true);
  }

  /** The heartbeat's loop is turning, whether or not Redis answers it. */
  turned(): void {
    this.#turnedAt = performance.now();
  }

  /** Sets or clears a problem by its stable name. Gives whether that changed anything. */
  set(problem: string, present: boolean): boolean {
    if (this.#problems.has(problem) === present) return false;
    if (present) this.#problems.add(problem);
    else this.#problems.delete(problem);
    return true;
  }

  has(problem: string): boolean {
    return this.#problems.has(problem);
  }

  now(joined: boolean): Health {
    const live = performance.now() - this.#turnedAt < STUCK_AFTER_MS;
    const blocking = BLOCKING.some((problem) => this.#problems.has(problem));
    return {
      live,
      ready: live && joined && !blocking,
      problems: [...this.#problems, ...(joined ? [] : ['not-joined'])],
    };
  }
}
