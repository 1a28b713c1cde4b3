import type { Health } from '../http/server.ts';

/** After this long without a turn of the heartbeat's loop, whatever its outcome, a restart would help. */
const STUCK_AFTER_MS = 60_000;

/** What the parts of a process say of its health. */
export class HealthState {
  readonly #problems = new Set<string>();
  #turnedAt = performance.now();

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
    const blocking = this.#problems.has('redis-unreachable') || this.#problems.has('stopping');
    return {
      live,
      ready: live && joined && !blocking,
      problems: [...this.#problems, ...(joined ? [] : ['not-joined'])],
    };
  }
}
