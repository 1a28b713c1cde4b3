import { createHash, createPublicKey, type KeyObject, pbkdf2, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../core/secret.ts';

/**
 * Fingerprints tell credentials apart in Redis, logs and answers: 8 characters, the same for as long as the credential
 * is the same. A key in another file, or written anew, keeps its fingerprint.
 */
const LENGTH = 8;
const SECRET_ITERATIONS = 10_000;

export const certificateFingerprint = (method: string, { raw }: X509Certificate): string =>
  digest(`certificate ${method}`, raw);

export const keyFingerprint = (method: string, key: KeyObject): string =>
  digest(`privateKey ${method}`, createPublicKey(key).export({ format: 'der', type: 'spki' }));

/** Of what stays the same while its tokens rotate: the parts of its name. */
export const namedFingerprint = (kind: string, ...name: readonly string[]): string =>
  digest(kind, JSON.stringify(name));

/** Slow on purpose: whoever reads a fingerprint must not be able to try many secrets against it. */
export async function secretFingerprint(method: string, clientId: string, secret: Secret): Promise<string> {
  const salt = JSON.stringify(['secret', method, clientId]);
  const derived = await promisify(pbkdf2)(secret.reveal(), salt, SECRET_ITERATIONS, 32, 'sha256');
  return shorten(derived);
}

function digest(kind: string, content: Buffer | string): string {
  return shorten(createHash('sha256').update(`${kind}\0`).update(content).digest());
}

const shorten = (bytes: Buffer): string => bytes.toString('base64url').slice(0, LENGTH);
