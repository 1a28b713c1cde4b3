import { backoffMs } from '../core/backoff.ts';
import type { Target } from '../core/client.ts';
import type { Hold } from '../core/credential-choice.ts';
import type { Refresh } from '../core/decide.ts';
import { classify, type Failure } from '../core/failure.ts';
import { type GatesAbove, gateReports } from '../core/gate-reports.ts';
import { type RefreshWindow, refreshWindow, type Span } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import { isGuid } from '../core/target.ts';
import type { Token } from '../core/token.ts';
import type { Chosen, ChosenCredential, Credentials } from './credential-choice.ts';
import type { Memory } from './memory.ts';
import type { Acquired, AcquirePort, ClockPort, Draw, GatesPort, StatesPort } from './ports.ts';
import type { Closing } from './report.ts';

export interface AttemptDependencies {
  readonly states: StatesPort;
  readonly gates: GatesPort;
  readonly clock: ClockPort;
  readonly acquire: AcquirePort;
  readonly credentials: Credentials;
  readonly memory: Memory;
  readonly draw: Draw;
  /** Monotonic ms, for durations and time-outs only. */
  readonly elapsed: () => number;
}

/** What has begun: the lease is taken, the first request is counted, and the policy says refresh. */
export interface Begun {
  readonly target: Target;
  /** As they were when the job was taken up. */
  readonly gates: GatesAbove;
  readonly generation: number;
  /** Redis time of `begin`. */
  readonly now: number;
  /** The state before this attempt. */
  readonly state: TargetState;
  readonly decision: Refresh;
  /** What the first request is sent with. */
  readonly chosen: Extract<Chosen, { act: 'use' | 'unusable' }>;
  /** End of the attempt, on the monotonic clock: one that was stopped and goes on later sends nothing any more. */
  readonly deadline: number;
}

/** Plans the next look at the target that was claimed. */
type Plan = (span: Span) => Promise<number | undefined>;

/** One attempt: acquire, validate, conclude, plan. */
export async function attemptRefresh(begun: Begun, plan: Plan, deps: AttemptDependencies): Promise<Closing> {
  const { reason, why } = begun.decision;
  const base = { reason, why, generation: begun.generation };
  if (begun.chosen.act === 'unusable') {
    await uncount(begun, deps);
    const failure = classify({ answeredBy: 'unsent', problem: begun.chosen.problem });
    return { ...base, ...(await noteFailure(begun, failure, plan, deps)) };
  }
  const { acquired, chosen, hold, sentAt, requests } = await acquireToken(begun, begun.chosen, deps);
  if (acquired === undefined) {
    // Stopped between its begin and now: nothing is counted, nothing has failed, and the end of its claim offers it again.
    await uncount(begun, deps);
    return {
      outcome: 'given back',
      reason: 'claim ended',
      why: 'its time was over before anything was sent',
    };
  }
  const sent = { ...base, requests, requestId: acquired.requestId };
  if (requests === 0) await uncount(begun, deps);
  const wrong = acquired.ok ? findOtherTenant(begun, acquired) : acquired.failure;
  if (!acquired.ok || wrong !== undefined) {
    // A token of another tenant is also one that the credential was accepted for.
    if (acquired.ok) await deps.credentials.report(begun.target, chosen, acquired, sentAt);
    return { ...sent, ...(await concludeFailure(begun, wrong as Failure, sentAt, plan, deps, hold)) };
  }
  const token: Token = {
    ...{ accessToken: acquired.accessToken, tokenType: acquired.tokenType, digest: acquired.digest },
    issuedAt: sentAt,
    expiresAt: sentAt + acquired.expiresInSeconds * 1000,
    refreshInMs: acquired.refreshInSeconds * 1000,
    generation: begun.generation,
    tenantId: isGuid(begun.target.tenant) ? '' : (acquired.tenantId ?? ''),
  };
  const conclusion = await concludeToken(begun, token, plan, deps);
  // Not before the token is safe: it is what counts, whatever becomes of the mark.
  await deps.credentials.report(begun.target, chosen, acquired, sentAt);
  return { ...sent, ...conclusion };
}

const uncount = ({ target, generation, state, now }: Begun, { states }: AttemptDependencies): Promise<void> =>
  states.release(target.id, generation, state.attempted, now);

/** What the requests of an attempt came to; `acquired` is of the last one. */
interface Attempted {
  readonly acquired: Acquired | undefined;
  readonly chosen: ChosenCredential;
  /** Another credential is there and may be used in a moment. */
  readonly hold?: Hold | undefined;
  readonly sentAt: number;
  readonly requests: number;
}

/**
 * Sends requests, each counted before, until a token comes or the trouble is not the credential: once more where the
 * signed assertion was the trouble, and with the next credential where this one was refused or could not be used.
 */
async function acquireToken(
  { target, state, generation, now, deadline }: Begun,
  first: ChosenCredential,
  { acquire, credentials, states, memory, elapsed }: AttemptDependencies,
): Promise<Attempted> {
  let result: Attempted = { acquired: undefined, chosen: first, sentAt: now, requests: 0 };
  const tried = new Set<string>();
  let signAgain = false;
  for (let chosen: Chosen = first; chosen.act === 'use'; ) {
    const sentAt = result.requests === 0 ? now : await states.countRequest(target, generation);
    const timeoutMs = Math.floor(deadline - elapsed());
    if (sentAt === undefined || timeoutMs < 1) {
      await credentials.giveUp(target, chosen);
      break;
    }
    const options = { timeoutMs, now: sentAt, claims: state.claims || undefined, signAgain };
    const acquired = await acquire.request(target, chosen.fingerprint, options);
    const isSent = acquired.ok || acquired.failure.answeredBy !== 'unsent';
    if (isSent) memory.rememberRequests(target.id, [sentAt], target.identical.windowMs, sentAt);
    result = { acquired, chosen, sentAt, requests: result.requests + (isSent ? 1 : 0) };
    signAgain = !acquired.ok && acquired.signAgain && !signAgain;
    if (signAgain) continue;
    if (acquired.ok) break;
    await credentials.report(target, chosen, acquired, sentAt);
    if (isSent && acquired.failure.kind !== 'credential') break;
    tried.add(chosen.fingerprint);
    chosen = await credentials.chooseNext(target, tried);
    if (chosen.act === 'hold') result = { ...result, hold: chosen.hold };
  }
  return result;
}

/** A domain says nothing about the tenant's id, but its tokens before have said it. */
function findOtherTenant(
  { target, state }: Begun,
  { tenantId }: Extract<Acquired, { ok: true }>,
): Failure | undefined {
  const isSame = state.tenantId === '' || tenantId === undefined || tenantId === state.tenantId;
  if (isSame || isGuid(target.tenant)) return undefined;
  return classify({ answeredBy: 'server', problem: 'token of another tenant' });
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
  const repeated = state.digest !== '' && token.digest === state.digest;
  const { earliest, latest } = repeated ? REPEATED_WINDOW : refreshWindow(lifeMs, target, token.refreshInMs);
  const nextAt = await plan({
    from: token.issuedAt + earliest * lifeMs,
    to: token.issuedAt + latest * lifeMs,
  });
  const lifeLeft =
    state.expiresAt === 0
      ? undefined
      : Math.max(0, (state.expiresAt - now) / (state.expiresAt - state.issuedAt));
  const life = repeated ? {} : { lifeMs };
  return { outcome: 'refreshed', expiresAt: token.expiresAt, nextAt, lifeLeft, repeated, ...life };
}

const NEXT_SOON_MS = 200;

/** A server that keeps its tokens gives a new one near the end of the old: asking as often as otherwise is in vain. */
const REPEATED_WINDOW: RefreshWindow = { earliest: 0.5, latest: 0.9 };

async function concludeFailure(
  begun: Begun,
  failure: Failure,
  sentAt: number,
  plan: Plan,
  deps: AttemptDependencies,
  hold?: Hold,
): Promise<Conclusion> {
  await reportToGates(begun, failure, sentAt, deps);
  return noteFailure(begun, failure, plan, deps, hold);
}

async function noteFailure(
  { target, state, generation, now }: Begun,
  failure: Failure,
  plan: Plan,
  deps: AttemptDependencies,
  hold?: Hold,
): Promise<Conclusion> {
  const { kind, retryAfterMs } = failure;
  const retryInMs = backoffMs(
    { kind, retryAfterMs, failures: state.failures + 1, lifeLeftMs: state.expiresAt - now },
    deps.draw(),
  );
  // The next credential is being proved: its turn comes when that is over, whatever this one has come to.
  const againInMs =
    hold === undefined ? retryInMs : Math.min(retryInMs, Math.max(NEXT_SOON_MS, hold.until - now));
  const retryAt = await deps.states.fail(target.id, generation, failure, againInMs);
  if (retryAt === undefined) return { outcome: 'superseded', failure };
  return { outcome: 'failed', failure, nextAt: await plan({ from: retryAt, to: retryAt }) };
}

async function reportToGates(
  { target, gates }: Begun,
  failure: Failure | undefined,
  sentAt: number,
  deps: AttemptDependencies,
): Promise<void> {
  const reports = gateReports(target, gates, failure, sentAt);
  if (reports.length === 0) return;
  const now = await deps.clock.now();
  for (const { scope, event } of reports) await deps.gates.report(scope, event, now);
}

const DEAD_ON_ARRIVAL = classify({ answeredBy: 'server', problem: 'token dead on arrival' });
