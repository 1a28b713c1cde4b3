import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { DEMO_CLIENT, parseClient, parseLifetime, SIGNINGS } from '../../src/mock-idp/options.ts';
import { maxIdentical, RequestRecord } from '../../src/mock-idp/record.ts';
import { type MockIdp, type MockIdpOptions, startMockIdp } from '../../src/mock-idp/server.ts';
import { startNode } from '../support/process.ts';

const GUID = '0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d';
const GOOD = {
  grant_type: 'client_credentials',
  client_id: DEMO_CLIENT.clientId,
  client_secret: DEMO_CLIENT.secret,
  scope: 'https://g.example/.default',
};

async function start(options: MockIdpOptions = {}): Promise<MockIdp> {
  const idp = await startMockIdp(options);
  onTestFinished(() => idp.close());
  return idp;
}

interface Sent {
  readonly path?: string;
  readonly body?: Record<string, string> | string;
  readonly headers?: Record<string, string>;
}

function send(
  idp: MockIdp,
  { path = '/contoso/oauth2/v2.0/token', body = GOOD, headers = {} }: Sent = {},
): Promise<Response> {
  return fetch(`${idp.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(body).toString(),
  });
}

const control = (idp: MockIdp, change: object): Promise<Response> =>
  fetch(`${idp.url}/control`, { method: 'POST', body: JSON.stringify(change) });

const without = (...names: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(GOOD).filter(([name]) => !names.includes(name)));

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
const DEMO_PAIR = `${DEMO_CLIENT.clientId}:${DEMO_CLIENT.secret}`;

describe('a token request', () => {
  test.each(SIGNINGS)('gets a JWT with %s', async (signing) => {
    const idp = await start({ signing, lifetime: { minSeconds: 90, maxSeconds: 90 } });
    const body = (await (await send(idp)).json()) as { access_token: string };
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 90 });
    const claims = decodeJwt(body.access_token);
    expect(claims).toMatchObject({ aud: 'https://g.example', tid: 'contoso', appid: DEMO_CLIENT.clientId });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(90);
    expect(
      decodeJwt(((await (await send(idp)).json()) as { access_token: string }).access_token).jti,
    ).not.toBe(claims.jti);
    const jwks = (await (await fetch(`${idp.url}/jwks`)).json()) as JSONWebKeySet;
    expect(JSON.stringify(jwks)).not.toMatch(/"(d|p|q|k)":/);
    if (jwks.keys.length > 0) await jwtVerify(body.access_token, createLocalJWKSet(jwks));
    expect(jwks.keys).toHaveLength(signing.endsWith('s256') && signing !== 'hs256' ? 1 : 0);
  });

  it('draws lifetimes from the whole range', async () => {
    const idp = await start({ lifetime: { minSeconds: 1, maxSeconds: 3 }, signing: 'premade' });
    const answers = await Promise.all(Array.from({ length: 100 }, async () => (await send(idp)).json()));
    expect(new Set((answers as { expires_in: number }[]).map((answer) => answer.expires_in))).toEqual(
      new Set([1, 2, 3]),
    );
  });

  test.each<[string, Sent, string]>([
    ['with a percent-encoded tenant', { path: '/a%2Fb/token' }, 'a/b'],
    ['for any scope', { path: '/realm/token', body: { ...GOOD, scope: 'read' } }, 'realm'],
    ['for an audience', { path: '/t/token', body: { ...without('scope'), audience: 'https://a' } }, 't'],
    ['without a tenant', { path: '/token' }, '-'],
    ['by Basic', { body: without('client_id', 'client_secret'), headers: basic(DEMO_PAIR) }, 'contoso'],
    ['by Basic with a client_id', { body: without('client_secret'), headers: basic(DEMO_PAIR) }, 'contoso'],
  ])('is answered %s', async (_what, sent, tenant) => {
    const idp = await start();
    const response = await send(idp, sent);
    expect(response.status).toBe(200);
    expect(decodeJwt(((await response.json()) as { access_token: string }).access_token).tid).toBe(tenant);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test.each<[string, Sent, number, string, number]>([
    ['the wrong secret', { body: { ...GOOD, client_secret: 'no' } }, 401, 'invalid_client', 7000215],
    [
      'the wrong secret by Basic',
      { body: without('client_id', 'client_secret'), headers: basic(`${DEMO_CLIENT.clientId}:no`) },
      401,
      'invalid_client',
      7000215,
    ],
    ['no secret', { body: without('client_secret') }, 401, 'invalid_client', 7000218],
    ['an unknown client', { body: { ...GOOD, client_id: 'x' } }, 400, 'unauthorized_client', 700016],
    ['no client', { body: without('client_id') }, 400, 'invalid_request', 900144],
    ['both ways at once', { headers: basic(DEMO_PAIR) }, 400, 'invalid_request', 900144],
    [
      'two client ids',
      { body: { ...without('client_secret'), client_id: 'x' }, headers: basic(DEMO_PAIR) },
      400,
      'invalid_request',
      900144,
    ],
    ['a Basic that is none', { headers: { authorization: 'Basic !' } }, 400, 'invalid_request', 900144],
    ['another scheme', { headers: { authorization: 'Bearer x' } }, 400, 'invalid_request', 900144],
    ['another grant', { body: { ...GOOD, grant_type: 'password' } }, 400, 'unsupported_grant_type', 70003],
    ['no scope', { body: without('scope') }, 400, 'invalid_request', 900144],
    [
      'a scope without /.default',
      { body: { ...GOOD, scope: 'https://g.example/read' } },
      400,
      'invalid_scope',
      1002012,
    ],
    [
      'two scopes',
      { body: { ...GOOD, scope: 'https://a/.default https://b/.default' } },
      400,
      'invalid_scope',
      1002012,
    ],
    ['nothing that it is for', { path: '/t/token', body: without('scope') }, 400, 'invalid_scope', 70011],
    ['a parameter twice', { body: `${new URLSearchParams(GOOD)}&scope=x` }, 400, 'invalid_request', 900144],
    ['JSON', { headers: { 'content-type': 'application/json' } }, 400, 'invalid_request', 900144],
    ['100 kB', { body: { ...GOOD, x: 'x'.repeat(100_000) } }, 413, 'invalid_request', 90014],
  ])('is refused with %s', async (_what, sent, status, error, code) => {
    const idp = await start();
    const response = await send(idp, { ...sent, headers: { 'client-request-id': GUID, ...sent.headers } });
    expect(response.status).toBe(status);
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toMatchObject({
      error,
      error_codes: [code],
      correlation_id: GUID,
      trace_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(body.error_description).toMatch(new RegExp(`^AADSTS${code}: `));
    expect(idp.stats()).toMatchObject({
      requests: 1,
      issued: 0,
      failed: 1,
      inFlight: 0,
      byStatus: { [status]: 1 },
    });
  });

  it('is refused by GET, and on other routes', async () => {
    const idp = await start();
    expect((await fetch(`${idp.url}/contoso/oauth2/v2.0/token`)).status).toBe(405);
    for (const path of ['/', '/oauth2/v2.0/token', '/a/b/token', '/%/token', '/control/x']) {
      expect((await fetch(`${idp.url}${path}`, { method: 'POST' })).status, path).toBe(404);
    }
  });
});

describe('control', () => {
  it('rotates secrets, with and without overlap', async () => {
    const idp = await start();
    const id = DEMO_CLIENT.clientId;
    const statusOf = async (secret: string) =>
      (await send(idp, { body: { ...GOOD, client_secret: secret } })).status;
    await control(idp, { clients: [`${id}:one`, `${id}:two`] });
    expect([await statusOf('one'), await statusOf('two'), await statusOf(DEMO_CLIENT.secret)]).toEqual([
      200, 200, 401,
    ]);
    await control(idp, { clients: [`${id}:two`] });
    expect([await statusOf('one'), await statusOf('two')]).toEqual([401, 200]);
  });

  it('changes the lifetime and the mode', async () => {
    const idp = await start();
    await control(idp, { lifetime: '5s', delay: '1ms' });
    expect(await (await send(idp)).json()).toMatchObject({ expires_in: 5 });
    await control(idp, { mode: 'unavailable' });
    const response = await send(idp);
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: 'temporarily_unavailable', error_codes: [90033] },
    ]);
    await control(idp, { mode: 'reset' });
    await expect(send(idp)).rejects.toThrow();
    await control(idp, { mode: 'ok' });
    expect((await send(idp)).status).toBe(200);
    const log = (await (await fetch(`${idp.url}/control/requests`)).json()) as object[];
    const same = {
      tenant: 'contoso',
      clientId: DEMO_CLIENT.clientId,
      scope: GOOD.scope,
      at: expect.any(Number),
    };
    const credential = expect.stringMatching(/^[\w-]{8}$/);
    expect(log).toEqual([
      { ...same, status: 200, credential },
      { ...same, status: 503, error: 90033 },
      { ...same, status: 0 },
      { ...same, status: 200, credential },
    ]);
    const stats = await (await fetch(`${idp.url}/control/stats`)).json();
    expect(stats).toMatchObject({
      requests: 4,
      issued: 2,
      failed: 2,
      inFlight: 0,
      maxIdenticalInWindow: 4,
      peakPerSecond: 4,
    });
  });

  it('hangs, and counts what hangs', async () => {
    const idp = await start();
    await control(idp, { mode: 'hang' });
    const stop = new AbortController();
    const hanging = fetch(`${idp.url}/token`, { method: 'POST', signal: stop.signal }).catch(() => 'gone');
    await expect.poll(() => idp.stats().inFlight).toBe(1);
    stop.abort();
    expect(await hanging).toBe('gone');
    await expect.poll(() => idp.stats()).toMatchObject({ inFlight: 0, failed: 1, byStatus: { 0: 1 } });
  });

  test.each([
    ['x'],
    ['[]'],
    ['{"mode":"evil"}'],
    ['{"delay":5}'],
    ['{"delay":"25d"}'],
    ['{"lifetime":"0s"}'],
    ['{"clients":"a:b"}'],
    ['{"speed":1}'],
    ['{"toString":1}'],
    ['{"delay":"1s","mode":"x"}'],
  ])('refuses %s and changes nothing', async (body) => {
    const idp = await start();
    const response = await fetch(`${idp.url}/control`, { method: 'POST', body });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining('expected') });
    expect(await (await send(idp)).json()).toMatchObject({ expires_in: 60 });
  });
});

describe('the record', () => {
  it('finds the most in any second, and keeps the newest only', () => {
    const record = new RequestRecord(4);
    for (const at of [0, 900, 950, 1100, 3000]) record.conclude(record.add(at, 't', 'c', 's'), 200);
    expect(record.stats(1000)).toMatchObject({ requests: 5, issued: 5, peakPerSecond: 3 });
    expect(record.requests().map(({ at }) => at)).toEqual([900, 950, 1100, 3000]);
  });

  it('finds the most identical requests in a sliding window', () => {
    const request = (at: number, scope = 's') => ({ at, tenant: 't', clientId: 'c', scope, status: 200 });
    expect(maxIdentical([], 100)).toBe(0);
    expect(
      maxIdentical(
        [request(0), request(50), request(60, 'other'), request(99), request(100), request(250)],
        100,
      ),
    ).toBe(3);
  });
});

describe('the options', () => {
  test.each([
    ['60s', 60, 60],
    ['50s..70s', 50, 70],
    ['1m..1h', 60, 3600],
    ['1500ms', 1, 1],
  ])('read the lifetime %s', (text, minSeconds, maxSeconds) => {
    expect(parseLifetime(text)).toEqual({ minSeconds, maxSeconds });
  });

  test.each([['0s'], ['500ms'], ['70s..50s'], ['1s..2s..3s'], ['..'], ['60'], ['']])(
    'refuse the lifetime %j',
    (text) => {
      expect(() => parseLifetime(text)).toThrow('expected a lifetime');
    },
  );

  it('read a client whose secret has colons, and refuse one without a secret', () => {
    expect(parseClient('id:a:b')).toEqual({ clientId: 'id', secret: 'a:b' });
    for (const text of ['id', 'id:', ':secret', '']) expect(() => parseClient(text)).toThrow('id:secret');
  });
});

describe('the process', () => {
  const MAIN = 'src/mock-idp/main.ts';

  it('says where it listens, serves, and ends on SIGTERM', async () => {
    const child = startNode([
      MAIN,
      '--port',
      '0',
      '--lifetime',
      '20s',
      '--client',
      'a:b',
      '--client',
      'c:d',
      '--signing',
      'premade',
      '--json',
    ]);
    const line = await child.waitForLine(() => true);
    const { listening } = JSON.parse(line) as { listening: string };
    const body = new URLSearchParams({ ...GOOD, client_id: 'c', client_secret: 'd' });
    expect(await (await fetch(`${listening}/t/token`, { method: 'POST', body })).json()).toMatchObject({
      expires_in: 20,
    });
    expect(await child.stop()).toEqual({ code: 0, signal: null });
  });

  it('ends with its parent when it is told to', async () => {
    const child = spawn(process.execPath, [MAIN, '--exit-with-parent'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('says that its port is taken', async () => {
    const idp = await start();
    const child = startNode([MAIN, '--port', String(idp.port)]);
    expect((await child.exited).code).toBe(1);
    expect(child.stderr).toMatch(/^LISTEN_FAILED: .*port taken\?\n$/);
  });

  test.each([[['--lifetime', 'long']], [['--signing', 'none']], [['--port', '65536']], [['--delay', 'x']]])(
    'refuses %j without a stack trace',
    async (args) => {
      const child = startNode([MAIN, ...args]);
      expect((await child.exited).code).toBe(2);
      expect(child.stderr).toMatch(/^error: .*expected .*\n$/);
    },
  );

  it('does not show what stands where a client should, since it may be a secret', async () => {
    const child = startNode([MAIN, '--client', 'my-secret']);
    expect((await child.exited).code).toBe(2);
    expect(child.stderr).toMatch(/^USAGE: expected a client as id:secret/);
    expect(child.stderr).not.toContain('my-secret');
  });
});
