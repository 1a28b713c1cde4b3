import { describe, expect, it, test } from 'vitest';
import type { Client, Target } from '../../src/core/client.ts';
import { classify, type Evidence } from '../../src/core/failure.ts';
import { type Gate, OPEN_GATE, reduceGate } from '../../src/core/gate.ts';
import { type GatesAbove, gateReports } from '../../src/core/gate-reports.ts';

const SENT = Date.UTC(2026, 10, 22, 12);

const client = { name: 'billing' } as Client;
const target = (tenant: string, resource = 'graph'): Target => ({
  id: `billing/${tenant}/${resource}`,
  client,
  tenant,
  resource: { name: resource, params: {}, claims: undefined, expectAudience: undefined },
  tokenUrl: 'https://idp.example/token',
  host: 'idp.example:443',
  tenantScope: `billing/${tenant}`,
  fingerprint: 'AbCdEf01',
  outageTargetMs: 1_200_000,
  identical: { count: 5, windowMs: 300_000 },
});
const PROBING: Gate = { ...OPEN_GATE, probing: true, closures: 1 };
const LOWERED: Gate = { ...OPEN_GATE, pace: { rate: 3, rateAt: SENT - 9, refused: 4, untested: true } };
const LIMITS = { perHost: 50, perTenant: 5 };

const above = (host: Gate, tenant = OPEN_GATE): GatesAbove => ({ host, tenant, ...LIMITS });

/** Each report in short: about whom, what, and how far. */
function reports(
  evidence: Evidence | undefined,
  gate = OPEN_GATE,
  of = target('contoso'),
  tenantGate = OPEN_GATE,
): string[] {
  const failure = evidence === undefined ? undefined : classify(evidence);
  return gateReports(of, above(gate, tenantGate), failure, SENT).map(({ scope, event }) => {
    expect(event.startedAt).toBe(SENT);
    expect(event.ceiling).toBe('host' in scope ? LIMITS.perHost : LIMITS.perTenant);
    const about = 'host' in scope ? 'host' : scope.tenantScope;
    if (event.kind === 'answered') return `${about}: answered${event.issued ? '' : ' without a token'}`;
    const whole = event.kind === 'throttled' && event.wholeScope ? ' whole' : '';
    const said = event.kind === 'unreachable' && event.isAnswered ? ', who answers' : '';
    return `${about}: ${event.kind}${whole} by ${event.tenant}${said}`;
  });
}

const oauth = (status: number, error: string, changes: Partial<Evidence> = {}): Evidence => ({
  answeredBy: 'server',
  status,
  error,
  ...changes,
});
const proxy = (status: number, changes: Partial<Evidence> = {}): Evidence => ({
  answeredBy: 'host',
  status,
  ...changes,
});
const AFTER = { retryAfterMs: 5000 };
const TENANT_THROTTLED = ['billing/contoso: throttled whole by contoso', 'host: throttled by contoso'];
const HOST_THROTTLED = ['host: throttled whole by contoso'];
const HOST_DOWN = ['host: unreachable by contoso'];
const HOST_SAYS_SO = ['host: unreachable by contoso, who answers'];

describe('what a request tells about the scopes above its target', () => {
  test.each<[what: string, evidence: Evidence | undefined, reports: string[]]>([
    ['a token', undefined, []],
    ['a refused credential', oauth(401, 'invalid_client'), []],
    ['an OAuth answer with 500', oauth(500, 'server_error'), HOST_SAYS_SO],
    ['an OAuth answer with 503', oauth(503, 'temporarily_unavailable'), HOST_SAYS_SO],
    [
      'a token that is no use',
      oauth(200, '', { error: undefined, problem: 'response without expires_in' }),
      [],
    ],
    ['a 429 with an OAuth body', oauth(429, 'slow_down'), TENANT_THROTTLED],
    ['Retry-After with an OAuth body', oauth(503, 'temporarily_unavailable', AFTER), TENANT_THROTTLED],
    ['a detected loop', oauth(400, 'invalid_grant', { errorCodes: [50196] }), []],
    ['a detected loop as a 429', oauth(429, 'invalid_grant', { errorCodes: [50196], ...AFTER }), []],
    ['a 429 without an OAuth body', proxy(429), HOST_THROTTLED],
    ['a 429 without an OAuth body, with Retry-After', proxy(429, AFTER), HOST_THROTTLED],
    ['a 503 of a proxy with Retry-After', proxy(503, AFTER), HOST_THROTTLED],
    ['a 503 of a proxy', proxy(503), HOST_SAYS_SO],
    ['a 502 of a proxy', proxy(502), HOST_SAYS_SO],
    ['a 404 of a proxy', proxy(404), []],
    ['a redirect', proxy(302), []],
    ['an odd body of a 200', proxy(200, { problem: 'response not JSON' }), []],
    ['a 408 of a proxy', proxy(408), HOST_SAYS_SO],
    ['a time-out', { answeredBy: 'nobody', problem: 'timeout' }, HOST_DOWN],
    ['a request that evertoken gave up', { answeredBy: 'nobody', problem: 'aborted' }, []],
    ['a refused connection', { answeredBy: 'nobody', networkCode: 'ECONNREFUSED' }, HOST_DOWN],
    ['a name that does not resolve', { answeredBy: 'nobody', networkCode: 'ENOTFOUND' }, HOST_DOWN],
  ])('%s', (_what, evidence, expected) => {
    expect(reports(evidence)).toEqual(expected);
  });

  test.each<[what: string, evidence: Evidence | undefined, first: string | undefined]>([
    ['a token', undefined, 'host: answered'],
    ['a refusal', oauth(400, 'invalid_scope'), 'host: answered without a token'],
    ['an OAuth answer with 500', oauth(500, 'server_error'), HOST_SAYS_SO[0]],
    [
      'a token that is no use',
      oauth(200, '', { error: undefined, problem: 'response without expires_in' }),
      'host: answered without a token',
    ],
    ['a throttled tenant', oauth(429, 'slow_down'), 'host: answered without a token'],
    ['a detected loop', oauth(400, 'x', { errorCodes: [50196] }), 'host: answered without a token'],
    ['a 404 of a proxy', proxy(404), undefined],
    ['a 503 of a proxy', proxy(503), HOST_SAYS_SO[0]],
    ['a 429 of a proxy', proxy(429), HOST_THROTTLED[0]],
  ])('of a host that is probed, %s', (_what, evidence, first) => {
    expect(reports(evidence, PROBING)[0]).toBe(first);
  });

  it('of a token, at a rate that was lowered and not tried since, is told to host and tenant alike', () => {
    expect(reports(undefined, LOWERED)).toEqual(['host: answered']);
    expect(reports(undefined, OPEN_GATE, target('contoso'), LOWERED)).toEqual(['billing/contoso: answered']);
    expect(reports(undefined, LOWERED, target('contoso'), LOWERED)).toHaveLength(2);
    expect(reports(oauth(400, 'invalid_scope'), LOWERED, target('contoso'), LOWERED)).toEqual([]);
  });

  it('names the target where the endpoint has no tenants, so that one of them never speaks for all', () => {
    const alone = target('-');
    expect(reports({ answeredBy: 'nobody', problem: 'timeout' }, OPEN_GATE, alone)).toEqual([
      'host: unreachable by billing/-/graph',
    ]);
  });
});

describe('tenants of one host that are throttled with OAuth bodies', () => {
  /** Each request reads the gate, and then tells what it has seen. */
  function told(...tenants: string[]): Gate {
    const throttling = classify(oauth(429, 'slow_down', AFTER));
    return tenants.reduce((gate, tenant, i) => {
      const sentAt = SENT + i * 100;
      const about = gateReports(target(tenant, `resource-${i}`), above(gate), throttling, sentAt);
      return about
        .filter(({ scope }) => 'host' in scope)
        .reduce((before, { event }) => reduceGate(before, event, sentAt + 20), gate);
    }, OPEN_GATE);
  }

  it('close the host when they are two, though each of them proves it alive', () => {
    expect(told('contoso', 'fabrikam').closedUntil).toBe(SENT + 100 + 20 + 5000);
  });

  it('leave the host open when they are one', () => {
    expect(told('contoso', 'contoso', 'contoso').closedUntil).toBe(0);
  });

  it('leave the host open when they are resources of one client, where the endpoint has no tenants', () => {
    expect(told('-', '-').closedUntil).toBe(0);
  });
});
