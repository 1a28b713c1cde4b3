import { createHash } from 'node:crypto';
import type { Credential, SecretSource } from '../core/client.ts';
import type { Secret } from '../core/secret.ts';
import { asSecret, readSource, type Sources } from './source.ts';

/** What a credential is made of, as it was read. */
export interface Parts {
  readonly source: Buffer;
  /** The key, where it is in another place. */
  readonly keySource: Buffer | undefined;
  readonly passphrase: Secret | undefined;
}

/** @throws {CredentialError} when one of them is missing. */
export async function readParts(credential: Credential, sources: Sources): Promise<Parts> {
  const { source, keySource, passphrase } = placesOf(credential);
  const read = (place: SecretSource | undefined) => place && readSource(place, sources);
  const [content, key, phrase] = await Promise.all([read(source), read(keySource), read(passphrase)]);
  return {
    source: content ?? Buffer.alloc(0),
    keySource: key,
    passphrase: passphrase && phrase && asSecret(phrase, passphrase),
  };
}

/** Every place that a credential is read from. */
export function sourcesOf(credential: Credential): SecretSource[] {
  const { source, keySource, passphrase } = placesOf(credential);
  return [source, keySource, passphrase].filter((place) => place !== undefined);
}

/** Tells whether what was read is what was read before. Stays within the process. */
export function digestOf({ source, keySource, passphrase }: Parts): string {
  const hash = createHash('sha256');
  for (const part of [source, keySource, passphrase?.reveal()]) {
    hash.update(part === undefined ? '-' : createHash('sha256').update(part).digest());
  }
  return hash.digest('base64');
}

function placesOf(credential: Credential): {
  readonly source: SecretSource | undefined;
  readonly keySource?: SecretSource | undefined;
  readonly passphrase?: SecretSource | undefined;
} {
  if (credential.kind !== 'federated') return credential;
  return { source: 'file' in credential.source ? credential.source : undefined };
}
