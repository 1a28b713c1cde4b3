import { backoffMs } from '../core/backoff.ts';
import { attemptTiming } from '../core/claim.ts';
import type { Target } from '../core/client.ts';
import { type Decision, decide } from '../core/decide.ts';
import type { Failure } from '../core/failure.ts';
import type { Gate } from '../core/gate.ts';
import { nextAllowedAt } from '../core/guard.ts';
import { candidates, refreshWindow, type Span, slotWidthMs } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import type { Token } from '../core/token.ts';
import type { Bulkhead } from './bulkhead.ts';
import { gateReports } from './gate-reports.ts';
import type { Memory } from './memory.ts';
import type {
  Acquired,
  AcquirePort,
  CataloguePort,
  ClockPort,
  Draw,
  GatesPort,
  IndexesPort,
  StatesPort,
} from './ports.ts';

/** What became of one job. The log, the metrics and the tests read this; nothing in it is secret. */
export interface RefreshReport {
  readonly target: TargetId;
  readonly outcome: RefreshOutcome;
  readonly why: string;
  /** Redis time at which something will next be done about the target, where this attempt has planned it. */
  readonly nextAt: number | undefined;
  readonly durationMs: number;
  readonly requests: number;
  readonly generation: number | undefined;
  readonly expiresAt: number | undefined;
  /** Share of its life that the replaced token still had; 0: it had ended; undefined: there was none. */
  readonly lifeLeft: number | undefined;
  readonly failure: Failure | undefined;
}

/**
 * `refreshed`: a new token is in Redis. `failed`: the server gave none. `not needed`: the policy says wait.
 * `superseded`: a newer attempt was faster. `given back`: another process or moment is better. `dropped`: the
 * claim has ended or the target is no longer managed; the index knows what to do.
 */
export type RefreshOutcome = 'refreshed' | 'failed' | 'not needed' | 'superseded' | 'given back' | 'dropped';

export interface RefreshDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: StatesPort;
  readonly indexes: IndexesPort;
  readonly gates: GatesPort;
  readonly clock: ClockPort;
  readonly acquire: AcquirePort;
  readonly memory: Memory;
  readonly bulkhead: Bulkhead;
  readonly draw: Draw;
  /** Monotonic ms, for durations and time-outs only. */
  readonly elapsed: () => number;
}

/** A target is offered again after this when this process has no slot left for its host. */
const NO_SLOT_AGAIN_MS = 500;
/** A newer daemon's state is looked at again after this, in case that daemon has gone. */
const NEWER_STATE_AGAIN_MS = 600_000;

/** A claimed target on its way through one attempt. */
interface Claimed {
  readonly target: Target;
  /** Due score of the claim: its end, and the proof that nobody has moved the target since. */
  readonly until: number;
  readonly hostGate: Gate;
}

type Closing = Pick<RefreshReport, 'outcome' | 'why'> & Partial<RefreshReport>;

/** Refreshes one target for which a job has come: begin, decide again, acquire, conclude, plan. */
export class RefreshTarget {
  readonly #deps: RefreshDependencies;

  constructor(deps: RefreshDependencies) {
    this.#deps = deps;
  }

  async run(id: TargetId): Promise<RefreshReport> {
    const startedAt = this.#deps.elapsed();
    const closing = await this.#run(id, startedAt);
    return {
      target: id,
      nextAt: undefined,
      requests: 0,
      generation: undefined,
      expiresAt: undefined,
      lifeLeft: undefined,
      failure: undefined,
      ...closing,
      durationMs: this.#deps.elapsed() - startedAt,
    };
  }

  async #run(id: TargetId, startedAt: number): Promise<Closing> {
    const { bulkhead, catalogue } = this.#deps;
    const target = catalogue().get(id);
    if (target === undefined) {
      return {
        outcome: 'given back',
        why: 'not in the configuration of this process; the end of the claim offers it to another',
      };
    }
    if (!bulkhead.enter(target.host)) return this.#withoutSlot(target);
    try {
      return await this.#claimed(target, startedAt);
    } finally {
      bulkhead.leave(target.host);
    }
  }

  async #withoutSlot(target: Target): Promise<Closing> {
    const [until] = await this.#deps.indexes.dueAt(target.host, [target.id]);
    if (until !== undefined) await this.#giveBack(target, until, NO_SLOT_AGAIN_MS);
    return { outcome: 'given back', why: `${target.host} holds half of this process's slots` };
  }

  async #claimed(target: Target, startedAt: number): Promise<Closing> {
    const { indexes, gates, clock } = this.#deps;
    const [[until], hostGate, tenantGate, now] = await Promise.all([
      indexes.dueAt(target.host, [target.id]),
      gates.read({ host: target.host }),
      gates.read({ tenantScope: target.tenantScope }),
      clock.now(),
    ]);
    if (until === undefined) return { outcome: 'dropped', why: 'no longer managed' };
    const timing = attemptTiming(until, now);
    if (timing === undefined) return { outcome: 'dropped', why: 'its claim has ended; it is offered again' };
    const closedUntil = Math.max(hostGate.closedUntil, tenantGate.closedUntil);
    if (closedUntil > now) {
      await this.#giveBack(target, until, closedUntil - now);
      return { outcome: 'given back', why: `closed: ${hostGate.why || tenantGate.why}`, nextAt: closedUntil };
    }
    return this.#begin({ target, until, hostGate }, timing, startedAt);
  }

  async #begin(
    claimed: Claimed,
    timing: { timeoutMs: number; leaseMs: number },
    startedAt: number,
  ): Promise<Closing> {
    const { target, until } = claimed;
    const begun = await this.#deps.states.begin(target, timing.leaseMs);
    switch (begun.outcome) {
      case 'leased':
        return { outcome: 'dropped', why: 'another attempt is running' };
      case 'limited':
        return this.#wait(claimed, { from: begun.until, to: begun.until }, 'the identical limit is used up');
      case 'newer':
        return this.#wait(
          claimed,
          { from: begun.now + NEWER_STATE_AGAIN_MS, to: begun.now + NEWER_STATE_AGAIN_MS },
          `its state has version ${begun.version}, written by a newer daemon`,
        );
      case 'begun': {
        const decision = this.#decide(target, begun.state, begun.now);
        if (decision.act === 'refresh') {
          const deadline = startedAt + timing.timeoutMs;
          return this.#attempt({ claimed, ...begun, why: decision.why, deadline });
        }
        await this.#deps.states.release(target.id, begun.generation, begun.state.attempted, begun.now);
        return this.#wait({ target, until, hostGate: claimed.hostGate }, decision.until, decision.why);
      }
    }
  }

  /** The shared policy, and then what this process itself knows to have been sent, should Redis have forgotten it. */
  #decide(target: Target, state: TargetState, now: number): Decision {
    const { count, windowMs } = target.identical;
    this.#deps.memory.rememberRequests(target.id, state.requestLog, windowMs, now);
    const requestLog = this.#deps.memory.get(target.id).requestLog;
    const decision = decide(state, target, now);
    const allowedAt = nextAllowedAt(requestLog, count, windowMs, now);
    if (decision.act === 'wait' || allowedAt <= now) return decision;
    return {
      act: 'wait',
      reason: 'identical limit',
      why: 'this process remembers requests that Redis has forgotten',
      until: { from: allowedAt, to: allowedAt },
    };
  }

  async #attempt(attempt: Attempt): Promise<Closing> {
    const { target } = attempt.claimed;
    const { states, memory } = this.#deps;
    const { acquired, sentAt, requests } = await this.#acquire(attempt);
    const base = { why: attempt.why, requests, generation: attempt.generation };
    await this.#reportToGates(attempt.claimed, acquired, sentAt);
    if (!acquired.ok) return { ...base, ...(await this.#conclude(attempt, acquired.failure)) };

    const token: Token = {
      accessToken: acquired.accessToken,
      tokenType: acquired.tokenType,
      issuedAt: sentAt,
      expiresAt: sentAt + acquired.expiresInSeconds * 1000,
      generation: attempt.generation,
    };
    memory.rememberToken(target.id, token);
    const published = await states.publish(target, token);
    memory.saved(target.id);
    if (published === 'stale') return { ...base, outcome: 'superseded' };
    if (published === 'dead') return { ...base, ...(await this.#conclude(attempt, DEAD_ON_ARRIVAL)) };
    const lifeMs = token.expiresAt - token.issuedAt;
    const window = refreshWindow(lifeMs, target);
    const nextAt = await this.#plan(attempt.claimed, {
      from: token.issuedAt + window.earliest * lifeMs,
      to: token.issuedAt + window.latest * lifeMs,
    });
    return { ...base, outcome: 'refreshed', expiresAt: token.expiresAt, nextAt, lifeLeft: lifeLeft(attempt) };
  }

  /** Tries the credentials in order, each request counted before it is sent, until one is accepted or it is another matter. */
  async #acquire(attempt: Attempt): Promise<{ acquired: Acquired; sentAt: number; requests: number }> {
    const { acquire, states, memory, elapsed } = this.#deps;
    const { target } = attempt.claimed;
    let requests = 0;
    let sentAt = attempt.now;
    for (const credential of acquire.credentials(target)) {
      if (requests > 0) {
        const counted = await states.countRequest(target, attempt.generation);
        if (counted === undefined) break;
        sentAt = counted;
      }
      const timeoutMs = Math.floor(attempt.deadline - elapsed());
      if (timeoutMs < 1) break;
      memory.rememberRequests(target.id, [sentAt], target.identical.windowMs, sentAt);
      requests += 1;
      const acquired = await acquire.request(target, credential, { timeoutMs, now: sentAt });
      attempt.last = acquired;
      if (acquired.ok || acquired.failure.kind !== 'credential') break;
    }
    return { acquired: attempt.last ?? { ok: false, failure: OUT_OF_TIME }, sentAt, requests };
  }

  async #conclude(attempt: Attempt, failure: Failure): Promise<Closing> {
    const { states, draw } = this.#deps;
    const { claimed, state, generation, now } = attempt;
    const retryInMs = backoffMs(
      {
        kind: failure.kind,
        retryAfterMs: failure.retryAfterMs,
        failures: state.failures + 1,
        lifeLeftMs: state.expiresAt - now,
      },
      draw(),
    );
    const retryAt = await states.fail(claimed.target.id, generation, failure, retryInMs);
    if (retryAt === undefined) return { outcome: 'superseded', why: attempt.why, failure };
    const nextAt = await this.#plan(claimed, { from: retryAt, to: retryAt });
    return { outcome: 'failed', why: attempt.why, failure, nextAt };
  }

  async #reportToGates({ target, hostGate }: Claimed, acquired: Acquired, startedAt: number): Promise<void> {
    const reports = gateReports(target, hostGate, acquired.ok ? undefined : acquired.failure, startedAt);
    if (reports.length === 0) return;
    const now = await this.#deps.clock.now();
    for (const { scope, event } of reports) await this.#deps.gates.report(scope, event, now);
  }

  async #wait(claimed: Claimed, until: Span, why: string): Promise<Closing> {
    return { outcome: 'not needed', why, nextAt: await this.#plan(claimed, until) };
  }

  async #plan({ target, until }: Claimed, span: Span): Promise<number | undefined> {
    const { indexes, draw } = this.#deps;
    return indexes.plan(target.host, target.id, until, slotWidthMs(span), candidates(span, [draw(), draw()]));
  }

  async #giveBack(target: Target, until: number, againInMs: number): Promise<void> {
    const perHost = this.#deps.catalogue().hosts().get(target.host)?.perHost ?? target.client.limits.perHost;
    await this.#deps.indexes.giveBack(target.host, target.id, until, perHost, againInMs);
  }
}

function lifeLeft({ state, now }: Attempt): number | undefined {
  if (state.expiresAt === 0) return undefined;
  return Math.max(0, (state.expiresAt - now) / (state.expiresAt - state.issuedAt));
}

interface Attempt {
  readonly claimed: Claimed;
  readonly generation: number;
  /** Redis time of `begin`. */
  readonly now: number;
  readonly state: TargetState;
  readonly why: string;
  /** On the monotonic clock. */
  readonly deadline: number;
  last?: Acquired;
}

const NOTHING_SENT = {
  answeredBy: 'nobody',
  status: undefined,
  retryAfterMs: undefined,
  loopDetected: false,
  correlationId: undefined,
  traceId: undefined,
} as const;

const OUT_OF_TIME: Failure = { ...NOTHING_SENT, kind: 'transient', code: 'timeout' };
const DEAD_ON_ARRIVAL: Failure = {
  ...NOTHING_SENT,
  answeredBy: 'server',
  kind: 'transient',
  code: 'token dead on arrival',
};
