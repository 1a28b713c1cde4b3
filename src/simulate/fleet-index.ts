import { CLAIM } from '../core/claim.ts';
import { HOST_BURST_MS, IDLE_MS, READY_RECHECK_MS, TENANT_BURST_MS } from '../core/dispatching.ts';
import { type Gate, type GateEvent, OPEN_GATE, reduceGate } from '../core/gate.ts';
import { PASS_ON, PROBE_ORDER, type ShareClass, TURNS } from '../core/shares.ts';
import { type Due, DueIndex } from './due-index.ts';
import { ReadyIndex } from './ready-index.ts';
import { TenantGates } from './tenant-gates.ts';
import { givenBackAt, heldMs, paceAt, storedNextAt } from './turns-at-pace.ts';

/** What a dispatcher made of a target that had come due, as `Filed` of `core/filing.ts`. */
export interface FiledTarget {
  readonly target: number;
  readonly seen: number;
  readonly as: 'ready' | 'wait';
  readonly score: number;
}

export interface FleetStep {
  readonly closedUntil: number;
  /** When the next target comes due; 0: not as soon as a dispatcher would look in any case. */
  readonly nextDueAt: number;
  readonly waiting: number;
  readonly claimed: readonly number[];
  readonly due: readonly Due[];
}

export interface FleetIndexOptions {
  readonly targets: number;
  /** Number of the client and tenant of each target. */
  readonly scopeOf: (target: number) => number;
  readonly scopes: number;
  /** Requests a second. */
  readonly perHost: number;
  /** Requests a second. */
  readonly perTenant: number;
  /** The time in which things happen, epoch ms. */
  readonly start: number;
  readonly end: number;
}

const MOST_SHOWN = 500;
const NONE = -1;

/**
 * The indexes and gates of one host, as Redis has them, and what `dispatch.lua`, `plan.lua` and `give-back.lua` do to
 * them. `test/redis/simulate-twin.test.ts` holds them together.
 */
export class FleetIndex {
  readonly due: DueIndex;
  readonly ready: ReadyIndex;
  readonly tenants: TenantGates;
  hostGate: Gate = OPEN_GATE;
  readonly #options: FleetIndexOptions;
  #nextAt = 0;
  #probeUntil = 0;
  #probe = NONE;

  constructor(options: FleetIndexOptions) {
    this.#options = options;
    this.due = new DueIndex(options.targets, options.start, options.end);
    this.ready = new ReadyIndex(options.targets);
    this.tenants = new TenantGates(options.scopes);
  }

  /** Applies what an attempt tells about the host. Whatever it changes, the probe that was out has come back. */
  reportHost(event: GateEvent, now: number): void {
    const after = reduceGate(this.hostGate, event, now);
    if (after === this.hostGate) return;
    this.hostGate = after;
    this.#probeUntil = 0;
  }

  /** One step of a dispatcher: `dispatch.lua`. `mostClaimed`: how many more jobs the queue takes. */
  step(now: number, filed: readonly FiledTarget[], mostClaimed: number): FleetStep {
    for (const entry of filed) this.#file(entry, now);
    const { claimed, closedUntil } = this.#claim(now, mostClaimed);
    return {
      closedUntil,
      nextDueAt: this.due.nextAfter(now, IDLE_MS),
      waiting: this.ready.size,
      claimed,
      due: this.due.upTo(now, MOST_SHOWN),
    };
  }

  /** `plan.lua`: of two moments the one whose slot is emptier. Gives it; undefined: somebody has moved the target. */
  plan(target: number, seen: number, slotMs: number, moments: readonly [number, number]): number | undefined {
    if (this.due.score(target) !== seen) return undefined;
    const [one, other] = moments;
    const isOther =
      one !== other && this.due.count(other, other + slotMs) < this.due.count(one, one + slotMs);
    const best = isOther ? other : one;
    this.due.set(target, best);
    this.ready.remove(target);
    return best;
  }

  /** `give-back.lua`: a claim that was not used, with the request that it stood for. */
  giveBack(target: number, seen: number, againInMs: number, now: number): void {
    if (this.due.score(target) !== seen) return;
    this.due.set(target, now + againInMs);
    this.#nextAt = givenBackAt(this.#nextAt, this.hostGate.pace, this.#options.perHost, now);
    if (this.#probe === target) this.#probeUntil = 0;
  }

  #file({ target, seen, as, score }: FiledTarget, now: number): void {
    if (this.due.score(target) !== seen) return;
    if (as === 'ready') this.ready.file(target, score);
    else this.ready.remove(target);
    this.due.set(target, as === 'ready' ? now + READY_RECHECK_MS : score);
  }

  #claim(now: number, mostClaimed: number): { claimed: number[]; closedUntil: number } {
    const { probing } = this.hostGate;
    const closedUntil = Math.max(this.hostGate.closedUntil, probing ? this.#probeUntil : 0);
    if (closedUntil > now || this.ready.size === 0) return { claimed: [], closedUntil };
    const pace = paceAt(this.#nextAt, this.hostGate.pace, this.#options.perHost, HOST_BURST_MS, now);
    const byPace = Math.max(0, Math.floor((now + HOST_BURST_MS - pace.at) / pace.intervalMs) + 1);
    const gives = Math.min(probing ? Math.min(byPace, 1) : byPace, mostClaimed);
    const claimed = this.#takeTurns(gives, probing, now);
    if (claimed.length === 0) return { claimed, closedUntil };
    pace.at += claimed.length * pace.intervalMs;
    this.#nextAt = storedNextAt(pace);
    if (!probing) return { claimed, closedUntil };
    this.#probe = claimed[0] as number;
    this.#probeUntil = now + CLAIM.queueMs + CLAIM.withoutTokenMs;
    return { claimed, closedUntil: this.#probeUntil };
  }

  #takeTurns(gives: number, probing: boolean, now: number): number[] {
    const claimed: number[] = [];
    if (gives <= 0) return claimed;
    const taking = { now, looks: 2 * gives + 100, held: new Map<number, number>() };
    while (claimed.length < gives) {
      const seq = this.hostGate.claims + claimed.length;
      const target = probing ? this.#takeFirst(PROBE_ORDER, taking) : this.#takeTurn(seq, taking);
      if (target === NONE) break;
      claimed.push(target);
    }
    const claims = this.hostGate.claims + claimed.length;
    if (claimed.length > 0) this.hostGate = { ...this.hostGate, claims };
    return claimed;
  }

  #takeTurn(seq: number, taking: Taking): number {
    const turn = TURNS[seq % TURNS.length] as ShareClass;
    const target = this.#take(turn, taking);
    if (target !== NONE) return target;
    return this.#takeFirst(turn === 'dead' ? ['failing', ...PASS_ON] : PASS_ON, taking);
  }

  #takeFirst(order: readonly ShareClass[], taking: Taking): number {
    for (const range of order) {
      const target = this.#take(range, taking);
      if (target !== NONE) return target;
    }
    return NONE;
  }

  #take(range: ShareClass, taking: Taking): number {
    const { now } = taking;
    while (taking.looks > 0) {
      const target =
        range === 'live' && this.hostGate.probing ? this.ready.lastLive(now) : this.ready.first(range, now);
      if (target === NONE) return NONE;
      taking.looks -= 1;
      const score = this.ready.score(target);
      this.ready.remove(target);
      if (Number.isNaN(this.due.score(target))) continue;
      const heldUntil = this.#heldUntil(this.#options.scopeOf(target), taking);
      this.due.set(target, heldUntil ?? claimEnd(range, score, now));
      if (heldUntil === undefined) return target;
    }
    return NONE;
  }

  /** Undefined when the tenant's gate lets a target through, else the moment at which it will. */
  #heldUntil(scope: number, { now, held }: Taking): number | undefined {
    const gate = this.tenants.get(scope);
    const pace = paceAt(this.tenants.nextAt(scope), gate.pace, this.#options.perTenant, TENANT_BURST_MS, now);
    if (gate.closedUntil <= now && pace.at - TENANT_BURST_MS <= now) {
      pace.at += pace.intervalMs;
      this.tenants.setNextAt(scope, storedNextAt(pace));
      return undefined;
    }
    const place = (held.get(scope) ?? 0) + 1;
    held.set(scope, place);
    return Math.ceil(Math.max(gate.closedUntil, pace.at - TENANT_BURST_MS) + heldMs(place, pace));
  }
}

/** What one step knows while it claims. */
interface Taking {
  readonly now: number;
  /** How many more targets it looks at. */
  looks: number;
  /** How many targets of each client and tenant it has held back. */
  readonly held: Map<number, number>;
}

function claimEnd(range: ShareClass, expiresAt: number, now: number): number {
  const { queueMs, shareOfLife, shortestMs, longestMs, withoutTokenMs } = CLAIM;
  const claimMs =
    range === 'live'
      ? Math.max(shortestMs, Math.min(longestMs, shareOfLife * (expiresAt - now)))
      : withoutTokenMs;
  return Math.floor(now + queueMs + claimMs);
}
