import { type Claims, mergeClaims, readClaims } from '../core/claims.ts';
import type { Target } from '../core/client.ts';
import type { TokenRequest } from '../core/client-authentication.ts';

/**
 * The client-credentials request for a target (RFC 6749 section 4.4.2), without client authentication. Pure.
 *
 * @param requestId a GUID. Under an `authority` it is sent as `client-request-id`, which Entra's support can
 *   look up; other servers get nothing that they have not asked for.
 * @param challenge a claims challenge as JSON text, merged into the parameter `claims`; what is none is left out.
 */
export function tokenRequest(target: Target, requestId: string, challenge?: string): TokenRequest {
  const body = new URLSearchParams(target.resource.params);
  // After the params, so that none of them can pose as these.
  body.set('grant_type', 'client_credentials');
  body.set('client_id', target.client.clientId);
  const claims = claimsOf(target, challenge);
  if (claims !== undefined) body.set('claims', JSON.stringify(claims));
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    ...('authority' in target.client.endpoint ? entraHeaders(requestId) : {}),
  };
  return { url: target.tokenUrl, headers, body };
}

/** What the configuration and the challenge ask for; undefined: nothing beyond the params. */
function claimsOf({ resource }: Target, challenge: string | undefined): Claims | undefined {
  const asked = challenge === undefined ? undefined : readClaims(challenge);
  if (resource.claims === undefined && asked === undefined) return undefined;
  const inParams = readClaims(resource.params.claims ?? '') ?? {};
  return mergeClaims(mergeClaims(inParams, resource.claims ?? {}), asked ?? {});
}

/** The capability makes Entra send Retry-After with its 429, as it does for MSAL. */
function entraHeaders(requestId: string): Record<string, string> {
  return { 'x-ms-lib-capability': 'retry-after, h429', 'client-request-id': requestId };
}
