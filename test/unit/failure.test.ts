import { describe, expect, it, test } from 'vitest';
import { AADSTS, OAUTH_ERRORS, PROBLEMS, type Problem } from '../../src/core/codes.ts';
import { advice, classify, type Evidence } from '../../src/core/failure.ts';
import { parseRetryAfterMs } from '../../src/core/retry-after.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

const server = (status: number, error?: string, ...errorCodes: number[]): Evidence => ({
  answeredBy: 'server',
  status,
  error,
  errorCodes,
});

describe('classify', () => {
  test.each<[what: string, evidence: Evidence, kind: string, code: string]>([
    ['a wrong secret at Entra', server(401, 'invalid_client', 7000215), 'credential', 'AADSTS7000215'],
    ['an expired secret at Entra', server(401, 'invalid_client', 7000222), 'credential', 'AADSTS7000222'],
    ['an application that is absent', server(400, 'unauthorized_client', 700016), 'tenant', 'AADSTS700016'],
    ['an unknown tenant', server(400, 'invalid_request', 90002), 'configuration', 'AADSTS90002'],
    ['a bad scope at Entra', server(400, 'invalid_scope', 70011), 'configuration', 'AADSTS70011'],
    ['a missing resource', server(400, 'invalid_client', 650052), 'tenant', 'AADSTS650052'],
    ['a loop', server(400, 'invalid_grant', 50196), 'throttled', 'AADSTS50196'],
    ['a loop, as a 429', server(429, 'invalid_request', 50196), 'throttled', 'AADSTS50196'],
    ['a known number behind an unknown one', server(400, undefined, 123, 90033), 'transient', 'AADSTS90033'],
    ['a known number in a 500', server(500, undefined, 90036), 'tenant', 'AADSTS90036'],
    ['an unknown number with invalid_client', server(401, 'invalid_client', 12345), 'tenant', 'AADSTS12345'],
    ['an unknown number in a 503', server(503, 'x', 12345), 'transient', 'AADSTS12345'],
    [
      'an unknown number that is to be tried again',
      server(400, 'server_error', 12345),
      'transient',
      'AADSTS12345',
    ],
    ['a number that is none', server(400, 'x', 1.5, -1, Number.NaN, 1e12), 'tenant', 'HTTP 400'],
    ['a wrong client elsewhere', server(401, 'invalid_client'), 'credential', 'invalid_client'],
    ['a wrong secret at Keycloak', server(401, 'unauthorized_client'), 'credential', 'unauthorized_client'],
    ['a grant that is not allowed', server(403, 'unauthorized_client'), 'tenant', 'unauthorized_client'],
    ['a bad scope elsewhere', server(400, 'invalid_scope'), 'configuration', 'invalid_scope'],
    [
      'temporarily_unavailable',
      server(400, 'temporarily_unavailable'),
      'transient',
      'temporarily_unavailable',
    ],
    ['a policy that wants a person', server(400, 'interaction_required'), 'tenant', 'interaction_required'],
    ['invalid_client in a 500', server(500, 'invalid_client'), 'transient', 'HTTP 500'],
    ['an error that nobody knows', server(400, 'sup3r-s3cret'), 'tenant', 'HTTP 400'],
    ['an error named like a property', server(400, 'constructor'), 'tenant', 'HTTP 400'],
    ['404', { answeredBy: 'host', status: 404 }, 'tenant', 'HTTP 404'],
    ['408', { answeredBy: 'host', status: 408 }, 'transient', 'HTTP 408'],
    ['429', { answeredBy: 'host', status: 429 }, 'throttled', 'HTTP 429'],
    ['429 with a code about something else', server(429, 'invalid_client', 7000215), 'throttled', 'HTTP 429'],
    ['502', { answeredBy: 'host', status: 502 }, 'transient', 'HTTP 502'],
    ['a redirect', { answeredBy: 'host', status: 302 }, 'transient', 'HTTP 302'],
    ['an error with 200', server(200, 'whatever'), 'transient', 'HTTP 200'],
    ['a time-out', { answeredBy: 'nobody', problem: 'timeout' }, 'transient', 'timeout'],
    [
      'a refused connection',
      { answeredBy: 'nobody', networkCode: 'ECONNREFUSED' },
      'transient',
      'network ECONNREFUSED',
    ],
    [
      'a network code with text in it',
      { answeredBy: 'nobody', networkCode: 'oh: s3cret' },
      'transient',
      'network failure',
    ],
    [
      'a client certificate that is not accepted',
      { answeredBy: 'nobody', networkCode: 'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED' },
      'credential',
      'network ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED',
    ],
    [
      'a client certificate that is missing',
      { answeredBy: 'nobody', networkCode: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' },
      'credential',
      'network ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    ],
    [
      "a server's certificate that is not trusted",
      { answeredBy: 'nobody', networkCode: 'CERT_HAS_EXPIRED' },
      'transient',
      'network CERT_HAS_EXPIRED',
    ],
    ['nothing at all', { answeredBy: 'nobody' }, 'transient', 'HTTP 0'],
  ])('takes %s for what it is', (_what, evidence, kind, code) => {
    expect(classify(evidence)).toMatchObject({ kind, code, answeredBy: evidence.answeredBy });
  });

  it('says when only the identical request is to wait', () => {
    expect(classify(server(429, undefined, 50196)).loopDetected).toBe(true);
    expect(classify(server(429, undefined, 90055)).loopDetected).toBe(false);
    expect(classify({ answeredBy: 'host', status: 429 }).loopDetected).toBe(false);
  });
});

describe("Entra's codes", () => {
  // Each line of the published list: who can mend it, and so how it is tried again.
  test.each<[kind: string, owner: string, codes: number[]]>([
    ['credential', 'operator', [7000215, 7000222]],
    ['credential', 'operator', [700027, 7000274, 7000214, 7000277, 1000502]],
    ['transient', 'operator', [700024]],
    ['configuration', 'operator', [7000218, 700025]],
    ['tenant', "tenant's admin", [700016, 700011, 7000112, 70001]],
    ['configuration', 'operator', [90002, 90038, 900382]],
    ['tenant', "tenant's admin", [5000224]],
    ['tenant', "tenant's admin", [500011, 50001, 650052]],
    ['configuration', 'us', [70011, 1002012, 700022, 28002]],
    ['tenant', "tenant's admin", [65001, 90094, 650056, 650057]],
    ['tenant', "tenant's admin", [53003, 530032]],
    ['credential', 'operator', [70021, 700211, 700213, 7002138]],
    ['throttled', 'us', [50196]],
    ['throttled', 'server', [90055]],
    ['transient', 'server', [90033, 90024, 90006, 90012, 50033, 90090]],
    ['tenant', 'server', [90036]],
  ])('are %s, for %s: %j', (kind, owner, codes) => {
    for (const code of codes) {
      const failure = classify(server(400, 'invalid_request', code));
      expect(failure).toMatchObject({ kind, code: `AADSTS${code}` });
      expect(advice(failure).owner).toBe(owner);
    }
    expect(codes.every((code) => AADSTS.has(code))).toBe(true);
  });
});

describe('advice', () => {
  it('is there for every code, and of its own', () => {
    const entries = [...AADSTS.values(), ...OAUTH_ERRORS.values(), ...Object.values(PROBLEMS)];
    for (const { what, todo } of entries) {
      expect(what).toMatch(/^[A-Za-z].{10,}[^.]$/);
      expect(todo).toMatch(/^[a-z].{9,}[^.]$/);
    }
    for (const code of Object.keys(PROBLEMS) as Problem[])
      expect(advice({ kind: 'transient', code }).what).toBe(PROBLEMS[code].what);
  });

  test.each([
    ['AADSTS7000215', 'credential', 'operator', 'secret'],
    ['AADSTS65001', 'tenant', "tenant's admin", 'consent'],
    ['AADSTS70011', 'configuration', 'us', 'scope'],
    ['AADSTS90033', 'transient', 'server', 'passing'],
    ['AADSTS12345', 'tenant', "tenant's admin", 'refuses'],
    ['invalid_client', 'credential', 'operator', 'credential'],
    ['HTTP 429', 'throttled', 'server', 'too many'],
    ['HTTP 503', 'transient', 'server', '503'],
    ['HTTP 404', 'tenant', 'operator', '404'],
    ['HTTP 302', 'transient', 'operator', 'redirects'],
    ['timeout', 'transient', 'server', 'in time'],
    ['response empty', 'transient', 'server', 'nothing in it'],
    ['network ENOTFOUND', 'transient', 'operator', 'resolve'],
    ['network CERT_HAS_EXPIRED', 'transient', 'operator', 'certificate'],
    ['network ECONNREFUSED', 'transient', 'operator', 'connection'],
    ['network ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'credential', 'operator', 'certificate of this client'],
    ['proxy authentication required', 'transient', 'operator', 'proxy'],
    ['a code of a later version', 'credential', 'operator', 'credential'],
    ['toString', 'transient', 'server', 'passing'],
  ] as const)('for %s (%s) names the %s and what is wrong', (code, kind, owner, what) => {
    const given = advice({ kind, code });
    expect(given.owner).toBe(owner);
    expect(given.what).toContain(what);
    expect(given.todo).not.toBe('');
    expect(Object.keys(given).sort()).toEqual(['owner', 'todo', 'what']);
  });
});

describe('parseRetryAfterMs', () => {
  test.each<[string, number | undefined]>([
    ['60', 60_000],
    [' 60 ', 60_000],
    ['1.5', 1500],
    ['0', 1000],
    ['-30', 1000],
    ['3600', 3_600_000],
    ['3601', 3_600_000],
    ['999999999999999999999999999', 3_600_000],
    ['Sun, 22 Nov 2026 12:01:30 GMT', 90_000],
    ['Sunday, 22-Nov-26 12:01:30 GMT', 90_000],
    ['Sun Nov 22 12:01:30 2026', 90_000],
    ['Sun, 22 Nov 2026 11:00:00 GMT', 1000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 1000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 3_600_000],
    ['Sun, 99 Nov 2026 12:01:30 GMT', undefined],
    ['', undefined],
    ['soon', undefined],
    ['60 seconds', undefined],
    ['1e9', undefined],
    ['0x10', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['2026-11-22T12:01:30Z', undefined],
  ])('reads %j as %s ms', (value, expected) => {
    expect(parseRetryAfterMs(value, NOW)).toBe(expected);
  });
});
