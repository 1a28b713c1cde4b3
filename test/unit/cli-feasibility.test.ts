import { describe, expect, test } from 'vitest';
import { renderClientPlans, renderHostPlan } from '../../src/cli/feasibility.ts';
import { type ClientLoad, type HostPlan, planHost } from '../../src/core/feasibility.ts';

const HOUR_MS = 3_600_000;

function planOf(limitPerSecond: number, changes: Partial<ClientLoad> = {}): HostPlan {
  const load: ClientLoad = {
    client: 'billing',
    tenants: 10_000,
    resources: 2,
    life: { shortestMs: HOUR_MS, meanMs: HOUR_MS, longestMs: HOUR_MS },
    isSeen: false,
    outageTargetMs: 25 * 60_000,
    latestShare: 0.75,
    identical: { count: 5, windowMs: 300_000 },
    perTenant: { count: 5, windowMs: 1000 },
    ...changes,
  };
  return planHost({ host: 'idp.example', limitPerSecond, clients: [load] });
}

describe('the arithmetic of a host', () => {
  test('has all that is added up and compared', () => {
    expect(renderHostPlan(planOf(30)).split('\n')).toEqual([
      'idp.example, 20000 targets',
      '  asked for      12/s, of 24/s that plans may use (80 % of limits.perHost, 30/s)',
      '  without tokens 25m 30s = outage 25m + request time-out 10s + probe 15s + slow start 5s',
      '  then behind    17873 targets, caught up within 11m 7s at 30/s',
      '  late           none: until each has its turn, its token lives',
    ]);
  });

  test('says where no outage is held', () => {
    expect(renderHostPlan(planOf(9, { tenants: 10_000 })).split('\n')).toEqual([
      'idp.example, 20000 targets',
      '  asked for      9.3/s, of 7.2/s that plans may use (80 % of limits.perHost, 9/s)',
      '  outage         none is held by all clients',
    ]);
  });
});

test('the clients are listed with their lives, their windows and what they hold', () => {
  const seen = { shortestMs: HOUR_MS, meanMs: 1.25 * HOUR_MS, longestMs: 1.5 * HOUR_MS };
  const table = renderClientPlans([planOf(30), planOf(14), planOf(30, { life: seen, isSeen: true })], false);
  expect(table.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    [...['CLIENT', 'HOST', 'TENANTS', 'RESOURCES', 'TARGETS'], ...['LIFETIME', 'REFRESHED AFTER', 'OUTAGE']],
    [
      ...['billing', 'idp.example', '10000', '2', '20000'],
      ...['1h (expected)', '20m 42s to 34m 30s', 'holds 25 of 25 min'],
    ],
    [
      ...['billing', 'idp.example', '10000', '2', '20000'],
      ...['1h (expected)', '22m 19s to 37m 12s', 'holds 22 of 25 min'],
    ],
    [
      ...['billing', 'idp.example', '10000', '2', '20000'],
      ...['1h to 1h 30m, 1h 15m on average (seen)', '29m 42s to 49m 30s', 'holds 25 of 25 min'],
    ],
  ]);
});
