import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { parseClients } from '../../src/mock-idp/clients.ts';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { type MockIdp, type MockIdpOptions, startMockIdp } from '../../src/mock-idp/server.ts';
import { Violations } from '../../src/mock-idp/violations.ts';

async function start(settings: object = {}, options: MockIdpOptions = {}): Promise<MockIdp> {
  const idp = await startMockIdp({ signing: 'premade', ...options });
  onTestFinished(() => idp.close());
  await control(idp, settings);
  return idp;
}

async function control(idp: MockIdp, change: object): Promise<void> {
  const response = await fetch(`${idp.url}/control`, { method: 'POST', body: JSON.stringify(change) });
  if (!response.ok) throw new Error(await response.text());
}

const GOOD = {
  grant_type: 'client_credentials',
  client_id: DEMO_CLIENT.clientId,
  client_secret: DEMO_CLIENT.secret,
  scope: 'https://g.example/.default',
};

interface Sent {
  readonly tenant?: string;
  readonly query?: string;
  readonly body?: string;
  readonly init?: RequestInit;
}

function ask(
  idp: MockIdp,
  { tenant = 'contoso', query = '', body, init = {} }: Sent = {},
): Promise<Response> {
  return fetch(`${idp.url}/${tenant}/oauth2/v2.0/token${query}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: body ?? new URLSearchParams(GOOD).toString(),
    ...init,
  });
}

const jsonOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

describe('the mode', () => {
  test.each([
    ['empty', 200, /^$/],
    ['html', 200, /^<!DOCTYPE html>/],
    ['bad-gateway', 502, /^<!DOCTYPE html>/],
    ['redirect', 302, /^$/],
    ['server-error', 500, /"error":"server_error".*"error_codes":\[50000\]/],
    ['unavailable', 503, /"error":"temporarily_unavailable".*"error_codes":\[90033\]/],
    ['truncated', 200, /^\{"token_type":"Bearer","expires_in":60.*[^}]$/],
  ])('%s answers %i, and issues nothing', async (mode, status, body) => {
    const idp = await start({ mode });
    const response = await ask(idp);
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(body);
    expect(response.headers.get('content-type')).toMatch(mode.match(/html|gateway/) ? 'text/html' : 'json');
    expect(idp.stats()).toMatchObject({ issued: 0, failed: 1, byStatus: { [status]: 1 } });
    expect(Object.keys(idp.stats().byError)).toHaveLength(1);
  });

  it('no-token leaves the token out', async () => {
    const idp = await start({ mode: 'no-token' });
    expect(await jsonOf(await ask(idp))).toEqual({
      token_type: 'Bearer',
      expires_in: 60,
      ext_expires_in: 60,
    });
    expect(idp.stats()).toMatchObject({ issued: 0, failed: 1, byError: { 'no-token': 1 } });
  });

  it('no-expiry leaves out how long the token lives', async () => {
    const idp = await start({ mode: 'no-expiry' });
    const body = await jsonOf(await ask(idp));
    expect(body.access_token).toEqual(expect.any(String));
    expect(body).not.toHaveProperty('expires_in');
    expect(idp.stats()).toMatchObject({ issued: 1, failed: 0 });
  });

  test.each(['truncated', 'no-token', 'no-expiry'])('%s refuses as ever', async (mode) => {
    const idp = await start({ mode });
    const body = new URLSearchParams({ ...GOOD, client_secret: 'wrong' }).toString();
    expect(await jsonOf(await ask(idp, { body }))).toMatchObject({ error_codes: [7000215] });
  });

  it('slow-body sends the body after the delay', async () => {
    const idp = await start({ mode: 'slow-body', delay: '100ms' });
    const startedAt = performance.now();
    expect(await jsonOf(await ask(idp))).toMatchObject({ expires_in: 60 });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(95);
    expect(idp.stats()).toMatchObject({ issued: 1, inFlight: 0 });
  });

  it('slow-body sends the head at once, and counts a client that goes away before the body', async () => {
    const idp = await start({ mode: 'slow-body', delay: '1h' });
    const stop = new AbortController();
    expect((await ask(idp, { init: { signal: stop.signal } })).status).toBe(200);
    expect(idp.stats()).toMatchObject({ issued: 0, inFlight: 1 });
    stop.abort();
    await expect.poll(() => idp.stats()).toMatchObject({ issued: 0, inFlight: 0, byStatus: { 0: 1 } });
  });

  it('is met by the requests that are drawn', async () => {
    // A token draws its lifetime, too.
    const drawn = [0.29, 0.3, 0, 0, 0.9, 0];
    const idp = await start({ mode: 'empty', share: '30%' }, { random: () => drawn.shift() ?? 0 });
    const isEmpty = [];
    for (let i = 0; i < 4; i++) isEmpty.push((await (await ask(idp)).text()) === '');
    expect(isEmpty).toEqual([true, false, true, false]);
    expect(drawn).toEqual([]);
  });

  it('is met by the share of the requests', async () => {
    const idp = await start({ mode: 'unavailable', share: '30%' });
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 20 }, () => ask(idp)));
    const { issued, failed } = idp.stats();
    expect(issued + failed).toBe(400);
    // Six standard deviations.
    expect(failed).toBeGreaterThan(120 - 55);
    expect(failed).toBeLessThan(120 + 55);
  });

  it('is met by the tenants that are named only', async () => {
    const idp = await start({ mode: 'server-error', tenants: ['bad', 'worse'] });
    const statuses = [];
    for (const tenant of ['good', 'bad', 'worse']) statuses.push((await ask(idp, { tenant })).status);
    await control(idp, { tenants: null });
    statuses.push((await ask(idp, { tenant: 'good' })).status);
    expect(statuses).toEqual([200, 500, 500, 500]);
  });

  it('of a server that is down comes before its limits', async () => {
    const idp = await start({ rate: '1/1h', mode: 'unavailable' });
    for (let i = 0; i < 3; i++) expect((await ask(idp)).status).toBe(503);
    await control(idp, { mode: 'ok' });
    expect([(await ask(idp)).status, (await ask(idp)).status]).toEqual([200, 429]);
  });
});

describe('refresh_in', () => {
  it('is the share of the life, in every token once it is wanted', async () => {
    const idp = await start({ lifetime: '61s' });
    expect(await jsonOf(await ask(idp))).not.toHaveProperty('refresh_in');
    await control(idp, { refreshIn: '50%' });
    expect(await jsonOf(await ask(idp))).toMatchObject({ expires_in: 61, refresh_in: 30 });
    await control(idp, { refreshIn: null });
    expect(await jsonOf(await ask(idp))).not.toHaveProperty('refresh_in');
  });
});

describe('a violation', () => {
  const both = { authorization: `Basic ${btoa(`${DEMO_CLIENT.clientId}:${DEMO_CLIENT.secret}`)}` };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  test.each<[string, Sent, number]>([
    ['secret-in-url', { query: '?client_secret=hush' }, 200],
    ['secret-in-url', { query: '?a=b&client_assertion=hush' }, 200],
    ['common-tenant', { tenant: 'common' }, 200],
    ['common-tenant', { tenant: 'Organizations' }, 200],
    ['duplicate-parameter', { body: `${new URLSearchParams(GOOD)}&scope=x` }, 400],
    ['not-a-form', { init: { headers: { 'content-type': 'application/json' } } }, 400],
    ['not-post', { init: { method: 'PUT' } }, 405],
    ['too-large', { body: 'x'.repeat(100_000) }, 413],
    ['two-authentications', { init: { headers: { ...form, ...both } } }, 400],
  ])('%s is counted', async (name, sent, status) => {
    const idp = await start();
    expect((await ask(idp, sent)).status).toBe(status);
    expect(idp.stats().violations).toEqual({ [name]: 1 });
    const shown = await (await fetch(`${idp.url}/control/violations`)).text();
    expect(JSON.parse(shown)).toMatchObject([{ name, tenant: sent.tenant ?? 'contoso' }]);
    expect(shown).not.toMatch(/hush|demo-secret/);
  });

  it('is what a client of OAuth alone must not do: to use an assertion twice', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const registered = parseClients({ app: { publicKeys: [{ kid: 'k', pem }] } });
    const idp = await start({ flavour: 'oauth' }, { registered });
    const assert = (jti?: string) =>
      new SignJWT({ ...(jti && { jti }), iss: 'app', sub: 'app', aud: idp.url, exp: Date.now() / 1000 + 60 })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .sign(privateKey);
    const send = async (assertion: string): Promise<number> => {
      const body = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: 'app',
        scope: 's',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      });
      return (await fetch(`${idp.url}/token`, { method: 'POST', body })).status;
    };
    const assertion = await assert(randomUUID());
    expect([await send(assertion), await send(await assert()), await send(assertion)]).toEqual([
      200, 401, 401,
    ]);
    expect(idp.stats().violations).toEqual({ 'assertion-reused': 1 });
  });

  it('is to follow a redirect', async () => {
    const idp = await start({ mode: 'redirect' });
    expect((await ask(idp, { init: { redirect: 'follow' } })).status).toBe(404);
    expect(idp.stats().violations).toEqual({ 'redirect-followed': 1 });
  });

  it('is nothing that a good client does', async () => {
    const idp = await start();
    await ask(idp, { query: '?dc=ESTS' });
    expect(idp.stats().violations).toEqual({});
  });

  it('is kept while it is among the newest 200, and counted for ever', () => {
    const violations = new Violations();
    for (let at = 0; at < 250; at++) violations.add({ at, name: 'loop', tenant: 't', clientId: 'c' });
    expect(violations.counts()).toEqual({ loop: 250 });
    expect(violations.newest().map(({ at }) => at)).toEqual(Array.from({ length: 200 }, (_, i) => i + 50));
  });
});
