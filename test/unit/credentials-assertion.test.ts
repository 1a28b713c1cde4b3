import { decodeJwt, jwtVerify } from 'jose';
import { beforeAll, describe, expect, it, test } from 'vitest';
import type { AssertionOptions, Grant } from '../../src/core/client.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import {
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

let ec: Certified;

beforeAll(async () => {
  ec = await makeCertificate();
});

/** The certificate's key is configured in the variable THE_PEM. */
const env = () => ({ THE_PEM: ec.certificatePem + ec.keyPem });

describe('the JWT-bearer grant', () => {
  async function grantWith(grant: Partial<Extract<Grant, { kind: 'jwt_bearer' }>>) {
    const credential = keyCredential({ env: 'THE_PEM' }, { kind: 'privateKey' });
    const jwtBearer = { kind: 'jwt_bearer', subject: undefined, scopeInAssertion: false, ...grant } as const;
    const { body } = await authenticated(await load(credential, { env: env(), grant: jwtBearer }), {
      now: NOW,
    });
    const { assertion = '', ...rest } = Object.fromEntries(body);
    await jwtVerify(assertion, ec.publicKey, { currentDate: new Date(NOW) });
    return { rest, claims: decodeJwt(assertion) };
  }
  const BARE = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' };

  test('sends the assertion instead of a client, as Salesforce wants it', async () => {
    const { rest, claims } = await grantWith({ subject: 'user@example.org' });
    expect(rest).toEqual({ ...BARE, scope: 'read' });
    expect(claims).toMatchObject({ iss: CLIENT_ID, sub: 'user@example.org', aud: TOKEN_URL });
    expect(claims).not.toHaveProperty('scope');
  });

  test('signs the scope into the assertion, as Google wants it', async () => {
    const { rest, claims } = await grantWith({ scopeInAssertion: true });
    expect(rest).toEqual(BARE);
    expect(claims).toMatchObject({ iss: CLIENT_ID, scope: 'read' });
    expect(claims).not.toHaveProperty('sub');
  });

  test('may be a JWT of another issuer', async () => {
    const jwt = foreignJwt({});
    const source = makeFolder().write('token', jwt);
    const grant = { kind: 'jwt_bearer', subject: undefined, scopeInAssertion: false } as const;
    const { body } = await authenticated(await load({ kind: 'federated', source }, { grant }));
    expect(Object.fromEntries(body)).toEqual({ ...BARE, scope: 'read', assertion: jwt });
  });

  it.each(['client_secret_post', 'client_secret_basic'] as const)('wants more than %s', async (method) => {
    const grant = { kind: 'jwt_bearer', subject: undefined, scopeInAssertion: false } as const;
    const entry = await load(secretCredential({ env: 'A_B' }, { method }), { env: { A_B: 'secret' }, grant });
    expect(entry).toMatchObject({ atHand: undefined, problem: 'private key missing' });
  });
});

describe('a signed assertion', () => {
  async function assertions(assertion: Partial<AssertionOptions>) {
    const entry = await load(keyCredential({ env: 'THE_PEM' }, {}, assertion), {
      env: env(),
    });
    return async (moment: { now: number; url?: string; signAgain?: boolean }) =>
      (await authenticated(entry, moment)).body.get('client_assertion');
  }

  test('is sent again for the same endpoint until two minutes before its end', async () => {
    const at = await assertions({ lifetimeMs: 600_000 });
    const first = await at({ now: NOW });
    expect(await at({ now: NOW + 479_999 })).toBe(first);
    expect(await at({ now: NOW + 480_000 })).not.toBe(first);
  });

  test('of a short life is sent again for half of it', async () => {
    const at = await assertions({ lifetimeMs: 60_000 });
    const first = await at({ now: NOW });
    expect(await at({ now: NOW + 29_999 })).toBe(first);
    expect(await at({ now: NOW + 30_000 })).not.toBe(first);
  });

  test('is never sent to another endpoint', async () => {
    const at = await assertions({});
    const first = await at({ now: NOW });
    const other = await at({ now: NOW, url: 'https://idp.example/fabrikam/token' });
    expect(decodeJwt(`${other}`).aud).toBe('https://idp.example/fabrikam/token');
    expect(await at({ now: NOW })).toBe(first);
  });

  test('is signed again where that is asked for, and the new one is kept', async () => {
    const at = await assertions({});
    const first = await at({ now: NOW });
    const second = await at({ now: NOW, signAgain: true });
    expect(second).not.toBe(first);
    expect(await at({ now: NOW })).toBe(second);
  });

  test('is signed again when the clock has been set back, since it would be of the future', async () => {
    const at = await assertions({});
    const first = await at({ now: NOW });
    expect(await at({ now: NOW - 60_000 })).not.toBe(first);
  });

  test('is new for each request where a server remembers them', async () => {
    const at = await assertions({ reuse: false });
    expect(await at({ now: NOW })).not.toBe(await at({ now: NOW }));
  });

  test('is one for requests that begin together', async () => {
    const at = await assertions({});
    const all = await Promise.all(Array.from({ length: 20 }, () => at({ now: NOW })));
    expect(new Set(all).size).toBe(1);
  });

  test('is kept for the thousand endpoints for which one was signed last', async () => {
    const at = await assertions({});
    const forTenant = (tenant: number, signAgain = false) =>
      at({ now: NOW, url: `https://idp.example/${tenant}/token`, signAgain });
    await forTenant(0);
    const oldest = await forTenant(1);
    const kept = await forTenant(0, true);
    for (let tenant = 2; tenant <= 1000; tenant++) await forTenant(tenant);
    expect(await forTenant(0)).toBe(kept);
    expect(await forTenant(1)).not.toBe(oldest);
  });
});
