import { Secret } from '../core/secret.ts';
import type { Authentication } from './authentication.ts';
import type { CertifiedKey } from './certificate.ts';

/** The client's side of a TLS connection; two with one fingerprint are the same. */
export interface TlsIdentity {
  readonly fingerprint: string;
  /** The leaf first. */
  readonly certificateChainPem: string;
  /** PKCS #8. */
  readonly key: Secret;
}

/** RFC 8705 section 2: the connection proves the client, and the request says which one it is. */
export function mutualTlsAuthentication(clientId: string): Authentication {
  return ({ body }) => body.set('client_id', clientId);
}

export function tlsIdentity(fingerprint: string, { key, chain }: CertifiedKey): TlsIdentity {
  return {
    fingerprint,
    certificateChainPem: chain.map((certificate) => certificate.toString()).join(''),
    key: new Secret(key.export({ format: 'pem', type: 'pkcs8' }).toString()),
  };
}
