import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Secret } from '../core/secret.ts';
import { CredentialError } from './credential-error.ts';

/** What is in a file of keys and certificates, in its order. */
export interface KeyMaterial {
  readonly keys: readonly KeyObject[];
  readonly certificates: readonly X509Certificate[];
  /** The key's id, where the file says it. */
  readonly kid?: string | undefined;
}

/** Ends at the next dashes, whatever they are: looking further from every beginning would take minutes for a large file. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----)[\s\S])*?-----END \1-----/g;
const BEGIN = /-----BEGIN [A-Z0-9 ]+-----/g;
const CERTIFICATE = /^(?:X509 |TRUSTED )?CERTIFICATE$/;
const PRIVATE_KEY = /^(?:[A-Z0-9]+ )?PRIVATE KEY$/;

/**
 * Reads the certificates and private keys of a PEM text, in any order: PKCS #8 and the older PKCS #1 and SEC 1, each
 * encrypted or not. Other blocks and text between them are passed over.
 */
export function readPem(text: string, passphrase: Secret | undefined): KeyMaterial {
  // Variables often have `\n` written out; PEM itself has no backslash.
  const pem = text.replaceAll('\\r', '').replaceAll('\\n', '\n');
  const blocks = [...pem.matchAll(BLOCK)].map(([block, label = '']) => ({ block, label }));
  if (blocks.length < [...pem.matchAll(BEGIN)].length) {
    throw new CredentialError('credential unreadable', 'a PEM block has no end: it may be half-written');
  }
  return {
    keys: blocks
      .filter(({ label }) => PRIVATE_KEY.test(label))
      .map(({ block }) => readKey(block, passphrase)),
    certificates: blocks
      .filter(({ label }) => CERTIFICATE.test(label))
      .map(({ block }) => readCertificate(block)),
  };
}

function readCertificate(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new CredentialError('credential unreadable', 'a PEM block named CERTIFICATE holds none');
  }
}

/** What OpenSSL says when it fails depends on chance where a wrong passphrase decrypts to noise, so it is not asked. */
export function readKey(block: string, passphrase: Secret | undefined): KeyObject {
  const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type:.*ENCRYPTED/.test(block);
  if (encrypted && passphrase === undefined) {
    throw new CredentialError('passphrase missing', 'the private key is encrypted');
  }
  try {
    return createPrivateKey({ key: block, ...(encrypted ? { passphrase: passphrase?.reveal() } : {}) });
  } catch {
    throw encrypted
      ? new CredentialError('passphrase wrong', 'the private key does not open with the passphrase')
      : new CredentialError('private key unusable', 'the PEM block of the private key cannot be read');
  }
}
