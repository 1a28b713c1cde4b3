import type { Target } from '../core/client.ts';
import { classify, type Failure } from '../core/failure.ts';
import type { TokenEndpoint } from './endpoint.ts';
import { type ClientAuthentication, type TokenRequest, tokenRequest } from './request.ts';
import { type Answer, type Outcome, readTokenResponse } from './response.ts';
import { findMixUp } from './token-check.ts';

export interface AcquireOptions {
  /** For the whole HTTP request. At least 1. */
  readonly timeoutMs: number;
  /** Epoch milliseconds, to read a Retry-After date. */
  readonly now: number;
  /** A GUID that the server's support can look up. */
  readonly requestId: string;
}

/**
 * Asks for a token once: one HTTP request, no retry. Resolves for whatever the network and the server do;
 * rejects only with what `authentication` throws, and then nothing was sent.
 */
export async function acquire(
  endpoint: Pick<TokenEndpoint, 'send'>,
  target: Target,
  authentication: ClientAuthentication,
  { timeoutMs, now, requestId }: AcquireOptions,
): Promise<Outcome> {
  const request = tokenRequest(target, requestId);
  await authentication(request);
  const exchange = await endpoint.send(request, { timeoutMs });
  const outcome = exchange.ok ? readChecked(exchange.answer, target, now) : exchange;
  return outcome.ok ? outcome : { ok: false, failure: withoutEchoes(outcome.failure, request, requestId) };
}

function readChecked(answer: Answer, target: Target, now: number): Outcome {
  const outcome = readTokenResponse(answer, now);
  const problem = outcome.ok ? findMixUp(outcome.accessToken, target) : undefined;
  if (problem === undefined) return outcome;
  return { ok: false, failure: classify({ answeredBy: 'server', status: answer.status, problem }) };
}

/**
 * Some servers' secrets look like GUIDs, and a hostile server can send one back as its trace id. So an id that
 * was in the request, and is not the request's own, is dropped.
 */
function withoutEchoes(failure: Failure, request: TokenRequest, requestId: string): Failure {
  const sent = `${request.body} ${basicPair(request)}`.toLowerCase();
  const own = (id: string | undefined) =>
    id !== undefined && (id === requestId.toLowerCase() || !sent.includes(id)) ? id : undefined;
  return { ...failure, correlationId: own(failure.correlationId), traceId: own(failure.traceId) };
}

function basicPair({ headers }: TokenRequest): string {
  return Buffer.from((headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString();
}
