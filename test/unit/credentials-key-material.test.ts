import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodeProtectedHeader } from 'jose';
import forge from 'node-forge';
import { beforeAll, describe, expect, it, test } from 'vitest';
import type { KeyCredential } from '../../src/core/client.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { atHandOf, authenticated, keyCredential, load, makeFolder } from '../support/credentials.ts';

const PASSPHRASE = 'correct horse';
const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;

let rsa: Certified;
let ec: Certified;

beforeAll(async () => {
  rsa = await makeCertificate({ key: 'RSA' });
  ec = await makeCertificate({ key: 'P-256' });
});

/** In what form a key stands in a file. */
const FORMS: Record<string, (key: KeyObject) => string> = {
  'PKCS #8': (key) => key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  'encrypted PKCS #8': (key) => key.export({ ...ENCRYPTED, type: 'pkcs8' }).toString(),
  'PKCS #1': (key) => key.export({ format: 'pem', type: 'pkcs1' }).toString(),
  'encrypted PKCS #1': (key) => key.export({ ...ENCRYPTED, type: 'pkcs1' }).toString(),
  'SEC 1': (key) => key.export({ format: 'pem', type: 'sec1' }).toString(),
  'encrypted SEC 1': (key) => key.export({ ...ENCRYPTED, type: 'sec1' }).toString(),
};
const ENCRYPTED = { format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE } as const;

const withPassphrase = { passphrase: { env: 'THE_PASSPHRASE' } };
const env = { THE_PASSPHRASE: PASSPHRASE };

/** Loads a certificate and a key out of one file and tells by which thumbprint it names itself. */
async function thumbprintOf(content: string | Uint8Array, more: Partial<KeyCredential> = withPassphrase) {
  const file = makeFolder().write('credential', content);
  const { body } = await authenticated(await load(keyCredential(file, more), { env }));
  return decodeProtectedHeader(`${body.get('client_assertion')}`)['x5t#S256'];
}

const sha256 = ({ fingerprint256 }: X509Certificate): string =>
  Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');

describe('PEM', () => {
  it.each([
    ['RSA', 'PKCS #8'],
    ['RSA', 'encrypted PKCS #8'],
    ['RSA', 'PKCS #1'],
    ['RSA', 'encrypted PKCS #1'],
    ['EC', 'PKCS #8'],
    ['EC', 'encrypted PKCS #8'],
    ['EC', 'SEC 1'],
    ['EC', 'encrypted SEC 1'],
  ])('of %s as %s is read', async (kind, form) => {
    const certified = kind === 'RSA' ? rsa : ec;
    const key = FORMS[form]?.(certified.privateKey) ?? '';
    expect(await thumbprintOf(certified.certificatePem + key)).toBe(sha256(certified.certificate));
  });

  const forms: readonly (readonly [string, () => string])[] = [
    ['the key first', () => ec.keyPem + ec.certificatePem],
    ['another certificate first', () => rsa.certificatePem + ec.keyPem + ec.certificatePem],
    ['the key of another one first', () => rsa.keyPem + ec.keyPem + ec.certificatePem],
    ['text between', () => `Bag Attributes\n${ec.keyPem}\nsubject=CN = x\n${ec.certificatePem}`],
    ['parameters of the curve', () => `${CURVE}${ec.keyPem}${ec.certificatePem}`],
    ['the line ends of Windows', () => (ec.keyPem + ec.certificatePem).replaceAll('\n', '\r\n')],
    ['line ends written out', () => (ec.keyPem + ec.certificatePem).replaceAll('\n', '\\n')],
    ['a byte order mark', () => `\ufeff${ec.keyPem}${ec.certificatePem}`],
  ];
  const CURVE = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';

  it.each(forms)('is read with %s', async (_, pem) => {
    expect(await thumbprintOf(pem(), {})).toBe(sha256(ec.certificate));
  });

  test('in two files is read, the certificate also as DER', async () => {
    const folder = makeFolder();
    const keySource = folder.write('key.pem', ec.keyPem);
    for (const certificate of [ec.certificatePem, ec.certificate.raw]) {
      const source = folder.write('certificate', certificate);
      expect(atHandOf(await load(keyCredential(source, { keySource }))).fingerprint).toHaveLength(8);
    }
  });
});

describe('PFX', () => {
  function pfxOf({ certificate, keyPem }: Certified, algorithm: 'aes256' | '3des', passphrase: string) {
    const asn1 = forge.pkcs12.toPkcs12Asn1(
      forge.pki.privateKeyFromPem(keyPem),
      forge.pki.certificateFromPem(certificate.toString()),
      passphrase,
      { algorithm, count: 100 },
    );
    return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'binary');
  }

  it.each(['aes256', '3des'] as const)('of RSA with %s is read', async (algorithm) => {
    const selfSigned = await rsaBySelf();
    expect(await thumbprintOf(pfxOf(selfSigned, algorithm, PASSPHRASE))).toBe(sha256(selfSigned.certificate));
  });

  it.each(['aes256', '3des'] as const)('with %s and an empty passphrase is read', async (algorithm) => {
    const selfSigned = await rsaBySelf();
    const pfx = pfxOf(selfSigned, algorithm, '');
    expect(await thumbprintOf(pfx, {})).toBe(sha256(selfSigned.certificate));
  });

  it.each([
    ['rsa-modern.pfx', 'rsa.crt', withPassphrase],
    ['rsa-legacy.pfx', 'rsa.crt', withPassphrase],
    ['ec.pfx', 'ec.crt', {}],
  ])('of OpenSSL is read, and its certificate is the same byte for byte: %s', async (pfx, crt, more) => {
    const expected = new X509Certificate(readFileSync(FIXTURES + crt));
    expect(await thumbprintOf(readFileSync(FIXTURES + pfx), more)).toBe(sha256(expected));
  });

  it.each(['file', 'env'] as const)('in base64 is read: %s', async (place) => {
    const text = readFileSync(`${FIXTURES}rsa-modern.pfx`).toString('base64').replace(/.{64}/g, '$&\n');
    const source = place === 'env' ? { env: 'THE_PFX' } : makeFolder().write('pfx', text);
    const credential = keyCredential(source, withPassphrase);
    expect(atHandOf(await load(credential, { env: { ...env, THE_PFX: text } })).tls).toBeUndefined();
  });

  /** node-forge itself writes only what RSA has signed. */
  async function rsaBySelf(): Promise<Certified> {
    const keys = forge.pki.rsa.generateKeyPair({ bits: 2048 });
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = keys.publicKey;
    certificate.validity.notAfter.setFullYear(2126);
    certificate.setSubject([{ name: 'commonName', value: 'forge' }]);
    certificate.setIssuer([{ name: 'commonName', value: 'forge' }]);
    certificate.sign(keys.privateKey, forge.md.sha256.create());
    const x509 = new X509Certificate(forge.pki.certificateToPem(certificate));
    const keyPem = forge.pki.privateKeyToPem(keys.privateKey);
    return { ...rsa, certificate: x509, keyPem, privateKey: createPrivateKey(keyPem) };
  }
});

describe('a fingerprint', () => {
  const fingerprintOf = async (
    content: string | Uint8Array,
    more: Partial<KeyCredential> = withPassphrase,
  ): Promise<string> => {
    const file = makeFolder().write('credential', content);
    return atHandOf(await load(keyCredential(file, more), { env })).fingerprint;
  };

  test('is the same in whatever form and file the certificate and its key are', async () => {
    const pem = ec.certificatePem + ec.keyPem;
    const other = FORMS['encrypted SEC 1']?.(ec.privateKey) + ec.certificatePem + rsa.certificatePem;
    expect(await fingerprintOf(pem)).toBe(await fingerprintOf(other));
    expect(await fingerprintOf(pem)).toMatch(/^[A-Za-z0-9_-]{8}$/);
  });

  test('is another one for another certificate of the same key', async () => {
    const renewed = await makeCertificate({ keys: ec.keys });
    const pem = ec.certificatePem + ec.keyPem;
    expect(await fingerprintOf(pem)).not.toBe(await fingerprintOf(renewed.certificatePem + ec.keyPem));
  });

  test('is another one for another kind and method, since a server may refuse one and not the other', async () => {
    const pem = ec.certificatePem + ec.keyPem;
    const all = [
      await fingerprintOf(pem),
      await fingerprintOf(pem, { method: 'tls_client_auth' }),
      await fingerprintOf(pem, { kind: 'privateKey' }),
    ];
    expect(new Set(all).size).toBe(3);
  });
});
