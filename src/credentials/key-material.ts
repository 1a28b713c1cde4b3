import { X509Certificate } from 'node:crypto';
import type { Secret } from '../core/secret.ts';
import { CredentialError } from './credential-error.ts';
import { type KeyMaterial, readPem } from './pem.ts';
import { readPfx } from './pfx.ts';
import { readServiceAccount } from './service-account.ts';

/**
 * Reads keys and certificates: PEM, PFX (PKCS #12) as it is or in base64, one certificate as DER, or a Google service
 * account file. Which one is seen by its content.
 *
 * @throws {CredentialError}
 */
export async function readKeyMaterial(content: Buffer, passphrase: Secret | undefined): Promise<KeyMaterial> {
  const text = content.toString('utf8').replace(/^\ufeff/, '');
  if (text.trimStart().startsWith('{')) return readServiceAccount(text, passphrase);
  if (text.includes('-----BEGIN ')) return readPem(text, passphrase);
  const der = isDer(content) ? content : fromBase64(text);
  if (der === undefined) {
    throw new CredentialError('credential unreadable', 'expected PEM or PFX, and it is neither');
  }
  const certificate = asCertificate(der);
  if (certificate) return { keys: [], certificates: [certificate] };
  return await readPfx(der, passphrase);
}

/** An ASN.1 SEQUENCE. */
const isDer = (bytes: Buffer): boolean => bytes[0] === 0x30 && bytes.length > 2 && (bytes[1] ?? 0) >= 0x80;

function fromBase64(text: string): Buffer | undefined {
  const compact = text.replace(/\s+/g, '');
  const bytes = /^[A-Za-z0-9+/]+={0,2}$/.test(compact) ? Buffer.from(compact, 'base64') : Buffer.alloc(0);
  return isDer(bytes) ? bytes : undefined;
}

function asCertificate(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
