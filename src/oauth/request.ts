import type { Target } from '../core/client.ts';

/**
 * A token request on its way to the wire. Client authentication writes into `headers` and `body`, which from
 * then on hold the credential: a request lives within one attempt and is not logged.
 */
export interface TokenRequest {
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly body: URLSearchParams;
}

/** Proves who the client is by changing the request's body or headers (RFC 6749 section 2.3). */
export type ClientAuthentication = (request: TokenRequest) => void | Promise<void>;

/**
 * The client-credentials request for a target (RFC 6749 section 4.4.2), without client authentication. Pure.
 *
 * @param requestId a GUID. Under an `authority` it is sent as `client-request-id`, which Entra's support can
 *   look up; other servers get nothing that they have not asked for.
 */
export function tokenRequest(target: Target, requestId: string): TokenRequest {
  const body = new URLSearchParams(target.resource.params);
  // After the params, so that none of them can pose as these two.
  body.set('grant_type', 'client_credentials');
  body.set('client_id', target.client.clientId);
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    ...('authority' in target.client.endpoint ? entraHeaders(requestId) : {}),
  };
  return { url: target.tokenUrl, headers, body };
}

/** The capability makes Entra send Retry-After with its 429, as it does for MSAL. */
function entraHeaders(requestId: string): Record<string, string> {
  return { 'x-ms-lib-capability': 'retry-after, h429', 'client-request-id': requestId };
}
