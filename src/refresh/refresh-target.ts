import { attemptTiming, isClaim } from '../core/claim.ts';
import type { Target } from '../core/client.ts';
import { HELD_SPREAD_MS, type Hold } from '../core/credential-choice.ts';
import { type Decision, decide } from '../core/decide.ts';
import { perSecond, type Rate } from '../core/duration.ts';
import { nextAllowedAt } from '../core/guard.ts';
import { candidates, type Span, slotWidthMs } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import { type AttemptDependencies, attemptRefresh, type Begun } from './attempt.ts';
import type { Bulkhead } from './bulkhead.ts';
import type { CataloguePort, IndexesPort } from './ports.ts';
import type { Closing, RefreshReport } from './report.ts';

export interface RefreshDependencies extends AttemptDependencies {
  readonly catalogue: () => CataloguePort;
  /** What the fleet may ask of a host; undefined where this process does not know it. */
  readonly perHost: (host: string) => Rate | undefined;
  readonly indexes: IndexesPort;
  readonly bulkhead: Bulkhead;
}

/** A target is offered again after this when this process has no slot left for its host. */
const NO_SLOT_AGAIN_MS = 500;
/** What is held for longer comes back spread out. */
const SHORT_HOLD_MS = 1000;
/** Time for another worker to be the next. */
const NOT_MINE_AGAIN_MS = 200;
/** A newer daemon's state is looked at again after this, in case that daemon has gone. */
const NEWER_STATE_AGAIN_MS = 600_000;

/** A claimed target. */
interface Claimed {
  readonly target: Target;
  /** Due score of the claim: its end, and the proof that nobody has moved the target since. */
  readonly until: number;
}

/** Refreshes one target for which a job has come: begin, decide again, and attempt it where that is still right. */
export class RefreshTarget {
  readonly #deps: RefreshDependencies;

  constructor(deps: RefreshDependencies) {
    this.#deps = deps;
  }

  /** Throws only when Redis fails; whatever the endpoint does is in the report. */
  async run(id: TargetId, jobId: string): Promise<RefreshReport> {
    const startedAt = this.#deps.elapsed();
    const closing = await this.#enter(id, jobId, startedAt);
    return { target: id, requests: 0, ...closing, durationMs: this.#deps.elapsed() - startedAt };
  }

  async #enter(id: TargetId, jobId: string, startedAt: number): Promise<Closing> {
    const { bulkhead, catalogue } = this.#deps;
    const target = catalogue().get(id);
    if (target === undefined) return this.#unknown(id);
    if (!bulkhead.enter(target.host)) return this.#withoutSlot(target);
    try {
      return await this.#gather(target, jobId, startedAt);
    } finally {
      bulkhead.leave(target.host);
    }
  }

  /** Another process knows it, as while a configuration is rolled out: it has its turn at once. */
  async #unknown(id: TargetId): Promise<Closing> {
    const { indexes, clock } = this.#deps;
    const closing = { outcome: 'given back', reason: 'not configured here' } as const;
    for (const host of await indexes.hosts()) {
      const [until] = await indexes.dueAt(host, [id]);
      if (until === undefined || !isClaim(until, await clock.now())) continue;
      // The pace of that host is not known here either, and keeps its place.
      await indexes.giveBack(host, id, until, { count: 1, windowMs: 0 }, NOT_MINE_AGAIN_MS);
      return { ...closing, why: 'it is offered again, to a process that knows it' };
    }
    return { ...closing, why: 'nothing manages it' };
  }

  async #withoutSlot(target: Target): Promise<Closing> {
    const [until] = await this.#deps.indexes.dueAt(target.host, [target.id]);
    if (until !== undefined) await this.#giveBack({ target, until }, NO_SLOT_AGAIN_MS);
    return {
      outcome: 'given back',
      reason: 'no slot',
      why: `${target.host} holds half of this process's slots`,
    };
  }

  async #gather(target: Target, jobId: string, startedAt: number): Promise<Closing> {
    const { until, hostGate, tenantGate, marks, now } = await this.#deps.indexes.enter(target, jobId);
    if (until === undefined)
      return { outcome: 'dropped', reason: 'not managed', why: 'it was removed meanwhile' };
    if (!isClaim(until, now))
      return { outcome: 'dropped', reason: 'claim ended', why: 'it is planned for later' };
    const closedUntil = Math.max(hostGate.closedUntil, tenantGate.closedUntil);
    if (closedUntil > now) {
      await this.#giveBack({ target, until }, closedUntil - now);
      return {
        outcome: 'given back',
        reason: 'gate closed',
        why: hostGate.closedUntil > now ? hostGate.why : tenantGate.why,
        nextAt: closedUntil,
      };
    }
    const timing = attemptTiming(until, now);
    if (timing === undefined)
      return { outcome: 'dropped', reason: 'claim ended', why: 'it is offered again' };

    const chosen = await this.#deps.credentials.choose(target, marks, now);
    if (chosen.act === 'hold') return this.#withoutCredential({ target, until }, chosen.hold, now);
    const deadline = startedAt + timing.timeoutMs;
    const gates = {
      ...{ host: hostGate, tenant: tenantGate },
      perHost: perSecond(this.#perHost(target)),
      perTenant: perSecond(target.client.limits.perTenant),
    };
    const closing = await this.#begin({ target, until }, { gates, chosen, deadline }, timing.leaseMs);
    // It was not begun, so nothing was tried.
    if (chosen.act === 'use' && closing.requests === undefined)
      await this.#deps.credentials.giveUp(target, chosen);
    return closing;
  }

  async #withoutCredential(claimed: Claimed, hold: Hold, now: number): Promise<Closing> {
    const spreadMs = hold.until - now > SHORT_HOLD_MS ? HELD_SPREAD_MS * this.#deps.draw() : 0;
    await this.#giveBack(claimed, Math.max(1, hold.until - now) + spreadMs);
    return { outcome: 'given back', reason: 'credential', why: hold.why, nextAt: hold.until };
  }

  async #begin(
    { target, until }: Claimed,
    prepared: Pick<Begun, 'gates' | 'chosen' | 'deadline'>,
    leaseMs: number,
  ): Promise<Closing> {
    const begun = await this.#deps.states.begin(target, leaseMs);
    if (begun.outcome !== 'begun') return this.#notBegun({ target, until }, begun);
    const decision = this.#decideAgain(target, begun.state, begun.now);
    if (decision.act === 'wait') {
      await this.#deps.states.release(target.id, begun.generation, begun.state.attempted, begun.now);
      return this.#wait({ target, until }, decision.until, decision);
    }
    const plan = (span: Span): Promise<number | undefined> => this.#plan({ target, until }, span);
    return attemptRefresh({ ...begun, ...prepared, target, decision }, plan, this.#deps);
  }

  async #notBegun(
    claimed: Claimed,
    begun:
      | { outcome: 'leased' | 'limited'; until: number }
      | { outcome: 'newer'; now: number; version: number },
  ): Promise<Closing> {
    switch (begun.outcome) {
      case 'leased':
        return { outcome: 'dropped', reason: 'in progress', why: 'another attempt is running' };
      case 'limited':
        return this.#wait(claimed, moment(begun.until), {
          reason: 'identical limit',
          why: 'the identical limit is used up',
        });
      case 'newer':
        return this.#wait(claimed, moment(begun.now + NEWER_STATE_AGAIN_MS), {
          reason: 'newer daemon',
          why: `its state has version ${begun.version}`,
        });
    }
  }

  /** The shared policy, and then what this process itself knows to have been sent, should Redis have forgotten it. */
  #decideAgain(target: Target, state: TargetState, now: number): Decision {
    const { memory } = this.#deps;
    const { count, windowMs } = target.identical;
    memory.rememberRequests(target.id, state.requestLog, windowMs, now);
    const decision = decide(state, target, now);
    const allowedAt = nextAllowedAt(memory.get(target.id).requestLog, count, windowMs, now);
    if (decision.act === 'wait' || allowedAt <= now) return decision;
    const why = 'this process remembers requests that Redis has forgotten';
    return { act: 'wait', reason: 'identical limit', why, until: moment(allowedAt) };
  }

  async #wait(
    claimed: Claimed,
    until: Span,
    { reason, why }: Pick<Closing, 'reason' | 'why'>,
  ): Promise<Closing> {
    return { outcome: 'not needed', reason, why, nextAt: await this.#plan(claimed, until) };
  }

  async #plan({ target, until }: Claimed, span: Span): Promise<number | undefined> {
    const { indexes, draw } = this.#deps;
    return indexes.plan(target.host, target.id, until, slotWidthMs(span), candidates(span, [draw(), draw()]));
  }

  async #giveBack({ target, until }: Claimed, againInMs: number): Promise<void> {
    await this.#deps.indexes.giveBack(target.host, target.id, until, this.#perHost(target), againInMs);
  }

  #perHost({ host, client }: Target): Rate {
    return this.#deps.perHost(host) ?? client.limits.perHost;
  }
}

const moment = (at: number): Span => ({ from: at, to: at });
