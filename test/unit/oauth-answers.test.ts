import type { RequestListener } from 'node:http';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { UnsecuredJWT } from 'jose';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { advice } from '../../src/core/failure.ts';
import { Secret } from '../../src/core/secret.ts';
import { secretAuthentication } from '../../src/credentials/secret.ts';
import { type Acquired, acquire } from '../../src/oauth/acquire.ts';
import { TokenEndpoint } from '../../src/oauth/endpoint.ts';
import type { Answer } from '../../src/oauth/response.ts';
import { serve } from '../support/http-server.ts';
import { targetOf } from '../support/target.ts';

const SENTINEL = 'SENTINEL-s3cret';
const REQUEST_ID = '0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d';
const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const authentication = secretAuthentication('id', new Secret(SENTINEL), 'client_secret_post');

const json =
  (body: unknown): RequestListener =>
  (_request, response) =>
    response
      .setHeader('content-type', 'application/json')
      .end(typeof body === 'string' ? body : JSON.stringify(body));

const text =
  (status: number, type: string, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);

const GOOD = { token_type: 'Bearer', expires_in: 3599, access_token: `${SENTINEL}-token` };
const withExpiresIn = (value: unknown) => json({ ...GOOD, expires_in: value });

/** Every byte is on its way a second after the one before. */
const drip: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const rest = [...JSON.stringify(GOOD)];
  const timer = setInterval(() => response.write(rest.shift() ?? ' '), 1000);
  response.write(rest.shift());
  response.once('close', () => clearInterval(timer));
};

const hundredMegabytes: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(1024 * 1024, SENTINEL);
  let sent = 0;
  const more = (): void => {
    while (!response.destroyed && sent < 100) {
      sent += 1;
      if (!response.write(chunk)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
};

const reset: RequestListener = (request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
  response.write(JSON.stringify(GOOD), () => request.socket.resetAndDestroy());
};

const throttled = (retryAfter?: string): RequestListener =>
  text(429, 'text/plain', 'Too Many Requests', {
    date: new Date(NOW).toUTCString(),
    ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
  });

async function askServer(handler: RequestListener, timeoutMs = 5000): Promise<Acquired> {
  const { url } = await serve(handler);
  const endpoint = new TokenEndpoint({ version: '0' });
  onTestFinished(() => endpoint.close());
  return acquire(endpoint, targetOf({ tokenUrl: url }), authentication, {
    timeoutMs,
    now: NOW,
    requestId: REQUEST_ID,
  });
}

function expectHarmless(acquired: Acquired): void {
  const printed = inspect(acquired, { depth: 9, showHidden: true }) + JSON.stringify(acquired);
  expect(printed).not.toContain('SENTINEL');
}

describe('bad input from a real server', () => {
  test.each<[what: string, handler: RequestListener, kind: string, code: string, answeredBy: string]>([
    ['expires_in missing', withExpiresIn(undefined), 'transient', 'response without expires_in', 'server'],
    ['expires_in no number', withExpiresIn('soon'), 'transient', 'response expires_in unusable', 'server'],
    ['expires_in 0', withExpiresIn(0), 'transient', 'response expires_in unusable', 'server'],
    ['expires_in negative', withExpiresIn(-3600), 'transient', 'response expires_in unusable', 'server'],
    ['expires_in NaN', withExpiresIn('NaN'), 'transient', 'response expires_in unusable', 'server'],
    [
      'expires_in NaN, which is not JSON',
      json('{"access_token":"t","expires_in":NaN}'),
      'transient',
      'response not JSON',
      'host',
    ],
    ['an empty body', json(''), 'transient', 'response empty', 'host'],
    [
      'HTML',
      text(200, 'text/html', `<p>${SENTINEL}</p>`),
      'transient',
      'response content type not JSON',
      'host',
    ],
    ['HTML said to be JSON', json(`<p>${SENTINEL}</p>`), 'transient', 'response not JSON', 'host'],
    ['truncated JSON', json(JSON.stringify(GOOD).slice(0, -9)), 'transient', 'response not JSON', 'host'],
    ['100 MB', hundredMegabytes, 'transient', 'response too large', 'host'],
    ['one byte a second', drip, 'transient', 'timeout', 'nobody'],
    [
      'a wrong content type',
      text(200, 'text/plain', JSON.stringify(GOOD)),
      'transient',
      'response content type not JSON',
      'server',
    ],
    [
      'a redirect',
      text(302, 'text/html', SENTINEL, { location: `/${SENTINEL}` }),
      'transient',
      'HTTP 302',
      'host',
    ],
    ['a reset in mid-body', reset, 'transient', 'network ECONNRESET', 'nobody'],
    ['a 429 in plain text', throttled(), 'throttled', 'HTTP 429', 'host'],
    [
      'another type of token',
      json({ ...GOOD, token_type: 'DPoP' }),
      'tenant',
      'response token_type not Bearer',
      'server',
    ],
    [
      'a token with a line break',
      json({ ...GOOD, access_token: `${SENTINEL}\r\nx: y` }),
      'transient',
      'response access_token unusable',
      'server',
    ],
    [
      'a token that has ended',
      json({ ...GOOD, access_token: new UnsecuredJWT({ exp: 1 }).encode() }),
      'transient',
      'token already expired',
      'server',
    ],
    [
      'an error that says what it was sent',
      text(400, 'application/json', JSON.stringify({ error: SENTINEL, error_description: SENTINEL })),
      'tenant',
      'HTTP 400',
      'server',
    ],
  ])('%s is what it is, with advice and without a secret', async (_what, handler, kind, code, answeredBy) => {
    const acquired = await askServer(handler, handler === drip ? 300 : 10_000);
    if (acquired.ok) throw new Error('expected a failure');
    expect(acquired.failure).toMatchObject({ kind, code, answeredBy });
    expectHarmless(acquired);
    const { what, todo } = advice(acquired.failure);
    expect(`${what} ${todo}`).toMatch(/^[^{}<>]{30,}$/);
  });

  test.each<[what: string, value: unknown, expected: number]>([
    ['a string', '3599', 3599],
    ['huge', 1e300, 31 * 86_400],
  ])('expires_in that is %s is understood', async (_what, value, expected) => {
    const acquired = await askServer(withExpiresIn(value));
    expect(acquired).toMatchObject({ ok: true, expiresInSeconds: expected });
    expectHarmless(acquired);
  });

  test.each<[what: string, value: string, expected: number]>([
    ['seconds', '60', 60_000],
    ['a date', new Date(NOW + 90_000).toUTCString(), 90_000],
    ['an absurd number', '99999999999999999999', 3_600_000],
    ['an absurd date', 'Fri, 31 Dec 9999 23:59:59 GMT', 3_600_000],
    ['a date in the past', 'Sun, 06 Nov 1994 08:49:37 GMT', 1000],
    ['a negative number', '-5', 1000],
  ])('a 429 with a Retry-After in %s says how long to wait', async (_what, value, expected) => {
    const acquired = await askServer(throttled(value));
    expect(acquired).toMatchObject({
      ok: false,
      failure: { kind: 'throttled', code: 'HTTP 429', retryAfterMs: expected },
    });
  });
});

/** What a good answer is, said without the code that reads it. */
function isGood({ status, headers, body }: Answer, assumed: boolean): boolean {
  const type = headers['content-type'];
  let json: unknown;
  try {
    json = JSON.parse(body.reveal());
  } catch {
    return false;
  }
  if (status !== 200 || typeof json !== 'object' || json === null || Array.isArray(json)) return false;
  if (type !== undefined && !/^application\/(problem\+)?json(;|$)/i.test(String(type))) return false;
  const { access_token: token, token_type: tokenType, expires_in: life } = json as Record<string, unknown>;
  if (typeof token !== 'string' || token === '' || /[^!-~]/.test(token)) return false;
  if (tokenType !== undefined && tokenType !== null && String(tokenType).toLowerCase() !== 'bearer')
    return false;
  if (life === undefined || life === null) return assumed;
  if (typeof life === 'string')
    return /^\d+(\.\d+)?$/.test(life) && Number(life) >= 1 && Number(life) < Infinity;
  return typeof life === 'number' && life >= 1 && life < Infinity;
}

describe('any answer', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant(SENTINEL));
  const token = fc.oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^[!-~]{1,40}$/).map((rest) => `${SENTINEL}${rest}`) },
    { weight: 1, arbitrary: fc.oneof(text, fc.constantFrom('', `${SENTINEL} x`, `${SENTINEL}\n`, 7, null)) },
  );
  const life = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
    fc.double(),
    fc.integer(),
    fc.nat().map(String),
    fc.constantFrom('3599.5', '1e3', 'NaN', '0', '-1', '', '9'.repeat(400), null, true, [60], {}),
  );
  const tokenType = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('Bearer', 'bearer', 'BEARER') },
    fc.constantFrom('DPoP', 'N_A', '', null, 7),
  );
  const errors = {
    error: fc.oneof(text, fc.constantFrom('invalid_client', 'invalid_scope', 'server_error', 'constructor')),
    error_codes: fc.oneof(fc.array(fc.oneof(fc.integer(), fc.constantFrom(50196, 7000215), text)), text),
    error_description: text,
    trace_id: fc.oneof(text, fc.uuid()),
    correlation_id: fc.oneof(text, fc.uuid()),
    suberror: text,
    claims: text,
  };
  const issued = fc.record(
    { access_token: token, token_type: tokenType, expires_in: life, ext_expires_in: life },
    { requiredKeys: ['access_token', 'expires_in'] },
  );
  const anything = fc.record(
    { access_token: token, token_type: tokenType, expires_in: life, ...errors },
    { requiredKeys: [] },
  );
  const object = fc.oneof(issued, anything).map((value) => JSON.stringify(value));
  const truncated = fc.tuple(object, fc.nat()).map(([whole, at]) => whole.slice(0, at % (whole.length + 1)));
  const body = fc.oneof(
    { weight: 6, arbitrary: object },
    truncated,
    object.map((whole) => `[${whole}]`),
    object.map((whole) => `${whole}${whole}`),
    object.map((whole) => `\ufeff${whole}`),
    fc.json(),
    text,
  );
  const status = fc.oneof({ weight: 3, arbitrary: fc.constant(200) }, fc.integer({ min: 200, max: 599 }));
  const headers = fc.record(
    {
      'content-type': fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom('application/json', 'Application/JSON; charset=utf-8') },
        fc.constantFrom(
          'application/problem+json',
          'text/html',
          'text/plain',
          'application/jwt',
          '',
          SENTINEL,
        ),
      ),
      'retry-after': fc.oneof(
        text,
        fc.integer().map(String),
        fc.date({ noInvalidDate: true }).map((at) => at.toUTCString()),
      ),
      date: fc.oneof(
        text,
        fc.date({ noInvalidDate: true }).map((at) => at.toUTCString()),
      ),
      'client-request-id': fc.oneof(text, fc.uuid()),
      'x-ms-request-id': fc.oneof(text, fc.uuid()),
      [SENTINEL]: text,
    },
    { requiredKeys: [] },
  );
  const answers = fc.record({ status, headers, body });
  const CODE = /^(AADSTS\d{1,8}|HTTP \d{3}|[a-z]+(_[a-z]+)+|(response|token) [A-Za-z_ ]+)$/;
  const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

  it('gives a token when it is a good one, and else a failure with nothing of the server in it', {
    timeout: 60_000,
  }, async () => {
    let tokens = 0;
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(answers, fc.boolean(), fc.boolean(), async (generated, assumed, isEntra) => {
        const answer: Answer = { ...generated, body: new Secret(generated.body) };
        const tokenUrl = 'https://idp.example/token';
        const target = targetOf({
          tokenUrl,
          endpoint: isEntra ? { authority: 'https://idp.example' } : { tokenEndpoint: tokenUrl },
          assumeLifetimeMs: assumed ? 7_200_000 : undefined,
        });
        const endpoint = {
          skewMs: () => undefined,
          send: async () => ({ ok: true, answer, skewMs: undefined }) as const,
        };
        const acquired = await acquire(endpoint, target, authentication, {
          timeoutMs: 1000,
          now: NOW,
          requestId: REQUEST_ID,
        });
        runs += 1;
        expectHarmless(acquired);
        expect(acquired.ok).toBe(isGood(answer, assumed));
        if (acquired.ok) {
          tokens += 1;
          expect(acquired.accessToken.reveal()).toBe(JSON.parse(generated.body).access_token);
          expect(acquired.expiresInSeconds).toSatisfy(
            (s: number) => Number.isInteger(s) && s >= 1 && s <= 31 * 86_400,
          );
          return;
        }
        const {
          code,
          retryAfterMs = 1000,
          correlationId = REQUEST_ID,
          traceId = REQUEST_ID,
        } = acquired.failure;
        expect(code).toMatch(CODE);
        expect(retryAfterMs >= 1000 && retryAfterMs <= 3_600_000).toBe(true);
        expect(correlationId).toMatch(GUID);
        expect(traceId).toMatch(GUID);
      }),
      { numRuns: 10_000 },
    );
    expect(runs).toBeGreaterThanOrEqual(10_000);
    // Neither side may be rare, or little was tried.
    expect(tokens).toBeGreaterThan(500);
    expect(tokens).toBeLessThan(9500);
  });
});
