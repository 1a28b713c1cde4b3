import { inspect } from 'node:util';
import { UnsecuredJWT } from 'jose';
import { describe, expect, it, onTestFinished, test, vi } from 'vitest';
import type { Grant } from '../../src/core/client.ts';
import type { ClientAuthentication, Moment, TokenRequest } from '../../src/core/client-authentication.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Acquired, type AcquireOptions, acquire } from '../../src/oauth/acquire.ts';
import type { Exchange, SendOptions } from '../../src/oauth/endpoint.ts';
import { targetOf, type Wanted } from '../support/target.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const REQUEST_ID = '0B1C2D3E-4f50-4a6b-8c7d-9e0f1a2b3c4d';
const OTHER_ID = '33333333-3333-4333-8333-333333333333';
const TENANT = '22222222-2222-4222-8222-222222222222';
const TOKEN_URL = 'https://login.example/token';
const ENTRA = { authority: 'https://login.example' };
const TLS = { fingerprint: 'abcdefgh', certificateChainPem: 'PEM', key: new Secret('KEY') };

interface Asked extends Partial<AcquireOptions> {
  readonly wanted?: Partial<Wanted>;
  readonly grant?: Grant;
  /** What the endpoint knows of the server's clock, and what this answer shows. */
  readonly knownSkewMs?: number;
  readonly seenSkewMs?: number;
  readonly authentication?: ClientAuthentication;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly exchange?: Exchange;
}

interface Sent {
  readonly acquired: Acquired;
  readonly sent: { readonly request: TokenRequest; readonly options: SendOptions } | undefined;
  readonly moment: Moment | undefined;
}

/** Asks for a token where the server gives the answer of `asked`, and tells what was signed and sent. */
async function ask(asked: Asked): Promise<Sent> {
  let sent: Sent['sent'];
  let moment: Sent['moment'];
  const { status = 200, headers = {}, body = GOOD, knownSkewMs, seenSkewMs } = asked;
  const answer = { status, headers, body: new Secret(JSON.stringify(body)) };
  const endpoint = {
    skewMs: () => knownSkewMs,
    send: async (request: TokenRequest, options: SendOptions): Promise<Exchange> => {
      sent = { request, options };
      return asked.exchange ?? { ok: true, answer, skewMs: seenSkewMs };
    },
  };
  const authentication: ClientAuthentication = (request, at) => {
    moment = at;
    return asked.authentication?.(request, at);
  };
  const plain = targetOf({ tokenUrl: TOKEN_URL, ...asked.wanted });
  const target = { ...plain, client: { ...plain.client, ...(asked.grant && { grant: asked.grant }) } };
  const options = { timeoutMs: 5000, now: NOW, requestId: REQUEST_ID, ...asked };
  return { acquired: await acquire(endpoint, target, authentication, options), sent, moment };
}

const JWT_BEARER: Grant = { kind: 'jwt_bearer', subject: undefined, scopeInAssertion: true };
const GOOD = { token_type: 'Bearer', expires_in: 3599, access_token: 'opaque' };
const refusal = (error: string, ...codes: number[]) => ({ status: 400, body: { error, error_codes: codes } });

function stopTheClock(): void {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
}

describe('a token', () => {
  it('comes with what tells it from others, and with the id of its request', async () => {
    const jwt = new UnsecuredJWT({ tid: TENANT.toUpperCase() }).encode();
    const { acquired } = await ask({ wanted: { endpoint: ENTRA }, body: { ...GOOD, access_token: jwt } });
    expect(acquired).toEqual({
      ok: true,
      requestId: REQUEST_ID,
      accessToken: new Secret(jwt),
      tokenType: 'Bearer',
      expiresInSeconds: 3599,
      refreshInSeconds: 0,
      digest: expect.stringMatching(/^[\w-]{8}$/),
      tenantId: TENANT,
    });
  });

  it('is refused when it has ended by the clock of the server, whatever ours says', async () => {
    stopTheClock();
    const headers = { date: new Date(NOW + 600_000).toUTCString() };
    const at = (seconds: number) => ({
      ...GOOD,
      access_token: new UnsecuredJWT({}).setExpirationTime(NOW / 1000 + seconds).encode(),
    });
    expect((await ask({ headers, body: at(601) })).acquired.ok).toBe(true);
    expect((await ask({ body: at(1) })).acquired.ok).toBe(true);
    for (const { acquired } of [await ask({ headers, body: at(600) }), await ask({ body: at(0) })])
      expect(acquired).toMatchObject({ ok: false, failure: { code: 'token already expired', status: 200 } });
  });

  it('of a server that does not say how long it lives has the configured life', async () => {
    const body = { access_token: 'opaque', instance_url: 'https://x.example' };
    const { acquired } = await ask({ body, wanted: { assumeLifetimeMs: 7_200_000 } });
    expect(acquired).toMatchObject({ ok: true, expiresInSeconds: 7200 });
    expect((await ask({ body })).acquired).toMatchObject({
      failure: { code: 'response without expires_in' },
    });
    const said = await ask({ body: { ...body, expires_in: 60 }, wanted: { assumeLifetimeMs: 7_200_000 } });
    expect(said.acquired).toMatchObject({ expiresInSeconds: 60 });
  });
});

describe('a request', () => {
  it('is signed by the clock of the server', async () => {
    stopTheClock();
    expect((await ask({})).moment).toEqual({ now: NOW, signAgain: false });
    const asked = { knownSkewMs: -600_000, signAgain: true };
    expect((await ask(asked)).moment).toEqual({ now: NOW - 600_000, signAgain: true });
  });

  it('carries the challenge, and goes out with the client certificate and the authorities', async () => {
    const { sent } = await ask({ tls: TLS, wanted: { ca: 'CA' }, claims: '{"access_token":{"x":null}}' });
    expect(sent?.options).toEqual({ timeoutMs: expect.any(Number), tls: TLS, ca: 'CA' });
    expect(sent?.request.body.get('claims')).toBe('{"access_token":{"x":null}}');
  });

  it('has what is left of its time when it has been signed', async () => {
    const authentication = () => new Promise<void>((resolve) => setTimeout(resolve, 50));
    const timeoutMs = (await ask({ timeoutMs: 5000, authentication })).sent?.options.timeoutMs;
    expect(timeoutMs).toBeLessThanOrEqual(4960);
    expect(timeoutMs).toBeGreaterThan(3000);
  });

  it('is not sent when its time was over before it was signed', async () => {
    const { acquired, sent } = await ask({ timeoutMs: 20, authentication: () => new Promise(() => {}) });
    expect(acquired).toMatchObject({
      ok: false,
      failure: { kind: 'transient', code: 'credential not ready in time', answeredBy: 'unsent' },
    });
    expect(sent).toBeUndefined();
  });

  it('is not sent when it cannot be signed', async () => {
    const authentication = () => Promise.reject(new Error('no key'));
    await expect(ask({ authentication })).rejects.toThrow('no key');
  });
});

test.each<[grant: string, asked: Asked, kind: string]>([
  ['of an assertion is a refused credential', { grant: JWT_BEARER }, 'credential'],
  ['of a client is none', {}, 'tenant'],
])('an invalid grant %s', async (_grant, asked, kind) => {
  const { acquired } = await ask({ ...refusal('invalid_grant'), ...asked });
  expect(acquired).toMatchObject({ failure: { kind, code: 'invalid_grant' } });
});

describe('signing again', () => {
  const signsAssertions = true;
  test.each<[what: string, asked: Asked, expected: boolean]>([
    ['helps when Entra says that the assertion has ended', refusal('invalid_client', 700024), true],
    ['does not help with a wrong secret', refusal('invalid_client', 7000215), false],
    [
      'helps when the answer shows another clock than the one it was signed by',
      { ...refusal('invalid_client'), knownSkewMs: 0, seenSkewMs: 31_000 },
      true,
    ],
    ['helps when no clock was known', { ...refusal('invalid_client'), seenSkewMs: -31_000 }, true],
    [
      'helps where the assertion is the grant',
      { ...refusal('invalid_grant'), grant: JWT_BEARER, seenSkewMs: 60_000 },
      true,
    ],
    [
      'helps with a server that allows for little',
      { ...refusal('invalid_client'), seenSkewMs: -11_000 },
      true,
    ],
    [
      'does not help where a slow answer may look alike',
      { ...refusal('invalid_client'), seenSkewMs: -9000 },
      false,
    ],
    [
      'does not help when it was signed by that clock',
      { ...refusal('invalid_client'), knownSkewMs: 600_000, seenSkewMs: 601_000 },
      false,
    ],
    [
      'does not help when the answer tells no time',
      { ...refusal('invalid_client'), knownSkewMs: 600_000 },
      false,
    ],
    ['does not help when it is about a scope', { ...refusal('invalid_scope'), seenSkewMs: 600_000 }, false],
    ['does not help a second time', { ...refusal('invalid_client', 700024), signAgain: true }, false],
    [
      'does not help where nothing is signed',
      { ...refusal('invalid_client', 700024), signsAssertions: false },
      false,
    ],
  ])('%s', async (_what, asked, expected) => {
    expect((await ask({ signsAssertions, ...asked })).acquired).toMatchObject({ signAgain: expected });
  });
});

describe('the id under which support can look a failure up', () => {
  const timedOut: Exchange = {
    ok: false,
    failure: {
      kind: 'transient',
      code: 'timeout',
      answeredBy: 'nobody',
      status: undefined,
      retryAfterMs: undefined,
      loopDetected: false,
      correlationId: undefined,
      traceId: undefined,
    },
  };
  const entra = { wanted: { endpoint: ENTRA } };
  const theirs = { status: 400, body: { error: 'x', correlation_id: OTHER_ID } };

  test.each<[what: string, asked: Asked, expected: string | undefined]>([
    ['is what the server says', { ...entra, ...theirs }, OTHER_ID],
    ['is ours where Entra says none', { ...entra, status: 400 }, REQUEST_ID.toLowerCase()],
    [
      'is ours where what Entra says is none',
      { ...entra, status: 400, body: { correlation_id: 'x' } },
      REQUEST_ID.toLowerCase(),
    ],
    [
      'is ours where Entra gave the wrong thing',
      { ...entra, body: { ...GOOD, token_type: 'x' } },
      REQUEST_ID.toLowerCase(),
    ],
    ['is ours where Entra was silent', { ...entra, exchange: timedOut }, REQUEST_ID.toLowerCase()],
    ['is what another server says', theirs, OTHER_ID],
    ['is not ours at another server, which was not told it', { exchange: timedOut }, undefined],
  ])('%s', async (_what, asked, correlationId) => {
    const { acquired } = await ask(asked);
    expect(acquired).toMatchObject({ ok: false, requestId: REQUEST_ID, failure: { correlationId } });
    expect(inspect(acquired, { depth: 9 })).not.toContain('opaque');
  });
});
