import type { Secret } from '../core/secret.ts';
import { CredentialError } from './credential-error.ts';
import { type KeyMaterial, readPem } from './pem.ts';

/** Reads the key of a Google service account file, a JSON object with `private_key` and `private_key_id`. */
export function readServiceAccount(text: string, passphrase: Secret | undefined): KeyMaterial {
  const { private_key: pem, private_key_id: kid } = parseObject(text);
  if (typeof pem !== 'string') {
    throw new CredentialError(
      'private key missing',
      'expected private_key in the JSON object, and there is none',
    );
  }
  return { ...readPem(pem, passphrase), kid: typeof kid === 'string' && kid !== '' ? kid : undefined };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text);
  } catch {
    throw new CredentialError(
      'credential unreadable',
      'it begins as JSON and is none: it may be half-written',
    );
  }
}
