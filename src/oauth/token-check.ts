import { createHash } from 'node:crypto';
import { decodeJwt } from 'jose';
import type { Target } from '../core/client.ts';
import type { Problem } from '../core/codes.ts';
import type { Secret } from '../core/secret.ts';
import { isGuid } from '../core/target.ts';

/** What can be told of a token without its key: a problem that forbids to publish it, or who it is. */
export type TokenCheck = { readonly problem: Problem } | TokenIdentity;

export interface TokenIdentity {
  readonly problem?: undefined;
  /** 8 characters that tell one token from another. */
  readonly digest: string;
  /** `tid` of a token under `authority`, a GUID in lower case, where it can be read. */
  readonly tenantId: string | undefined;
}

/**
 * Whether a token is proven to be unfit: another one than was asked for, since servers and proxies have mixed them up,
 * or one that has ended. Only what can be read and contradicts counts; opaque tokens and missing claims pass, since
 * their format is the server's own affair. Not a validation: that is for the resource.
 *
 * @param serverNow the server's clock, epoch ms.
 */
export function checkToken(accessToken: Secret, target: Target, serverNow: number): TokenCheck {
  const claims = readJwt(accessToken);
  const problem = claims && findProblem(claims, target, serverNow);
  if (problem !== undefined) return { problem };
  const tenantId = 'authority' in target.client.endpoint ? guid(claims?.tid) : undefined;
  return { digest: digestOf(accessToken), tenantId };
}

function findProblem(claims: Json, target: Target, serverNow: number): Problem | undefined {
  if ('authority' in target.client.endpoint) {
    if (contradicts(claims.tid, target.tenant)) return 'token of another tenant';
    if (contradicts(claims.appid ?? claims.azp, target.client.clientId)) return 'token of another client';
  }
  const { expectAudience } = target.resource;
  if (expectAudience !== undefined && ![claims.aud].flat().includes(expectAudience))
    return 'token for another audience';
  if (typeof claims.exp === 'number' && claims.exp * 1000 <= serverNow) return 'token already expired';
  return undefined;
}

/** Only GUIDs are compared: a tenant may be configured by a domain of it. */
function contradicts(claim: unknown, expected: string): boolean {
  return typeof claim === 'string' && isGuid(expected) && claim.toLowerCase() !== expected.toLowerCase();
}

const guid = (claim: unknown): string | undefined =>
  typeof claim === 'string' && isGuid(claim) ? claim.toLowerCase() : undefined;

function digestOf(accessToken: Secret): string {
  return createHash('sha256').update(accessToken.reveal()).digest('base64url').slice(0, 8);
}

type Json = Readonly<Record<string, unknown>>;

function readJwt(accessToken: Secret): Json | undefined {
  try {
    return decodeJwt(accessToken.reveal());
  } catch {
    return undefined;
  }
}
