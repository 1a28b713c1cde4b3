import type { ClientAuthentication, ClientTls } from '../core/client-authentication.ts';
import { Secret } from '../core/secret.ts';
import type { CertifiedKey } from './certificate.ts';

/** RFC 8705 section 2: the connection proves the client, and the request says which one it is. */
export function mutualTlsAuthentication(clientId: string): ClientAuthentication {
  return ({ body }) => body.set('client_id', clientId);
}

export function tlsIdentity(fingerprint: string, { key, chain }: CertifiedKey): ClientTls {
  return {
    fingerprint,
    certificateChainPem: chain.map((certificate) => certificate.toString()).join(''),
    key: new Secret(key.export({ format: 'pem', type: 'pkcs8' }).toString()),
  };
}
