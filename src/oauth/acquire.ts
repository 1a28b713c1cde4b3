import type { Grant, Target } from '../core/client.ts';
import type { ClientAuthentication, ClientTls, Moment, TokenRequest } from '../core/client-authentication.ts';
import { classify, type Failure } from '../core/failure.ts';
import type { Exchange, TokenEndpoint } from './endpoint.ts';
import { unsent } from './in-flight.ts';
import { tokenRequest } from './request.ts';
import { dateOf, type IssuedToken, readTokenResponse } from './response.ts';
import { checkToken } from './token-check.ts';

export interface AcquireOptions {
  /** For everything, authentication included. At least 1. */
  readonly timeoutMs: number;
  /** Epoch milliseconds, to read a Retry-After date. */
  readonly now: number;
  /** A GUID that the server's support can look up. */
  readonly requestId: string;
  /** A consumer's claims challenge as JSON text. */
  readonly claims?: string | undefined;
  /** Sign a new assertion even if the last one should still be valid. Default false. */
  readonly signAgain?: boolean | undefined;
  /** The client certificate of the connection, for mutual TLS. */
  readonly tls?: ClientTls | undefined;
  /** Whether `authentication` signs an assertion, which the clock can spoil. Default false. */
  readonly signsAssertions?: boolean | undefined;
}

/** What one request came to. */
export type Acquired =
  | (IssuedToken & {
      readonly requestId: string;
      /** 8 characters that tell one token from another. */
      readonly digest: string;
      /** The `tid` of a token under `authority`, in lower case, where it can be read. */
      readonly tenantId: string | undefined;
    })
  | {
      readonly ok: false;
      readonly requestId: string;
      readonly failure: Failure;
      /** The signed assertion was the trouble, and a new one may be none. */
      readonly signAgain: boolean;
    };

/**
 * Asks for a token once: one HTTP request, no retry. Resolves for whatever the network and the server do;
 * rejects only with what `authentication` throws, and then nothing was sent.
 */
export async function acquire(
  endpoint: Pick<TokenEndpoint, 'send' | 'skewMs'>,
  target: Target,
  authentication: ClientAuthentication,
  options: AcquireOptions,
): Promise<Acquired> {
  const { requestId, tls, timeoutMs } = options;
  const startedAt = performance.now();
  const request = tokenRequest(target, requestId, options.claims);
  const skewMs = endpoint.skewMs(request.url) ?? 0;
  const moment = { now: Date.now() + skewMs, signAgain: options.signAgain ?? false };
  await authenticate(authentication, request, moment, timeoutMs);
  // A process that was stopped meanwhile must not send what nobody waits for any more.
  const leftMs = Math.floor(timeoutMs - (performance.now() - startedAt));
  const exchange: Exchange =
    leftMs < 1
      ? unsent('credential not ready in time')
      : await endpoint.send(request, { timeoutMs: leftMs, tls, ca: target.client.ca });
  const outcome = exchange.ok ? readAnswer(exchange, target, options) : exchange;
  if (outcome.ok) return { ...outcome, requestId };
  const signAgain =
    options.signsAssertions === true &&
    !moment.signAgain &&
    isMistimed(outcome.failure, exchange.ok ? exchange.skewMs : undefined, skewMs);
  return { ok: false, requestId, failure: withIds(outcome.failure, target, request, requestId), signAgain };
}

/** Managed identities and vaults are asked over a network; whoever is still busy at the end is left alone. */
async function authenticate(
  authentication: ClientAuthentication,
  request: TokenRequest,
  moment: Moment,
  timeoutMs: number,
): Promise<void> {
  const done = authentication(request, moment);
  if (done === undefined) return;
  const deadline = Promise.withResolvers<void>();
  const timer = setTimeout(deadline.resolve, timeoutMs);
  try {
    await Promise.race([done, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}

type Outcome =
  | Omit<Extract<Acquired, { ok: true }>, 'requestId'>
  | { readonly ok: false; readonly failure: Failure };

function readAnswer(
  { answer }: Extract<Exchange, { ok: true }>,
  target: Target,
  { now }: AcquireOptions,
): Outcome {
  const { grant, assumeLifetimeMs } = target.client;
  const outcome = readTokenResponse(answer, now, assumeLifetimeMs);
  if (!outcome.ok) return { ok: false, failure: judgeByGrant(outcome.failure, grant) };
  const check = checkToken(outcome.accessToken, target, dateOf(answer.headers) ?? Date.now());
  if (check.problem === undefined) return { ...outcome, digest: check.digest, tenantId: check.tenantId };
  const { problem } = check;
  return { ok: false, failure: classify({ answeredBy: 'server', status: answer.status, problem }) };
}

/** Where the assertion is the grant, one that is refused is an invalid grant and no invalid client (RFC 7523 section 3.1). */
function judgeByGrant(failure: Failure, { kind }: Grant): Failure {
  return kind === 'jwt_bearer' && failure.code === 'invalid_grant'
    ? { ...failure, kind: 'credential' }
    : failure;
}

/**
 * So much more than the skew that an assertion was signed for, and it may have been outside its validity, where a server
 * allows for little. Less could be a slow answer, of which nobody knows when in that time it was dated.
 */
const MISTIMED_BY_MS = 10_000;

/** Whether an assertion may have been refused for its time alone: Entra says so, of others the clocks tell. */
function isMistimed({ kind, code }: Failure, seenSkewMs: number | undefined, signedSkewMs: number): boolean {
  if (code === 'AADSTS700024') return true;
  return (
    kind === 'credential' && seenSkewMs !== undefined && Math.abs(seenSkewMs - signedSkewMs) > MISTIMED_BY_MS
  );
}

/**
 * Ids for the server's support. Some servers' secrets look like GUIDs, and a hostile server can send one back as its
 * trace id: so an id that was in the request, and is not the request's own, is dropped. Entra knows a request by our
 * id too, also one that it did not answer.
 */
function withIds(failure: Failure, target: Target, request: TokenRequest, requestId: string): Failure {
  const sent = `${request.body} ${basicPair(request)}`.toLowerCase();
  const ours = requestId.toLowerCase();
  const own = (id: string | undefined) =>
    id !== undefined && (id === ours || !sent.includes(id)) ? id : undefined;
  const isKnown = 'authority' in target.client.endpoint && failure.answeredBy !== 'unsent';
  return {
    ...failure,
    correlationId: own(failure.correlationId) ?? (isKnown ? ours : undefined),
    traceId: own(failure.traceId),
  };
}

function basicPair({ headers }: TokenRequest): string {
  return Buffer.from((headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString();
}
