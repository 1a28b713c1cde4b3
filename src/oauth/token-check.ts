import { decodeJwt } from 'jose';
import type { Target } from '../core/client.ts';
import type { Problem } from '../core/failure.ts';
import type { Secret } from '../core/secret.ts';

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Whether a token is proven to be another one than was asked for: servers and proxies have mixed them up. Only
 * what can be read and contradicts counts; opaque tokens and missing claims pass, since their format is the
 * server's own affair. Not a validation: that is for the resource.
 */
export function findMixUp(accessToken: Secret, target: Target): Problem | undefined {
  const claims = readClaims(accessToken);
  if (claims === undefined) return undefined;
  if ('authority' in target.client.endpoint) {
    if (contradicts(claims.tid, target.tenant)) return 'token of another tenant';
    if (contradicts(claims.appid ?? claims.azp, target.client.clientId)) return 'token of another client';
  }
  const { expectAudience } = target.resource;
  if (expectAudience !== undefined && ![claims.aud].flat().includes(expectAudience))
    return 'token for another audience';
  return undefined;
}

/** Only GUIDs are compared: a tenant may be configured by a domain of it. */
function contradicts(claim: unknown, expected: string): boolean {
  return typeof claim === 'string' && GUID.test(expected) && claim.toLowerCase() !== expected.toLowerCase();
}

function readClaims(accessToken: Secret): Record<string, unknown> | undefined {
  try {
    return decodeJwt(accessToken.reveal());
  } catch {
    return undefined;
  }
}
