import type { Problem } from '../core/codes.ts';
import { type AnsweredBy, classify, type Failure } from '../core/failure.ts';
import { parseHttpDate, parseRetryAfterMs } from '../core/retry-after.ts';
import { Secret } from '../core/secret.ts';
import { isGuid } from '../core/target.ts';

/** A whole HTTP answer of a token endpoint. The body may be a token, so it cannot be printed. */
export interface Answer {
  readonly status: number;
  /** Names in lower case, as node:http and undici give them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Secret;
}

/** A token as the server gave it, checked and in safe bounds. */
export interface IssuedToken {
  readonly ok: true;
  readonly accessToken: Secret;
  readonly tokenType: 'Bearer';
  /** Whole seconds, at least 1, at most {@link MAX_EXPIRES_IN_SECONDS}. */
  readonly expiresInSeconds: number;
  /** When the server would have it refreshed (`refresh_in`, as Entra says with long lives); 0: it did not say. */
  readonly refreshInSeconds: number;
}

/** What one request came to. */
export type Outcome = IssuedToken | { readonly ok: false; readonly failure: Failure };

/** 31 days. A server that promises more is asked again after that. */
export const MAX_EXPIRES_IN_SECONDS = 31 * 86_400;

/**
 * Reads the answer to a token request (RFC 6749 sections 5.1 and 5.2). Pure and total: whatever the server
 * sent gives an outcome, and no text of the server gets into a failure.
 *
 * Strict where a wrong token would hurt: status 200 only, a JSON media type unless the header is missing, an
 * access token that a header can carry, a positive lifetime. Lenient in two things that real servers do: a
 * missing `token_type` means Bearer, and `expires_in` may be a numeric string. A malformed 200 is transient,
 * because such answers come from servers and proxies in trouble, and backoff bounds the asking. A `refresh_in` that
 * cannot be used is left out: it is advice.
 *
 * @param now epoch milliseconds; only for a Retry-After date in an answer without a Date header.
 * @param assumeLifetimeMs the life of a token whose answer does not tell, as at Salesforce; at least 1 s.
 */
export function readTokenResponse(answer: Answer, now: number, assumeLifetimeMs?: number): Outcome {
  const json = parseObject(answer.body.reveal());
  if (answer.status !== 200 || isErrorBody(json)) return { ok: false, failure: readError(answer, json, now) };
  const token = readToken(answer, json, assumeLifetimeMs);
  if (typeof token !== 'string') return token;
  const answeredBy = json && OAUTH_MEMBERS.some((name) => Object.hasOwn(json, name)) ? 'server' : 'host';
  return { ok: false, failure: classify({ ...evidenceOf(answer, now), answeredBy, problem: token }) };
}

type Json = Readonly<Record<string, unknown>>;

/** What shows that an OAuth server wrote the body, and not something in front of it. */
const OAUTH_MEMBERS = ['access_token', 'token_type', 'expires_in'];

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** Some servers send errors with 200, so this is asked whatever the status is. */
function isErrorBody(json: Json | undefined): json is Json {
  return (
    json !== undefined &&
    json.access_token === undefined &&
    (typeof json.error === 'string' || Array.isArray(json.error_codes))
  );
}

function readToken(
  { headers, body }: Answer,
  json: Json | undefined,
  assumeLifetimeMs: number | undefined,
): IssuedToken | Problem {
  if (body.reveal().trim() === '') return 'response empty';
  if (!isJsonMediaType(headerOf(headers, 'content-type'))) return 'response content type not JSON';
  if (json === undefined) return 'response not JSON';
  const accessToken = json.access_token;
  if (typeof accessToken !== 'string' || accessToken === '') return 'response without access_token';
  // RFC 6749 appendix A.12, without the space: consumers put it into an Authorization header.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) return 'response access_token unusable';
  const tokenType = json.token_type ?? 'Bearer';
  if (typeof tokenType !== 'string' || tokenType.toLowerCase() !== 'bearer')
    return 'response token_type not Bearer';
  const expiresInSeconds = readExpiresIn(json.expires_in ?? secondsOf(assumeLifetimeMs));
  if (typeof expiresInSeconds === 'string') return expiresInSeconds;
  const refreshInSeconds = readRefreshIn(json.refresh_in, expiresInSeconds);
  return {
    ok: true,
    accessToken: new Secret(accessToken),
    tokenType: 'Bearer',
    expiresInSeconds,
    refreshInSeconds,
  };
}

function isJsonMediaType(contentType: string | undefined): boolean {
  return (
    contentType === undefined ||
    /^application\/(?:[a-z0-9.-]+\+)?json$/i.test((contentType.split(';')[0] as string).trim())
  );
}

const secondsOf = (lifetimeMs: number | undefined): number | undefined =>
  lifetimeMs === undefined ? undefined : lifetimeMs / 1000;

function readExpiresIn(value: unknown): number | Problem {
  if (value === undefined || value === null) return 'response without expires_in';
  const seconds = wholeSeconds(value);
  if (!(seconds >= 1) || seconds === Number.POSITIVE_INFINITY) return 'response expires_in unusable';
  return Math.min(seconds, MAX_EXPIRES_IN_SECONDS);
}

function readRefreshIn(value: unknown, expiresInSeconds: number): number {
  const seconds = wholeSeconds(value);
  return seconds >= 1 && seconds <= expiresInSeconds ? seconds : 0;
}

/** Of a number or a numeric string, rounded down; NaN for anything else. */
function wholeSeconds(value: unknown): number {
  const isNumeric = typeof value === 'number' || (typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value));
  return isNumeric ? Math.floor(Number(value)) : Number.NaN;
}

function readError(answer: Answer, json: Json | undefined, now: number): Failure {
  const error = json?.error;
  const errorCodes = json?.error_codes;
  const evidence = evidenceOf(answer, now);
  return classify({
    ...evidence,
    answeredBy: isErrorBody(json) ? 'server' : 'host',
    error: typeof error === 'string' ? error : undefined,
    errorCodes: Array.isArray(errorCodes) ? errorCodes.filter((code) => typeof code === 'number') : undefined,
    correlationId: guid(json?.correlation_id) ?? evidence.correlationId,
    traceId: guid(json?.trace_id) ?? evidence.traceId,
  });
}

interface HeaderEvidence {
  readonly answeredBy: AnsweredBy;
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  readonly correlationId: string | undefined;
  readonly traceId: string | undefined;
}

function evidenceOf({ status, headers }: Answer, now: number): HeaderEvidence {
  const retryAfter = headerOf(headers, 'retry-after');
  // A Retry-After date is meant by the server's clock, which the Date header of the same answer tells.
  const serverNow = dateOf(headers);
  return {
    answeredBy: 'host',
    status,
    retryAfterMs: retryAfter === undefined ? undefined : parseRetryAfterMs(retryAfter, serverNow ?? now),
    correlationId: guid(headerOf(headers, 'client-request-id')),
    traceId: guid(headerOf(headers, 'x-ms-request-id')),
  };
}

/** The server's clock when it answered, epoch ms, by the Date header (RFC 9110 section 6.6.1). */
export function dateOf(headers: Answer['headers']): number | undefined {
  const date = parseHttpDate(headerOf(headers, 'date') ?? '');
  return Number.isNaN(date) ? undefined : date;
}

function headerOf(headers: Answer['headers'], name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Ids only: whatever else a server puts there could be anything, also what it was sent. */
function guid(value: unknown): string | undefined {
  return typeof value === 'string' && isGuid(value) ? value.toLowerCase() : undefined;
}
