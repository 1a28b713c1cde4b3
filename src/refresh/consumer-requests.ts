import { readChallenge } from '../core/claims.ts';
import { withinWindow } from '../core/guard.ts';
import { plannedRequests } from '../core/plan.ts';
import { isDormant } from '../core/retire.ts';
import { hasLiveToken, isWanted, type TargetPolicy, type TargetState } from '../core/state.ts';
import { isTarget, type TargetId } from '../core/target.ts';
import { makeOversleptDue } from './overslept.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

/** What a consumer put into the `requests` stream; anybody may write there, so nothing of it is trusted. */
export interface ConsumerRequest {
  readonly target: string;
  /** `missing`: no token was there. `rejected`: a resource did not accept the token of `generation`. */
  readonly reason: string;
  readonly generation: string | undefined;
  /** With `rejected`: the claims that the resource asks for, as it gave them. */
  readonly claims?: string | undefined;
}

export interface ConsumerRequestDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: StatesPort;
  readonly indexes: IndexesPort;
  readonly clock: ClockPort;
  /** Whether the token key is there; asking does not count as reading it. */
  readonly tokenExists: (target: TargetId) => Promise<boolean>;
  readonly wake: () => void;
}

export type ConsumerAnswer = 'wanted' | 'looked at' | 'ignored';

/**
 * Answers one consumer. A rejection counts only against the token that is published now, and once; a missing
 * token is looked at, within its backoff. So a consumer that asks in a loop causes no more calls than one that
 * asks once.
 */
export async function answerConsumer(
  request: ConsumerRequest,
  deps: ConsumerRequestDependencies,
): Promise<ConsumerAnswer> {
  const target = isTarget(request.target) ? deps.catalogue().get(request.target) : undefined;
  if (target === undefined) return 'ignored';
  const [[state], now] = await Promise.all([deps.states.read([target.id]), deps.clock.now()]);
  if (state === undefined) return 'ignored';
  if (isWanted(state)) {
    const isAsleep =
      state.dormantSince > 0 && (await makeOversleptDue(target.host, [target.id], now, deps.indexes)) > 0;
    if (isAsleep) deps.wake();
    return isAsleep ? 'looked at' : 'ignored';
  }
  const wants = isDormant(state, target)
    ? reasonToWake(request)
    : await reasonToWant(request, state.generation, async () => {
        return hasLiveToken(state, now) && !(await deps.tokenExists(target.id));
      });
  if (wants !== undefined) {
    if (usedUp(state, target, now)) return 'ignored';
    const { outcome } = await deps.states.want(
      ...([target.id, wants, 0, state.generation] as const),
      request.reason === 'rejected' ? readChallenge(request.claims ?? '') : '',
    );
    if (outcome !== 'wanted') return 'ignored';
  } else if (
    request.reason !== 'missing' ||
    hasLiveToken(state, now) ||
    state.retryAt > now ||
    state.leaseUntil > now
  ) {
    return 'ignored';
  }
  // Never issued and asked for: before all that nobody has asked for, however often it is asked for.
  const dueAt = wants === undefined && state.expiresAt === 0 ? 0 : now;
  await deps.indexes.setDue(target.host, [target.id], dueAt);
  deps.wake();
  return wants === undefined ? 'looked at' : 'wanted';
}

/** Whoever asks for a dormant target has a use for it, whatever became of its token. */
function reasonToWake({ reason }: ConsumerRequest): string | undefined {
  return reason === 'missing' || reason === 'rejected' ? 'by a consumer: it was dormant' : undefined;
}

async function reasonToWant(
  { reason, generation }: ConsumerRequest,
  published: number,
  keyIsGone: () => Promise<boolean>,
): Promise<string | undefined> {
  if (reason === 'rejected')
    return generation === String(published) && published > 0
      ? 'by a consumer: rejected by the resource'
      : undefined;
  return reason === 'missing' && (await keyIsGone()) ? 'by a consumer: the token key is gone' : undefined;
}

/**
 * Consumers may use up half of the requests that a plan may: a resource that rejects every token, for a reason of its
 * own, must not leave the plan without any. The operators' one is not touched either.
 */
function usedUp({ requestLog }: TargetState, { identical }: TargetPolicy, now: number): boolean {
  const most = Math.max(1, Math.floor(plannedRequests(identical.count) / 2));
  return withinWindow(requestLog, identical.windowMs, now).length >= most;
}
