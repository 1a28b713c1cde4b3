import { backoffMs } from '../core/backoff.ts';
import { attemptTiming, isClaim } from '../core/claim.ts';
import { decide } from '../core/decide.ts';
import { classify, type Failure } from '../core/failure.ts';
import { type GatesAbove, gateReports } from '../core/gate-reports.ts';
import { nextAllowedAt } from '../core/guard.ts';
import { candidates, refreshWindow, type Span, slotWidthMs } from '../core/plan.ts';
import { beginAttempt, failAttempt, publishToken } from './attempt-state.ts';
import type { Clock } from './clock.ts';
import type { FleetIndex } from './fleet-index.ts';
import type { Recorder } from './recorder.ts';
import type { Draw } from './scenario.ts';
import type { SimulatedServer } from './server.ts';
import { drawLifeMs, type SimulatedTarget } from './targets.ts';

export interface WorkerDependencies {
  readonly clock: Clock;
  readonly targets: readonly SimulatedTarget[];
  readonly fleet: FleetIndex;
  readonly server: SimulatedServer;
  readonly recorder: Recorder;
  readonly perHost: number;
  readonly perTenant: number;
  readonly draw: Draw;
  /** A slot has become free. */
  readonly onFree: () => void;
}

/** What one attempt knows from its begin to its end. */
interface Attempt {
  readonly target: SimulatedTarget;
  /** Due score of the claim. */
  readonly until: number;
  readonly gates: GatesAbove;
  readonly generation: number;
  readonly sentAt: number;
  /** Of the token before it; 0: there was none. */
  readonly expiresAt: number;
  readonly failures: number;
}

/** One host holds at most half of a process's 128 slots. */
const SLOTS = 64;
const TIMED_OUT = classify({ answeredBy: 'nobody', problem: 'timeout' });
const DEAD_ON_ARRIVAL = classify({ answeredBy: 'server', problem: 'token dead on arrival' });

/** Runs the jobs of one daemon, as `src/refresh/refresh-target.ts` and `attempt.ts` do, with the same policy. */
export class RefreshWorker {
  readonly #deps: WorkerDependencies;
  #isRunning = true;
  #inFlight = 0;
  /** Those of them that will bring a token. */
  #succeeding = 0;
  /** A daemon that comes back after it was killed knows nothing of what it had sent. */
  #life = 0;

  constructor(deps: WorkerDependencies) {
    this.#deps = deps;
  }

  get free(): number {
    return this.#isRunning ? SLOTS - this.#inFlight : 0;
  }

  kill(): void {
    this.#deps.recorder.lost(this.#succeeding);
    this.#succeeding = 0;
    this.#isRunning = false;
    this.#inFlight = 0;
    this.#life += 1;
  }

  restart(): void {
    this.#isRunning = true;
  }

  run(index: number): void {
    const { clock, targets, fleet, perHost, perTenant } = this.#deps;
    const target = targets[index] as SimulatedTarget;
    const { now } = clock;
    const until = fleet.due.score(index);
    if (!isClaim(until, now)) return;
    const gates = { host: fleet.hostGate, tenant: fleet.tenants.get(target.scope), perHost, perTenant };
    const closedUntil = Math.max(gates.host.closedUntil, gates.tenant.closedUntil);
    if (closedUntil > now) {
      fleet.giveBack(index, until, closedUntil - now, now);
      return;
    }
    const timing = attemptTiming(until, now);
    if (timing === undefined) return;
    const obstacle = this.#obstacle(target, now);
    if (obstacle === 'leased') return;
    if (obstacle !== undefined) this.#plan(target, until, obstacle);
    else this.#send({ target, until, gates }, timing);
  }

  /** What keeps the attempt from being begun: first what `begin.lua` says, then the policy. */
  #obstacle(target: SimulatedTarget, now: number): Span | 'leased' | undefined {
    const { state, identical } = target;
    if (state.leaseUntil > now && isClaim(state.leaseUntil, now)) return 'leased';
    const allowedAt = nextAllowedAt(state.requestLog, identical.count, identical.windowMs, now);
    if (allowedAt > now) return { from: allowedAt, to: allowedAt };
    const decision = decide(state, target, now);
    return decision.act === 'wait' ? decision.until : undefined;
  }

  #send(
    claimed: Pick<Attempt, 'target' | 'until' | 'gates'>,
    timing: { timeoutMs: number; leaseMs: number },
  ): void {
    const { clock, server, recorder, onFree } = this.#deps;
    const { target } = claimed;
    const { expiresAt, failures } = target.state;
    const sentAt = clock.now;
    const generation = beginAttempt(target, timing.leaseMs, sentAt);
    const attempt: Attempt = { ...claimed, generation, sentAt, expiresAt, failures };
    const exchange = server.request(target, sentAt);
    const isInTime = exchange.takesMs <= timing.timeoutMs;
    const failure = isInTime ? exchange.failure : TIMED_OUT;
    recorder.called(target, sentAt, failure);
    const life = this.#life;
    this.#inFlight += 1;
    if (failure === undefined) this.#succeeding += 1;
    clock.after(isInTime ? exchange.takesMs : timing.timeoutMs, () => {
      if (this.#life !== life) return;
      this.#inFlight -= 1;
      if (failure === undefined) this.#succeeding -= 1;
      if (failure === undefined) this.#concludeToken(attempt);
      else this.#concludeFailure(attempt, failure);
      onFree();
    });
  }

  #concludeToken(attempt: Attempt): void {
    const { clock, recorder, draw } = this.#deps;
    const { target, generation, sentAt, expiresAt } = attempt;
    const lifeMs = drawLifeMs(target.lifetime, draw);
    const published = publishToken(
      target,
      { generation, issuedAt: sentAt, expiresAt: sentAt + lifeMs },
      clock.now,
    );
    if (published !== 'dead') this.#report(attempt, undefined);
    if (published !== 'published') {
      recorder.unusable();
      if (published === 'dead') this.#concludeFailure(attempt, DEAD_ON_ARRIVAL);
      return;
    }
    recorder.issued(target, expiresAt, clock.now);
    const { earliest, latest } = refreshWindow(lifeMs, target);
    this.#plan(target, attempt.until, { from: sentAt + earliest * lifeMs, to: sentAt + latest * lifeMs });
    recorder.planned(target, this.#deps.fleet.due.score(target.index));
  }

  #concludeFailure(attempt: Attempt, failure: Failure): void {
    const { clock, draw } = this.#deps;
    const { target, until, generation, sentAt, expiresAt, failures } = attempt;
    this.#report(attempt, failure);
    const { kind, retryAfterMs } = failure;
    const lifeLeftMs = expiresAt - sentAt;
    const retryInMs = backoffMs({ kind, retryAfterMs, failures: failures + 1, lifeLeftMs }, draw());
    const retryAt = failAttempt(target, generation, failure, clock.now + retryInMs);
    if (retryAt !== undefined) this.#plan(target, until, { from: retryAt, to: retryAt });
  }

  #report({ target, gates, sentAt }: Attempt, failure: Failure | undefined): void {
    const { clock, fleet } = this.#deps;
    for (const { scope, event } of gateReports(target, gates, failure, sentAt)) {
      if ('host' in scope) fleet.reportHost(event, clock.now);
      else fleet.tenants.report(target.scope, event, clock.now);
    }
  }

  #plan({ index }: SimulatedTarget, until: number, span: Span): void {
    const { fleet, draw } = this.#deps;
    fleet.plan(index, until, slotWidthMs(span), candidates(span, [draw(), draw()]));
  }
}
