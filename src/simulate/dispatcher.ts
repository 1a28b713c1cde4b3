import { decide } from '../core/decide.ts';
import { GATE_TICK_MS, IDLE_MS, MOST_QUEUED, QUEUE_SECONDS } from '../core/dispatching.ts';
import { candidates } from '../core/plan.ts';
import { readyScore } from '../core/rank.ts';
import type { Due } from './due-index.ts';
import type { FiledTarget, FleetIndex, FleetStep } from './fleet-index.ts';
import type { JobQueue } from './job-queue.ts';
import type { Draw } from './scenario.ts';
import type { SimulatedTarget } from './targets.ts';

export interface DispatcherDependencies {
  readonly targets: readonly SimulatedTarget[];
  readonly fleet: FleetIndex;
  readonly queue: JobQueue;
  readonly perHost: number;
  readonly draw: Draw;
}

/** Between two steps that follow each other at once: two round trips to Redis. */
const STEP_MS = 2;

/** A dispatcher as `src/refresh/dispatch.ts` is one, with the same policy and the same sleeps. */
export class Dispatcher {
  readonly #deps: DispatcherDependencies;
  readonly #mostQueued: number;
  #filed: readonly FiledTarget[] = [];

  constructor(deps: DispatcherDependencies) {
    this.#deps = deps;
    this.#mostQueued = Math.max(1, Math.min(MOST_QUEUED, Math.ceil(QUEUE_SECONDS * deps.perHost)));
  }

  /** Takes a step. Gives when the next is worth taking, ms. */
  step(now: number): number {
    const { fleet, queue } = this.#deps;
    const step = fleet.step(now, this.#filed, this.#mostQueued - queue.waiting);
    if (step.claimed.length > 0) queue.add(step.claimed);
    this.#filed = step.due.map((due) => this.#file(due, now));
    return Math.max(STEP_MS, this.#sleepMs(step, now));
  }

  #file({ target, dueAt }: Due, now: number): FiledTarget {
    const { targets, draw } = this.#deps;
    const { state } = targets[target] as SimulatedTarget;
    const decision = decide(state, targets[target] as SimulatedTarget, now);
    if (decision.act === 'refresh')
      return { target, seen: dueAt, as: 'ready', score: readyScore(state, dueAt, now) };
    const at = Math.max(now + 1, candidates(decision.until, [draw(), 0])[0]);
    return { target, seen: dueAt, as: 'wait', score: Math.floor(at) };
  }

  #sleepMs({ closedUntil, waiting, nextDueAt }: FleetStep, now: number): number {
    if (this.#filed.length > 0) return 0;
    const forGate = waiting > 0 ? Math.max(GATE_TICK_MS, closedUntil - now) : IDLE_MS;
    const forDue = nextDueAt > 0 ? nextDueAt - now : IDLE_MS;
    return Math.min(IDLE_MS, forGate, forDue);
  }
}
