import { type KeyObject, randomUUID } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import type { AssertionOptions, Client } from '../core/client.ts';
import type { ClientAuthentication, TokenRequest } from '../core/client-authentication.ts';
import { Secret } from '../core/secret.ts';
import { AssertionCache } from './assertion-cache.ts';

/** What signs assertions, and how servers recognize it. */
export interface SigningKey {
  readonly alg: 'PS256' | 'RS256' | 'ES256' | 'HS256';
  readonly key: KeyObject;
  readonly header: {
    readonly kid?: string;
    readonly 'x5t#S256'?: string;
    /** DER in base64, the leaf first. */
    readonly x5c?: readonly string[];
  };
}

/** Whom and what one assertion names. */
export interface AssertionSubject {
  readonly audience: string;
  readonly issuer: string;
  /** Undefined: no `sub`. */
  readonly subject: string | undefined;
  /** Undefined: no `scope`. */
  readonly scope: string | undefined;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/**
 * Signs assertions for a client (RFC 7523): as its authentication, or as the grant itself. With `reuse` one is sent
 * again for the same audience and scope while it is valid.
 */
export function signedAssertion(
  client: Pick<Client, 'clientId' | 'grant'>,
  options: AssertionOptions,
  signer: SigningKey,
): ClientAuthentication {
  const { grant, clientId } = client;
  const cache = new AssertionCache(options.lifetimeMs);
  const scopeInAssertion = grant.kind === 'jwt_bearer' && grant.scopeInAssertion;
  return async (request, moment) => {
    const named: AssertionSubject = {
      audience: options.audience ?? withoutQuery(request.url),
      issuer: clientId,
      subject: grant.kind === 'jwt_bearer' ? grant.subject : clientId,
      scope: scopeInAssertion ? (request.body.get('scope') ?? undefined) : undefined,
    };
    const sign = () => signJwt(signer, assertionClaims(named, options, moment.now, randomUUID()));
    const key = JSON.stringify([named.audience, named.scope]);
    const assertion = options.reuse ? await cache.take(key, moment, sign) : await sign();
    if (scopeInAssertion) request.body.delete('scope');
    placeAssertion(request, client, assertion);
  };
}

/**
 * Assertions are dated back by so much. Clocks are known to about 2 s, and some servers allow for nothing: neither for
 * one that is "not yet valid", nor for an end that is a second later than they take.
 */
const DATED_BACK_MS = 5000;

/** The claims of RFC 7523 section 3. Configured ones are signed beside them and override none. */
export function assertionClaims(
  { audience, issuer, subject, scope }: AssertionSubject,
  { claims, claimsMode, lifetimeMs }: AssertionOptions,
  now: number,
  id: string,
): JWTPayload {
  const from = now - DATED_BACK_MS;
  const iat = Math.floor(from / 1000);
  return {
    ...claims,
    aud: audience,
    iss: issuer,
    ...(subject === undefined ? {} : { sub: subject }),
    ...(scope === undefined ? {} : { scope }),
    exp: Math.floor((from + lifetimeMs) / 1000),
    ...(claimsMode === 'replace' ? {} : { jti: id, nbf: iat, iat }),
  };
}

/** Puts an assertion where the grant wants it (RFC 7521 sections 4.1 and 4.2). */
export function placeAssertion(
  { body }: Pick<TokenRequest, 'body'>,
  { clientId, grant }: Pick<Client, 'clientId' | 'grant'>,
  assertion: Secret,
): void {
  if (grant.kind === 'jwt_bearer') {
    body.delete('client_id');
    body.set('grant_type', JWT_BEARER);
    body.set('assertion', assertion.reveal());
    return;
  }
  // RFC 7521 lets client_id go, since the assertion names the client; Entra wants it.
  body.set('client_id', clientId);
  body.set('client_assertion_type', ASSERTION_TYPE);
  body.set('client_assertion', assertion.reveal());
}

async function signJwt({ alg, key, header }: SigningKey, claims: JWTPayload): Promise<Secret> {
  const { x5c, ...rest } = header;
  const chain = x5c === undefined ? {} : { x5c: [...x5c] };
  const jwt = new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT', ...rest, ...chain });
  return new Secret(await jwt.sign(key));
}

const withoutQuery = (url: string): string => url.replace(/[?#].*$/s, '');
