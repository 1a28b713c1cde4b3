import { EMPTY_STATE, type FailureKind, type FailureNote, type TargetState } from '../core/state.ts';
import type { Token } from '../core/token.ts';

/**
 * The value of a token key, version 1 of the contract with consumers: times in epoch seconds. `expires_at` is
 * rounded down, so that nobody uses a token for a fraction of a second too long.
 */
export function encodeToken(token: Token): string {
  return JSON.stringify({
    v: 1,
    access_token: token.accessToken.reveal(),
    token_type: token.tokenType,
    expires_at: Math.floor(token.expiresAt / 1000),
    refreshed_at: Math.floor(token.issuedAt / 1000),
    generation: token.generation,
  });
}

/**
 * Reads a target's state hash as it comes out of Redis: field, value, field, value. The fields have one letter
 * each, for there is a hash for each target; docs/redis.md lists them.
 */
export function decodeState(flat: readonly unknown[]): TargetState {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), String(flat[i + 1]));
  const number = (field: string): number => {
    const value = Number(fields.get(field) ?? 0);
    return Number.isFinite(value) ? value : 0;
  };
  return {
    ...EMPTY_STATE,
    generation: number('g'),
    attempted: number('a'),
    concluded: number('s'),
    wanted: number('w'),
    wantedBy: fields.get('b') ?? '',
    leaseUntil: number('l'),
    issuedAt: number('i'),
    expiresAt: number('e'),
    refreshInMs: number('p'),
    readAt: number('u'),
    dormantSince: number('z'),
    failures: number('n'),
    failure: decodeFailure(fields.get('f'), fields.get('x')),
    retryAt: number('r'),
    requestLog: decodeLog(fields.get('L') ?? ''),
    fingerprint: fields.get('h') ?? '',
    digest: fields.get('d') ?? '',
    tenantId: fields.get('t') ?? '',
    claims: fields.get('c') ?? '',
  };
}

/** A request log in hexadecimal ms: five entries stay below the 64 bytes that keep a Redis hash compact. */
export function encodeLog(log: readonly number[]): string {
  return log.map((at) => at.toString(16)).join(',');
}

function decodeLog(text: string): number[] {
  return text
    .split(',')
    .map((at) => Number.parseInt(at, 16))
    .filter(Number.isSafeInteger);
}

export function encodeFailure(failure: FailureNote): string {
  return `${failure.kind}:${failure.code}`;
}

const MOST_BYTES = 64;

/** Who wants it, cut where one value would be too long for a compact hash. */
export function encodeWantedBy(by: string): string {
  if (Buffer.byteLength(by) <= MOST_BYTES) return by;
  const ellipsis = '…';
  let cut = '';
  for (const character of by) {
    if (Buffer.byteLength(cut + character + ellipsis) > MOST_BYTES) break;
    cut += character;
  }
  return cut + ellipsis;
}

function decodeFailure(text: string | undefined, correlationId: string | undefined): FailureNote | undefined {
  if (text === undefined) return undefined;
  const colon = text.indexOf(':');
  return { kind: text.slice(0, colon) as FailureKind, code: text.slice(colon + 1), correlationId };
}
