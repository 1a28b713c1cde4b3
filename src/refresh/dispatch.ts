import { credentialHold, type Hold } from '../core/credential-choice.ts';
import { decide } from '../core/decide.ts';
import { GATE_TICK_MS, IDLE_MS, MOST_QUEUED, QUEUE_SECONDS } from '../core/dispatching.ts';
import { perSecond, type Rate } from '../core/duration.ts';
import type { Due, Filed } from '../core/filing.ts';
import { candidates } from '../core/plan.ts';
import { readyScore } from '../core/rank.ts';
import { looksUnread } from '../core/retire.ts';
import type { TargetState } from '../core/state.ts';
import { clientOf, type TargetId } from '../core/target.ts';
import type { CataloguePort, Draw, IndexesPort, MarksPort, StatesPort } from './ports.ts';

export interface DispatchDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'idleMs' | 'retire'>;
  readonly indexes: Pick<IndexesPort, 'dispatch'>;
  readonly marks: Pick<MarksPort, 'read'>;
  /** Puts claimed targets into the queue. A claim whose job is lost ends, and is offered again. */
  readonly enqueue: (targets: readonly TargetId[]) => Promise<void>;
  /** Until when an operator has paused a target; undefined: not. */
  readonly pausedUntil: (target: TargetId) => number | undefined;
  /** Whether what is unread may retire: not while another process may have been told never to retire it. */
  readonly mayRetire: () => boolean;
  readonly epoch: () => string;
  readonly draw: Draw;
}

/** What one step did, and when the next is worth taking. */
export type Step =
  | { readonly outcome: 'epoch lost' }
  | {
      readonly outcome: 'stepped';
      readonly claimed: number;
      readonly waiting: number;
      readonly sleepMs: number;
    };

/** What is paused is looked at again: the pause may have been shortened or ended without this process hearing of it. */
export const PAUSED_LOOK_MS = 30_000;
/**
 * A target that this process does not know is left to one that does: soon, since that is so while a configuration is
 * rolled out, and in a while, since it may be one that waits for its removal.
 */
const UNKNOWN_SOON_MS = 500;
const UNKNOWN_LATE_MS = 5000;
/** What was to be retired, and has just got another token or an attempt, or may not, is looked at again after this. */
const NOT_RETIRED_LOOK_MS = 1000;

/** Moves what is due to ready and claims from ready, for one host. Any number run side by side. */
export class Dispatcher {
  readonly #deps: DispatchDependencies;
  readonly #host: string;
  #filed: Filed[] = [];

  constructor(host: string, deps: DispatchDependencies) {
    this.#host = host;
    this.#deps = deps;
  }

  async step(perHost: Rate): Promise<Step> {
    const filed = this.#filed;
    this.#filed = [];
    const result = await this.#deps.indexes.dispatch(
      this.#deps.epoch(),
      this.#host,
      perHost,
      mostQueued(this.#deps.catalogue().hosts().values()),
      filed,
    );
    if (result.outcome === 'epoch') return { outcome: 'epoch lost' };
    // Claimed although paused meanwhile: the end of its claim looks at the target again, and at the pause.
    const claimed = result.claimed.filter((target) => !((this.#deps.pausedUntil(target) ?? 0) > result.now));
    if (claimed.length > 0) await this.#deps.enqueue(claimed);
    this.#filed = await this.#file(result.due, result.now);
    return {
      outcome: 'stepped',
      claimed: result.claimed.length,
      waiting: result.waiting,
      sleepMs: this.#sleepMs(result),
    };
  }

  async #file(due: readonly Due[], now: number): Promise<Filed[]> {
    if (due.length === 0) return [];
    const clients = [...new Set(due.map(({ target }) => clientOf(target)))];
    const [states, marks] = await Promise.all([
      this.#deps.states.read(due.map(({ target }) => target)),
      this.#deps.marks.read(clients),
    ]);
    const holds = new Map(clients.map((client, i) => [client, credentialHold(marks[i] ?? [], now)]));
    const idleMs = await this.#idleMs(due, states, now);
    return Promise.all(
      due.map((entry, i) => {
        const hold = holds.get(clientOf(entry.target));
        return this.#fileOne(entry, states[i] as TargetState, hold, idleMs.get(entry.target), now);
      }),
    );
  }

  /** Asked only for what its state says nobody may have read for too long: elsewhere it would change nothing. */
  async #idleMs(
    due: readonly Due[],
    states: readonly TargetState[],
    now: number,
  ): Promise<ReadonlyMap<TargetId, number | undefined>> {
    if (!this.#deps.mayRetire()) return new Map();
    const targets = due
      .filter(({ target }, i) => {
        const policy = this.#deps.catalogue().get(target);
        return policy !== undefined && looksUnread(states[i] as TargetState, policy, now);
      })
      .map(({ target }) => target);
    if (targets.length === 0) return new Map();
    const idleMs = await this.#deps.states.idleMs(targets);
    return new Map(targets.map((target, i) => [target, idleMs[i]]));
  }

  async #fileOne(
    { target, dueAt }: Due,
    state: TargetState,
    hold: Hold | undefined,
    idleMs: number | undefined,
    now: number,
  ): Promise<Filed> {
    const waitUntil = (at: number): Filed => ({ target, seen: dueAt, as: 'wait', score: Math.floor(at) });
    const policy = this.#deps.catalogue().get(target);
    if (policy === undefined)
      return waitUntil(now + UNKNOWN_SOON_MS + this.#deps.draw() * (UNKNOWN_LATE_MS - UNKNOWN_SOON_MS));
    const pausedUntil = this.#deps.pausedUntil(target);
    if (pausedUntil !== undefined && pausedUntil > now)
      return waitUntil(Math.min(pausedUntil, now + PAUSED_LOOK_MS));
    const decision = decide(state, policy, now, hold, idleMs);
    // Its state says so before its due score does: whoever is stopped between the two finds a dormant target due.
    if (decision.act === 'wait' && decision.reason === 'dormant') {
      const isRetired = this.#deps.mayRetire() && (await this.#deps.states.retire(target, state.generation));
      if (!isRetired) return waitUntil(now + NOT_RETIRED_LOOK_MS);
    }
    if (decision.act === 'wait')
      return waitUntil(Math.max(now + 1, candidates(decision.until, [this.#deps.draw(), 0])[0]));
    return { target, seen: dueAt, as: 'ready', score: readyScore(state, dueAt, now) };
  }

  #sleepMs({
    now,
    closedUntil,
    waiting,
    nextDueAt,
  }: {
    now: number;
    closedUntil: number;
    waiting: number;
    nextDueAt: number;
  }): number {
    if (this.#filed.length > 0) return 0;
    const forGate = waiting > 0 ? Math.max(GATE_TICK_MS, closedUntil - now) : IDLE_MS;
    // While others wait anyway, what comes due is early enough for its turn with the next tick.
    const soonest = waiting > 0 ? GATE_TICK_MS : 1;
    const forDue = nextDueAt > 0 ? Math.max(soonest, nextDueAt - now) : IDLE_MS;
    return Math.min(IDLE_MS, forGate, forDue);
  }
}

/** The queue is one for all hosts: bounded by what all of them together may send, so that none shuts out another. */
function mostQueued(hosts: Iterable<{ readonly perHost: Rate }>): number {
  let sum = 0;
  for (const { perHost } of hosts) sum += perSecond(perHost);
  return Math.max(1, Math.min(MOST_QUEUED, Math.ceil(QUEUE_SECONDS * sum)));
}
