import { probeNow } from '../core/credential-marks.ts';
import { decide } from '../core/decide.ts';
import { EvertokenError } from '../core/errors.ts';
import type { Due } from '../core/filing.ts';
import { isDormant } from '../core/retire.ts';
import type { TargetState } from '../core/state.ts';
import { clientOf, type ParsedSelect, parseSelect, type TargetId } from '../core/target.ts';
import { PAUSED_LOOK_MS } from './dispatch.ts';
import { type Matched, matchManaged } from './match.ts';
import type { Memory } from './memory.ts';
import {
  LONGEST_PAUSE_MS,
  type OrderResult,
  type PauseOrder,
  type PurgeOrder,
  type RefreshOrder,
  type ResumeOrder,
  Tally,
} from './orders.ts';
import type { CataloguePort, ClockPort, IndexesPort, MarksPort, StatesPort } from './ports.ts';

/** What operators' orders change for the whole fleet. */
export interface OrdersPort {
  pause(pause: { select: string; all: boolean; until: number; by: string }): Promise<void>;
  resume(select: string): Promise<boolean>;
  pauses(now: number): Promise<readonly { select: string; until: number }[]>;
  announce(change: string): Promise<void>;
}

export interface CarryOutDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: StatesPort;
  readonly indexes: IndexesPort;
  readonly marks: Pick<MarksPort, 'change'>;
  readonly clock: ClockPort;
  readonly orders: OrdersPort;
  readonly memory: Memory;
  readonly pausedUntil: (target: TargetId) => number | undefined;
  /** Reads the tenants and pauses that the fleet shares again. */
  readonly reload: () => Promise<void>;
  /** Wakes this process's dispatchers, so that an order does not wait for their next tick. */
  readonly wake: () => void;
}

/** Who says "24 h from now" as a date goes by a clock that is not the one of Redis. */
const CLOCK_SLACK_MS = 1000;
const DEFAULT_PAUSE_MS = 3_600_000;

/** Carries out operators' orders. Each may be said twice and is then done once. */
export class CarryOut {
  readonly #deps: CarryOutDependencies;

  constructor(deps: CarryOutDependencies) {
    this.#deps = deps;
  }

  /** The generation that a forced order asks for. The caller keeps it, so that a repeated job asks for the same. */
  async newOrder(): Promise<number> {
    return (await this.#deps.clock.now()) + 1;
  }

  async refresh(request: RefreshOrder, order: number): Promise<OrderResult> {
    const tally = new Tally();
    const probed = new Set<string>();
    for await (const matched of this.#matching(parseSelect(request.select, { all: request.all === true }))) {
      if (request.force === true) await this.#letProbe(matched, probed);
      await this.#refreshPage(matched, request, order, tally);
      this.#deps.wake();
    }
    return this.#found(request.select, tally).result(request.force === true ? { order } : {});
  }

  async #refreshPage(
    { host, entries }: Matched,
    request: RefreshOrder,
    order: number,
    tally: Tally,
  ): Promise<void> {
    const { states, indexes, clock } = this.#deps;
    const now = await clock.now();
    const known = await states.read(entries.map(({ target }) => target));
    const accepted: TargetId[] = [];
    const by = `by ${request.by ?? 'an operator'}${request.reason === undefined ? '' : `: ${request.reason}`}`;
    await Promise.all(
      entries.map(async ({ target }, i) => {
        const refusal = this.#refusal(target, known[i] as TargetState, request.force === true, now);
        if (refusal !== undefined) return tally.refuse(refusal);
        const isForced = request.force === true || this.#isDormant(target, known[i] as TargetState);
        if (isForced && (await states.want(target, by, order)).outcome === 'newer') {
          return tally.refuse('its state was written by a newer daemon');
        }
        tally.accept();
        accepted.push(target);
      }),
    );
    await indexes.setDue(host, accepted, now);
  }

  /** A forced order is also one to try a refused credential again: by one probe, whatever it matches. */
  async #letProbe({ entries }: Matched, probed: Set<string>): Promise<void> {
    for (const client of new Set(entries.map(({ target }) => clientOf(target)))) {
      if (probed.has(client)) continue;
      probed.add(client);
      await this.#deps.marks.change(client, probeNow);
    }
  }

  /** Force gets around the plan and parking, never around a pause, Retry-After or the identical limit. */
  #refusal(target: TargetId, state: TargetState, force: boolean, now: number): string | undefined {
    const { catalogue, pausedUntil } = this.#deps;
    if ((pausedUntil(target) ?? 0) > now) return 'paused';
    const policy = catalogue().get(target);
    if (policy === undefined) return undefined;
    if (force) {
      // As if it were wanted already: what then still says wait is what force does not get around.
      const forced = decide({ ...state, wanted: Number.MAX_SAFE_INTEGER }, policy, now);
      if (forced.act === 'refresh' || forced.reason === 'in progress') return undefined;
      return forced.reason === 'backoff' ? 'throttled' : forced.reason;
    }
    const decision = decide(state, policy, now);
    return decision.act === 'wait' && decision.reason !== 'dormant' ? decision.reason : undefined;
  }

  /** What is dormant has to be wanted again to be refreshed: whoever orders it has a use for it. */
  #isDormant(target: TargetId, state: TargetState): boolean {
    const policy = this.#deps.catalogue().get(target);
    return policy !== undefined && isDormant(state, policy);
  }

  async pause(request: PauseOrder): Promise<OrderResult> {
    const { clock, orders, reload } = this.#deps;
    const now = await clock.now();
    const until = request.untilMs ?? now + (request.forMs ?? DEFAULT_PAUSE_MS);
    if (until <= now || until > now + LONGEST_PAUSE_MS + CLOCK_SLACK_MS) {
      throw new EvertokenError(
        'COMMAND_REFUSED',
        'expected a pause that ends in the future and lasts at most 24 h',
      );
    }
    const tally = new Tally();
    const all = request.all === true;
    const select = parseSelect(request.select, { all });
    for await (const { entries } of this.#matching(select)) tally.accept(entries.length);
    this.#found(request.select, tally);
    await orders.pause({ select: request.select, all, until, by: request.by ?? 'an operator' });
    await orders.announce('pauses');
    await reload();
    await this.#takeOutOfReady(select);
    return tally.result({ until: Math.floor(until / 1000) });
  }

  /** What waits for the gate already is looked at again, and so filed as paused: it must not use up its host's pace. */
  async #takeOutOfReady(select: ParsedSelect): Promise<void> {
    const { indexes, clock, wake } = this.#deps;
    for await (const { host, entries } of this.#matching(select)) {
      const targets = targetsOf(entries);
      const inReady = await indexes.inReady(host, targets);
      await indexes.setDue(
        host,
        targets.filter((_target, i) => inReady[i]),
        await clock.now(),
      );
    }
    wake();
  }

  async resume(request: ResumeOrder): Promise<OrderResult> {
    const { clock, orders, indexes, reload, wake } = this.#deps;
    const now = await clock.now();
    const pause = (await orders.pauses(now)).find(({ select }) => select === request.select);
    if (pause === undefined || !(await orders.resume(request.select))) {
      throw new EvertokenError(
        'NOT_FOUND',
        `nothing is paused by select "${request.select}"; a pause is ended by the select that it was made with`,
      );
    }
    await orders.announce('pauses');
    await reload();
    const tally = new Tally();
    for await (const { host, entries } of this.#matching(parseSelect(request.select, { all: true }))) {
      tally.accept(entries.length);
      // Those that were held are looked at every while; the others are told by their state that it is not yet time.
      const held = entries.filter(({ dueAt }) => dueAt <= now + PAUSED_LOOK_MS).map(({ target }) => target);
      await indexes.setDue(host, held, now);
    }
    wake();
    return tally.result();
  }

  /** `order`: when it was given. A token that was issued since is left, so that a repeated job deletes nothing twice. */
  async purge(request: PurgeOrder, order: number): Promise<OrderResult> {
    const { clock, indexes, states, memory, orders, wake } = this.#deps;
    const tally = new Tally();
    for await (const { host, entries } of this.#matching(
      parseSelect(request.select, { all: request.all === true }),
    )) {
      const known = await states.read(targetsOf(entries));
      await Promise.all(
        entries.map(async ({ target }, i) => {
          tally.accept();
          const state = known[i] as TargetState;
          if (state.generation >= order && state.expiresAt > 0) return;
          await states.erase(target, false);
          memory.forgetToken(target);
          await orders.announce(`purge ${target}`);
        }),
      );
      await indexes.setDue(host, targetsOf(entries), await clock.now());
      wake();
    }
    return this.#found(request.select, tally).result();
  }

  #matching(select: ParsedSelect): AsyncGenerator<Matched> {
    return matchManaged(this.#deps.indexes, select);
  }

  #found(select: string, tally: Tally): Tally {
    if (tally.matched > 0) return tally;
    throw new EvertokenError(
      'NOT_FOUND',
      `select "${select}" matches no managed target; \`evertoken targets\` lists them`,
    );
  }
}

function targetsOf(entries: readonly Due[]): TargetId[] {
  return entries.map(({ target }) => target);
}
