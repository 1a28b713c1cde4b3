import type { KeyObject } from 'node:crypto';
import type { AssertionOptions } from '../core/client.ts';
import type { SigningKey } from './assertion.ts';
import type { CertifiedKey } from './certificate.ts';
import { CredentialError } from './credential-error.ts';

/** RFC 7518 sections 3.3 and 3.5. */
const RSA_BITS_AT_LEAST = 2048;

/** The key of an assertion that names its certificate: `x5t#S256` (RFC 7515 section 4.1.8) and, if wanted, `x5c`. */
export function certificateSigningKey(
  { key, leaf, chain }: CertifiedKey,
  { alg, kid, x5c }: AssertionOptions,
): SigningKey {
  const header = {
    ...(kid === undefined ? {} : { kid }),
    'x5t#S256': Buffer.from(leaf.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
    ...(x5c ? { x5c: chain.map(({ raw }) => raw.toString('base64')) } : {}),
  };
  return { alg: algorithmFor(key, alg), key, header };
}

/** The key of an assertion that the server knows by `kid`, or by the client alone. */
export function bareSigningKey(
  key: KeyObject,
  { alg, kid }: AssertionOptions,
  kidOfFile: string | undefined,
): SigningKey {
  const named = kid ?? kidOfFile;
  return { alg: algorithmFor(key, alg), key, header: named === undefined ? {} : { kid: named } };
}

/** The `alg` for a key: the one that is wanted, if the key is of its kind. */
export function algorithmFor(key: KeyObject, wanted: AssertionOptions['alg']): SigningKey['alg'] {
  refuseWeak(key);
  const fitting = fittingAlgorithms(key);
  const alg = wanted ?? fitting[0];
  if (alg !== undefined && fitting.includes(alg)) return alg;
  const expected = wanted === 'ES256' ? 'a P-256 key' : wanted ? 'an RSA key' : 'an RSA or P-256 key';
  throw new CredentialError('private key unusable', `expected ${expected}, and it is ${nameOf(key)}`);
}

/** @throws {CredentialError} for an RSA key that is too short for anything. */
export function refuseWeak(key: KeyObject): void {
  const { modulusLength } = key.asymmetricKeyDetails ?? {};
  if (modulusLength === undefined || modulusLength >= RSA_BITS_AT_LEAST) return;
  const detail = `expected an RSA key of ${RSA_BITS_AT_LEAST} bits or more, and it has ${modulusLength}`;
  throw new CredentialError('private key unusable', detail);
}

function fittingAlgorithms(key: KeyObject): readonly SigningKey['alg'][] {
  if (key.asymmetricKeyType === 'rsa') return ['PS256', 'RS256'];
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? ['ES256'] : [];
}

const nameOf = (key: KeyObject): string =>
  key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'a secret';
