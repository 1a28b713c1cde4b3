import {
  createHmac,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';
import type { Granted } from './answers.ts';
import type { Signing } from './options.ts';

/** Makes access tokens, and the public half of what they are signed with. */
export interface TokenSigner {
  /** RFC 7517. Empty for `hs256` and `premade`, which nobody can verify. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] };
  /** A JWT (RFC 9068 in spirit, Entra's claim names). `nowSeconds`: epoch seconds. */
  issue(granted: Granted, issuer: string, nowSeconds: number, lifetimeSeconds: number): string;
}

/** Keys are made afresh, for this process only. */
export function tokenSigner(signing: Signing): TokenSigner {
  const kid = randomBytes(8).toString('hex');
  const { alg, signature, publicKey } = SCHEMES[signing]();
  const header = base64url({ typ: 'JWT', alg, kid });
  return {
    jwks: { keys: publicKey ? [{ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }] : [] },
    issue(granted, issuer, nowSeconds, lifetimeSeconds) {
      const input = `${header}.${base64url(claims(granted, issuer, nowSeconds, lifetimeSeconds))}`;
      return `${input}.${signature(input)}`;
    },
  };
}

interface Scheme {
  readonly alg: string;
  readonly signature: (input: string) => string;
  readonly publicKey?: KeyObject;
}

const SCHEMES: Readonly<Record<Signing, () => Scheme>> = {
  es256() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return {
      alg: 'ES256',
      publicKey,
      signature: (input) => sign('sha256', Buffer.from(input), key).toString('base64url'),
    };
  },
  rs256() {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return {
      alg: 'RS256',
      publicKey,
      signature: (input) => sign('sha256', Buffer.from(input), privateKey).toString('base64url'),
    };
  },
  hs256() {
    const key = randomBytes(32);
    return {
      alg: 'HS256',
      signature: (input) => createHmac('sha256', key).update(input).digest('base64url'),
    };
  },
  /** As long as Entra's, so that what is stored weighs the same. */
  premade() {
    const made = randomBytes(256).toString('base64url');
    return { alg: 'RS256', signature: () => made };
  },
};

function claims(
  { tenant, clientId, audience }: Granted,
  issuer: string,
  nowSeconds: number,
  lifetimeSeconds: number,
) {
  return {
    iss: issuer,
    aud: audience,
    tid: tenant,
    appid: clientId,
    azp: clientId,
    sub: clientId,
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: nowSeconds + lifetimeSeconds,
    jti: randomUUID(),
  };
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
