import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, type JWTPayload, SignJWT } from 'jose';
import { beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import { parseClients } from '../../src/mock-idp/clients.ts';
import { type MockIdp, startMockIdp } from '../../src/mock-idp/server.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { startNode } from '../support/process.ts';

const APP = 'app';
const ISSUER = 'https://cluster.example';
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const keyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicPem = keyPair.publicKey.export({ format: 'pem', type: 'spki' }).toString();
const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('base64url');

let rsa: Certified;
let ec: Certified;
let ended: Certified;
let unknown: Certified;
let registered: object;

beforeAll(async () => {
  [rsa, ec, ended, unknown] = await Promise.all([
    makeCertificate({ key: 'RSA' }),
    makeCertificate(),
    makeCertificate({ validTo: Date.now() - 1000 }),
    makeCertificate(),
  ]);
  registered = {
    [APP]: {
      secrets: ['good', { value: 'old', expired: true }],
      certificates: [rsa.certificatePem, ec.certificatePem, ended.certificatePem],
      publicKeys: [{ kid: 'key-number-1', pem: publicPem }],
      federated: [{ issuer: ISSUER, subject: 'pod', audience: 'api://exchange', publicKeyPem: publicPem }],
      tenantsWithout: ['stranger'],
    },
    other: { secrets: ['good'] },
  };
});

async function start(change: object = {}): Promise<MockIdp> {
  const idp = await startMockIdp({ registered: parseClients(registered), signing: 'premade' });
  onTestFinished(() => idp.close());
  await control(idp, change);
  return idp;
}

async function control(idp: MockIdp, change: object): Promise<number> {
  return (await fetch(`${idp.url}/control`, { method: 'POST', body: JSON.stringify(change) })).status;
}

const PATH = '/contoso/oauth2/v2.0/token';

function send(idp: MockIdp, fields: Record<string, string>, path = PATH): Promise<Response> {
  const body = { grant_type: 'client_credentials', client_id: APP, scope: 'https://g/.default', ...fields };
  return fetch(idp.url + path, { method: 'POST', body: new URLSearchParams(body) });
}

const asserting = (assertion: string) => ({ client_assertion: assertion, client_assertion_type: JWT_BEARER });

interface Signed {
  readonly by?: Certified;
  readonly key?: KeyObject;
  readonly header?: Record<string, unknown>;
  /** `undefined` leaves a claim out. */
  readonly claims?: Record<string, unknown>;
}

function sign(
  idp: MockIdp,
  { by = ec, key = by.privateKey, header = {}, claims = {} }: Signed = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const standard = { aud: idp.url + PATH, iss: APP, sub: APP, jti: randomUUID(), nbf: now, exp: now + 600 };
  const alg = key.asymmetricKeyType === 'rsa' ? 'PS256' : 'ES256';
  return new SignJWT({ ...standard, ...claims } as JWTPayload)
    .setProtectedHeader({ alg, typ: 'JWT', 'x5t#S256': sha256(by.certificate.raw), ...header })
    .sign(key);
}

const federated = (idp: MockIdp, claims: Record<string, unknown> = {}, key: KeyObject = keyPair.privateKey) =>
  sign(idp, { key, claims: { iss: ISSUER, sub: 'pod', aud: 'api://exchange', ...claims } });

async function answerOf(response: Response): Promise<unknown> {
  const body = (await response.json()) as { error?: string; error_codes?: number[] };
  return response.ok ? 200 : [response.status, body.error, ...(body.error_codes ?? [])];
}

const invalidClient = (code: number) => [401, 'invalid_client', code];
type Log = readonly { readonly status: number; readonly credential?: string; readonly error?: unknown }[];
const logOf = async (idp: MockIdp): Promise<Log> =>
  (await (await fetch(`${idp.url}/control/requests`)).json()) as Log;

describe('a registered client', () => {
  test.each<[string, (idp: MockIdp) => Record<string, string> | Promise<Record<string, string>>, unknown]>([
    ['its secret', () => ({ client_secret: 'good' }), 200],
    ['an expired secret', () => ({ client_secret: 'old' }), invalidClient(7000222)],
    ['the secret of nobody', () => ({ client_secret: 'bad' }), invalidClient(7000215)],
    ['nothing', () => ({}), invalidClient(7000218)],
    ['an RSA certificate and PS256', async (idp) => asserting(await sign(idp, { by: rsa })), 200],
    [
      'an RSA certificate and RS256',
      async (idp) => asserting(await sign(idp, { by: rsa, header: { alg: 'RS256' } })),
      200,
    ],
    ['a P-256 certificate and ES256', async (idp) => asserting(await sign(idp)), 200],
    [
      'a public key by its kid',
      async (idp) =>
        asserting(
          await sign(idp, {
            key: keyPair.privateKey,
            header: { 'x5t#S256': undefined, kid: 'key-number-1' },
          }),
        ),
      200,
    ],
    ['a federated token', async (idp) => asserting(await federated(idp)), 200],
    [
      'an unknown certificate',
      async (idp) => asserting(await sign(idp, { by: unknown })),
      invalidClient(700027),
    ],
    [
      'a certificate that has ended',
      async (idp) => asserting(await sign(idp, { by: ended })),
      invalidClient(1000502),
    ],
    [
      'the signature of another key',
      async (idp) => asserting(await sign(idp, { key: unknown.privateKey })),
      invalidClient(700027),
    ],
    [
      'a key of another kind than alg says',
      async (idp) => asserting(await sign(idp, { key: rsa.privateKey })),
      invalidClient(700027),
    ],
    [
      'an assertion that names no key',
      async (idp) => asserting(await sign(idp, { header: { 'x5t#S256': undefined } })),
      invalidClient(700027),
    ],
    [
      'the older x5t alone',
      async (idp) => asserting(await sign(idp, { header: { 'x5t#S256': undefined, x5t: 'x' } })),
      invalidClient(700027),
    ],
    [
      'another algorithm',
      async (idp) => asserting(await sign(idp, { by: rsa, header: { alg: 'RS512' } })),
      invalidClient(50027),
    ],
    [
      'the audience of another tenant',
      async (idp) => asserting(await sign(idp, { claims: { aud: idp.url + PATH.replace('contoso', 'x') } })),
      invalidClient(700023),
    ],
    [
      'another subject',
      async (idp) => asserting(await sign(idp, { claims: { sub: 'other' } })),
      invalidClient(700021),
    ],
    [
      'an assertion that has ended',
      async (idp) => asserting(await sign(idp, { claims: { exp: Math.floor(Date.now() / 1000) - 10 } })),
      invalidClient(700024),
    ],
    [
      'an assertion for later',
      async (idp) => asserting(await sign(idp, { claims: { nbf: Math.floor(Date.now() / 1000) + 10 } })),
      invalidClient(700024),
    ],
    [
      'an assertion without an end',
      async (idp) => asserting(await sign(idp, { claims: { exp: undefined } })),
      invalidClient(50027),
    ],
    ['an assertion that is no JWT', () => asserting('x.y.z'), invalidClient(50027)],
    [
      'an assertion of an unknown type',
      async (idp) => ({ client_assertion: await sign(idp), client_assertion_type: 'saml' }),
      [400, 'invalid_request', 900144],
    ],
    [
      'an assertion without a type',
      async (idp) => ({ client_assertion: await sign(idp) }),
      [400, 'invalid_request', 900144],
    ],
    [
      'an assertion and a secret',
      async (idp) => ({ ...asserting(await sign(idp)), client_secret: 'good' }),
      [400, 'invalid_request', 900144],
    ],
    [
      'a federated token of another issuer',
      async (idp) => asserting(await federated(idp, { iss: 'https://x' })),
      invalidClient(700211),
    ],
    [
      'a federated token of another subject',
      async (idp) => asserting(await federated(idp, { sub: 'x' })),
      invalidClient(700213),
    ],
    [
      'a federated token for another audience',
      async (idp) => asserting(await federated(idp, { aud: 'x' })),
      invalidClient(700212),
    ],
    [
      'a federated token that somebody else signed',
      async (idp) => asserting(await federated(idp, {}, unknown.privateKey)),
      invalidClient(700027),
    ],
    [
      'a federated token where none is registered',
      async (idp) => ({ client_id: 'other', ...asserting(await federated(idp)) }),
      invalidClient(70021),
    ],
  ])('with %s is answered as Entra does', async (_what, proof, expected) => {
    const idp = await start();
    expect(await answerOf(await send(idp, await proof(idp)))).toEqual(expected);
  });

  it('is unknown in a tenant that has no such application', async () => {
    const idp = await start();
    expect(await answerOf(await send(idp, { client_secret: 'good' }, '/stranger/oauth2/v2.0/token'))).toEqual(
      [400, 'unauthorized_client', 700016],
    );
  });

  it('is named in the log by its credential, and never by a secret', async () => {
    const idp = await start();
    await send(idp, { client_secret: 'good' });
    await send(idp, { client_secret: 'a mistake' });
    await send(idp, asserting(await sign(idp)));
    await send(idp, asserting(await sign(idp, { by: unknown })));
    await send(idp, {});
    const log = await logOf(idp);
    expect(log).toMatchObject([
      { status: 200, credential: sha256('good').slice(0, 8) },
      { status: 401, credential: sha256('a mistake').slice(0, 8), error: 7000215 },
      { status: 200, credential: sha256(ec.certificate.raw).slice(0, 8) },
      { status: 401, credential: sha256(unknown.certificate.raw).slice(0, 8), error: 700027 },
      { status: 401, error: 7000218 },
    ]);
    expect(JSON.stringify(log)).not.toMatch(/good|mistake/);
  });

  it('can be changed while the server runs, and what is wrong changes nothing', async () => {
    const idp = await start();
    for (const wrong of [
      { app: { secrets: [''] } },
      { app: { secret: 'x' } },
      { app: { certificates: ['-----BEGIN CERTIFICATE-----'] } },
      { app: { publicKeys: [{ kid: 'k', pem: 'x' }] } },
      'app',
    ])
      expect(await control(idp, { clients: wrong })).toBe(400);
    expect(await answerOf(await send(idp, { client_secret: 'good' }))).toBe(200);
    expect(await control(idp, { clients: { [APP]: { secrets: ['next'] } } })).toBe(200);
    expect(await answerOf(await send(idp, { client_secret: 'good' }))).toEqual(invalidClient(7000215));
    expect(await answerOf(await send(idp, { client_secret: 'next' }))).toBe(200);
  });

  test('is refused by its place, not by what stands there', () => {
    expect(() => parseClients({ app: { secrets: ['x', { value: 'hush', expires: 1 }] } })).toThrow(
      'expected registered clients, but clients.app.secrets.1 is wrong',
    );
  });
});

describe('a server that is not Entra', () => {
  it('gives RFC 6749 errors without numbers', async () => {
    const idp = await start({ flavour: 'oauth' });
    const response = await send(idp, { client_secret: 'bad' }, '/token');
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({
      error: 'invalid_client',
      error_description: 'Invalid client secret provided.',
    });
    expect(await answerOf(await send(idp, { client_id: 'x', client_secret: 'good' }))).toEqual([
      401,
      'invalid_client',
    ]);
    expect((await logOf(idp)).map(({ error }) => error)).toEqual(['invalid_client', 'invalid_client']);
  });

  it('takes an assertion once, and none without an id', async () => {
    const idp = await start();
    const assertion = await sign(idp);
    const answers = async () => [
      await answerOf(await send(idp, asserting(assertion))),
      await answerOf(await send(idp, asserting(assertion))),
      await answerOf(await send(idp, asserting(await sign(idp, { claims: { jti: undefined } })))),
    ];
    expect(await answers()).toEqual([200, 200, 200]);
    await control(idp, { flavour: 'oauth' });
    const refused = [401, 'invalid_client'];
    expect(await answers()).toEqual([200, refused, refused]);
  });
});

describe('a server that misbehaves', () => {
  interface TokenAnswer {
    readonly access_token: string;
    readonly expires_in: number;
  }
  const tokenOf = async (idp: MockIdp, path?: string): Promise<TokenAnswer> =>
    (await (await send(idp, { client_secret: 'good' }, path)).json()) as TokenAnswer;

  it('gives the same token again until that ends', async () => {
    const idp = await start({ sameToken: true, lifetime: '2s' });
    const first = await tokenOf(idp);
    expect((await tokenOf(idp)).access_token).toBe(first.access_token);
    expect((await tokenOf(idp, '/other/token')).access_token).not.toBe(first.access_token);
    await expect.poll(() => tokenOf(idp), { interval: 100, timeout: 5000 }).toMatchObject({ expires_in: 1 });
    await expect
      .poll(async () => (await tokenOf(idp)).access_token === first.access_token, { timeout: 5000 })
      .toBe(false);
  });

  it('gives tokens that have ended', async () => {
    const idp = await start({ expiredTokens: true });
    const { access_token, expires_in } = await tokenOf(idp);
    expect(expires_in).toBe(60);
    expect(decodeJwt(access_token).exp).toBeLessThanOrEqual(Date.now() / 1000 - 59);
  });

  test.each([[600], [-600]])('lives %i seconds ahead', async (clockSkewSeconds) => {
    const idp = await start({ clockSkewSeconds });
    const serverNow = Math.floor(Date.now() / 1000) + clockSkewSeconds;
    const lasting = { nbf: serverNow, exp: serverNow + 60 };
    const response = await send(idp, asserting(await sign(idp, { claims: lasting })));
    expect(Math.abs(Date.parse(response.headers.get('date') ?? '') / 1000 - serverNow)).toBeLessThan(5);
    const { access_token } = (await response.json()) as TokenAnswer;
    expect(Math.abs((decodeJwt(access_token).iat ?? 0) - serverNow)).toBeLessThan(5);
    const byOurs = { nbf: serverNow - clockSkewSeconds, exp: serverNow - clockSkewSeconds + 60 };
    expect(await answerOf(await send(idp, asserting(await sign(idp, { claims: byOurs }))))).toEqual(
      invalidClient(700024),
    );
  });

  test.each([
    ['sameToken', 1],
    ['expiredTokens', 'yes'],
    ['clockSkewSeconds', '600'],
    ['flavour', 'saml'],
  ])('refuses %s: %j', async (setting, value) => {
    expect(await control(await start(), { [setting]: value })).toBe(400);
  });
});

describe('--clients', () => {
  const MAIN = 'src/mock-idp/main.ts';

  async function fileOf(content: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'evertoken-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    writeFileSync(join(folder, 'clients.json'), content);
    return join(folder, 'clients.json');
  }

  it('reads the clients from a file', async () => {
    const child = startNode([MAIN, '--clients', await fileOf(JSON.stringify(registered))]);
    const { listening } = JSON.parse(await child.waitForLine(() => true)) as { listening: string };
    const body = new URLSearchParams({
      ...{ grant_type: 'client_credentials', client_id: 'other', client_secret: 'good' },
      scope: 'https://g/.default',
    });
    expect((await fetch(listening + PATH, { method: 'POST', body })).status).toBe(200);
    await child.stop();
  });

  test.each([['{"app":{"secrets":["hush"'], ['{"app":{"secrets":"hush"}}']])(
    'refuses %s without showing a secret',
    async (content) => {
      const child = startNode([MAIN, '--clients', await fileOf(content)]);
      expect((await child.exited).code).toBe(2);
      expect(child.stderr).toMatch(/^error: .*expected .*\n$/);
      expect(child.stderr).not.toContain('hush');
    },
  );
});
