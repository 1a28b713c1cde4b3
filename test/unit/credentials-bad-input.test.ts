import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Credential, KeyCredential } from '../../src/core/client.ts';
import type { Problem } from '../../src/core/failure.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { keyCredential, load, makeFolder, secretCredential } from '../support/credentials.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const PASSPHRASE = 'correct horse battery staple';
const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;

let ec: Certified;
let other: Certified;
let weak: Certified;
let p384: Certified;

beforeAll(async () => {
  [ec, other, weak, p384] = await Promise.all([
    makeCertificate(),
    makeCertificate({ key: 'RSA' }),
    makeCertificate({ key: 'RSA-1024' }),
    makeCertificate({ key: 'P-384' }),
  ]);
});

const pem = ({ certificatePem, keyPem }: Certified): string => certificatePem + keyPem;
const sealed = (): string =>
  ec.privateKey
    .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: PASSPHRASE })
    .toString();
const sealedBefore = (): string =>
  ec.privateKey
    .export({ format: 'pem', type: 'sec1', cipher: 'aes-256-cbc', passphrase: PASSPHRASE })
    .toString();
const ed25519 = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const pfx = (): Buffer => readFileSync(`${FIXTURES}rsa-modern.pfx`);
/** With 8,388,607 rounds of key derivation in place of the 2,048 that follow one of its salts; -1: the MAC's, which are last. */
function slowPfx(place: number): Buffer {
  const content = pfx();
  const places = [...content.keys()].filter((at) => content.subarray(at, at + 4).equals(ROUNDS));
  const at = places.at(place) ?? 0;
  const saltLength = content[at - 17] === 16 ? 16 : 8;
  // The salt gives a byte to the number.
  content[at - saltLength - 1] = saltLength - 1;
  Buffer.from('02037fffff', 'hex').copy(content, at - 1);
  return content;
}
const ROUNDS = Buffer.from('02020800', 'hex');
const jwt = (...parts: unknown[]): string =>
  parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

const certificate = (more: Partial<KeyCredential> = {}) => ({ ...keyCredential({ env: '-' }), ...more });
const privateKey = (alg?: 'PS256' | 'ES256') => keyCredential({ env: '-' }, { kind: 'privateKey' }, { alg });
const PASSPHRASE_IN_ENV = { passphrase: { env: 'THE_PASSPHRASE' } };
const WRONG_PASSPHRASE = { passphrase: { env: 'ANOTHER_PASSPHRASE' } };
const BEGINNINGS = '-----BEGIN CERTIFICATE-----\n'.repeat(30_000);
const FEDERATED = { kind: 'federated' } as const;

/** What is in the file, what it is configured as, and what is said. */
const BAD: readonly (readonly [
  string,
  () => string | Buffer | Promise<string>,
  () => Credential | typeof FEDERATED,
  Problem,
  RegExp,
])[] = [
  ['an empty file', () => '', certificate, 'credential empty', /the file is empty/],
  ['white space', () => ' \n\ufeff', certificate, 'credential empty', /the file is empty/],
  ['an empty secret', () => '\n', () => secretCredential({ env: '-' }), 'credential empty', /empty/],
  ['an empty token', () => '', () => FEDERATED, 'credential empty', /empty/],
  ['noise', () => 'hunter2', certificate, 'credential unreadable', /expected PEM or PFX/],
  ['binary noise', () => Buffer.from([0, 1, 2, 255]), certificate, 'credential unreadable', /PEM or PFX/],
  ['half a PEM', () => pem(ec).slice(0, -40), certificate, 'credential unreadable', /no end.*half-written/],
  [
    'a PFX that takes hours',
    () => slowPfx(-1),
    certificate,
    'credential unreadable',
    /at most 300000 rounds/,
  ],
  [
    'a PFX with a key that takes hours',
    () => slowPfx(0),
    certificate,
    'credential unreadable',
    /at most 300000/,
  ],
  ['beginnings without an end', () => BEGINNINGS, certificate, 'credential unreadable', /no end/],
  ['half a PFX', () => pfx().subarray(0, 900), certificate, 'credential unreadable', /no whole PFX/],
  [
    'ASN.1 of another kind',
    () => Buffer.from('308203e8', 'hex'),
    certificate,
    'credential unreadable',
    /PFX/,
  ],
  [
    'a damaged certificate',
    () => damaged(ec.certificatePem),
    certificate,
    'credential unreadable',
    /holds none/,
  ],
  ['half a service account', () => '{"private_key": "', privateKey, 'credential unreadable', /half-written/],
  [
    'more than any certificate',
    () => 'x'.repeat(2e6),
    certificate,
    'credential unreadable',
    /at most 1000000/,
  ],
  ['a key alone', () => ec.keyPem, certificate, 'certificate missing', /expected a certificate/],
  ['a PEM without either', () => PUBLIC, certificate, 'certificate missing', /expected a certificate/],
  [
    'a certificate alone',
    () => ec.certificatePem,
    certificate,
    'private key missing',
    /expected a private key/,
  ],
  ['a certificate as DER', () => ec.certificate.raw, certificate, 'private key missing', /a private key/],
  ['no key', () => ec.certificatePem, privateKey, 'private key missing', /expected a private key/],
  ['a JSON object without a key', () => '{"type":"x"}', privateKey, 'private key missing', /private_key/],
  ['two keys', () => ec.keyPem + other.keyPem, privateKey, 'private key unusable', /one private key.*2/],
  ['a damaged key', () => damaged(ec.keyPem), privateKey, 'private key unusable', /cannot be read/],
  [
    'a key of OpenSSH',
    () => ec.keyPem.replaceAll('PRIVATE', 'OPENSSH PRIVATE'),
    privateKey,
    'private key unusable',
    /read/,
  ],
  [
    'a short RSA key',
    () => pem(weak),
    certificate,
    'private key unusable',
    /2048 bits or more, and it has 1024/,
  ],
  [
    'a short RSA key for TLS',
    () => pem(weak),
    () => certificate({ method: 'tls_client_auth' }),
    'private key unusable',
    /2048/,
  ],
  [
    'another curve',
    () => pem(p384),
    certificate,
    'private key unusable',
    /RSA or P-256 key, and it is secp384r1/,
  ],
  ['another kind of key', ed25519, privateKey, 'private key unusable', /and it is ed25519/],
  [
    'RSA for ES256',
    () => other.keyPem,
    () => privateKey('ES256'),
    'private key unusable',
    /P-256 key, and it is rsa/,
  ],
  ['P-256 for PS256', () => ec.keyPem, () => privateKey('PS256'), 'private key unusable', /an RSA key/],
  [
    'a bare key for TLS',
    () => ec.keyPem,
    () => certificate({ kind: 'privateKey', method: 'tls_client_auth' }),
    'certificate missing',
    /tls_client_auth/,
  ],
  [
    'a key of another certificate',
    () => ec.certificatePem + other.keyPem,
    certificate,
    'key of another certificate',
    /belongs to none/,
  ],
  [
    'a certificate that has ended',
    () => dated(-20, -10),
    certificate,
    'certificate expired',
    /ended at 20.*Z/,
  ],
  [
    'a certificate of tomorrow',
    () => dated(10, 20),
    certificate,
    'certificate not yet valid',
    /valid from 20.*Z/,
  ],
  [
    'a sealed key without passphrase',
    () => ec.certificatePem + sealed(),
    certificate,
    'passphrase missing',
    /encrypted/,
  ],
  [
    'one sealed as before',
    () => ec.certificatePem + sealedBefore(),
    certificate,
    'passphrase missing',
    /encrypted/,
  ],
  ['a PFX without passphrase', pfx, certificate, 'passphrase missing', /encrypted/],
  [
    'a wrong passphrase',
    () => ec.certificatePem + sealed(),
    () => certificate(WRONG_PASSPHRASE),
    'passphrase wrong',
    /does not open/,
  ],
  [
    'one for a key sealed as before',
    () => ec.certificatePem + sealedBefore(),
    () => certificate(WRONG_PASSPHRASE),
    'passphrase wrong',
    /does not open/,
  ],
  [
    'a wrong passphrase of a PFX',
    pfx,
    () => certificate(WRONG_PASSPHRASE),
    'passphrase wrong',
    /does not open/,
  ],
  [
    'a passphrase that is not set',
    pfx,
    () => certificate({ passphrase: { env: 'NOT_SET' } }),
    'credential unreadable',
    /NOT_SET is not set/,
  ],
  ['no JWT', () => 'not a token', () => FEDERATED, 'assertion not a JWT', /expected a signed JWT/],
  [
    'half a JWT',
    () => jwt({ alg: 'RS256' }, { iss: 'x' }),
    () => FEDERATED,
    'assertion not a JWT',
    /signed JWT/,
  ],
  ['a header that is no JSON', () => 'aaaa.e30.c2ln', () => FEDERATED, 'assertion not a JWT', /signed JWT/],
  ['HTML', () => '<html>a.b.c</html>', () => FEDERATED, 'assertion not a JWT', /signed JWT/],
  [
    'an old JWT',
    () => jwt({ alg: 'RS256' }, { exp: 1_600_000_000 }, 'c'),
    () => FEDERATED,
    'assertion expired',
    /ended at 2020-09-13T12:26:40Z/,
  ],
];

const PUBLIC = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';

function damaged(text: string): string {
  const lines = text.split('\n');
  return [lines[0], ...lines.slice(2)].join('\n');
}

async function dated(fromDays: number, toDays: number): Promise<string> {
  const at = (days: number) => NOW + days * DAY_MS;
  return pem(await makeCertificate({ validFrom: at(fromDays), validTo: at(toDays) }));
}

describe('a credential that cannot be used', () => {
  const env = { THE_PASSPHRASE: PASSPHRASE, ANOTHER_PASSPHRASE: 'wrong horse' };

  it.each(BAD)('says why, and nothing of what is in it: %s', async (_, make, configured, problem, detail) => {
    const content = await make();
    const source = makeFolder().write('it', content);
    const entry = await load({ ...configured(), source } as Credential, { env });
    expect(entry).toMatchObject({ atHand: undefined, problem, detail: expect.stringMatching(detail) });
    for (const word of secretsIn(content)) expect(inspect(entry, { depth: 9 })).not.toContain(word);
  });

  it.each([
    ['is missing', (folder: string) => join(folder, 'nothing'), 'does not exist'],
    ['is a folder', (folder: string) => folder, 'is a folder'],
    ['is below a file', (folder: string) => join(folder, 'file', 'x'), 'does not exist'],
    ['is a device', () => '/dev/zero', 'is not a regular file'],
  ])('says so of a file that %s', async (_, path, what) => {
    const folder = makeFolder();
    folder.write('file', 'x');
    mkdirSync(join(folder.path, 'folder'));
    const entry = await load(secretCredential({ file: path(folder.path) }));
    expect(entry).toMatchObject({ problem: 'credential unreadable', detail: `the file ${what}` });
  });

  it('does not repeat a secret that stands where the name of its variable belongs', async () => {
    const entry = await load(secretCredential({ env: 'hunter2hunter2' }));
    expect(entry).toMatchObject({ detail: 'the environment variable is not set' });
  });

  it("does not take the client's other ones along", async () => {
    const bad = await load(keyCredential({ env: 'A_B' }, PASSPHRASE_IN_ENV), { env: { A_B: pem(ec) } });
    expect(bad).toMatchObject({ problem: 'credential unreadable' });
    const good = await load(keyCredential({ env: 'A_B' }, PASSPHRASE_IN_ENV), {
      env: { ...env, A_B: pem(ec) },
    });
    expect(good.atHand).toBeDefined();
  });
});

/** Every run of characters that is long enough to be part of a secret, a key or a token. */
function secretsIn(content: string | Buffer): string[] {
  const text = `${content.toString('utf8')} ${PASSPHRASE} wrong horse`;
  return [...new Set(text.match(/[A-Za-z0-9+/=_-]{7,}|[a-z]+ horse/g))].filter(
    (run) => !/^-+|^PRIVATE$|^OPENSSH$|^private_key$|CERTIFICATE/.test(run),
  );
}
