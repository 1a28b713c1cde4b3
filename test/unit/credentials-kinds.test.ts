import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { beforeAll, describe, expect, it, test } from 'vitest';
import type { AssertionOptions, Client, Credential } from '../../src/core/client.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import {
  atHandOf,
  authenticated,
  CLIENT_ID,
  foreignJwt,
  keyCredential,
  load,
  makeFolder,
  secretCredential,
  TOKEN_URL,
} from '../support/credentials.ts';

const NOW = Date.parse('2030-01-02T03:04:05.678Z');
const NOW_SECONDS = Math.floor(NOW / 1000);
const SECRET = 'a secret of 32 bytes and some more';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

let rsa: Certified;
let ec: Certified;

beforeAll(async () => {
  rsa = await makeCertificate({ key: 'RSA' });
  ec = await makeCertificate({ key: 'P-256' });
});

const thumbprint = ({ certificate }: Certified): string =>
  createHash('sha256').update(certificate.raw).digest('base64url');

const pemOf = ({ certificatePem, keyPem }: Certified): string => certificatePem + keyPem;

/** The body with this credential, at a fixed time. */
async function bodyWith(credential: Credential, pem: string, client: Partial<Client> = {}) {
  const entry = await load(credential, { env: { THE_PEM: pem }, ...client });
  const { body, headers } = await authenticated(entry, { now: NOW, url: `${TOKEN_URL}?slice=1` });
  return { body: Object.fromEntries(body), headers, atHand: atHandOf(entry) };
}

async function assertionWith(
  certified: Certified,
  assertion: Partial<AssertionOptions> = {},
  kind: 'certificate' | 'privateKey' = 'certificate',
) {
  const credential = keyCredential({ env: 'THE_PEM' }, { kind }, assertion);
  const { body } = await bodyWith(credential, pemOf(certified));
  const { payload, protectedHeader } = await jwtVerify(`${body.client_assertion}`, certified.publicKey, {
    currentDate: new Date(NOW),
  });
  return { payload, header: protectedHeader };
}

describe('a secret', () => {
  test('goes into the body', async () => {
    const { body, headers, atHand } = await bodyWith(secretCredential({ env: 'THE_PEM' }), `${SECRET}\n`);
    expect(body).toEqual({
      grant_type: 'client_credentials',
      scope: 'read',
      client_id: CLIENT_ID,
      client_secret: SECRET,
    });
    expect(headers).toEqual({});
    expect(atHand).toMatchObject({ signsAssertions: false, tls: undefined, endsAt: undefined });
  });

  test('goes into the header', async () => {
    const credential = secretCredential({ env: 'THE_PEM' }, { method: 'client_secret_basic', endsAt: NOW });
    const { body, headers, atHand } = await bodyWith(credential, SECRET);
    expect(body).toEqual({ grant_type: 'client_credentials', scope: 'read' });
    expect(headers).toHaveProperty('authorization', expect.stringMatching(/^Basic /));
    expect(atHand.endsAt).toBe(NOW);
  });

  test('goes into the header so that its tildes reach servers that do not decode, too', async () => {
    const credential = secretCredential({ env: 'THE_PEM' }, { method: 'client_secret_basic' });
    const { headers } = await bodyWith(credential, 'a~b c+d:e%f');
    const [, encoded = ''] = `${headers.authorization}`.split(' ');
    expect(Buffer.from(encoded, 'base64').toString()).toBe(`${CLIENT_ID}:a~b+c%2Bd%3Ae%25f`);
  });

  test('signs an assertion', async () => {
    const credential = secretCredential({ env: 'THE_PEM' }, { method: 'client_secret_jwt' }, { kid: 'k1' });
    const { body, atHand } = await bodyWith(credential, SECRET);
    expect(body).toMatchObject({ client_id: CLIENT_ID, client_assertion_type: ASSERTION_TYPE });
    const key = new TextEncoder().encode(SECRET);
    const verified = await jwtVerify(`${body.client_assertion}`, key, { currentDate: new Date(NOW) });
    expect(verified.protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT', kid: 'k1' });
    expect(verified.payload).toMatchObject({ aud: TOKEN_URL, iss: CLIENT_ID, sub: CLIENT_ID });
    expect(JSON.stringify(body)).not.toContain(SECRET);
    expect(atHand.signsAssertions).toBe(true);
  });
});

describe('a certificate', () => {
  test('signs an assertion that names it and the token endpoint', async () => {
    const { payload, header } = await assertionWith(rsa);
    expect(header).toEqual({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint(rsa) });
    expect(payload).toEqual({
      aud: TOKEN_URL,
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      nbf: NOW_SECONDS - 5,
      iat: NOW_SECONDS - 5,
      exp: NOW_SECONDS + 595,
    });
  });

  test('signs what a server takes whose clock is not quite ours and that allows for nothing', async () => {
    const lifetimeMs = 60_000;
    const { payload } = await assertionWith(rsa, { lifetimeMs });
    for (const behindSeconds of [-3, 3]) {
      const serverNow = NOW_SECONDS - behindSeconds;
      expect(payload.nbf).toBeLessThanOrEqual(serverNow);
      expect(payload.iat).toBeLessThanOrEqual(serverNow);
      expect(payload.exp).toBeLessThanOrEqual(serverNow + lifetimeMs / 1000);
    }
  });

  test('leaves the rest of the body as it was', async () => {
    const { body, headers, atHand } = await bodyWith(keyCredential({ env: 'THE_PEM' }), pemOf(ec));
    expect(body).toEqual({
      grant_type: 'client_credentials',
      scope: 'read',
      client_id: CLIENT_ID,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: expect.any(String),
    });
    expect(headers).toEqual({});
    expect(atHand).toMatchObject({ signsAssertions: true, endsAt: ec.certificate.validToDate.getTime() });
  });

  it.each([
    ['PS256 for RSA', () => rsa, undefined, 'PS256'],
    ['RS256 for RSA where configured', () => rsa, 'RS256', 'RS256'],
    ['ES256 for P-256', () => ec, undefined, 'ES256'],
  ] as const)('signs with %s', async (_, certified, alg, expected) => {
    const { header } = await assertionWith(certified(), { alg });
    expect(header.alg).toBe(expected);
  });

  test('sends its chain without the root, the leaf first, and a kid where wanted', async () => {
    const root = await makeCertificate({ commonName: 'root', authority: true });
    const middle = await makeCertificate({ commonName: 'middle', authority: true, issuer: root });
    const leaf = await makeCertificate({ commonName: 'leaf', issuer: middle });
    const pem = root.certificatePem + middle.certificatePem + leaf.keyPem + leaf.certificatePem;
    const credential = keyCredential({ env: 'THE_PEM' }, {}, { x5c: true, kid: 'k2' });
    const { body } = await bodyWith(credential, pem);
    const { x5c, kid } = decodeProtectedHeader(`${body.client_assertion}`);
    expect(x5c).toEqual([leaf, middle].map(({ certificate }) => certificate.raw.toString('base64')));
    expect(kid).toBe('k2');
  });

  test('names another audience and lives as long as configured', async () => {
    const { payload } = await assertionWith(ec, { audience: 'https://aud.example', lifetimeMs: 60_000 });
    expect(payload).toMatchObject({ aud: 'https://aud.example', exp: NOW_SECONDS + 55 });
  });

  test('signs further claims beside its own and overrides none', async () => {
    const forged = { aud: 'x', iss: 'x', sub: 'x', exp: 1, jti: 'x', nbf: 1, iat: 1 };
    const { payload } = await assertionWith(ec, { claims: { client_ip: '10.0.0.1', ...forged } });
    expect(payload).toMatchObject({ client_ip: '10.0.0.1', aud: TOKEN_URL, iss: CLIENT_ID, sub: CLIENT_ID });
    expect(payload).toMatchObject({ exp: NOW_SECONDS + 595, nbf: NOW_SECONDS - 5, iat: NOW_SECONDS - 5 });
    expect(payload.jti).not.toBe('x');
  });

  test('signs only what names it beside further claims, where these replace the defaults', async () => {
    const claims = { xms_az: 'y', iss: 'x', iat: 5 };
    const { payload } = await assertionWith(ec, { claims, claimsMode: 'replace' });
    expect(payload).toEqual({
      aud: TOKEN_URL,
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      exp: NOW_SECONDS + 595,
      xms_az: 'y',
      iat: 5,
    });
  });

  test('proves the connection (tls_client_auth) and says only who it is', async () => {
    const credential = keyCredential({ env: 'THE_PEM' }, { method: 'tls_client_auth' });
    const { body, atHand } = await bodyWith(credential, rsa.keyPem + rsa.certificatePem);
    expect(body).toEqual({ grant_type: 'client_credentials', scope: 'read', client_id: CLIENT_ID });
    expect(atHand.tls?.certificateChainPem).toBe(rsa.certificatePem);
    expect(atHand.tls?.key.reveal()).toBe(rsa.keyPem);
    expect(atHand.tls?.fingerprint).toBe(atHand.fingerprint);
    expect(JSON.stringify(atHand)).not.toContain('PRIVATE KEY');
  });
});

describe('a private key', () => {
  test('signs without a certificate, under its kid', async () => {
    const { header } = await assertionWith(ec, { kid: 'k3' }, 'privateKey');
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'k3' });
  });

  test('comes with its kid in a service account file', async () => {
    const file = JSON.stringify({ type: 'service_account', private_key: rsa.keyPem, private_key_id: 'k4' });
    const { body } = await bodyWith(keyCredential({ env: 'THE_PEM' }, { kind: 'privateKey' }), file);
    expect(decodeProtectedHeader(`${body.client_assertion}`)).toMatchObject({ alg: 'PS256', kid: 'k4' });
  });
});

describe('a JWT of another issuer', () => {
  test('is the assertion, as it stands in its file', async () => {
    const jwt = foreignJwt({ exp: NOW_SECONDS + 60 });
    const file = makeFolder().write('token', `\n${jwt}\n`);
    const entry = await load({ kind: 'federated', source: file }, { clock: () => NOW });
    const { body } = await authenticated(entry);
    expect(Object.fromEntries(body)).toEqual({
      grant_type: 'client_credentials',
      scope: 'read',
      client_id: CLIENT_ID,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: jwt,
    });
    expect(atHandOf(entry)).toMatchObject({ signsAssertions: false, endsAt: undefined });
  });
});

describe('what is printed of a credential at hand', () => {
  const pfx = () => readFileSync(new URL('../fixtures/ec.pfx', import.meta.url)).toString('base64');
  const jwt = () => foreignJwt({ jti: 'a token of another issuer' });

  it.each<[string, (source: { file: string }) => Credential, () => string]>([
    ['secret in the body', (source) => secretCredential(source), () => SECRET],
    [
      'secret in the header',
      (source) => secretCredential(source, { method: 'client_secret_basic' }),
      () => SECRET,
    ],
    [
      'secret that signs',
      (source) => secretCredential(source, { method: 'client_secret_jwt' }),
      () => SECRET,
    ],
    ['certificate', (source) => keyCredential(source), () => pemOf(ec)],
    ['PFX', (source) => keyCredential(source), pfx],
    [
      'certificate for TLS',
      (source) => keyCredential(source, { method: 'tls_client_auth' }),
      () => pemOf(rsa),
    ],
    ['private key', (source) => keyCredential(source, { kind: 'privateKey' }), () => ec.keyPem],
    ['federated token', (source) => ({ kind: 'federated', source }), jwt],
  ])('holds nothing of it: %s', async (_, configured, content) => {
    const entry = await load(configured(makeFolder().write('it', content())));
    await authenticated(entry);
    const printed = inspect(entry, { depth: 9, showHidden: true }) + JSON.stringify(entry);
    const keyPart = content().replace(ec.certificatePem, '').replace(rsa.certificatePem, '');
    for (const part of keyPart.match(/(?!CERTIFICATE)[A-Za-z0-9+/_-]{20,}|a secret of/g) ?? []) {
      expect(printed).not.toContain(part);
    }
    expect(printed).toContain(atHandOf(entry).fingerprint);
  });
});
