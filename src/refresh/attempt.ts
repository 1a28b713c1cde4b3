import { backoffMs } from '../core/backoff.ts';
import type { Target } from '../core/client.ts';
import type { Refresh } from '../core/decide.ts';
import type { Failure } from '../core/failure.ts';
import type { Gate } from '../core/gate.ts';
import { refreshWindow, type Span } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import type { Token } from '../core/token.ts';
import { gateReports } from './gate-reports.ts';
import type { Memory } from './memory.ts';
import type { Acquired, AcquirePort, ClockPort, Draw, GatesPort, StatesPort } from './ports.ts';
import type { Closing } from './report.ts';

export interface AttemptDependencies {
  readonly states: StatesPort;
  readonly gates: GatesPort;
  readonly clock: ClockPort;
  readonly acquire: AcquirePort;
  readonly memory: Memory;
  readonly draw: Draw;
  /** Monotonic ms, for durations and time-outs only. */
  readonly elapsed: () => number;
}

/** What has begun: the lease is taken, the first request is counted, and the policy says refresh. */
export interface Begun {
  readonly target: Target;
  readonly hostGate: Gate;
  readonly generation: number;
  /** Redis time of `begin`. */
  readonly now: number;
  /** The state before this attempt. */
  readonly state: TargetState;
  readonly decision: Refresh;
  /** End of the attempt, on the monotonic clock: one that was stopped and goes on later sends nothing any more. */
  readonly deadline: number;
}

/** Plans the next look at the target that was claimed. */
type Plan = (span: Span) => Promise<number | undefined>;

/** One attempt: acquire, validate, conclude, plan. */
export async function attemptRefresh(begun: Begun, plan: Plan, deps: AttemptDependencies): Promise<Closing> {
  const { reason, why } = begun.decision;
  const { acquired, sentAt, requests } = await acquireToken(begun, deps);
  if (requests === 0) {
    // Stopped between its begin and now: nothing is counted, nothing has failed, and the end of its claim offers it again.
    await deps.states.release(begun.target.id, begun.generation, begun.state.attempted, begun.now);
    return {
      outcome: 'given back',
      reason: 'claim ended',
      why: 'its time was over before anything was sent',
    };
  }
  const base = { reason, why, requests, generation: begun.generation };
  if (!acquired.ok)
    return { ...base, ...(await concludeFailure(begun, acquired.failure, sentAt, plan, deps)) };
  const token: Token = {
    accessToken: acquired.accessToken,
    tokenType: acquired.tokenType,
    issuedAt: sentAt,
    expiresAt: sentAt + acquired.expiresInSeconds * 1000,
    generation: begun.generation,
  };
  return { ...base, ...(await concludeToken(begun, token, plan, deps)) };
}

/** Tries the credentials in order, each request counted before it is sent, until one is accepted or it is another matter. */
async function acquireToken(
  { target, generation, now, deadline }: Begun,
  { acquire, states, memory, elapsed }: AttemptDependencies,
): Promise<{ acquired: Acquired; sentAt: number; requests: number }> {
  let result = { acquired: NOTHING_SENT as Acquired, sentAt: now, requests: 0 };
  for (const credential of acquire.credentials(target)) {
    const sentAt = result.requests === 0 ? now : await states.countRequest(target, generation);
    const timeoutMs = Math.floor(deadline - elapsed());
    if (sentAt === undefined || timeoutMs < 1) break;
    memory.rememberRequests(target.id, [sentAt], target.identical.windowMs, sentAt);
    const acquired = await acquire.request(target, credential, { timeoutMs, now: sentAt });
    result = { acquired, sentAt, requests: result.requests + 1 };
    if (acquired.ok || acquired.failure.kind !== 'credential') break;
  }
  return result;
}

type Conclusion = Pick<Closing, 'outcome'> & Partial<Closing>;

async function concludeToken(
  begun: Begun,
  token: Token,
  plan: Plan,
  deps: AttemptDependencies,
): Promise<Conclusion> {
  const { target, state, now } = begun;
  // Before anything that can fail: should Redis not take it, it is given back when Redis does.
  deps.memory.rememberToken(target.id, token);
  const published = await deps.states.publish(target, token);
  deps.memory.saved(target.id, token);
  if (published === 'dead') return concludeFailure(begun, DEAD_ON_ARRIVAL, token.issuedAt, plan, deps);
  await reportToGates(begun, undefined, token.issuedAt, deps);
  if (published === 'stale') {
    // A newer token is there, or a purge came between: this one must not come back after a loss of Redis.
    if (deps.memory.get(target.id).token === token) deps.memory.forgetToken(target.id);
    return { outcome: 'superseded' };
  }
  const lifeMs = token.expiresAt - token.issuedAt;
  const { earliest, latest } = refreshWindow(lifeMs, target);
  const nextAt = await plan({
    from: token.issuedAt + earliest * lifeMs,
    to: token.issuedAt + latest * lifeMs,
  });
  const lifeLeft =
    state.expiresAt === 0
      ? undefined
      : Math.max(0, (state.expiresAt - now) / (state.expiresAt - state.issuedAt));
  return { outcome: 'refreshed', expiresAt: token.expiresAt, nextAt, lifeLeft };
}

async function concludeFailure(
  begun: Begun,
  failure: Failure,
  sentAt: number,
  plan: Plan,
  deps: AttemptDependencies,
): Promise<Conclusion> {
  const { target, state, generation, now } = begun;
  await reportToGates(begun, failure, sentAt, deps);
  const { kind, retryAfterMs } = failure;
  const retryInMs = backoffMs(
    { kind, retryAfterMs, failures: state.failures + 1, lifeLeftMs: state.expiresAt - now },
    deps.draw(),
  );
  const retryAt = await deps.states.fail(target.id, generation, failure, retryInMs);
  if (retryAt === undefined) return { outcome: 'superseded', failure };
  return { outcome: 'failed', failure, nextAt: await plan({ from: retryAt, to: retryAt }) };
}

async function reportToGates(
  { target, hostGate }: Begun,
  failure: Failure | undefined,
  sentAt: number,
  { gates, clock }: AttemptDependencies,
): Promise<void> {
  const reports = gateReports(target, hostGate, failure, sentAt);
  if (reports.length === 0) return;
  const now = await clock.now();
  for (const { scope, event } of reports) await gates.report(scope, event, now);
}

const WITHOUT_ANSWER = {
  status: undefined,
  retryAfterMs: undefined,
  loopDetected: false,
  correlationId: undefined,
  traceId: undefined,
} as const;

const NOTHING_SENT: Acquired = {
  ok: false,
  failure: { ...WITHOUT_ANSWER, answeredBy: 'nobody', kind: 'transient', code: 'aborted' },
};

const DEAD_ON_ARRIVAL: Failure = {
  ...WITHOUT_ANSWER,
  answeredBy: 'server',
  kind: 'transient',
  code: 'token dead on arrival',
};
