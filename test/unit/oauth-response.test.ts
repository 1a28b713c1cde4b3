import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { MAX_EXPIRES_IN_SECONDS, type Outcome, readTokenResponse } from '../../src/oauth/response.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const GUID = '0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d';
const GOOD = { token_type: 'Bearer', expires_in: 3599, access_token: 'a.b-c_d~e+f/g==' };

type Headers = Record<string, string | string[]>;

function read(
  status: number,
  body: unknown,
  headers: Headers = { 'content-type': 'application/json' },
): Outcome {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readTokenResponse({ status, headers, body: new Secret(text) }, NOW);
}

function failureOf(outcome: Outcome) {
  if (outcome.ok) throw new Error('expected a failure, but got a token');
  return outcome.failure;
}

describe('a token response', () => {
  it('gives the token and its lifetime', () => {
    const outcome = read(200, { ...GOOD, ext_expires_in: 3599, refresh_in: 1800, scope: 'x' });
    if (!outcome.ok) throw new Error(outcome.failure.code);
    expect(outcome.accessToken.reveal()).toBe(GOOD.access_token);
    expect(outcome).toMatchObject({ tokenType: 'Bearer', expiresInSeconds: 3599, refreshInSeconds: 1800 });
    expect(inspect(outcome) + JSON.stringify(outcome)).not.toContain(GOOD.access_token);
  });

  test.each<[string, unknown, number]>([
    ['a number', 60, 60],
    ['a numeric string', '3599', 3599],
    ['a fraction', 59.9, 59],
    ['a fraction in a string', '59.9', 59],
    ['one second', 1, 1],
    ['a huge number', 1e300, MAX_EXPIRES_IN_SECONDS],
    ['a huge string', '9'.repeat(100), MAX_EXPIRES_IN_SECONDS],
    ['31 days', MAX_EXPIRES_IN_SECONDS, MAX_EXPIRES_IN_SECONDS],
  ])('takes expires_in as %s', (_what, value, expected) => {
    expect(read(200, { ...GOOD, expires_in: value })).toMatchObject({ ok: true, expiresInSeconds: expected });
  });

  test.each<[string, unknown, number]>([
    ['a number', 1800, 1800],
    ['a numeric string', '1800', 1800],
    ['a fraction', 59.9, 59],
    ['one second', 1, 1],
    ['as long as the life', 3599, 3599],
  ])('takes refresh_in as %s', (_what, value, expected) => {
    expect(read(200, { ...GOOD, refresh_in: value })).toMatchObject({ ok: true, refreshInSeconds: expected });
  });

  test.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['zero', 0],
    ['negative', -1],
    ['longer than the life', 3600],
    ['huge', 1e300],
    ['empty', ''],
    ['a word', 'soon'],
    ['a date', '2026-11-22T13:00:00Z'],
    ['true', true],
    ['an object', { seconds: 1800 }],
  ])('goes without a refresh_in that is %s', (_what, value) => {
    expect(read(200, { ...GOOD, refresh_in: value })).toMatchObject({
      ...{ ok: true, expiresInSeconds: 3599, refreshInSeconds: 0 },
    });
  });

  test.each<[string, unknown, string]>([
    ['missing', undefined, 'response without expires_in'],
    ['null', null, 'response without expires_in'],
    ['zero', 0, 'response expires_in unusable'],
    ['less than a second', 0.9, 'response expires_in unusable'],
    ['negative', -3600, 'response expires_in unusable'],
    ['a zero in a string', '0', 'response expires_in unusable'],
    ['a negative string', '-60', 'response expires_in unusable'],
    ['NaN in a string', 'NaN', 'response expires_in unusable'],
    ['Infinity in a string', 'Infinity', 'response expires_in unusable'],
    ['an empty string', '', 'response expires_in unusable'],
    ['a date', '2026-11-22T13:00:00Z', 'response expires_in unusable'],
    ['a boolean', true, 'response expires_in unusable'],
    ['a list', [3600], 'response expires_in unusable'],
    ['an object', { s: 3600 }, 'response expires_in unusable'],
  ])('refuses an expires_in that is %s', (_what, value, code) => {
    const failure = failureOf(read(200, { ...GOOD, expires_in: value }));
    expect(failure).toMatchObject({ kind: 'transient', code, answeredBy: 'server', status: 200 });
  });

  it('refuses an expires_in beyond all numbers', () => {
    const body = '{"token_type":"Bearer","access_token":"t","expires_in":1e999}';
    expect(failureOf(read(200, body)).code).toBe('response expires_in unusable');
  });

  test.each([['bearer'], ['BEARER'], [undefined], [null]])(
    'takes the token_type %j for Bearer',
    (tokenType) => {
      expect(read(200, { ...GOOD, token_type: tokenType })).toMatchObject({ ok: true, tokenType: 'Bearer' });
    },
  );

  test.each([['DPoP'], ['mac'], ['N_A'], [''], [1], [{}]])('refuses the token_type %j', (tokenType) => {
    const failure = failureOf(read(200, { ...GOOD, token_type: tokenType }));
    expect(failure).toMatchObject({ kind: 'tenant', code: 'response token_type not Bearer' });
  });

  test.each<[string, unknown, string]>([
    ['missing', undefined, 'response without access_token'],
    ['empty', '', 'response without access_token'],
    ['a number', 42, 'response without access_token'],
    ['an object', {}, 'response without access_token'],
    ['in need of a second line', 'abc\r\nx-injected: 1', 'response access_token unusable'],
    ['written with a space', 'abc def', 'response access_token unusable'],
    ['not ASCII', 'tökén', 'response access_token unusable'],
  ])('refuses an access_token that is %s', (_what, value, code) => {
    expect(failureOf(read(200, { ...GOOD, access_token: value }))).toMatchObject({
      code,
      answeredBy: 'server',
    });
  });

  test.each<[string, string, string]>([
    ['an empty body', '', 'response empty'],
    ['white space', ' \r\n', 'response empty'],
    ['truncated JSON', JSON.stringify(GOOD).slice(0, -5), 'response not JSON'],
    ['HTML', '<html><body>Sign in</body></html>', 'response not JSON'],
    ['a list', `[${JSON.stringify(GOOD)}]`, 'response not JSON'],
    ['null', 'null', 'response not JSON'],
    ['a string', '"token"', 'response not JSON'],
    ['a number', '1', 'response not JSON'],
    ['an object of something else', '{"status":"up"}', 'response without access_token'],
  ])('refuses %s, which no OAuth server wrote', (_what, body, code) => {
    expect(failureOf(read(200, body))).toMatchObject({
      kind: 'transient',
      code,
      answeredBy: 'host',
      status: 200,
    });
  });

  test.each([['application/json; charset=utf-8'], ['Application/JSON'], ['application/vnd.x+json']])(
    'takes the content type %s',
    (type) => expect(read(200, GOOD, { 'content-type': type }).ok).toBe(true),
  );

  it('takes an answer without a content type, which proves nothing', () => {
    expect(read(200, GOOD, {}).ok).toBe(true);
  });

  test.each([['text/html'], ['text/plain; charset=utf-8'], ['application/jwt'], ['']])(
    'refuses the content type %j even with a token in it',
    (type) => {
      const failure = failureOf(read(200, GOOD, { 'content-type': type }));
      expect(failure.code).toBe('response content type not JSON');
    },
  );

  test.each([[201], [202], [204], [206]])('refuses a token with the status %i', (status) => {
    expect(failureOf(read(status, GOOD))).toMatchObject({ kind: 'transient', code: `HTTP ${status}` });
  });
});

describe('an error response', () => {
  it('gives the code of Entra and the ids that its support wants', () => {
    const failure = failureOf(
      read(401, {
        error: 'invalid_client',
        error_description: 'AADSTS7000215: Invalid client secret provided.',
        error_codes: [7000215],
        trace_id: GUID,
        correlation_id: GUID.toUpperCase(),
      }),
    );
    expect(failure).toEqual({
      kind: 'credential',
      code: 'AADSTS7000215',
      answeredBy: 'server',
      status: 401,
      retryAfterMs: undefined,
      loopDetected: false,
      correlationId: GUID,
      traceId: GUID,
    });
  });

  it('is not decided by the description', () => {
    const failure = failureOf(
      read(400, { error: 'invalid_request', error_description: 'AADSTS7000215: no' }),
    );
    expect(failure.code).toBe('invalid_request');
  });

  it('is an error with the status 200 as well', () => {
    const failure = failureOf(read(200, { error: 'invalid_scope' }));
    expect(failure).toMatchObject({ kind: 'configuration', code: 'invalid_scope', answeredBy: 'server' });
  });

  test.each<[string, number, string, string, string]>([
    ['an HTML page', 502, '<html>Bad gateway</html>', 'transient', 'HTTP 502'],
    ['nothing', 503, '', 'transient', 'HTTP 503'],
    ['JSON of something else', 404, '{"message":"no route"}', 'tenant', 'HTTP 404'],
    ['an error that is no text', 400, '{"error":{"code":1}}', 'tenant', 'HTTP 400'],
    ['a redirect', 302, '', 'transient', 'HTTP 302'],
  ])('without an OAuth body comes from the host: %s', (_what, status, body, kind, code) => {
    expect(failureOf(read(status, body, { 'content-type': 'text/html' }))).toMatchObject({
      kind,
      code,
      answeredBy: 'host',
    });
  });

  it('may be a 429 in plain text', () => {
    const failure = failureOf(
      read(429, 'Too Many Requests', { 'content-type': 'text/plain', 'retry-after': '60' }),
    );
    expect(failure).toMatchObject({
      kind: 'throttled',
      code: 'HTTP 429',
      answeredBy: 'host',
      retryAfterMs: 60_000,
    });
  });

  it('concerns client and tenant when a 429 has an OAuth body', () => {
    const failure = failureOf(read(429, { error: 'temporarily_unavailable', error_codes: [50196] }));
    expect(failure).toMatchObject({ answeredBy: 'server', loopDetected: true, retryAfterMs: undefined });
  });

  test.each<[string, Headers, number | undefined]>([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['a date', { 'retry-after': 'Sun, 22 Nov 2026 12:00:30 GMT' }, 30_000],
    [
      'a date, by the clock of the server',
      { date: 'Sun, 22 Nov 2026 13:00:00 GMT', 'retry-after': 'Sun, 22 Nov 2026 13:00:30 GMT' },
      30_000,
    ],
    [
      'a date with a Date that is none',
      { date: 'x', 'retry-after': 'Sun, 22 Nov 2026 12:00:30 GMT' },
      30_000,
    ],
    ['an absurd number', { 'retry-after': '86400000' }, 3_600_000],
    ['a date in the past', { 'retry-after': 'Sun, 22 Nov 2026 11:00:30 GMT' }, 1000],
    ['two headers', { 'retry-after': ['5', '9'] }, 5000],
    ['nonsense', { 'retry-after': 'later' }, undefined],
  ])('says how long to wait in %s', (_what, headers, expected) => {
    for (const status of [429, 503, 400, 200])
      expect(failureOf(read(status, '', headers)).retryAfterMs).toBe(expected);
  });

  it('gives ids from the headers where the body has none', () => {
    const failure = failureOf(read(429, '', { 'x-ms-request-id': GUID, 'client-request-id': GUID }));
    expect(failure).toMatchObject({ traceId: GUID, correlationId: GUID });
  });

  test.each([['not-a-guid'], [`${GUID}x`], [`{${GUID}}`], [42], [null], [[GUID]]])(
    'gives no id for %j',
    (id) => {
      const failure = failureOf(read(400, { error: 'x', trace_id: id, correlation_id: id }));
      expect(failure).toMatchObject({ traceId: undefined, correlationId: undefined });
    },
  );
});

describe('any response', () => {
  const sentinel = 'SENTINEL-s3cret';
  const text = fc.oneof(fc.string(), fc.constant(sentinel));
  const member = fc.oneof(
    text,
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.oneof(text, fc.integer()), { maxLength: 3 }),
  );
  const names = [
    'access_token',
    'token_type',
    'expires_in',
    'error',
    'error_codes',
    'error_description',
    'trace_id',
    'correlation_id',
  ];
  const record = fc.dictionary(fc.constantFrom(...names), member).map((value) => JSON.stringify(value));
  const truncated = fc.tuple(record, fc.nat()).map(([json, at]) => json.slice(0, at % (json.length + 1)));
  const headers = fc.dictionary(
    fc.constantFrom('content-type', 'retry-after', 'date', 'client-request-id', 'x-ms-request-id'),
    text,
  );

  it('gives a usable token or a failure with nothing of the server in it', () => {
    const answers = fc.tuple(
      fc.integer({ min: 200, max: 599 }),
      fc.oneof(record, truncated, fc.json(), text),
      headers,
    );
    fc.assert(
      fc.property(answers, ([status, body, head]) => {
        const outcome = readTokenResponse(
          { status: status < 300 ? 200 : status, headers: head, body: new Secret(body) },
          NOW,
        );
        expect(inspect(outcome, { depth: 9, showHidden: true }) + JSON.stringify(outcome)).not.toContain(
          sentinel,
        );
        if (outcome.ok) {
          expect(outcome.expiresInSeconds).toSatisfy(
            (s) => Number.isInteger(s) && s >= 1 && s <= MAX_EXPIRES_IN_SECONDS,
          );
          expect(outcome.accessToken.reveal()).toMatch(/^[\x21-\x7e]+$/);
        } else {
          const { code, retryAfterMs = 1000 } = outcome.failure;
          expect(code).toMatch(/^(AADSTS\d+|HTTP \d{3}|[a-z]+(_[a-z]+)+|response [A-Za-z_ ]+)$/);
          expect(retryAfterMs >= 1000 && retryAfterMs <= 3_600_000).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
