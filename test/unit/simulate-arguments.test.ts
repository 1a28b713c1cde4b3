import { describe, expect, test } from 'vitest';
import { commandLine } from '../support/cli.ts';
import { scenarioFrom } from '../support/simulation.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('a scenario', () => {
  test('without options is a fleet of 20,000 in its steady state', () => {
    expect(scenarioFrom('')).toEqual({
      seed: 1,
      forMs: 8 * HOUR_MS,
      start: 'warm',
      issuedWithinMs: undefined,
      clients: 1,
      tenants: 2000,
      lifetimes: [{ minMs: HOUR_MS, maxMs: HOUR_MS, targets: 20_000 }],
      failingTenants: 0,
      troubledTenants: 0,
      idpPerSecond: 30,
      retryAfterMs: 10_000,
      latencyMs: 100,
      outages: [],
      tenantThrottle: undefined,
      daemons: 2,
      crashes: [],
      perHost: 30,
      perTenant: 5,
      identical: { count: 5, windowMs: 5 * MINUTE_MS },
      outageTargetMs: 20 * MINUTE_MS,
      latestShare: 0.75,
    });
  });

  test('takes our limit from the server, and the outage target from the longest outage', () => {
    const outages = '--outage 10m@2h:hangs --outage 25m@1h';
    expect(scenarioFrom(`--idp-rate 12 ${outages}`)).toMatchObject({
      idpPerSecond: 12,
      perHost: 12,
      outageTargetMs: 25 * MINUTE_MS,
      outages: [
        { fromMs: HOUR_MS, lengthMs: 25 * MINUTE_MS, kind: 'refuses' },
        { fromMs: 2 * HOUR_MS, lengthMs: 10 * MINUTE_MS, kind: 'hangs' },
      ],
    });
    const own = scenarioFrom(`--idp-rate 12 --limit 30 --outage-target 5m ${outages}`);
    expect(own).toMatchObject({ idpPerSecond: 12, perHost: 30, outageTargetMs: 5 * MINUTE_MS });
  });

  test.each([
    ['--lifetime 60m..90m --targets 5', [{ minMs: HOUR_MS, maxMs: 1.5 * HOUR_MS, targets: 5 }]],
    [
      '--lifetime 5m:2000,24h:18000',
      [
        { minMs: 5 * MINUTE_MS, maxMs: 5 * MINUTE_MS, targets: 2000 },
        { minMs: 24 * HOUR_MS, maxMs: 24 * HOUR_MS, targets: 18_000 },
      ],
    ],
    ['--lifetime 5m..6m:7', [{ minMs: 5 * MINUTE_MS, maxMs: 6 * MINUTE_MS, targets: 7 }]],
  ])('reads %s', (line, lifetimes) => {
    expect(scenarioFrom(line).lifetimes).toEqual(lifetimes);
  });

  test.each([
    ['2h', { daemon: 1, atMs: 2 * HOUR_MS, downMs: 30_000 }],
    ['2@0', { daemon: 2, atMs: 0, downMs: 30_000 }],
    ['2@1h+5m', { daemon: 2, atMs: HOUR_MS, downMs: 5 * MINUTE_MS }],
  ])('reads --crash %s', (text, crash) => {
    expect(scenarioFrom(`--crash ${text}`).crashes).toEqual([crash]);
  });

  test.each([
    ['30', 30],
    ['0.5', 0.5],
    ['30/s', 30],
    ['300/1m', 5],
  ])('reads --idp-rate %s', (text, perSecond) => {
    expect(scenarioFrom(`--idp-rate ${text}`).idpPerSecond).toBe(perSecond);
  });

  test('has a server that does not say how long to wait', () => {
    expect(scenarioFrom('--retry-after none').retryAfterMs).toBeUndefined();
    expect(scenarioFrom('--retry-after 60s').retryAfterMs).toBe(60_000);
  });
});

describe('what cannot be is refused:', () => {
  test.each<[string, RegExp]>([
    ['--targets 0', /whole number from 1 to 500000, but got "0"/],
    ['--targets 1.5', /whole number/],
    ['--targets 500001', /whole number/],
    ['--lifetime 1', /expected a lifetime from 10s to 31d/],
    ['--lifetime 5s', /expected a lifetime from 10s to 31d/],
    ['--lifetime 90m..60m', /expected a lifetime/],
    ['--lifetime 1500ms', /expected a lifetime/],
    ['--lifetime 5m,24h', /how many targets have each lifetime/],
    [
      '--lifetime 5m:2000,24h:18000 --targets 10',
      /--targets and the numbers in --lifetime to agree.*10 and 20000/,
    ],
    ['--lifetime 5m:500000,24h:1', /at most 500000 targets, but got 500001: lower the numbers in --lifetime/],
    ['--idp-rate 0', /requests a second from 0.001 to 10000, such as 30, but got "0"/],
    ['--idp-rate -3', /requests a second/],
    ['--limit 0', /requests a second/],
    ['--outage 25m', /an outage as length@start, such as 25m@2h/],
    ['--outage 25m@2h:sulks', /:refuses or :hangs or :unavailable/],
    ['--outage 25m@9h', /everything to begin before the run ends, but got 9h: raise --for \(8h\)/],
    ['--crash 9h', /everything to begin before the run ends/],
    ['--crash 3@1h', /one of the 2 daemons, but got 3: raise --daemons/],
    ['--crash 1@', /when a daemon is killed/],
    ['--for 0s', /a duration from 1s to 31d/],
    ['--for 32d', /a duration from 1s to 31d/],
    ['--seed x', /whole number from 0/],
    ['--start hot', /expected warm or cold/],
    ['--start cold --issued-within 1m', /--issued-within with a warm start only/],
    ['--issued-within 1h', /shorter than the shortest life \(1h\)/],
    ['--tenants 30000', /at least one target for each tenant of each client.*20000 targets for 1 × 30000/],
    [
      '--tenants 5 --failing-tenants 6',
      /--failing-tenants and --troubled-tenants to be at most --tenants \(5\), but got 6 and 0/,
    ],
    ['--retry-after 2h', /a Retry-After from 1s to 1h, or none/],
    ['--retry-after-tenant 2h@1h', /a Retry-After from 1s to 1h, and when it is given/],
    ['--latency 2m', /a duration of at most 60s/],
    ['--identical 5', /a rate within at most 24h, such as 5\/5m/],
    ['--latest 0.2', /a share of the life from 0.5 to 0.95/],
    ['--daemons 0', /whole number from 1 to 100/],
    ['--speed 3', /unknown option '--speed'/],
  ])('%s', (line, message) => {
    expect(() => scenarioFrom(line)).toThrow(message);
  });
});

describe('evertoken simulate', () => {
  test('prints the figures as JSON, also with --json before its name', async () => {
    const line = ['simulate', '--targets', '100', '--idp-rate', '5', '--outage', '25m@2h', '--for', '4h'];
    const [after, before] = await Promise.all([
      commandLine('').run(...line, '--json'),
      commandLine('').run('--json', ...line),
    ]);
    expect(after).toMatchObject({ code: 0, stderr: '' });
    expect(before).toEqual(after);
    expect(JSON.parse(after.stdout)).toMatchObject({
      calls: expect.any(Number),
      failedCalls: expect.any(Number),
      throttledCalls: 0,
      expiredTokenMinutes: 0,
      peakPerSecond: expect.any(Number),
      meanPerSecond: expect.any(Number),
      recoverySeconds: expect.any(Number),
      window: [0.345, 0.575],
      holdsSeconds: 1500,
      problems: [],
    });
  });

  test.each([
    ['an unknown option', ['--speed', '3'], /unknown option/],
    ['what cannot be', ['--outage', '25m@9h'], /raise --for/],
    [
      'a picture that cannot be written',
      ['--svg', '/nowhere/run.svg'],
      /a file that can be written at "\/nowhere/,
    ],
  ])('ends with 2 for %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await commandLine('').run('simulate', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('explains its figures in its help', async () => {
    const { code, stdout } = await commandLine('').run('simulate', '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/recoverySeconds +from the end of an outage until every target that was due/);
  });
});
