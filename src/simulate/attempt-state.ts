import type { FailureNote } from '../core/state.ts';
import type { Token } from '../core/token.ts';
import type { SimulatedTarget } from './targets.ts';

/** What the scripts of an attempt do to a target's state, for attempts that nothing has to be fenced off from but others. */

/** `begin.lua`: takes the lease and counts the request. Gives the attempt's generation. */
export function beginAttempt({ state, identical }: SimulatedTarget, leaseMs: number, now: number): number {
  const { requestLog } = state;
  while ((requestLog[0] ?? now) <= now - identical.windowMs) requestLog.shift();
  requestLog.push(now);
  state.attempted = Math.max(now, state.attempted + 1, state.generation + 1, state.wanted);
  state.leaseUntil = now + leaseMs;
  return state.attempted;
}

/** `publish.lua`: writes the token, unless it has ended or a newer one is there. */
export function publishToken(
  { state }: SimulatedTarget,
  { generation, issuedAt, expiresAt }: Pick<Token, 'generation' | 'issuedAt' | 'expiresAt'>,
  now: number,
): 'published' | 'stale' | 'dead' {
  if (generation <= state.generation) return 'stale';
  if (expiresAt <= now) return 'dead';
  state.generation = generation;
  state.issuedAt = issuedAt;
  state.expiresAt = expiresAt;
  if (generation >= state.concluded) {
    state.concluded = generation;
    state.failures = 0;
    state.failure = undefined;
    state.retryAt = 0;
  }
  if (generation >= state.attempted) state.leaseUntil = 0;
  return 'published';
}

/** `fail.lua`: notes the failure. Gives `retryAt`; undefined: a later attempt has begun since. */
export function failAttempt(
  { state }: SimulatedTarget,
  generation: number,
  { kind, code }: FailureNote,
  retryAt: number,
): number | undefined {
  if (generation < state.attempted || generation <= state.generation) return undefined;
  state.concluded = generation;
  state.failures += 1;
  state.failure = { kind, code };
  state.retryAt = retryAt;
  state.leaseUntil = 0;
  return retryAt;
}
