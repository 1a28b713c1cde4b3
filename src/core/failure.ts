import {
  AADSTS,
  type CodeEntry,
  LOOP_DETECTED,
  OAUTH_ERRORS,
  PROBLEMS,
  type Problem,
  refusesClientCertificate,
} from './codes.ts';
import type { FailureKind, FailureNote } from './state.ts';

export { advice, codeLabel } from './advice.ts';
export type { Advice, Owner, Problem } from './codes.ts';

/**
 * Who answered, which says how far a failure reaches. `server`: an OAuth body, so the host is alive and the
 * failure concerns this client and tenant. `host`: an HTTP answer without one (a proxy, a load balancer).
 * `nobody`: no whole answer (network, time-out). `unsent`: there was no request, since the
 * credential or the way there was not to be had.
 */
export type AnsweredBy = 'server' | 'host' | 'nobody' | 'unsent';

/** One request that gave no token. Holds codes and ids only, never text that a server wrote. */
export interface Failure extends FailureNote {
  readonly answeredBy: AnsweredBy;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** From Retry-After, clamped to [1 s, 1 h]. */
  readonly retryAfterMs: number | undefined;
  /** AADSTS50196: only this identical request is to wait. */
  readonly loopDetected: boolean;
  /** Ids that the server's support can look up. */
  readonly correlationId: string | undefined;
  readonly traceId: string | undefined;
}

export type { FailureKind };

/** What is known of a request that gave no token. The strings may come from the server: none is copied. */
export interface Evidence {
  readonly answeredBy: AnsweredBy;
  readonly status?: number | undefined;
  /** Decides alone when it is there. */
  readonly problem?: Problem | undefined;
  /** Node's or TLS's code for what broke, such as `ECONNREFUSED`. Decides alone as well. */
  readonly networkCode?: string | undefined;
  /** RFC 6749 section 5.2 `error`. */
  readonly error?: string | undefined;
  /** Entra's `error_codes`. */
  readonly errorCodes?: readonly number[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly traceId?: string | undefined;
}

/** Decides by codes and status, never by text, what kind of failure it was. Total: it never throws. */
export function classify(evidence: Evidence): Failure {
  return {
    ...classifyNote(evidence),
    answeredBy: evidence.answeredBy,
    status: evidence.status,
    retryAfterMs: evidence.retryAfterMs,
    loopDetected: evidence.errorCodes?.includes(LOOP_DETECTED) ?? false,
    correlationId: evidence.correlationId,
    traceId: evidence.traceId,
  };
}

function classifyNote(evidence: Evidence): FailureNote {
  if (evidence.problem !== undefined)
    return { kind: PROBLEMS[evidence.problem].kind, code: evidence.problem };
  if (evidence.networkCode !== undefined) return classifyNetwork(systemCode(evidence.networkCode));
  const status = evidence.status ?? 0;
  const errorCodes = evidence.errorCodes ?? [];
  const number = errorCodes.find((code) => AADSTS.has(code)) ?? errorCodes.find(isPlausibleNumber);
  const known = number === undefined ? undefined : AADSTS.get(number);
  const named = number === undefined ? `HTTP ${status}` : `AADSTS${number}`;
  // A 429 is about how much was asked, whatever else the body says.
  if (status === 429) return { kind: 'throttled', code: known?.kind === 'throttled' ? named : 'HTTP 429' };
  if (known) return { kind: known.kind, code: named };
  const oauth = evidence.error === undefined ? undefined : OAUTH_ERRORS.get(evidence.error);
  if (oauth?.kind === 'transient')
    return { kind: 'transient', code: number === undefined ? `${evidence.error}` : named };
  if (status === 408 || status >= 500) return { kind: 'transient', code: named };
  // Entra says invalid_client and invalid_request of much else than the credential and the request, so an
  // unknown number must not park a client: it is probed slowly.
  if (number !== undefined) return { kind: 'tenant', code: named };
  if (oauth) return { kind: oauthKind(oauth, evidence.error, status), code: `${evidence.error}` };
  return { kind: status >= 400 ? 'tenant' : 'transient', code: named };
}

/** With mutual TLS (RFC 8705) the handshake is where a credential is refused. */
function classifyNetwork(code: string): FailureNote {
  return { kind: refusesClientCertificate(code) ? 'credential' : 'transient', code: `network ${code}` };
}

/** RFC 6749 section 5.2: 401 means that client authentication failed, whatever Keycloak and Auth0 call it. */
function oauthKind(known: CodeEntry, error: string | undefined, status: number): FailureKind {
  const isAuthentication = error === 'unauthorized_client' || error === 'access_denied';
  return status === 401 && isAuthentication ? 'credential' : known.kind;
}

const isPlausibleNumber = (code: number): boolean => Number.isInteger(code) && code > 0 && code < 100_000_000;

const systemCode = (code: string): string => (/^[A-Z][A-Z0-9_/]{1,60}$/.test(code) ? code : 'failure');
