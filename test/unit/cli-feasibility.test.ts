import { describe, expect, test } from 'vitest';
import { demandOf, demandOfHosts, problemsOf, rateText } from '../../src/cli/feasibility.ts';
import type { Client } from '../../src/core/client.ts';

const HOUR_MS = 3_600_000;

function client(changes: Partial<Client> = {}): Client {
  return {
    name: 'billing',
    clientId: 'id',
    endpoint: { tokenEndpoint: 'https://idp.example/{tenant}/token' },
    grant: { kind: 'client_credentials' },
    credentials: [],
    ca: undefined,
    tenants: Array.from({ length: 100 }, (_, i) => `t${i}`),
    resources: [
      { name: 'graph', params: {}, claims: undefined, expectAudience: undefined },
      { name: 'mail', params: {}, claims: undefined, expectAudience: undefined },
    ],
    limits: {
      perHost: { count: 50, windowMs: 1000 },
      perTenant: { count: 5, windowMs: 1000 },
      identical: { count: 5, windowMs: 300_000 },
    },
    outageTargetMs: 20 * 60_000,
    latestShare: 0.75,
    expectLifetimeMs: HOUR_MS,
    assumeLifetimeMs: undefined,
    ...changes,
  };
}

function problems(...clients: Client[]): string[] {
  const demands = clients.map((one) => demandOf(one, 'idp.example'));
  const [first] = clients;
  const limits = new Map([['idp.example', { perHost: first?.limits.perHost ?? { count: 1, windowMs: 1 } }]]);
  return problemsOf(demands, demandOfHosts(demands, limits));
}

test('each target is refreshed once in the mean point of its window', () => {
  const { targets, requestsPerSecond, window } = demandOf(client(), 'idp.example');
  expect(targets).toBe(200);
  expect(requestsPerSecond).toBeCloseTo(200 / (3600 * ((window.earliest + window.latest) / 2)), 6);
});

describe('it is a problem', () => {
  test('when a host is asked for more than four fifths of its rate', () => {
    const tenants = Array.from({ length: 40_000 }, (_, i) => `t${i}`);
    expect(problems(client({ tenants }))).toEqual([
      expect.stringMatching(
        /^idp\.example is asked for [\d.]+\/s, which is more than 80 % of limits\.perHost \(50\/s\)/,
      ),
    ]);
  });

  test('when clients that share a host ask for too much together', () => {
    const tenants = Array.from({ length: 25_000 }, (_, i) => `t${i}`);
    expect(problems(client({ tenants }))).toEqual([]);
    expect(problems(client({ tenants }), client({ name: 'other', tenants }))).toHaveLength(1);
  });

  test('when one tenant is asked too often', () => {
    const limits = { ...client().limits, perTenant: { count: 1, windowMs: HOUR_MS } };
    expect(problems(client({ limits }))).toEqual([
      expect.stringMatching(/^client billing asks for .* in each tenant, .*limits\.perTenant/),
    ]);
  });

  test('and none when there is room', () => {
    expect(problems(client())).toEqual([]);
  });
});

test('an outage is survived as long as a token lives on after the end of its window', () => {
  const { survivesMs, outageTargetMs } = demandOf(client(), 'idp.example');
  expect(survivesMs).toBeGreaterThanOrEqual(outageTargetMs);
  expect(demandOf(client({ expectLifetimeMs: 60_000 }), 'idp.example').survivesMs).toBeLessThan(60_000);
});

test.each([
  [0.123456, '0.12/s'],
  [50, '50/s'],
  [1234.5, '1230/s'],
])('the rate %d is written %s', (rate, text) => {
  expect(rateText(rate)).toBe(text);
});
