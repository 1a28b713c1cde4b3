import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certified, makeCertificate } from './certificates.ts';

/** What `oidc-provider.ts --registration FILE` reads: nothing that a server should not know of a client. */
export interface Registration {
  /** Client metadata (RFC 7591 section 2). */
  readonly clients: readonly ClientMetadata[];
  /** How it listens for clients that show a certificate, and whose certificates it trusts. */
  readonly mutualTls: {
    readonly certificatePem: string;
    readonly keyPem: string;
    readonly clientAuthorityPem: string;
  };
}

export interface ClientMetadata {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly token_endpoint_auth_method: string;
  readonly token_endpoint_auth_signing_alg?: string;
  readonly tls_client_auth_subject_dn?: string;
  readonly jwks?: { readonly keys: readonly Jwk[] };
}

/** A public key as the server knows it. What is written here of `kid` and `x5t#S256` an assertion has to name. */
export interface Jwk {
  readonly kty?: string;
  readonly kid?: string;
  readonly 'x5t#S256'?: string;
  readonly x5c?: readonly string[];
}

/** The client that proves itself by an HMAC. */
export const SECRET_JWT_CLIENT = {
  clientId: 'secret-jwt-client',
  secret: 'secret-jwt-secret-0123456789-0123456789',
} as const;

/** What clients hold, in files of one folder, and what the server is told of it. */
export interface Registered {
  readonly file: string;
  /** The authority of the server's own certificate. */
  readonly caFile: string;
  /** RSA, certificate and key in one file. */
  readonly rsa: { readonly clientId: string; readonly file: string };
  /** P-256, certificate and key in two files. */
  readonly ec: { readonly clientId: string; readonly file: string; readonly keyFile: string };
  /** A key without a certificate, one of two that the server knows. */
  readonly key: { readonly clientId: string; readonly file: string; readonly kid: string };
  /** A certificate of the authority that the server trusts. */
  readonly tls: { readonly clientId: string; readonly file: string };
  /** A certificate that the server knows by itself. */
  readonly selfSigned: { readonly clientId: string; readonly file: string };
  /** The server knows it by a key that no file holds. */
  readonly stranger: { readonly clientId: string };
}

/** Makes keys and certificates for every method of client authentication, and the server's list of them. */
export async function registerClients(folder: string): Promise<Registered> {
  const write = (name: string, ...parts: readonly string[]): string => {
    const file = join(folder, name);
    writeFileSync(file, parts.join(''), { mode: 0o600 });
    return file;
  };
  const authority = await makeCertificate({ commonName: 'test-authority', authority: true });
  const [server, rsa, ec, key, otherKey, tls, selfSigned] = await Promise.all([
    makeCertificate({ commonName: 'localhost', hosts: ['localhost', '127.0.0.1'], issuer: authority }),
    makeCertificate({ key: 'RSA', commonName: 'rsa-client' }),
    makeCertificate({ commonName: 'ec-client' }),
    makeCertificate(),
    makeCertificate(),
    makeCertificate({ commonName: 'tls-client', issuer: authority }),
    makeCertificate({ commonName: 'self-signed-client' }),
  ]);
  const registration: Registration = {
    clients: [
      {
        client_id: SECRET_JWT_CLIENT.clientId,
        client_secret: SECRET_JWT_CLIENT.secret,
        token_endpoint_auth_method: 'client_secret_jwt',
        token_endpoint_auth_signing_alg: 'HS256',
      },
      signing('rsa-client', 'PS256', [certificateJwk(rsa)]),
      signing('ec-client', 'ES256', [certificateJwk(ec)]),
      signing('key-client', 'ES256', [keyJwk(otherKey, 'old'), keyJwk(key, 'new')]),
      signing('stranger-client', 'PS256', [certificateJwk(await makeCertificate({ key: 'RSA' }))]),
      {
        client_id: 'tls-client',
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: 'CN=tls-client',
      },
      {
        client_id: 'self-signed-client',
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: { keys: [certificateJwk(selfSigned)] },
      },
    ],
    mutualTls: {
      certificatePem: server.certificatePem,
      keyPem: server.keyPem,
      clientAuthorityPem: authority.certificatePem,
    },
  };
  return {
    file: write('registration.json', JSON.stringify(registration)),
    caFile: write('authority.pem', authority.certificatePem),
    rsa: { clientId: 'rsa-client', file: write('rsa.pem', rsa.certificatePem, rsa.keyPem) },
    ec: {
      clientId: 'ec-client',
      file: write('ec.pem', ec.certificatePem),
      keyFile: write('ec-key.pem', ec.keyPem),
    },
    key: { clientId: 'key-client', file: write('key.pem', key.keyPem), kid: 'new' },
    tls: { clientId: 'tls-client', file: write('tls.pem', tls.keyPem, tls.certificatePem) },
    selfSigned: {
      clientId: 'self-signed-client',
      file: write('self-signed.pem', selfSigned.certificatePem, selfSigned.keyPem),
    },
    stranger: { clientId: 'stranger-client' },
  };
}

function signing(clientId: string, alg: string, keys: readonly Jwk[]): ClientMetadata {
  return {
    client_id: clientId,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys },
  };
}

const keyJwk = ({ publicKey }: Certified, kid: string): Jwk => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
});

function certificateJwk({ publicKey, certificatePem }: Certified): Jwk {
  const { raw, fingerprint256 } = new X509Certificate(certificatePem);
  return {
    ...publicKey.export({ format: 'jwk' }),
    x5c: [raw.toString('base64')],
    'x5t#S256': Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
  };
}
