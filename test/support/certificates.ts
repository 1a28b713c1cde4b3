import { KeyObject, type webcrypto, X509Certificate } from 'node:crypto';
import './reflect-metadata.ts';
import * as x509 from '@peculiar/x509';

/** A key pair and its certificate, in every form that a test may want. */
export interface Certified {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  /** The certificate, then its issuers, without a self-signed root. */
  readonly chainPem: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface CertificateOptions {
  /** Default P-256, which is made in a moment; RSA takes a tenth of a second. */
  readonly key?: 'RSA' | 'RSA-1024' | 'P-256' | 'P-384';
  /** A pair that exists already, as when a certificate is renewed. */
  readonly keys?: webcrypto.CryptoKeyPair;
  /** Default `test`. */
  readonly commonName?: string;
  /** Epoch ms; default an hour ago. */
  readonly validFrom?: number;
  /** Epoch ms; default in ten years. */
  readonly validTo?: number;
  /** Who signs it; default itself. */
  readonly issuer?: Certified;
  /** Whether it may sign others. */
  readonly authority?: boolean;
  /** DNS names and IP addresses of a server. */
  readonly hosts?: readonly string[];
}

const HOUR_MS = 3_600_000;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const KEYS = {
  RSA: rsa(2048),
  'RSA-1024': rsa(1024),
  'P-256': { name: 'ECDSA', namedCurve: 'P-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384' },
} as const;

function rsa(modulusLength: number) {
  const publicExponent = new Uint8Array([1, 0, 1]);
  return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent, modulusLength };
}

/** Makes a certificate and, unless `keys` are given, its keys. The certificate of a server names its `hosts`. */
export async function makeCertificate(options: CertificateOptions = {}): Promise<Certified> {
  const { issuer, commonName = 'test', key = 'P-256' } = options;
  const keys = options.keys ?? (await crypto.subtle.generateKey(KEYS[key], true, ['sign', 'verify']));
  const subject = `CN=${commonName}`;
  const made = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer === undefined ? subject : issuer.certificate.subject,
    notBefore: new Date(options.validFrom ?? Date.now() - HOUR_MS),
    notAfter: new Date(options.validTo ?? Date.now() + 10 * 365 * 24 * HOUR_MS),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: SIGNING,
    extensions: extensions(options),
  });
  const certificate = new X509Certificate(Buffer.from(made.rawData));
  const privateKey = KeyObject.from(keys.privateKey);
  const certificatePem = certificate.toString();
  return {
    certificate,
    privateKey,
    publicKey: certificate.publicKey,
    certificatePem,
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    chainPem: certificatePem + issuersPem(issuer),
    keys,
  };
}

/** A root at the end of a chain is what the other side has to have already. */
const issuersPem = (issuer: Certified | undefined): string =>
  issuer === undefined || issuer.certificate.subject === issuer.certificate.issuer ? '' : issuer.chainPem;

function extensions({ authority = false, hosts = [] }: CertificateOptions): x509.Extension[] {
  const names = hosts.map((value) => ({
    type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const),
    value,
  }));
  return [
    new x509.BasicConstraintsExtension(authority, undefined, true),
    ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
  ];
}
