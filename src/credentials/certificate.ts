import type { KeyObject, X509Certificate } from 'node:crypto';
import { CredentialError } from './credential-error.ts';

/** A private key and what certifies it. */
export interface CertifiedKey {
  readonly key: KeyObject;
  readonly leaf: X509Certificate;
  /** The leaf, then each one's issuer as far as they are there, without a self-signed root. */
  readonly chain: readonly X509Certificate[];
}

/** Finds the certificate that one of the keys belongs to, whatever the order in the file. */
export function certifiedKey(
  keys: readonly KeyObject[],
  certificates: readonly X509Certificate[],
): CertifiedKey {
  if (certificates.length === 0) {
    throw new CredentialError('certificate missing', 'expected a certificate, and there is none');
  }
  if (keys.length === 0) {
    throw new CredentialError('private key missing', 'expected a private key, and there is none');
  }
  for (const key of keys) {
    const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
    if (leaf) return { key, leaf, chain: chainFrom(leaf, certificates) };
  }
  throw new CredentialError(
    'key of another certificate',
    'the private key belongs to none of the certificates',
  );
}

function chainFrom(leaf: X509Certificate, certificates: readonly X509Certificate[]): X509Certificate[] {
  const chain = [leaf];
  for (let last: X509Certificate | undefined = leaf; last; ) {
    const issuer = issuerOf(last, certificates);
    // Two authorities may have certified each other.
    last = issuer && !chain.includes(issuer) && !isSelfIssued(issuer) ? issuer : undefined;
    if (last) chain.push(last);
  }
  return chain;
}

function issuerOf(
  certificate: X509Certificate,
  certificates: readonly X509Certificate[],
): X509Certificate | undefined {
  if (isSelfIssued(certificate)) return undefined;
  return certificates.find((other) => certificate.checkIssued(other) && certificate.verify(other.publicKey));
}

const isSelfIssued = ({ subject, issuer }: X509Certificate): boolean => subject === issuer;
